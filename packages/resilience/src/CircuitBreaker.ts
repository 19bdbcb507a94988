/**
 * Stops calling a dependency that does not answer well, and finds out gently when it does again.
 *
 * A breaker has one circuit a key: a host, a tenant, a model. Each circuit is in one of six states:
 *
 * | state | a call | what ends it |
 * | --- | --- | --- |
 * | `Closed` | runs, and is counted by the `trip` policy | the policy trips: `Open` |
 * | `Open` | fails with {@link CircuitOpen} | `openFor` is over and a call comes: `HalfOpen` |
 * | `HalfOpen` | the first few run as probes, the others fail | enough probes succeed or too many fail |
 * | `Recovering` | a growing fraction runs, the others fail | the `recovery` schedule ends: `Closed`; or the policy trips |
 * | `ForcedOpen`, `ForcedClosed` | fails; runs and is not counted | `release` or `reset` |
 *
 * A call counts for the stretch of time in which it was let through. What comes later, after the circuit opened, closed
 * or was reset, changes nothing: it neither trips the circuit, nor takes or frees a probe's place.
 *
 * By default a call that succeeds is a success, and one that fails a failure, except where it says nothing of the
 * dependency's health: interruptions, failures of scope `"request"` (bad input, a rejection by one of our own policies)
 * and of kind `RateLimited` are ignored.
 *
 * Time is monotonic: setting the system's clock opens and closes nothing. It moves a circuit when somebody looks: an open
 * circuit that nobody calls stays open.
 *
 * What it does not do: it never waits, and gives a call no time limit. A call that hangs is no failure before
 * something ends it, so place `Deadline.attempt` inside.
 *
 * **Example** (Two failures, then none of the calls runs)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 *
 * let calls = 0
 * const call = Effect.suspend(() => Effect.fail(`failure ${++calls}`))
 *
 * const program = Effect.gen(function*() {
 *   const breaker = yield* CircuitBreaker.make({ name: "payments", trip: CircuitBreaker.consecutive(2) })
 *   const errors = []
 *   for (let i = 0; i < 4; i++) errors.push(yield* Effect.flip(breaker.protect(call)))
 *   return errors.map((error) => CircuitBreaker.isCircuitOpen(error) ? error.state : error)
 * })
 *
 * await Effect.runPromise(
 *   program.pipe(Effect.scoped, Effect.provide(CircuitBreaker.layerStoreMemory))
 * ) // => ["failure 1", "failure 2", "Open", "Open"]
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as CoreCircuitBreaker from "effect/persistence/CircuitBreaker"
import type * as Redis from "effect/persistence/Redis"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Engine from "./internal/circuitBreaker/breaker.ts"
import * as Core from "./internal/circuitBreaker/core.ts"
import { type CircuitOpen, CircuitOpenTypeId, type CircuitStoreError } from "./internal/circuitBreaker/errors.ts"
import * as Memory from "./internal/circuitBreaker/memory.ts"
import type { Options, Tuning } from "./internal/circuitBreaker/options.ts"
import * as Outcomes from "./internal/circuitBreaker/outcome.ts"
import * as Ramps from "./internal/circuitBreaker/ramp.ts"
import * as RedisStore from "./internal/circuitBreaker/redisStore.ts"
import type { RedisOptions } from "./internal/circuitBreaker/redisStore.ts"
import * as Services from "./internal/circuitBreaker/service.ts"
import type { CircuitBreakerStore, Snapshot } from "./internal/circuitBreaker/store.ts"
import * as Trips from "./internal/circuitBreaker/trip.ts"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import type { CircuitState, CircuitTransition } from "./Signal.ts"

export { CircuitOpen, CircuitStoreError } from "./internal/circuitBreaker/errors.ts"
export type { Options, Tuning } from "./internal/circuitBreaker/options.ts"
export type { Outcome } from "./internal/circuitBreaker/outcome.ts"
export type { Policy } from "./internal/circuitBreaker/policy.ts"
export type { RedisOptions } from "./internal/circuitBreaker/redisStore.ts"
export { CircuitBreakerStore } from "./internal/circuitBreaker/store.ts"
export type { Admission, Circuits, Command, Move, Settlement, Snapshot } from "./internal/circuitBreaker/store.ts"
export type { CallsWindow, RateOptions, Trip } from "./internal/circuitBreaker/trip.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = Engine.TypeId

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/CircuitBreaker"

/**
 * Options of {@link Breaker.protect}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProtectOptions<A, E> {
  /** Which circuit. Default `"default"`. */
  readonly key?: string | undefined
  /** What the end of this call says about the dependency, in place of the breaker's `classify`. */
  readonly classify?: ((exit: Exit.Exit<A, E>) => Outcomes.Outcome) | undefined
}

