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

  const counter = (name: string, help: string, ...labelNames: ReadonlyArray<string>) =>
    new Counter({ name, help, labelNames, registers })
  const histogram = (name: string, help: string, buckets: Array<number>, ...labelNames: ReadonlyArray<string>) =>
    new Histogram({ name, help, labelNames, buckets, registers })

  const active = new Gauge({ name: "http_server_active_requests", help: "Requests under way", registers })
  const requests = counter("http_requests_total", "Requests", "method", "endpoint", "status")
  const retryCalls = counter("resilience_retry_calls_total", "Calls by whether they were tried again", "name", "kind")
  const breakerCalls = counter("resilience_circuit_breaker_calls_total", "Calls through the circuit", "name", "kind")
  const decisions = counter("resilience_rate_limiter_decisions_total", "Decisions of the limiters", "rule", "decision")
  const modelRequests = counter("llm_requests_total", "Calls to models", "model", "outcome")
  const modelTokens = counter("llm_tokens_total", "Tokens", "model", "type")
  const modelCost = counter("llm_cost_usd_total", "What the calls cost", "model")
  const requestSeconds = histogram(
    "http_server_request_duration_seconds",
    "Duration of requests",
    seconds,
    "http_request_method",
    "http_route",
    "http_response_status_code"
  )
  const clientSeconds = histogram(
    "http_client_request_duration_seconds",
    "Duration of attempts at the provider",
    seconds,
    "outcome"
  )
  const pipelineSeconds = histogram(
    "resilience_pipeline_duration_seconds",
    "Duration of calls with all of their attempts",
    seconds,
    "name",
    "outcome"
  )
  const operationSeconds = histogram(
    "gen_ai_client_operation_duration_seconds",
    "Duration of calls to models",
    modelSeconds,
    "gen_ai_request_model"
  )
  const tokenUsage = histogram(
    "gen_ai_client_token_usage",
    "Tokens of a call",
    tokens,
    "gen_ai_request_model",
    "gen_ai_token_type"
  )
  const databaseSeconds = histogram(
    "db_client_operation_duration_seconds",
    "Duration of transactions",
    seconds,
    "db_operation_name"
  )

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
