/**
 * What calls to the providers may use: requests and tokens a minute, money a day.
 *
 * A call reserves what it is thought to use before it is made, so that calls under way cannot all be promised the same
 * last tokens, and is charged with what it did use when that is known. One that fails costs nothing; of a stream that its client
 * leaves, what had come so far.
 */
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Dependency } from "../policies.ts"
import { ofProvider, type ProviderLimits } from "./limits.ts"

/** What a call used, or is thought to use. */
export interface Used {
  readonly tokens: number
  readonly costUsd: number
}

/** Hears of what a call uses while it runs. */
export type Record = (used: Used) => Effect.Effect<void>

/** The spending of this server. */
export class Spending extends Context.Service<Spending, {
  /** Waits a little for room, runs the call, and charges what `used` says of its end. */
  readonly during: <A, E, R>(
    dependency: Dependency,
    estimate: Used,
    call: (record: Record) => Effect.Effect<A, E, R>,
    used: (answer: A) => Used
  ) => Effect.Effect<A, E | RateLimiter.RateLimited | RateLimiter.RateLimiterUnavailable, R>
}>()("agent-server/limits/Spending") {}

const costOf = ({ costUsd, tokens }: Used): RateLimiter.Cost => ({ requests: 1, tokens, cost: costUsd })

const make = Effect.fnUntraced(function*(policies: { readonly [D in Dependency]: RateLimiter.Policy }) {
  const limiter = yield* RateLimiter.RateLimiter
  return Spending.of({
    during: (dependency, estimate, call, used) =>
      Effect.scoped(Effect.gen(function*() {
        const reservation = yield* limiter.reserve(
          { policy: policies[dependency], key: dependency },
          { estimate: costOf(estimate), maxWait: "5 seconds", maxQueue: 1000 }
        )
        const answer = yield* call((part) => reservation.record({ tokens: part.tokens, cost: part.costUsd }))
        // The store is in this process and does not fail; if it did, the estimate would be charged.
        yield* Effect.ignore(reservation.settle(costOf(used(answer))))
        return answer
      }))
  })
})

/** Keeps calls within these limits. */
export const layer = (limits: ProviderLimits): Layer.Layer<Spending, never, RateLimiter.RateLimiter> =>
  Layer.effect(Spending, make({ "llm-primary": ofProvider("llm-primary", limits) }))
