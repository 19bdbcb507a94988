/**
 * Bounds how much may be taken in a time: by a user, of a provider, of a budget.
 *
 * A *rule* says how much (`tokenBucket`, `slidingWindow`, `fixedWindow`, `leakyBucket`, `concurrency`), a *policy* is rules
 * under a name, and a *check* asks a policy for a key, such as a user's id. One call may make several checks: all rules of all of them
 * have room, or nothing is taken of any. That is one atomic step of the store, which also keeps the time.
 *
 * | rule | admits in any window, at most | right for |
 * | --- | --- | --- |
 * | {@link slidingWindow} | `limit` | quotas: "60 a minute" |
 * | {@link tokenBucket} | `burst + limit` (`2 * limit` by default) | a steady rate with room for bursts |
 * | {@link fixedWindow} | `2 * limit`; `limit` in its own windows | quotas that are counted by the clock |
 * | {@link leakyBucket} | `limit` with costs of 1, evenly apart | calling what takes no bursts |
 * | {@link concurrency} | `limit` at the same time | work that holds something |
 *
 * These bounds are exact and proved by tests. Times are whole milliseconds, amounts whole millionths; nothing is lost in rounding.
 * A denied request changes nothing. `retryAfter` is exact: retrying then succeeds if nobody else came, a millisecond earlier does not.
 *
 * **What it does not do**
 *
 * It does not know who called: make keys of what you authenticated. It does not retry.
 *
 * **Gotchas**
 *
 * - A store that is down is no refusal. Each rule says what happens then (`onStoreError`, by default `"open"`: calls go on uncounted),
 *   and it is decided within 50 ms.
 * - State is kept under the names of policy and rule. A rule that is renamed starts anew.
 *
 * **Example** (Two calls at once, then one each 500 ms)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 *
 * const api = RateLimiter.policy("api", [RateLimiter.tokenBucket({ limit: 2, window: "1 second" })])
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* RateLimiter.RateLimiter
 *   const call = Effect.succeed("answered").pipe(
 *     limiter.limit({ policy: api, key: "alice" }),
 *     Effect.catchTag("RateLimited", ({ rule }) => Effect.succeed(`refused by ${rule}`))
 *   )
 *   return yield* Effect.all([call, call, call])
 * })
 *
 * await Effect.runPromise(program.pipe(
 *   Effect.provide(RateLimiter.layer),
 *   Effect.provide(RateLimiter.layerStoreMemory())
 * )) // => ["answered", "answered", "refused by tokenBucket"]
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as CoreRateLimiter from "effect/persistence/RateLimiter"
import type * as Redis from "effect/persistence/Redis"
import * as Predicate from "effect/Predicate"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as SqlError from "effect/sql/SqlError"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { durationMillis, positiveInteger, positiveMillis } from "./internal/options.ts"
import * as Core from "./internal/rateLimiter/core.ts"
import type { Settings } from "./internal/rateLimiter/engine.ts"
import {
  type RateLimited,
  RateLimitedTypeId,
  type RateLimiterUnavailable,
  UnavailableTypeId
} from "./internal/rateLimiter/errors.ts"
import * as FairQueue from "./internal/rateLimiter/fairQueue.ts"
import { makeImpl, makeLimiter } from "./internal/rateLimiter/limiter.ts"
import * as Memory from "./internal/rateLimiter/memory.ts"
import * as Policies from "./internal/rateLimiter/policy.ts"
import * as RedisStore from "./internal/rateLimiter/redis.ts"
import type { RedisOptions } from "./internal/rateLimiter/redis.ts"
import * as Registry from "./internal/rateLimiter/registry.ts"
import * as Rules from "./internal/rateLimiter/rules.ts"
import * as Services from "./internal/rateLimiter/service.ts"
import { RateLimiter } from "./internal/rateLimiter/service.ts"
import * as SqlStore from "./internal/rateLimiter/sql.ts"
import type { SqlOptions } from "./internal/rateLimiter/sql.ts"
import type { RateLimiterStore } from "./internal/rateLimiter/store.ts"

export type { Check, Checks, Cost } from "./internal/rateLimiter/checks.ts"
export type { Allowed, Decision, Denied, RuleState, StoreUnavailable } from "./internal/rateLimiter/decision.ts"
export { RateLimited, RateLimiterStoreError, RateLimiterUnavailable } from "./internal/rateLimiter/errors.ts"
export type { Fair, FairOptions } from "./internal/rateLimiter/fairQueue.ts"
export type { Policy, PolicyRule } from "./internal/rateLimiter/policy.ts"
export type { RedisOptions } from "./internal/rateLimiter/redis.ts"
export type { ServiceClass } from "./internal/rateLimiter/registry.ts"
export type {
  Algorithm,
  ConcurrencyOptions,
  FixedWindowOptions,
  LeakyBucketOptions,
  Local,
  OnStoreError,
  OnUnknownCost,
  Rule,
  RuleOptions,
  SlidingWindowOptions,
  TokenBucketOptions,
  WindowOptions
} from "./internal/rateLimiter/rules.ts"
export { RateLimiter } from "./internal/rateLimiter/service.ts"
export type { Limiter, Reservation, ReserveOptions, WaitOptions } from "./internal/rateLimiter/service.ts"
export type { SqlOptions } from "./internal/rateLimiter/sql.ts"
export { RateLimiterStore } from "./internal/rateLimiter/store.ts"
export type {
  Command,
  Entry,
  Outcome,
  Place,
  Reply,
  Request,
  Settlement,
  Subject
} from "./internal/rateLimiter/store.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = Services.TypeId

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/RateLimiter"

/**
 * @category guards
 * @since 0.1.0
 */
