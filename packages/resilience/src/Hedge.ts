/**
 * A second attempt while the first is slow, and the answer of whichever is sooner.
 *
 * A few slow replies make the tail of a service's latency: a full queue, a pause, a cold replica. Asking again after
 * most calls would have been answered cuts that tail, for a little more load (Dean and Barroso, _The Tail at Scale_,
 * 2013).
 *
 * A hedged call starts its *primary*. If that has not ended after `delay`, a *hedge* starts beside it, then another
 * until there are `max`. The first success is the result. The others are interrupted, and the caller goes on when
 * their finalizers have run.
 *
 * - `delay` is a duration, a `Schedule`, or a {@link quantile} of the latencies seen so far.
 * - The extra load is limited for all calls together: at most `maxExtraLoad` hedges a call. Where the budget is
 *   spent, the call goes on without a hedge; no primary is ever refused or cut.
 * - A primary that fails before `delay` fails the call: hedging is for slowness, `Retry` is for failure. When one of
 *   several in flight fails, the others may still succeed. When all have failed, the call fails with the primary's
 *   error, as it would have without hedges.
 * - A defect, or an attempt that interrupts itself, ends the call at once.
 * - Where the caller has a `Scope`, each attempt has its own below it: what a loser acquired is released before the
 *   caller goes on, what the winner acquired belongs to the caller's scope.
 *
 * **Gotchas**
 *
 * Hedge only what may be done twice at once: reads, and writes with an idempotency key. And build a hedge once, not in
 * the function that makes the call: it holds the budget and the latencies. One that knows a single call has earned a
 * tenth of a hedge, and so never launches one.
 *
 * **Example** (The second attempt answers first)
 *
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Hedge } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * let attempts = 0
 * const search = Effect.suspend(() =>
 *   ++attempts === 1 ? Effect.delay(Effect.succeed("a slow replica"), "2 seconds") : Effect.succeed("another replica")
 * ).pipe(Hedge.run({ delay: "50 millis", maxExtraLoad: 1 }))
 *
 * const program = Effect.gen(function*() {
 *   const fiber = yield* Effect.forkChild(search)
 *   yield* TestClock.adjust("50 millis")
 *   return yield* Fiber.join(fiber)
 * })
 * await Effect.runPromise(Effect.provide(program, TestClock.layer())) // => "another replica"
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import { Call } from "./internal/hedge/call.ts"
import { Engine, type QuantileSettings, type Settings } from "./internal/hedge/engine.ts"
import * as Load from "./internal/hedge/load.ts"
import { race } from "./internal/hedge/race.ts"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { durationMillis, numberBetween, positiveInteger } from "./internal/options.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/Hedge"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/Hedge"

/**
 * A delay that follows the latency: see {@link quantile}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Quantile extends QuantileOptions {
  /** Above 0 and below 1. */
  readonly quantile: number
}

/**
 * Options of {@link quantile}.
 *
 * @category models
 * @since 0.1.0
 */
export interface QuantileOptions {
  /** How many of the latest calls are looked at, up to 100,000. Default 1,000. */
  readonly window?: number | undefined
  /**
   * How many latencies must be known before the quantile is believed, at most `window`. Default: as many as put one
   * beyond it (20 for 0.95, 100 for 0.99), at least 10.
   */
  readonly minimumCalls?: number | undefined
  /** The delay until then. Default: no hedge until then. */
  readonly initial?: Duration.Input | undefined
}

/**
 * How long a call waits before its next hedge.
 *
 * A `Schedule` gives one wait for each hedge and, where it ends, no more hedges. Its input is the number of attempts
 * that were started.
 *
 * @category models
 * @since 0.1.0
 */
export type Delay = Duration.Input | Quantile | Schedule.Schedule<unknown, number>

/**
 * Options of {@link make}, {@link layer} and {@link run}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What the signals call it. Default `"hedge"`. */
  readonly name?: string | undefined
  /** How long the primary, and then each hedge, may take before the next hedge starts. */
  readonly delay: Delay
  /** Hedges beside the primary. Default 1. */
  readonly max?: number | undefined
  /** Hedges that each call earns, 0 to 1,000. Default 0.1: one hedge for ten calls. */
  readonly maxExtraLoad?: number | undefined
}

/**
 * What a hedge knows at a moment.
 *
 * - `delay`: what the next call would wait before its first hedge; `None` while a quantile is not known yet, and for
 *   a `Schedule`, which only says so when it runs.
 * - `available`: how many hedges the budget has, now.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  readonly delay: Option.Option<Duration.Duration>
  readonly available: number
}

/**
 * The hedge of one dependency: it holds the latencies and the budget that its calls share.
 *
 * @category services
 * @since 0.1.0
 */
export class Hedge extends Context.Service<Hedge, {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly run: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly state: Effect.Effect<State>
}>()("effect-resilience/Hedge") {}

/**
 * @category guards
 * @since 0.1.0
 */
export const isHedge = (u: unknown): u is Hedge["Service"] => Predicate.hasProperty(u, TypeId)

