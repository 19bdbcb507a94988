/** What is counted and timed, with prom-client: the families that the agent server has too. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client"

const seconds = [.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 15, 30, 60, 120]
const modelSeconds = Array.from({ length: 14 }, (_, power) => .01 * 2 ** power)
const tokens = Array.from({ length: 14 }, (_, power) => 4 ** power)

/** How a call to the provider ended. */
export type Outcome = "success" | "failure"

/** Makes the metrics of one server. */
export const makeMetrics = () => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]

  const requestSeconds = new Histogram({
    name: "http_server_request_duration_seconds",
    help: "Duration of requests",
    labelNames: ["http_request_method", "http_route", "http_response_status_code"],
    buckets: seconds,
    registers
  })
  const requests = new Counter({
    name: "http_requests_total",
    help: "Requests",
    labelNames: ["method", "endpoint", "status"],
    registers
  })
  const active = new Gauge({ name: "http_server_active_requests", help: "Requests under way", registers })
  const clientSeconds = new Histogram({
    name: "http_client_request_duration_seconds",
    help: "Duration of attempts at the provider",
    labelNames: ["outcome"],
    buckets: seconds,
    registers
  })
  const pipelineSeconds = new Histogram({
    name: "resilience_pipeline_duration_seconds",
    help: "Duration of calls with all of their attempts",
    labelNames: ["name", "outcome"],
    buckets: seconds,
    registers
  })
  const retryCalls = new Counter({
    name: "resilience_retry_calls_total",
    help: "Calls by whether they were tried again",
    labelNames: ["name", "kind"],
    registers
  })
  const breakerCalls = new Counter({
    name: "resilience_circuit_breaker_calls_total",
    help: "Calls through the circuit",
    labelNames: ["name", "kind"],
    registers
  })
  const decisions = new Counter({
    name: "resilience_rate_limiter_decisions_total",
    help: "Decisions of the limiters",
    labelNames: ["rule", "decision"],
    registers
  })
  const modelRequests = new Counter({
    name: "llm_requests_total",
    help: "Calls to models",
    labelNames: ["model", "outcome"],
    registers
  })
  const modelTokens = new Counter({
    name: "llm_tokens_total",
    help: "Tokens",
    labelNames: ["model", "type"],
    registers
  })
  const modelCost = new Counter({
    name: "llm_cost_usd_total",
    help: "What the calls cost",
    labelNames: ["model"],
    registers
  })
  const operationSeconds = new Histogram({
    name: "gen_ai_client_operation_duration_seconds",
    help: "Duration of calls to models",
    labelNames: ["gen_ai_request_model"],
    buckets: modelSeconds,
    registers
  })
  const tokenUsage = new Histogram({
    name: "gen_ai_client_token_usage",
    help: "Tokens of a call",
    labelNames: ["gen_ai_request_model", "gen_ai_token_type"],
    buckets: tokens,
    registers
  })
  const databaseSeconds = new Histogram({
    name: "db_client_operation_duration_seconds",
    help: "Duration of transactions",
    labelNames: ["db_operation_name"],
    buckets: seconds,
    registers
  })

  return {
    registry,
    requestBegan: () => active.inc(),
    requestEnded: (method: string, route: string, status: number, elapsedSeconds: number) => {
      active.dec()
      requestSeconds.labels(method, route, String(status)).observe(elapsedSeconds)
      requests.labels(method, route, String(status)).inc()
    },
    attempted: (outcome: Outcome, elapsedSeconds: number) => clientSeconds.labels(outcome).observe(elapsedSeconds),
    called: (model: string, outcome: Outcome, attempts: number, elapsedSeconds: number) => {
      pipelineSeconds.labels("llm-primary", outcome).observe(elapsedSeconds)
      operationSeconds.labels(model).observe(elapsedSeconds)
      modelRequests.labels(model, outcome).inc()
      const ended = outcome === "success" ? "successful" : "failed"
      retryCalls.labels("llm-primary", `${ended}_${attempts > 1 ? "with" : "without"}_retry`).inc()
    },
    circuit: (kind: "successful" | "failed" | "not_permitted") => breakerCalls.labels("llm-primary", kind).inc(),
    decision: (rule: string, decision: "allowed" | "denied") => decisions.labels(rule, decision).inc(),
    used: (model: string, promptTokens: number, completionTokens: number, costUsd: number) => {
      modelTokens.labels(model, "input").inc(promptTokens)
      modelTokens.labels(model, "output").inc(completionTokens)
      tokenUsage.labels(model, "input").observe(promptTokens)
      tokenUsage.labels(model, "output").observe(completionTokens)
      modelCost.labels(model).inc(costUsd)
    },
    stored: (elapsedSeconds: number) => databaseSeconds.labels("append").observe(elapsedSeconds)
  }
}

/** The metrics of one server. */
export type Metrics = ReturnType<typeof makeMetrics>