export const isRateLimiter = (u: unknown): u is Services.Limiter<unknown> => Predicate.hasProperty(u, TypeId)

/**
 * @category guards
 * @since 0.1.0
 */
export const isRateLimited = (u: unknown): u is RateLimited => Predicate.hasProperty(u, RateLimitedTypeId)

/**
 * @category guards
 * @since 0.1.0
 */
export const isRateLimiterUnavailable = (u: unknown): u is RateLimiterUnavailable =>
  Predicate.hasProperty(u, UnavailableTypeId)

/**
 * A bucket of `burst` (default `limit`) that refills steadily, `limit` in a `window`.
 *
 * Admits at most `burst + limit` in any window, and `limit` a window in the long run. Costs the store three numbers a key.
 *
 * Throws a `RangeError` for an option out of its range, as all rules do.
 *
 * @category rules
 * @since 0.1.0
 */
export const tokenBucket: (options: Rules.TokenBucketOptions) => Rules.Rule = Rules.tokenBucket

/**
 * At most `limit` in any window, wherever it begins.
 *
 * Up to `slices` (default 32) admissions in the window are remembered exactly. What comes on top of these is remembered together when it
 * is less than a `slices`-th of the window apart, and comes back when the latest of it does: late by at most that, never early. So
 * with a limit up to `slices` and costs of 1 it is exact, and a key never costs the store more than about four numbers a slice.
 *
 * @category rules
 * @since 0.1.0
 */
export const slidingWindow: (options: Rules.SlidingWindowOptions) => Rules.Rule = Rules.slidingWindow

/**
 * At most `limit` from the beginning of a window to its end: from the first request of it, or by the clock with `align: "clock"` (a
 * day then begins at midnight UTC).
 *
 * Admits at most `2 * limit` in a window that lies across two of its own. Costs the store two numbers a key.
 *
 * @category rules
 * @since 0.1.0
 */
export const fixedWindow: (options: Rules.FixedWindowOptions) => Rules.Rule = Rules.fixedWindow

/**
 * Evenly apart: each call is followed by a pause of `window / limit` for each 1 that it costs. Up to `queue` may wait for their turn.
 *
 * `consume` gives a place in the queue and says with `delay` when to start; the place cannot be given back. `limit`, `wait` and `reserve`
 * wait in this process instead, and take the place when it is their turn.
 *
 * Admits at most `limit` in any window with costs of 1; in general, all but the last start in a window cost less than `limit` together.
 *
 * @category rules
 * @since 0.1.0
 */
export const leakyBucket: (options: Rules.LeakyBucketOptions) => Rules.Rule = Rules.leakyBucket

/**
 * At most `limit` at the same time, in all processes. `RateLimiter.limit` holds it while the effect runs, and renews it.
 *
 * When a process dies, what it held comes back after `lease` (default 30 seconds).
 *
 * @category rules
 * @since 0.1.0
 */