/**
 * A delay that follows the latency: hedges start after the time in which a share `p` of the calls is answered. So with
 * 0.95 about one call in twenty is hedged, whatever the dependency's speed is today.
 *
 * Latencies are those of primaries. One that succeeded counts with its time. One that failed, or was given up because
 * a hedge won or the caller left, counts with the time it had run if it had outlived the delay: leaving it out would
 * draw the estimate down call by call. Failures that come sooner say nothing about slowness.
 *
 * It helps where fewer calls than 1 - p are slow. Where 10 % are, the 95th percentile is the slow time itself: choose a
 * lower quantile or a fixed delay.
 *
 * **Example** (The delay is learnt)
 *
 * ```ts
 * import { Duration, Effect, Fiber, Option } from "effect"
 * import { Hedge } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * const program = Effect.gen(function*() {
 *   const hedge = yield* Hedge.make({ delay: Hedge.quantile(0.95, { minimumCalls: 20 }) })
 *   for (let millis = 1; millis <= 20; millis++) {
 *     const fiber = yield* Effect.forkChild(hedge.run(Effect.sleep(millis)))
 *     yield* TestClock.adjust(millis)
 *     yield* Fiber.join(fiber)
 *   }
 *   return (yield* hedge.state).delay
 * })
 * await Effect.runPromise(Effect.provide(program, TestClock.layer())) // => Option.some(Duration.millis(19))
 * ```
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category delays
 * @since 0.1.0
 */
export const quantile = (p: number, options?: QuantileOptions): Quantile => {
  const delay: Quantile = { ...options, quantile: p }
  checkQuantile(delay)
  return delay
}

/**
 * A hedge of its own budget and latencies. It needs no scope: between calls it holds numbers only.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Hedge["Service"]> => {
  const settings = check(options)
  return Effect.sync(() => makeUnsafe(settings))
}

/**
 * {@link make} as a layer.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Hedge> => Layer.effect(Hedge, make(options))

/**
 * {@link layer} with its options from `Config`. A value out of its range is a `ConfigError`. A delay of
 * `Config.all({ quantile: Config.Number("HEDGE_QUANTILE") })` is a quantile.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Config.Wrap<Options>): Layer.Layer<Hedge, Config.ConfigError> =>
  layerFromConfig(options, layer)

/**
 * Never hedges: calls run as they are.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoop: Layer.Layer<Hedge> = Layer.succeed(Hedge, {
  [TypeId]: TypeId,
  name: "noop",
  run: (self) => self,
  state: Effect.succeed({ delay: Option.none(), available: 0 })
})

/**
 * Runs an effect with hedges, see the module's description.
 *
 * Budget and latencies belong to what this returns: `Hedge.run(self, options)` to the effect, over all its runs, and
 * `Hedge.run(options)` to the function, over all the effects it is given. To share them otherwise, or to see them, use
 * {@link make}.
 *
 * Emits `Hedged` at the end of a call that launched a hedge, or wanted one that the budget refused.
 *
 * **Example** (One hedge for many requests)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Hedge } from "effect-resilience"
 *
 * const hedged = Hedge.run({ name: "prices", delay: Hedge.quantile(0.95) })
 *
 * const price = (article: string) => hedged(Effect.succeed(`the price of ${article}`))
 *
 * await Effect.runPromise(price("a bicycle")) // => "the price of a bicycle"
 * ```
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category running
 * @since 0.1.0
 */
export function run(options: Options): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
export function run<A, E, R>(self: Effect.Effect<A, E, R>, options: Options): Effect.Effect<A, E, R>
export function run<A, E, R>(
  ...args: [options: Options] | [self: Effect.Effect<A, E, R>, options: Options]
): Effect.Effect<A, E, R> | (<A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) {
  // Not `dual`: that would make a new budget for each effect that `run(options)` is given.
  return args.length === 1 ? makeUnsafe(check(args[0])).run : makeUnsafe(check(args[1])).run(args[0])
}

/** The budget saves up no more than this, so that an hour of calm does not pay for a storm. */
const savedHedges = 10

const check = (options: Options): Settings => ({
  name: options.name ?? "hedge",
  delay: Schedule.isSchedule(options.delay)
    ? options.delay
    : isQuantile(options.delay)
    ? checkQuantile(options.delay)
    : durationMillis("delay", options.delay),
  max: positiveInteger("max", options.max ?? 1),
  load: Load.options(numberBetween("maxExtraLoad", options.maxExtraLoad ?? 0.1, 0, 1000), savedHedges)
})

const isQuantile = (delay: Duration.Input | Quantile): delay is Quantile => Predicate.hasProperty(delay, "quantile")

const checkQuantile = (delay: Quantile): QuantileSettings => {
  const quantile = numberBetween("quantile", delay.quantile, 0.01, 0.9999)
  const window = numberBetween("window", positiveInteger("window", delay.window ?? 1000), 1, 100_000)
  // 1 / (1 - 0.9) is a little more than 10 in floating point.
  const oneBeyond = Math.ceil(1 / (1 - quantile) - 1e-6)
  const minimumCalls = positiveInteger("minimumCalls", delay.minimumCalls ?? Math.min(window, Math.max(10, oneBeyond)))
  return {
    quantile,
    window,
    minimumCalls: numberBetween("minimumCalls", minimumCalls, 1, window),
    initialMillis: durationMillis("initial", delay.initial ?? Infinity)
  }
}

const makeUnsafe = (settings: Settings): Hedge["Service"] => {
  const engine = new Engine(settings)
  const call = (fiber: Fiber.Fiber<unknown, unknown>) => new Call(engine, fiber)
  return {
    [TypeId]: TypeId,
    name: settings.name,
    run: (self) => race(self, settings.max, call),
    state: Effect.sync(() => {
      const millis = engine.delayMillis()
      return {
        delay: millis === Infinity ? Option.none() : Option.some(Duration.millis(millis)),
        available: engine.available()
      }
    })
  }
}
