/** Signals of policies as events of spans. */
import * as Duration from "effect/Duration"
import type { CircuitState, Signal } from "../../Signal.ts"

export interface SpanEvent {
  readonly name: string
  readonly attributes: Record<string, unknown>
}

const circuit: { readonly [State in CircuitState]: string } = {
  Closed: "closed",
  Open: "opened",
  HalfOpen: "half_opened",
  Recovering: "recovering",
  ForcedOpen: "forced_open",
  ForcedClosed: "forced_closed"
}

/** Nothing for what happens on the good path of every call. */
export const eventOf = (signal: Signal): SpanEvent | undefined => {
  switch (signal._tag) {
    case "CircuitTransition":
      return event(`circuit_breaker.${circuit[signal.to]}`, {
        name: signal.name,
        key: signal.key,
        from: signal.from,
        reason: signal.reason
      })
    case "CallRejected":
      return event(signal.shadow ? "circuit_breaker.shadow_rejected" : "circuit_breaker.rejected", {
        name: signal.name,
        key: signal.key,
        state: signal.state,
        retry_after_ms: Duration.toMillis(signal.retryAfter)
      })
    case "RetryScheduled":
      return event("retry.scheduled", {
        name: signal.name,
        attempt: signal.attempt,
        delay_ms: Duration.toMillis(signal.delay),
        kind: signal.failure.kind
      })
    case "BudgetExhausted":
      return event("retry.budget_exhausted", { budget: signal.budget, kind: signal.failure.kind })
    case "DeadlinePassed":
      return event("timeout", { scope: signal.scope, budget_ms: Duration.toMillis(signal.budget) })
    case "ConcurrencyDecided":
      return signal.decision === "admitted"
        ? undefined
        : event(`${signal.policy === "bulkhead" ? "bulkhead" : "concurrency_limit"}.rejected`, {
          name: signal.name,
          reason: signal.reason ?? "",
          limit: signal.limit
        })
    case "LimitDecided":
      return signal.decision === "allowed"
        ? undefined
        : event(`rate_limiter.${signal.decision}`, { name: signal.policy, rule: signal.rule })
    case "FallbackServed":
      return signal.degraded
        ? event("fallback.served", { chain: signal.chain, route: signal.route, reason: signal.reason ?? "" })
        : undefined
    case "DeadLettered":
      return event("dead_letter.kept", { queue: signal.queue, id: signal.id, kind: signal.kind })
    case "Hedged":
      return event(signal.launched === 0 ? "hedge.refused" : "hedge.launched", {
        name: signal.name,
        hedges: signal.launched
      })
    default:
      return undefined
  }
}

const event = (name: string, attributes: Record<string, unknown>): SpanEvent => ({
  name: `resilience.${name}`,
  attributes: Object.fromEntries(Object.entries(attributes).map(([key, value]) => [`resilience.${key}`, value]))
})
