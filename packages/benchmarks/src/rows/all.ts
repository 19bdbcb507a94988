/** Every page of figures. */
import type { Comparison } from "../harness/compare.ts"
import type { Scenario } from "../harness/scenario.ts"
import * as Bulkhead from "./bulkhead.ts"
import * as CircuitBreaker from "./circuitBreaker.ts"
import * as CircuitBreakerHttp from "./circuitBreakerHttp.ts"
import * as DeadLetters from "./deadLetters.ts"
import * as Hedge from "./hedge.ts"
import * as Metrics from "./metrics.ts"
import * as Pipeline from "./pipeline.ts"
import * as RateLimiter from "./rateLimiter.ts"
import * as RateLimiterStores from "./rateLimiterStores.ts"
import * as RateLimiterTruth from "./rateLimiterTruth.ts"
import * as Retry from "./retry.ts"
import * as Scrape from "./scrape.ts"
import * as Soak from "./soak.ts"
import * as Spans from "./spans.ts"
import * as Timeout from "./timeout.ts"
import * as WholeServer from "./wholeServer.ts"

/** A page: what it compares, and against which packages. */
export interface Page {
  readonly title: string
  readonly peers: ReadonlyArray<string>
  readonly comparisons: ReadonlyArray<Comparison>
  readonly scenarios?: ReadonlyArray<Scenario>
  /** What a reader must know about the figures. */
  readonly notes: string
}

/** The pages by the name that `pnpm bench` takes. */
export const pages: Readonly<Record<string, Page>> = {
  "circuit-breaker": {
    title: "Circuit breaker",
    peers: ["effect", "cockatiel", "opossum"],
    comparisons: CircuitBreaker.comparisons,
    scenarios: CircuitBreakerHttp.scenarios,
    notes: CircuitBreaker.notes
  },
  "dead-letters": {
    title: "Dead letters",
    peers: ["effect", "pg-boss", "bullmq"],
    comparisons: DeadLetters.comparisons,
    notes: DeadLetters.notes
  },
  bulkhead: { title: "Bulkhead", peers: ["effect", "cockatiel"], comparisons: Bulkhead.comparisons, notes: "" },
  hedge: { title: "Hedge", peers: ["effect"], comparisons: Hedge.comparisons, notes: Hedge.notes },
  metrics: {
    title: "Metrics",
    peers: ["effect", "prom-client", "@opentelemetry/sdk-metrics"],
    comparisons: Metrics.comparisons,
    notes: ""
  },
  pipeline: {
    title: "Pipeline",
    peers: ["effect", "cockatiel"],
    comparisons: Pipeline.comparisons,
    notes: Pipeline.notes
  },
  "rate-limiter": {
    title: "Rate limiter in memory",
    peers: ["effect", "rate-limiter-flexible"],
    comparisons: RateLimiter.comparisons,
    scenarios: RateLimiterTruth.scenarios,
    notes: RateLimiter.notes
  },
  "rate-limiter-redis": {
    title: "Rate limiter on Redis",
    peers: ["effect", "rate-limiter-flexible", "redis"],
    comparisons: RateLimiterStores.redisComparisons,
    notes: RateLimiterStores.redisNotes
  },
  "rate-limiter-postgres": {
    title: "Rate limiter on PostgreSQL",
    peers: ["effect", "rate-limiter-flexible", "pg"],
    comparisons: RateLimiterStores.postgresComparisons,
    notes: RateLimiterStores.postgresNotes
  },
  retry: { title: "Retry", peers: ["effect", "cockatiel"], comparisons: Retry.comparisons, notes: "" },
  scrape: { title: "Scrape", peers: ["prom-client"], comparisons: Scrape.comparisons, notes: "" },
  soak: { title: "A soak", peers: ["effect"], comparisons: [], scenarios: Soak.scenarios, notes: Soak.notes },
  spans: {
    title: "Spans",
    peers: ["effect", "@effect/opentelemetry", "@opentelemetry/sdk-trace-node"],
    comparisons: Spans.comparisons,
    notes: Spans.notes
  },
  timeout: {
    title: "Time limits",
    peers: ["effect", "cockatiel"],
    comparisons: Timeout.comparisons,
    notes: Timeout.notes
  },
  "whole-server": {
    title: "The whole server",
    peers: [
      "effect",
      "fastify",
      "@fastify/rate-limit",
      "opossum",
      "prom-client",
      "pino",
      "@opentelemetry/sdk-trace-node"
    ],
    comparisons: [],
    scenarios: WholeServer.scenarios,
    notes: WholeServer.notes
  }
}
