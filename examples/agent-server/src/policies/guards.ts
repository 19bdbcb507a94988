/** What stands in front of each provider: a circuit breaker and a bulkhead. */
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Availability from "../health/Availability.ts"
import { values } from "./values.ts"

const { consecutive, failureRate, maxOpenFor, openFor, ramp } = values.breaker

/**
 * Five calls in a row that failed for good, or half of those of the last 30 seconds, and the provider is left alone: for 30
 * seconds, then a minute, up to five. When a probe has succeeded, the load comes back in steps within half a minute. One
 * whose health checks fail is left alone too, and asked again as soon as they do not.
 */
export const breaker = (name: string) => ({
  trip: CircuitBreaker.anyOf(CircuitBreaker.consecutive(consecutive), CircuitBreaker.failureRate(failureRate)),
  openFor: Schedule.exponential(openFor),
  maxOpenFor,
  recovery: CircuitBreaker.ramp(ramp.steps, ramp.every),
  health: () => Availability.changes(name)
})

/** A breaker for each provider. */
export class Breakers extends CircuitBreaker.Service<Breakers>()("agent-server/policies/Breakers", {
  "llm-primary": breaker("llm-primary"),
  "llm-secondary": breaker("llm-secondary"),
  "llm-anthropic": breaker("llm-anthropic")
}) {}

/** How many calls each provider is asked for at once, and how many may wait for their turn, and how long. */
export class Bulkheads extends Bulkhead.Service<Bulkheads>()("agent-server/policies/Bulkheads", {
  "llm-primary": values.bulkhead,
  "llm-secondary": values.bulkhead,
  "llm-anthropic": values.bulkhead
}) {}

/** A dependency that has policies of its own. */
export type Dependency = (typeof Breakers)["names"][number]

/** What the policies stand on. */
export type Guards = RetryBudget.RetryBudget | Breakers | Bulkheads

/** Provides it: a budget for all retries, the circuits, the bulkheads. */
export const guards = (
  { providerConcurrency }: { readonly providerConcurrency: number }
): Layer.Layer<Guards, never, CircuitBreaker.CircuitBreakerStore> => {
  const bulkhead = { ...values.bulkhead, limit: providerConcurrency }
  return Layer.mergeAll(
    RetryBudget.layer(values.retryBudget),
    Breakers.layer,
    // The figures come from the settings, which have been checked.
    Layer.orDie(Bulkheads.layerConfig(Config.succeed({
      "llm-primary": bulkhead,
      "llm-secondary": bulkhead,
      "llm-anthropic": bulkhead
    })))
  )
}

/**
 * Goes around a call with all of its retries. The breaker is outermost: it counts calls that failed for good, and not each
 * attempt of a provider that has bad luck now and then.
 */
export const atProvider = (dependency: Dependency) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | CircuitBreaker.CircuitOpen | Bulkhead.BulkheadRejected, R | Breakers | Bulkheads> =>
  self.pipe(Bulkheads.run(dependency), Breakers.protect(dependency))
