/**
 * What calls to the providers may use: requests and tokens a minute, money a day.
 *
 * A call reserves what it is thought to use before it is made, so that calls under way cannot all be promised the same
 * last tokens, and is charged with what it did use when it ends, however it ends: one that was answered, with what its provider says;
 * one that failed, with its requests; of a stream that broke or that its client left, with what had come so far.
 */
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as policies from "../policies.ts"
import type { ProviderLimits } from "../policies/document.ts"

/** What a call used, or is thought to use. Its retries are requests too. */
export interface Used {
  readonly requests: number
  readonly tokens: number
  readonly costUsd: number
}

/** The spending of this server. */
export class Spending extends Context.Service<Spending, {
  /** Waits a little for room, runs the call, and charges what `used` says at its end. */
  readonly during: (
    dependency: policies.Dependency,
    estimate: Used,
    used: () => Used
  ) => <A, E, R>(
    call: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | RateLimiter.RateLimited | RateLimiter.RateLimiterUnavailable, R>
}>()("agent-server/limits/Spending") {}

const costOf = ({ costUsd, requests, tokens }: Used): RateLimiter.Cost => ({ requests, tokens, cost: costUsd })

/** A call that is thought to use more than there ever is waits for all of it, and is not refused for good. */
const atMost = (estimate: Used, limits: ProviderLimits): Used => ({
  requests: Math.min(estimate.requests, limits.requestsPerMinute),
  tokens: Math.min(estimate.tokens, limits.tokensPerMinute),
  costUsd: Math.min(estimate.costUsd, limits.usdPerDay)
})

const make = Effect.gen(function*() {
  const limiter = yield* RateLimiter.RateLimiter
  const { now } = yield* policies.Policies
  return Spending.of({
    during: (dependency, estimate, used) => (call) =>
      Effect.scoped(Effect.gen(function*() {
        const { maxQueue, maxWait, providers } = (yield* now).limits
        const limits = providers[dependency]
        const reservation = yield* limiter.reserve(
          { policy: limits.policy, key: dependency },
          { estimate: costOf(atMost(estimate, limits)), maxQueue, maxWait }
        )
        // The store is in this process and does not fail; if it did, the estimate would be charged.
        const settle = Effect.suspend(() => Effect.ignore(reservation.settle(costOf(used()))))
        return yield* Effect.onExit(call, () => settle)
      }))
  })
})

/** Keeps calls within the limits that are in force. */
export const layer: Layer.Layer<Spending, never, RateLimiter.RateLimiter | policies.Policies> = Layer.effect(
  Spending,
  make
)