export const concurrency: (options: Rules.ConcurrencyOptions) => Rules.Rule = Rules.concurrency

/**
 * For `onStoreError`: while the store is down each process enforces this share of the limit, above 0 and at most 1, on its own. With
 * four processes, 0.25 keeps the limit. A share of a limit is at least 1.
 *
 * @category rules
 * @since 0.1.0
 */
export const local: (options: { readonly share: number }) => Rules.Local = Rules.local

const per = (window: Duration.Input) => (limit: number, options?: Rules.RuleOptions): Rules.Rule =>
  Rules.slidingWindow({ ...options, limit, window })

/**
 * `slidingWindow` of a second.
 *
 * @category rules
 * @since 0.1.0
 */
export const perSecond: (limit: number, options?: Rules.RuleOptions) => Rules.Rule = per("1 second")

/**
 * `slidingWindow` of a minute.
 *
 * @category rules
 * @since 0.1.0
 */
export const perMinute: (limit: number, options?: Rules.RuleOptions) => Rules.Rule = per("1 minute")

/**
 * `slidingWindow` of an hour.
 *
 * @category rules
 * @since 0.1.0
 */
export const perHour: (limit: number, options?: Rules.RuleOptions) => Rules.Rule = per("1 hour")

/**
 * `slidingWindow` of 24 hours.
 *
 * @category rules
 * @since 0.1.0
 */
export const perDay: (limit: number, options?: Rules.RuleOptions) => Rules.Rule = per("1 day")

/**
 * Rules that decide together, under a name that decisions, signals and stores know them by.
 *
 * Throws a `RangeError` when there are no rules, or two of one name.
 *
 * @category policies
 * @since 0.1.0
 */
export const policy: (name: string, rules: ReadonlyArray<Rules.Rule>) => Policies.Policy = Policies.make

/**
 * Options of {@link layerWith}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How long a store that is not in this process has to answer. Default 50 milliseconds. */
  readonly storeTimeout?: Duration.Input | undefined
  /**
   * Remember for so long at most that such a store denied, and do not ask it for the same again before `retryAfter`. What other
   * processes reset or block is seen when it ends. Default 0: ask each time.
   */
  readonly cacheDenials?: Duration.Input | undefined
}

const settingsOf = (options: Options): Settings => ({
  storeTimeoutMillis: positiveMillis("storeTimeout", options.storeTimeout ?? "50 millis"),
  cacheDenialsMillis: durationMillis("cacheDenials", options.cacheDenials ?? 0)
})

