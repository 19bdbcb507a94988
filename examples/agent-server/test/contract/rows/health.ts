/** The probes, and what dashboards ask. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { json } from "../../support/client.ts"
import { providers } from "../../support/simulated.ts"
import { until } from "../../support/until.ts"
import { ask, askAnonymously, askAsOperator, exactly, refused, replied } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { type Section, Subject } from "../kit.ts"

const paths = [
  "/health/live",
  "/livez",
  "/healthz",
  "/health/ready",
  "/readyz",
  "/ready",
  "/health/startup",
  "/startupz"
]

const dashboards = ["health", "health/services", "metrics", "status"].map((name) => `/api/v1/monitoring/${name}`)

const dependencies = Effect.map(Subject, ({ isShared }) => [
  ...providers,
  "database",
  ...(isShared ? ["redis"] : [])
])

export const probes: Section = {
  "every probe answers anybody with its status and its checks, which nobody is to keep": Effect.gen(function*() {
    for (const path of paths) {
      const reply = yield* askAnonymously(`GET ${path}`)
      expect([path, replied(reply, 200, Bodies.Probe)]).toEqual([
        path,
        { status: "healthy", checks: expect.any(Object), draining: false }
      ])
      expect([reply.headers.get("cache-control"), reply.headers.get("x-ratelimit-limit")]).toEqual(["no-store", null])
    }
  }),

  "names that are the same probe answer the same": Effect.gen(function*() {
    const checks = (path: string) =>
      Effect.map(ask(`GET ${path}`), (reply) => Object.keys(json(reply).checks).toSorted())
    for (const names of [paths.slice(0, 3), paths.slice(3, 6), paths.slice(6)]) {
      const all = yield* Effect.forEach(names, checks)
      expect(new Set(all.map(String)).size).toBe(1)
    }
    expect(yield* checks("/health/ready")).toEqual([...yield* dependencies].toSorted())
  }),

  "HEAD and a query string make no difference": Effect.gen(function*() {
    for (const path of [...paths, ...dashboards]) {
      const head = yield* ask(`HEAD ${path}?probe=1&x`)
      expect([path, head.status, head.headers.get("cache-control")]).toEqual([path, 200, "no-store"])
      expect((yield* ask(`GET ${path}?probe=1&x`)).status).toBe(200)
    }
  })
}

export const monitoring: Section = {
  "GET health tells how each service is, and what keeps the server from being well": Effect.gen(function*() {
    const reply = yield* askAnonymously("GET /api/v1/monitoring/health")
    const body = replied(reply, 200, Bodies.Health)
    expect([body.status, body.critical_down, reply.headers.get("cache-control")]).toEqual(["healthy", [], "no-store"])
    expect(Object.keys(body.services).toSorted()).toEqual([...yield* dependencies].toSorted())
  }),

  "GET health/services has a row for each, and tells the operator only where it is": Effect.gen(function*() {
    const { services } = replied(yield* askAnonymously("GET /api/v1/monitoring/health/services"), 200, Bodies.Services)
    expect(services.map(({ name }) => name).toSorted()).toEqual([...yield* dependencies].toSorted())
    expect(services.every(({ last_error, url }) => url === null && last_error === null)).toBe(true)
    const seen = replied(yield* askAsOperator("GET /api/v1/monitoring/health/services"), 200, Bodies.Services)
    expect(seen.services.every(({ url }) => url !== null)).toBe(true)
    expect(JSON.stringify(seen)).not.toMatch(/postgres:postgres|password/)
  }),

  "GET metrics has sessions in numbers, mean latencies and targets": Effect.gen(function*() {
    const body = replied(yield* askAnonymously("GET /api/v1/monitoring/metrics"), 200, Bodies.Metrics)
    expect(Object.entries(body.latency_targets).map(([stage, { target_ms }]) => [stage, target_ms])).toEqual([
      ["asr", 500],
      ["llm", 300],
      ["tts", 200],
      ["e2e", 1000]
    ])
    expect(body.total_sessions).toBeGreaterThan(0)
  }),

  "GET status has both": Effect.gen(function*() {
    const body = replied(yield* askAnonymously("GET /api/v1/monitoring/status"), 200, Bodies.MonitoringStatus)
    exactly(Bodies.Health, body.health)
    exactly(Bodies.Metrics, body.metrics)
  }),

  "POST health/reset/{service_id} runs a check again, for the operator, and knows which there are": Effect.gen(
    function*() {
      const path = "/api/v1/monitoring/health/reset"
      expect(replied(yield* askAsOperator(`POST ${path}/llm-primary`), 200, Bodies.Reset)).toEqual({
        service_id: "llm-primary",
        status: "reset",
        health: { state: "Unknown", failure_count: 0 }
      })
      const state = Effect.map(
        ask("GET /api/v1/monitoring/health"),
        (reply): string => json(reply).services["llm-primary"]
      )
      yield* until(state, (now) => now === "Healthy")
      expect(refused(yield* askAsOperator(`POST ${path}/llm-tertiary`), 404, "service_not_found").message).toContain(
        "llm-primary, llm-secondary"
      )
      refused(yield* askAnonymously(`POST ${path}/llm-primary`), 401, "unauthorized")
      refused(yield* ask(`POST ${path}/llm-primary`), 403, "forbidden")
    }
  )
}