/**
 * A breaker. Where a key is left out, it is `"default"`.
 *
 * - `protect`: runs a call, or fails with {@link CircuitOpen} and runs nothing. A classifier that throws frees the call's
 *   place and makes it die with what was thrown.
 * - `state`, `states`, `metrics`, `snapshot`: what the circuits are now; reading changes nothing.
 * - `transitions`: those that this breaker makes, from the moment the stream is run. A reader that is 1,024 late loses the
 *   oldest. Signals lose nothing.
 * - `forceOpen`, `forceClose`: the operator decides. `release` ends that: a circuit that was forced open probes, one that was
 *   forced closed is closed. `reset` closes a circuit and forgets everything.
 * - `reconfigure`: other options from now on. States, permits and what is remembered stay.
 *
 * With a store in memory, nothing here fails with {@link CircuitStoreError}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Breaker {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly protect: {
    (options?: { readonly key?: string | undefined }): <A, E, R>(
      self: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | CircuitOpen, R>
    <A, E>(options: ProtectOptions<A, E>): <R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R>
    <A, E, R>(self: Effect.Effect<A, E, R>, options?: ProtectOptions<A, E>): Effect.Effect<A, E | CircuitOpen, R>
  }
  readonly state: (key?: string) => Effect.Effect<CircuitState, CircuitStoreError>
  readonly states: Effect.Effect<ReadonlyMap<string, CircuitState>, CircuitStoreError>
  readonly metrics: (key?: string) => Effect.Effect<Snapshot, CircuitStoreError>
  readonly snapshot: Effect.Effect<ReadonlyArray<Snapshot>, CircuitStoreError>
  readonly transitions: Stream.Stream<CircuitTransition>
  readonly forceOpen: (key?: string) => Effect.Effect<void, CircuitStoreError>
  readonly forceClose: (key?: string) => Effect.Effect<void, CircuitStoreError>
  readonly release: (key?: string) => Effect.Effect<void, CircuitStoreError>
  readonly reset: (key?: string) => Effect.Effect<void, CircuitStoreError>
  /** Throws a `RangeError` for an option out of its range. */
  readonly reconfigure: (changes: Partial<Tuning>) => Effect.Effect<void>
}

/**
 * The breaker of a program that has one. For several, see {@link Service}.
 *
 * @category services
 * @since 0.1.0
 */
export class CircuitBreaker extends Context.Service<CircuitBreaker, Breaker>()("effect-resilience/CircuitBreaker") {}

/**
 * @category guards
 * @since 0.1.0
 */
export const isCircuitBreaker = (u: unknown): u is Breaker => Predicate.hasProperty(u, TypeId)

/**
 * @category guards
 * @since 0.1.0
 */
export const isCircuitOpen = (u: unknown): u is CircuitOpen => Predicate.hasProperty(u, CircuitOpenTypeId)

/**
 * Trips after this many failures in a row, in the order in which they end.
 *
 * @category trip policies
 * @since 0.1.0
 */
export const consecutive: (failures: number) => Trips.Trip = Trips.consecutive