/**
 * The program's limiter, over a {@link RateLimiterStore}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<RateLimiter, never, RateLimiterStore> = layerOf({})

/**
 * {@link layer} with options. Throws a `RangeError` for an option out of its range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: Options): Layer.Layer<RateLimiter, never, RateLimiterStore> => layerOf(options)

/**
 * {@link layerWith} with its options from `Config`. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<RateLimiter, Config.ConfigError, RateLimiterStore> => layerFromConfig(options, layerWith)

/**
 * Counts in this process.
 *
 * A key costs less than 200 bytes and is forgotten within two windows, or a minute if that is longer. At most `capacity` keys (default 1,000,000) are kept. When there
 * are more, keys that refuse nobody are forgotten, the oldest first: they may then take up to their limit again. A key that is
 * exhausted, holds something or is blocked stays. When only such keys are left, a new one is decided by `onStoreError`.
 *
 * Throws a `RangeError` when `capacity` is not a positive integer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreMemory = (
  options?: { readonly capacity?: number | undefined }
): Layer.Layer<RateLimiterStore> => Memory.layer(positiveInteger("capacity", options?.capacity ?? 1_000_000))

/**
 * Counts in Redis (6.2 or newer), for all processes that use it. Each decision is one script call, atomic, by the server's clock.
 *
 * Every key is kept for as long as it makes a difference and no longer: state until the limit is as if nothing had been taken, leases until
 * they run out. In a cluster all keys are in one slot, unless `slot` says otherwise.
 *
 * Throws a `RangeError` when `prefix` contains braces.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreRedis = (options?: RedisOptions): Layer.Layer<RateLimiterStore, never, Redis.Redis> =>
  RedisStore.layer(options ?? {})

/**
 * Counts in PostgreSQL (11 or newer) or SQLite, for all processes that use the database. Makes its tables and functions when it is built.
 *
 * In PostgreSQL each decision is one round trip: a function that locks the keys, in an order of its own, and decides by the server's
 * clock. It is not part of a transaction of the caller, so it needs a connection besides. In SQLite each is a transaction, or part of the
 * caller's, by the machine's clock. Keys are kept as digests in PostgreSQL and as they are in SQLite.
 *
 * Throws a `RangeError` when `table` is no simple name.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreSql = (
  options?: SqlOptions
): Layer.Layer<RateLimiterStore, SqlError.SqlError, SqlClient.SqlClient> => SqlStore.layer(options ?? {})

/**
 * Effect's own `RateLimiter`, on this engine: whoever uses it, `HttpClient.withRateLimiter` for one, counts with the exact algorithms
 * and in the stores of this module.
 *
 * A token bucket is a {@link tokenBucket}, a fixed window a {@link fixedWindow} from the first hit. What was learned from a server's refusals
 * (`adaptiveConsume`) is kept in this process, for 10,000 keys.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCore: Layer.Layer<CoreRateLimiter.RateLimiter, never, RateLimiterStore> = Core.layer

/**
 * A line in which tenants take turns by their weights (deficit round robin), when more is wanted than there is. What one does not want
 * goes to the others. Make one for what is shared, and give each call its tenant.
 *
 * A call counts by its share of the limit that it takes most of, so tenants with few large calls and many small ones are equals.
 *
 * **Example** (A tenant with one call does not wait for the other's hundred)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * const model = RateLimiter.policy("model", [RateLimiter.leakyBucket({ limit: 1, window: "1 second" })])
 * const served: Array<string> = []
 *
 * const program = Effect.gen(function*() {
 *   const queue = yield* RateLimiter.fair()
 *   const call = (tenant: string) =>
 *     Effect.forkChild(Effect.sync(() => served.push(tenant)).pipe(queue.limit(tenant, { policy: model, key: "gpt" })))
 *   for (let i = 0; i < 100; i++) yield* call("heavy")
 *   yield* call("light")
 *   yield* TestClock.adjust("3 seconds")
 *   return served
 * })
 *
 * await Effect.runPromise(program.pipe(
 *   Effect.provide(RateLimiter.layer),
 *   Effect.provide([RateLimiter.layerStoreMemory(), TestClock.layer()])
 * )) // => ["heavy", "heavy", "heavy", "light"]
 * ```
 *
 * Throws a `RangeError` for a weight that is not above 0.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fair: (options?: FairQueue.FairOptions) => Effect.Effect<FairQueue.Fair, never, RateLimiter> =
  FairQueue.fair

/**
 * Declares a limiter that knows its policies by name. A name that is not among them does not compile. A policy may be given as rules;
 * it then has the name that it is declared under.
 *
 * **Example** (Every user, and the provider they share)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { RateLimiter } from "effect-resilience"
 *
 * class Limits extends RateLimiter.Service<Limits>()("app/Limits", {
 *   perUser: [RateLimiter.perMinute(20), RateLimiter.concurrency({ limit: 2 })],
 *   openai: [RateLimiter.perMinute(500), RateLimiter.perMinute(90_000, { name: "tokens", unit: "tokens" })]
 * }) {}
 *
 * const answer = Effect.succeed("an answer").pipe(
 *   Limits.limit([{ policy: "perUser", key: "alice" }, { policy: "openai", key: "shared", cost: 1_200 }])
 * )
 * const left = Effect.map(Limits.peek({ policy: "openai", key: "shared", cost: 0 }), ({ rules }) =>
 *   rules.map(({ remaining, unit }) => [unit, remaining]))
 *
 * await Effect.runPromise(Effect.andThen(answer, left).pipe(
 *   Effect.provide(Limits.layer),
 *   Effect.provide(RateLimiter.layerStoreMemory())
 * )) // => [["requests", 499], ["tokens", 88_800]]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service = Registry.Service(settingsOf({}))

function layerOf(options: Options): Layer.Layer<RateLimiter, never, RateLimiterStore> {
  const settings = settingsOf(options)
  return Layer.effect(RateLimiter, Effect.map(makeImpl(settings), (impl) => makeLimiter(impl, (policy) => policy)))
}
