/** What the policies do. `name` is the name that a policy was given. */
import { Kind } from "../../failureSchema.ts"
import { type Entry, requests, waits } from "./entry.ts"

export const circuitStates = ["Closed", "Open", "HalfOpen", "Recovering", "ForcedOpen", "ForcedClosed"] as const
const failureKinds = Kind.literals
const letterStates = ["Dead", "Redriving", "Quarantined", "Archived", "Discarded"] as const
const redriveOutcomes = [
  "redriven",
  "failed",
  "interrupted",
  "crashed",
  "quarantined",
  "givenBack",
  "leaseLost"
] as const
const outcomes = ["success", "failure", "interrupted"] as const

export const resilience = {
  resilience_pipeline_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["name", "outcome"],
    values: { outcome: outcomes },
    buckets: requests,
    help: "How long a call took with all its policies",
    from: "Metrics.layer"
  },
  resilience_attempt_duration_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["name", "attempt", "outcome"],
    values: { attempt: ["1", "2", "3", "4+"], outcome: outcomes },
    buckets: requests,
    help: "How long an attempt took",
    from: "Metrics.layer"
  },
  resilience_retry_calls_total: {
    type: "counter",
    unit: "count",
    labels: ["name", "kind"],
    values: {
      kind: ["successful_without_retry", "successful_with_retry", "failed_without_retry", "failed_with_retry"]
    },
    help: "Retried calls that ended; interrupted ones are not counted",
    from: "Metrics.layer"
  },
  resilience_retry_attempts_total: {
    type: "counter",
    unit: "count",
    labels: ["name", "reason"],
    help: "Retries, by the kind of failure that they follow",
    from: "Metrics.layer"
  },
  resilience_retry_backoff_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["name"],
    buckets: waits,
    help: "How long calls waited before a retry",
    from: "Metrics.layer"
  },
  resilience_retry_budget_exhausted_total: {
    type: "counter",
    unit: "count",
    labels: ["budget"],
    values: { budget: ["ratio", "tokens", "inFlight", "unlimited"] },
    help: "Retries that a budget refused, by its rule",
    from: "Metrics.layer"
  },
  resilience_circuit_breaker_state: {
    type: "gauge",
    unit: "state",
    labels: ["name", "state"],
    values: { state: circuitStates },
    help: "Circuits of a breaker in a state; Closed is 1 while none is in another state",
    from: "Metrics.layer"
  },
  resilience_circuit_breaker_transitions_total: {
    type: "counter",
    unit: "count",
    labels: ["name", "from", "to"],
    values: { from: circuitStates, to: circuitStates },
    // 36 a breaker.
    limit: 10_000,
    help: "Changes of a circuit's state",
    from: "Metrics.layer"
  },
  resilience_circuit_breaker_calls_total: {
    type: "counter",
    unit: "count",
    labels: ["name", "kind"],
    values: { kind: ["successful", "failed", "ignored", "slow", "not_permitted", "shadow_not_permitted"] },
    help: "Calls of a breaker; slow ones are counted as slow and as what else they were",
    from: "Metrics.layer"
  },
  resilience_circuit_breaker_failure_ratio: {
    type: "gauge",
    unit: "ratio",
    labels: ["name"],
    help: "Share of failures in a breaker's window",
    from: "Metrics.layer"
  },
  resilience_circuit_breaker_slow_call_ratio: {
    type: "gauge",
    unit: "ratio",
    labels: ["name"],
    help: "Share of slow calls in a breaker's window",
    from: "Metrics.layer"
  },
  resilience_bulkhead_active: {
    type: "gauge",
    unit: "count",
    labels: ["name"],
    help: "Permits that are taken",
    from: "Metrics.layer"
  },
  resilience_bulkhead_limit: {
    type: "gauge",
    unit: "count",
    labels: ["name"],
    help: "Permits that there are",
    from: "Metrics.layer"
  },
  resilience_bulkhead_queue_depth: {
    type: "gauge",
    unit: "count",
    labels: ["name"],
    help: "Calls that wait for a permit",
    from: "Metrics.layer"
  },
  resilience_bulkhead_queue_wait_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["name"],
    buckets: waits,
    help: "How long admitted calls had waited",
    from: "Metrics.layer"
  },
  resilience_bulkhead_rejected_total: {
    type: "counter",
    unit: "count",
    labels: ["name", "reason"],
    values: { reason: ["Full", "WaitTimeout"] },
    help: "Calls that a bulkhead rejected",
    from: "Metrics.layer"
  },
  resilience_concurrency_limit: {
    type: "gauge",
    unit: "count",
    labels: ["name"],
    help: "What an adaptive limit stands at",
    from: "Metrics.layer"
  },
  resilience_concurrency_limit_active: {
    type: "gauge",
    unit: "count",
    labels: ["name"],
    help: "Calls in flight under an adaptive limit",
    from: "Metrics.layer"
  },
  resilience_concurrency_limit_rejected_total: {
    type: "counter",
    unit: "count",
    labels: ["name", "reason"],
    help: "Calls that an adaptive limit rejected",
    from: "Metrics.layer"
  },
  resilience_timeouts_total: {
    type: "counter",
    unit: "count",
    labels: ["scope"],
    values: { scope: ["attempt", "total"] },
    help: "Calls that were cut because their time was up",
    from: "Metrics.layer"
  },
  resilience_rate_limiter_decisions_total: {
    type: "counter",
    unit: "count",
    labels: ["name", "rule", "decision"],
    values: { decision: ["allowed", "denied", "shadow_denied", "store_unavailable"] },
    help: "Decisions of a rate limiter, one a rule",
    from: "Metrics.layer"
  },
  resilience_rate_limiter_waiting: {
    type: "gauge",
    unit: "count",
    labels: ["name"],
    help: "Calls that wait for a rate limiter",
    from: "Metrics.layer"
  },
  resilience_rate_limiter_wait_seconds: {
    type: "histogram",
    unit: "seconds",
    labels: ["name"],
    buckets: waits,
    help: "How long calls waited for a rate limiter",
    from: "Metrics.layer"
  },
  resilience_fallbacks_total: {
    type: "counter",
    unit: "count",
    labels: ["chain", "route", "reason"],
    help: "Calls that another route than the first eligible one answered, by the kind of failure",
    from: "Metrics.layer"
  },
  resilience_fallback_served_total: {
    type: "counter",
    unit: "count",
    labels: ["chain", "route", "degraded"],
    values: { degraded: ["false", "true"] },
    help: "Calls that a chain answered",
    from: "Metrics.layer"
  },
  resilience_hedges_total: {
    type: "counter",
    unit: "count",
    labels: ["name", "winner"],
    values: { winner: ["primary", "hedge", "none"] },
    help: "Hedged calls, by who answered first",
    from: "Metrics.layer"
  },
  resilience_hedges_refused_total: {
    type: "counter",
    unit: "count",
    labels: ["name"],
    help: "Calls that wanted a hedge and were refused one by their budget",
    from: "Metrics.layer"
  },
  dlq_messages_total: {
    type: "counter",
    unit: "count",
    labels: ["queue", "kind"],
    values: { kind: failureKinds },
    help: "Letters that were kept, by the kind of failure",
    from: "Metrics.layer"
  },
  dlq_depth: {
    type: "gauge",
    unit: "count",
    labels: ["queue", "state"],
    values: { state: letterStates },
    help: "Letters in a queue",
    from: "StoreMetrics"
  },
  dlq_oldest_age_seconds: {
    type: "gauge",
    unit: "seconds",
    labels: ["queue"],
    help: "Age of the oldest dead letter",
    from: "StoreMetrics"
  },
  dlq_redrives_total: {
    type: "counter",
    unit: "count",
    labels: ["queue", "outcome"],
    values: { outcome: redriveOutcomes },
    help: "Letters that were tried again",
    from: "Metrics.layer"
  },
  dlq_evicted_total: {
    type: "counter",
    unit: "count",
    labels: ["queue", "reason"],
    values: { reason: ["age", "size"] },
    help: "Letters that retention removed",
    from: "Metrics.layer"
  }
} as const satisfies Record<string, Entry>
