/** The limiter's service. */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Checks, Cost } from "./checks.ts"
import type { Allowed, Decision, StoreUnavailable } from "./decision.ts"
import type { RateLimited, RateLimiterStoreError, RateLimiterUnavailable } from "./errors.ts"
import type { Policy } from "./policy.ts"

export const TypeId = "~effect-resilience/RateLimiter"

/**
 * How long and among how many a call waits for room.
 *
 * @category models
 * @since 0.1.0
 */
export interface WaitOptions {
  /** Default 1 minute. A call that cannot have room in this time fails at once. */
  readonly maxWait?: Duration.Input | undefined
  /** How many may wait for the same keys in this process, `Infinity` included. Default 1,000. */
  readonly maxQueue?: number | undefined
}

/**
 * Options of {@link Limiter.reserve}. With `maxWait` or `maxQueue` it waits for room.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReserveOptions extends WaitOptions {
  /** What the work is thought to cost, for the checks that do not say. */
  readonly estimate?: Cost | undefined
  /** When the process dies, what it reserved comes back after so long. Default 30 seconds, and for `concurrency` its `lease`. */
  readonly lease?: Duration.Input | undefined
}

/**
 * What is held for work that runs.
 *
 * When its scope closes unsettled, what was recorded is charged; where nothing was, the estimate after a success, and nothing after a
 * failure or an interruption.
 *
 * - `settle`: charges what the work did cost in place of the estimate. Only the first time counts. When the store fails it can be
 *   tried again.
 * - `record`: adds to what the work is known to have cost so far, as a stream's chunks arrive.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reservation {
  readonly decision: Allowed | StoreUnavailable
  readonly settle: (actual: Cost) => Effect.Effect<void, RateLimiterStoreError>
  readonly record: (used: Cost) => Effect.Effect<void>
}

/**
 * Counts, and decides.
 *
 * - `consume`: takes what every check asks for, or nothing, and says which. Never fails: a store that is down is a decision too. A lease
 *   of `concurrency` lasts until it runs out; use `limit` or `reserve` to give it back.
 * - `peek`: what `consume` would say. Takes nothing; `rules` are as they are now.
 * - `limit`: runs an effect when there is room, else fails. With options it waits for room first, as `wait` does. Leases are held while the
 *   effect runs. With a `leakyBucket` that has a queue the effect waits for its turn.
 * - `wait`: waits for room (leases then last as those of `consume`), in line with others of this process that wait for the same keys. Nothing is taken before it is this one's
 *   turn, so an interruption has nothing to give back.
 * - `reserve`: holds what the checks ask for until the work is settled.
 * - `reset`: forgets what was taken and held under a key, and its block. `block`: refuses a key for a while, whatever its limits say; zero
 *   ends it.
 * - `reconfigure`: from now on this limiter uses these rules for the policy of this name. What was taken stays taken.
 *
 * Throws a `RangeError` for a cost that is no finite number of at least 0, and for other options out of range.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limiter<in P> {
  readonly [TypeId]: typeof TypeId
  readonly consume: (checks: Checks<P>) => Effect.Effect<Decision>
  readonly peek: (checks: Checks<P>) => Effect.Effect<Decision>
  readonly limit: (
    checks: Checks<P>,
    options?: WaitOptions
  ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimited | RateLimiterUnavailable, R>
  readonly wait: (
    checks: Checks<P>,
    options?: WaitOptions
  ) => Effect.Effect<Allowed | StoreUnavailable, RateLimited | RateLimiterUnavailable>
  readonly reserve: (
    checks: Checks<P>,
    options?: ReserveOptions
  ) => Effect.Effect<Reservation, RateLimited | RateLimiterUnavailable, Scope.Scope>
  readonly reset: (subject: { readonly policy: P; readonly key: string }) => Effect.Effect<void, RateLimiterStoreError>
  readonly block: (
    subject: { readonly policy: P; readonly key: string },
    duration: Duration.Input
  ) => Effect.Effect<void, RateLimiterStoreError>
  readonly reconfigure: (policy: Policy) => Effect.Effect<void>
}

/**
 * The program's limiter, for policies given by themselves.
 *
 * @category services
 * @since 0.1.0
 */
export class RateLimiter extends Context.Service<RateLimiter, Limiter<Policy>>()("effect-resilience/RateLimiter") {}