/**
 * Trips when the share of failures in the window reaches `threshold` (0 to 1, default 0.5), from `minimumCalls` calls on
 * (default 10, or the window if that is smaller). Without a failure it never trips.
 *
 * The window is the last {@link calls}, or a time. A time is counted in parts, of a second each for windows of 10 seconds to
 * a minute, and calls leave it a part at a time.
 *
 * @category trip policies
 * @since 0.1.0
 */
export const failureRate: (options: Trips.RateOptions) => Trips.Trip = Trips.failureRate

/**
 * Trips when the share of calls that took longer than `slowerThan` reaches `threshold`; the rest as {@link failureRate}.
 * Failures count by how long they took. A slow probe counts as failed.
 *
 * @category trip policies
 * @since 0.1.0
 */
export const slowCallRate: (
  options: Trips.RateOptions & { readonly threshold: number; readonly slowerThan: Duration.Input }
) => Trips.Trip = Trips.slowCallRate

/**
 * Trips when one of them does.
 *
 * @category trip policies
 * @since 0.1.0
 */
export const anyOf: (first: Trips.Trip, ...rest: ReadonlyArray<Trips.Trip>) => Trips.Trip = Trips.anyOf

/**
 * A window of the last `count` calls.
 *
 * @category trip policies
 * @since 0.1.0
 */
export const calls: (count: number) => Trips.CallsWindow = Trips.calls

/**
 * A `recovery`: each of the fractions of the calls for as long as `every`, and then all.
 *
 * Throws a `RangeError` for a fraction that is not from 0 to 1, and for a time that is not above zero.
 *
 * @category recovery
 * @since 0.1.0
 */
export const ramp: (fractions: ReadonlyArray<number>, every: Duration.Input) => Schedule.Schedule<number> = Ramps.ramp

/**
 * The dependency is well.
 *
 * @category outcomes
 * @since 0.1.0
 */
export const success: Outcomes.Outcome = Outcomes.success

/**
 * The dependency is ill. `retryAfter` is the wait that it asked for: the failure that opens the circuit lengthens the
 * opening to that, up to `maxOpenFor`.
 *
 * @category outcomes
 * @since 0.1.0
 */
export const failure: (options?: { readonly retryAfter?: Duration.Input | undefined }) => Outcomes.Outcome =
  Outcomes.failure

/**
 * This call says nothing of the dependency.
 *
 * @category outcomes
 * @since 0.1.0
 */
export const ignored: Outcomes.Outcome = Outcomes.ignored

/**
 * A breaker for as long as the scope is open. Its circuits live in the {@link CircuitBreakerStore}.
 *
 * Throws a `RangeError` for an option out of its range, and dies with one for a schedule that gives nonsense.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options: Options) => Effect.Effect<Breaker, never, CircuitBreakerStore | Scope.Scope> = Engine.make

/**
 * {@link make} as a layer.
 *
 * **Example** (One breaker, a circuit for each host)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 *
 * const BreakerLayer = CircuitBreaker.layer({
 *   name: "hosts",
 *   trip: CircuitBreaker.failureRate({ threshold: 0.5, window: "30 seconds" })
 * }).pipe(Layer.provide(CircuitBreaker.layerStoreMemory))
 *
 * const program = Effect.gen(function*() {
 *   const breaker = yield* CircuitBreaker.CircuitBreaker
 *   yield* breaker.forceOpen("b.example")
 *   const ask = (host: string) =>
 *     Effect.succeed(`hello from ${host}`).pipe(
 *       breaker.protect({ key: host }),
 *       Effect.catchTag("CircuitOpen", ({ key }) => Effect.succeed(`nothing from ${key}`))
 *     )
 *   return [yield* ask("a.example"), yield* ask("b.example")]
 * })
 *
 * await Effect.runPromise(
 *   Effect.provide(program, BreakerLayer)
 * ) // => ["hello from a.example", "nothing from b.example"]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<CircuitBreaker, never, CircuitBreakerStore> =>
  Layer.effect(CircuitBreaker, make(options))

/**
 * {@link layer} with its options from `Config`. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Options>
): Layer.Layer<CircuitBreaker, Config.ConfigError, CircuitBreakerStore> => layerFromConfig(options, layer)

/**
 * Provides the `CircuitBreaker` of `effect/persistence`, run by this engine: `HttpClient.withCircuitBreaker` and all that is
 * written against Effect's interface work on it unchanged.
 *
 * As with Effect's, every failure counts unless `classify` says otherwise. States that Effect's does not know are told as
 * the nearest that it does: a circuit that recovers is closed, a forced one is what it is forced to.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCore: (
  options: Options
) => Layer.Layer<CoreCircuitBreaker.CircuitBreaker, never, CircuitBreakerStore> = Core.layerCore

/**
 * Keeps circuits in this process.
 *
 * @category stores
 * @since 0.1.0
 */
export const layerStoreMemory: Layer.Layer<CircuitBreakerStore> = Memory.layerStoreMemory

/**
 * Keeps circuits in a Redis (7 or newer) that several processes share: they agree on each, by the clock of Redis.
 *
 * - A call costs two round trips, one to be let through and one to be counted.
 * - A process that is gone gives back its probe's place, and its calls in flight, when their lease is over.
 * - A circuit that nobody calls for its breaker's `idleTimeToLive` is forgotten; `capacity` does not apply.
 * - While Redis does not answer in time, calls are decided by `onStoreError`; what they find out is not recorded.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category stores
 * @since 0.1.0
 */
export const layerStoreRedis: (
  options?: RedisOptions
) => Layer.Layer<CircuitBreakerStore, never, Redis.Redis> = RedisStore.layerStoreRedis

/**
 * {@link layerStoreRedis} with its options from `Config`.
 *
 * @category stores
 * @since 0.1.0
 */
export const layerStoreRedisConfig = (
  options: Config.Wrap<RedisOptions>
): Layer.Layer<CircuitBreakerStore, Config.ConfigError, Redis.Redis> => layerFromConfig(options, layerStoreRedis)

/**
 * What {@link Service} gives: a service whose value is a record of breakers.
 *
 * - `layer`: makes them all.
 * - `get`: one of them.
 * - `protect`: runs a call under one of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface BreakersClass<Self, Id extends string, Name extends string>
  extends Context.ServiceClass<Self, Id, { readonly [N in Name]: Breaker }>
{
  readonly names: ReadonlyArray<Name>
  readonly layer: Layer.Layer<Self, never, CircuitBreakerStore>
  readonly get: (name: Name) => Effect.Effect<Breaker, never, Self>
  readonly protect: {
    (name: Name, options?: { readonly key?: string | undefined }): <A, E, R>(
      self: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | CircuitOpen, R | Self>
    <A, E>(name: Name, options: ProtectOptions<A, E>): <R>(
      self: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | CircuitOpen, R | Self>
  }
}

/**
 * A service of several breakers, by name. A name that is not among them does not compile.
 *
 * **Example** (A breaker for each provider)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker } from "effect-resilience"
 *
 * class Breakers extends CircuitBreaker.Service<Breakers>()("app/Breakers", {
 *   llm: { trip: CircuitBreaker.failureRate({ window: "1 minute" }) },
 *   tts: { trip: CircuitBreaker.consecutive(3), openFor: "5 seconds" }
 * }) {}
 *
 * const reply = Effect.succeed("hello").pipe(Breakers.protect("llm", { key: "gpt-4o" }))
 *
 * await Effect.runPromise(
 *   Effect.provide(reply, Breakers.layer.pipe(Layer.provide(CircuitBreaker.layerStoreMemory)))
 * ) // => "hello"
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service: <Self>() => <
  const Id extends string,
  const Named extends Readonly<Record<string, Omit<Options, "name">>>
>(id: Id, named: Named) => BreakersClass<Self, Id, keyof Named & string> = Services.Service
