/**
 * Finds out how many calls a dependency can serve at once, and lets no more be in flight.
 *
 * A `Bulkhead` needs a number, and the right one changes with each deployment of the dependency. A concurrency limit
 * measures: calls that take longer than they used to are waiting for each other, so the limit goes down; calls that take no
 * longer leave room, so it goes up. Calls above the limit fail at once with {@link ConcurrencyLimited}. There is no line.
 *
 * Calls are looked at in windows: of a second, or twice as long as calls take, and at least ten calls. What a call says:
 *
 * | call | says |
 * | --- | --- |
 * | succeeded | its latency |
 * | failed as `Overloaded`, `RateLimited` or `Timeout` | the dependency dropped it; its latency says nothing |
 * | interrupted, failed otherwise, or refused by ourselves | nothing |
 *
 * | algorithm | follows | take it for |
 * | --- | --- | --- |
 * | {@link gradient2} | how long calls take now, against the long run | most dependencies; it is the default |
 * | {@link vegas} | an estimate of how many calls wait inside the dependency | latencies that are much alike |
 * | {@link aimd} | drops alone | dependencies that say when they have enough |
 *
 * While less than half of the limit is used it stays as it is: what was not tried is not known. A quiet night does not
 * shrink it.
 *
 * {@link shedder} is the other half: it measures how much of what is sent the dependency accepts, and when that falls
 * leaves out the least important calls first.
 *
 * **Gotchas**
 *
 * Give calls a time limit *inside* of the limit (`Deadline.attempt`). A call that is interrupted from outside says nothing,
 * so a limit that sees only interrupted calls learns nothing.
 *
 * **Example** (The limit of a dependency)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { ConcurrencyLimit } from "effect-resilience"
 *
 * const call = Effect.succeed("an answer").pipe(ConcurrencyLimit.run)
 *
 * const layer = ConcurrencyLimit.layer({ name: "search", min: 5, max: 200, initial: 20 })
 * await Effect.runPromise(Effect.provide(call, layer)) // => "an answer"
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Failure from "./Failure.ts"
import { type Start, startAimd, startGradient2, startVegas } from "./internal/concurrencyLimit/algorithms.ts"
import { limiting } from "./internal/concurrencyLimit/limiting.ts"
import { byCriticality, shedding } from "./internal/concurrencyLimit/shedding.ts"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { nonNegativeInteger, numberBetween, oneOf, positiveInteger, positiveMillis } from "./internal/options.ts"
import { withoutStack } from "./internal/withoutStack.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/ConcurrencyLimit"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/ConcurrencyLimit"

const LimitedTypeId = "~effect-resilience/ConcurrencyLimit/ConcurrencyLimited"
const ShedTypeId = "~effect-resilience/ConcurrencyLimit/CallShed"
const ShedderTypeId = "~effect-resilience/ConcurrencyLimit/Shedder"
const AlgorithmTypeId = "~effect-resilience/ConcurrencyLimit/Algorithm"

/**
 * As many calls are in flight as may be. This one was not started.
 *
 * `limit` is the limit of that moment. Its kind of failure is `Overloaded` with scope `"request"`: it is our refusal and no
 * failure of the dependency. It carries no stack trace.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConcurrencyLimited extends Schema.TaggedError<ConcurrencyLimited>("effect-resilience/ConcurrencyLimited")(
  "ConcurrencyLimited",
  { name: Schema.String, limit: Schema.Int }
) {
  readonly [LimitedTypeId] = LimitedTypeId

  override get message(): string {
    return `Concurrency limit "${this.name}" is reached: ${this.limit} in flight`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Overloaded", scope: "request", code: "ConcurrencyLimited", message: this.message }
  }
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isConcurrencyLimited = (u: unknown): u is ConcurrencyLimited => Predicate.hasProperty(u, LimitedTypeId)

/**
 * What a call that has ended says of the dependency: `"answered"`, so its latency counts; `"dropped"`, the dependency refused
 * it or let it run out of time; `"ignored"`, nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "answered" | "dropped" | "ignored"

/**
 * How a limit is found: {@link gradient2}, {@link vegas} or {@link aimd}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Algorithm {
  readonly [AlgorithmTypeId]: { readonly start: Start }
  readonly name: "gradient2" | "vegas" | "aimd"
}

/**
 * Options of {@link gradient2}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Gradient2Options {
  /** How much longer than in the long run calls may take before the limit shrinks, 1 to 10. Default 1: no longer. */
  readonly tolerance?: number | undefined
  /** How many windows the long run is. Default 600. */
  readonly longWindow?: number | undefined
  /** Calls that may wait inside the dependency. Default: a twentieth of the limit, at least 1. */
  readonly queue?: number | undefined
  /** How much of each step is taken, 0.01 to 1. Default 0.5. */
  readonly smoothing?: number | undefined
  /** Windows that reach the limit between two measurements of the latency without load; `Infinity` for none. Default 30. */
  readonly probeEvery?: number | undefined
}

/**
 * Moves the limit by the ratio of how long calls take in the long run and how long they take now.
 *
 * After Netflix's `Gradient2Limit`. It starts by growing half as large again with each window until calls take longer.
 * After the first ten and then every `probeEvery` windows that reach the limit it lowers it to 70 % for a window to learn
 * how long calls take without the load, and also when the limit has halved and calls take no less time for it. So it
 * neither takes its own queue for normal nor stays small when the dependency has become slower for good.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category algorithms
 * @since 0.1.0
 */
export const gradient2 = (options: Gradient2Options = {}): Algorithm =>
  algorithm(
    "gradient2",
    startGradient2({
      tolerance: numberBetween("tolerance", options.tolerance ?? 1, 1, 10),
      longWindow: positiveInteger("longWindow", options.longWindow ?? 600),
      queue: options.queue === undefined ? undefined : positiveInteger("queue", options.queue),
      smoothing: smoothingOf(options.smoothing ?? 0.5)
    }, probeEvery(options))
  )

/**
 * Options of {@link vegas}.
 *
 * @category models
 * @since 0.1.0
 */
export interface VegasOptions {
  /** Fewer waiting calls, in multiples of log10(limit), let the limit grow. Default 3. */
  readonly alpha?: number | undefined
  /** More waiting calls, in multiples of log10(limit), shrink it. At least `alpha`. Default 6. */
  readonly beta?: number | undefined
  /** How much of each step is taken, 0.01 to 1. Default 1. */
  readonly smoothing?: number | undefined
  /** Windows that reach the limit between two measurements of the latency without load; `Infinity` for none. Default 30. */
  readonly probeEvery?: number | undefined
}

/**
 * Holds the number of calls that wait inside the dependency between two bounds. Their number is estimated as
 * `limit * (1 - rtt without load / rtt)`.
 *
 * After Netflix's `VegasLimit`, and TCP Vegas before it. A window with a drop shrinks the limit by one step. It measures
 * the latency without load as {@link gradient2} does.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category algorithms
 * @since 0.1.0
 */
export const vegas = (options: VegasOptions = {}): Algorithm => {
  const alpha = numberBetween("alpha", options.alpha ?? 3, 0, Infinity)
  return algorithm(
    "vegas",
    startVegas({
      alpha,
      beta: numberBetween("beta", options.beta ?? Math.max(6, alpha), alpha, Infinity),
      smoothing: smoothingOf(options.smoothing ?? 1)
    }, probeEvery(options))
  )
}

/**
 * Options of {@link aimd}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AimdOptions {
  /** What the limit is multiplied with after a window with a drop, 0.5 to 0.99. Default 0.9. */
  readonly backoff?: number | undefined
  /** A window whose calls took longer on average counts as one with a drop. Default 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * One more after a good window that used the limit, a tenth less after one with a drop: TCP's congestion avoidance, as in
 * Netflix's `AIMDLimit`.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category algorithms
 * @since 0.1.0
 */
export const aimd = (options: AimdOptions = {}): Algorithm => {
  const backoff = numberBetween("backoff", options.backoff ?? 0.9, 0.5, 0.99)
  const timeoutMillis = positiveMillis("timeout", options.timeout ?? "5 seconds", { infinite: true })
  return algorithm("aimd", startAimd({ backoff, timeoutMillis }))
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What errors and signals call it. */
  readonly name: string
  /** How the limit is found; a name stands for the algorithm with its defaults. Default `"gradient2"`. */
  readonly algorithm?: Algorithm | Algorithm["name"] | undefined
  /** The limit is never lower. A positive integer, default 1. */
  readonly min?: number | undefined
  /** The limit is never higher. Default 1,000. */
  readonly max?: number | undefined
  /** The limit at the start. Default 20, or what `min` and `max` allow. */
  readonly initial?: number | undefined
  /** How long a window is, at least: it is twice as long as its calls where that is longer. Default 1 second. */
  readonly window?: Duration.Input | undefined
  /** A window lasts until it has so many calls that say something. Default 10. */
  readonly windowCalls?: number | undefined
  /**
   * What a call that ended so says of the dependency. Default: by the program's `Failure.Classifier`, as the module's
   * description tells. If it throws, the call dies with the error and counts as `"ignored"`.
   */
  readonly classify?: ((exit: Exit.Exit<unknown, unknown>) => Outcome) | undefined
}

/**
 * How things stand.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  readonly limit: number
  readonly inFlight: number
}

/**
 * A limit on the calls in flight that follows the dependency.
 *
 * - `run`: runs an effect, or rejects it when the limit is reached.
 * - `state`: how things stand.
 *
 * @category services
 * @since 0.1.0
 */
export class ConcurrencyLimit extends Context.Service<ConcurrencyLimit, {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly run: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ConcurrencyLimited, R>
  readonly state: Effect.Effect<State>
}>()("effect-resilience/ConcurrencyLimit") {}

/**
 * @category guards
 * @since 0.1.0
 */
export const isConcurrencyLimit = (u: unknown): u is ConcurrencyLimit["Service"] => Predicate.hasProperty(u, TypeId)

/**
 * A limit of one's own.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<ConcurrencyLimit["Service"]> => {
  const min = positiveInteger("min", options.min ?? 1)
  const max = options.max ?? Math.max(1000, min)
  if (positiveInteger("max", max) < min) throw new RangeError(`max must be at least min (${min}), got ${max}`)
  const initial = positiveInteger("initial", options.initial ?? Math.min(max, Math.max(min, 20)))
  const settings = {
    min,
    max,
    initial: numberBetween("initial", initial, min, max),
    windowMillis: positiveMillis("window", options.window ?? "1 second"),
    windowCalls: positiveInteger("windowCalls", options.windowCalls ?? 10)
  }
  const { start } = algorithmOf(options.algorithm ?? "gradient2")[AlgorithmTypeId]
  const { classify, name } = options
  return Effect.sync(() => {
    const limiter = start(settings)
    const rejected = (limit: number) => withoutStack(() => new ConcurrencyLimited({ name, limit }))
    return {
      [TypeId]: TypeId,
      name,
      run: limiting({ name, limiter, classify, rejected }),
      state: Effect.sync(() => ({ limit: limiter.limit, inFlight: limiter.inFlight }))
    }
  })
}

/**
 * {@link make} as a layer.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<ConcurrencyLimit> => Layer.effect(ConcurrencyLimit, make(options))

/**
 * {@link layer} with its options from `Config`; the algorithm by its name. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Config.Wrap<Options>): Layer.Layer<ConcurrencyLimit, Config.ConfigError> =>
  layerFromConfig(options, layer)

/**
 * A limit that admits every call and counts none. It is `Infinity`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoop: Layer.Layer<ConcurrencyLimit> = Layer.succeed(ConcurrencyLimit, {
  [TypeId]: TypeId,
  name: "noop",
  run: (self) => self,
  state: Effect.succeed({ limit: Infinity, inFlight: 0 })
})

/**
 * Runs an effect within the program's {@link ConcurrencyLimit}.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | ConcurrencyLimited, R | ConcurrencyLimit> =>
  Effect.flatMap(ConcurrencyLimit, (limit) => limit.run(self))

/**
 * How important a call is, in the words of Google's "Site Reliability Engineering". The less important ones are left out
 * first.
 *
 * - `"CriticalPlus"`: people notice at once, and it costs dearly
 * - `"Critical"`: people notice
 * - `"SheddablePlus"`: it may fail now and then, a batch that tries again
 * - `"Sheddable"`: it may fail often
 *
 * @category models
 * @since 0.1.0
 */
export type Criticality = "CriticalPlus" | "Critical" | "SheddablePlus" | "Sheddable"

/**
 * How important the running work is, for the calls that do not say it themselves. Default `"Critical"`.
 *
 * @category services
 * @since 0.1.0
 */
export const CurrentCriticality: Context.Reference<Criticality> = Context.Reference<Criticality>(
  "effect-resilience/ConcurrencyLimit/CurrentCriticality",
  { defaultValue: () => "Critical" }
)

/**
 * A call that was left out, because the dependency accepts too little of what is sent. It was not started.
 *
 * `probability` is how likely such a call was to be left out at that moment. Its kind of failure is `Overloaded` with scope
 * `"request"`: it is our refusal. It carries no stack trace.
 *
 * @category errors
 * @since 0.1.0
 */
export class CallShed extends Schema.TaggedError<CallShed>("effect-resilience/CallShed")(
  "CallShed",
  {
    name: Schema.String,
    criticality: Schema.Literals(["CriticalPlus", "Critical", "SheddablePlus", "Sheddable"]),
    probability: Schema.Finite
  }
) {
  readonly [ShedTypeId] = ShedTypeId

  override get message(): string {
    const percent = Math.round(this.probability * 100)
    return `Shedder "${this.name}" left a ${this.criticality} call out, as ${percent} % of them`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Overloaded", scope: "request", code: "CallShed", message: this.message }
  }
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isCallShed = (u: unknown): u is CallShed => Predicate.hasProperty(u, ShedTypeId)

/**
 * Options of {@link shedder} and {@link layerShedder}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShedderOptions {
  /** What errors and signals call it. */
  readonly name: string
  /** How long calls count. Default 30 seconds. After an outage it takes a few windows before nothing is left out. */
  readonly window?: Duration.Input | undefined
  /**
   * Calls are left out when there are more than so many for each that the dependency accepts, at least 1. The higher, the
   * longer they are still tried. Default: 4 for `CriticalPlus`, 2 for `Critical`, 1.5 for `SheddablePlus` and 1.25 for `Sheddable`.
   */
  readonly multipliers?: { readonly [C in Criticality]?: number | undefined } | undefined
  /** Nothing is left out before the window has so many calls of a criticality. Default 10. */
  readonly minimumCalls?: number | undefined
  /** What a call that ended so says; `"dropped"` is not accepted, `"answered"` is. Default: as in {@link Options}. */
  readonly classify?: ((exit: Exit.Exit<unknown, unknown>) => Outcome) | undefined
}

/**
 * Options of one call.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShedOptions {
  /** Default: {@link CurrentCriticality}. */
  readonly criticality?: Criticality | undefined
}

/**
 * The calls of one criticality in the window, those left out among the `requests`, and how likely the next is left out.
 *
 * @category models
 * @since 0.1.0
 */
export interface ShedderState {
  readonly requests: number
  readonly accepts: number
  readonly probability: number
}

/**
 * Leaves calls out when the dependency accepts too few of them.
 *
 * @category services
 * @since 0.1.0
 */
export class Shedder extends Context.Service<Shedder, {
  readonly [ShedderTypeId]: typeof ShedderTypeId
  readonly name: string
  readonly run: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    options?: ShedOptions
  ) => Effect.Effect<A, E | CallShed, R>
  readonly state: Effect.Effect<{ readonly [C in Criticality]: ShedderState }>
}>()("effect-resilience/ConcurrencyLimit/Shedder") {}

/**
 * A shedder of one's own: client-side throttling that adapts itself.
 *
 * For each criticality it knows how many calls there were in the window and how many of them the dependency accepted. With
 * `k` its multiplier, the next call is left out with probability `max(0, (requests - k * accepts) / (requests + 1))`. So a
 * dependency that refuses everything still gets one call now and then, and is found to be well again by it. Calls that
 * fail for another reason than overload count as accepted; interrupted calls do not count.
 *
 * The rule is that of Google's "Site Reliability Engineering", chapter 21, but calls count when they have ended, so that
 * slow ones in flight do not look refused.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * **Example** (A dependency that refuses)
 *
 * ```ts
 * import { Effect, Random } from "effect"
 * import { ConcurrencyLimit, Failure } from "effect-resilience"
 *
 * const refused = Effect.fail(Failure.fromHttpStatus(503)).pipe(
 *   Effect.mapError((info) => ({ [Failure.symbol]: () => info }))
 * )
 *
 * const program = Effect.gen(function*() {
 *   const shedder = yield* ConcurrencyLimit.shedder({ name: "search" })
 *   yield* Effect.replicateEffect(Effect.ignore(shedder.run(refused)), 1_000)
 *   const { Critical } = yield* shedder.state
 *   return Math.round(Critical.probability * 100)
 * })
 * await Effect.runPromise(Random.withSeed(program, "example")) // => 100
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const shedder = (options: ShedderOptions): Effect.Effect<Shedder["Service"]> => {
  const given = options.multipliers ?? {}
  const multiplierOf = (criticality: Criticality) =>
    numberBetween(
      `multipliers.${criticality}`,
      given[criticality] ?? defaultMultipliers[criticality],
      1,
      Infinity
    )
  const { classify, name } = options
  const settings = {
    name,
    classify,
    windowMillis: positiveMillis("window", options.window ?? "30 seconds"),
    minimumCalls: nonNegativeInteger("minimumCalls", options.minimumCalls ?? 10),
    multipliers: byCriticality(multiplierOf),
    shed: (criticality: Criticality, probability: number) =>
      withoutStack(() => new CallShed({ name, criticality, probability }))
  }
  return Effect.sync(() => {
    const { run, state } = shedding(settings)
    return {
      [ShedderTypeId]: ShedderTypeId,
      name,
      run: (self, options) => run(self, (fiber) => options?.criticality ?? fiber.getRef(CurrentCriticality)),
      state
    }
  })
}

/**
 * {@link shedder} as a layer.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShedder = (options: ShedderOptions): Layer.Layer<Shedder> => Layer.effect(Shedder, shedder(options))

/**
 * {@link layerShedder} with its options from `Config`. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShedderConfig = (options: Config.Wrap<ShedderOptions>): Layer.Layer<Shedder, Config.ConfigError> =>
  layerFromConfig(options, layerShedder)

/**
 * A shedder that leaves nothing out and counts nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerShedderNoop: Layer.Layer<Shedder> = Layer.sync(Shedder, () => ({
  [ShedderTypeId]: ShedderTypeId,
  name: "noop",
  run: (self) => self,
  state: Effect.succeed(byCriticality(() => ({ requests: 0, accepts: 0, probability: 0 })))
}))

/**
 * Runs an effect, or leaves it out, as the program's {@link Shedder} says.
 *
 * @category combinators
 * @since 0.1.0
 */
export const shed: {
  (options?: ShedOptions): <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | CallShed, R | Shedder>
  <A, E, R>(self: Effect.Effect<A, E, R>, options?: ShedOptions): Effect.Effect<A, E | CallShed, R | Shedder>
} = dual(
  (args) => Effect.isEffect(args[0]),
  <A, E, R>(self: Effect.Effect<A, E, R>, options?: ShedOptions): Effect.Effect<A, E | CallShed, R | Shedder> =>
    Effect.flatMap(Shedder, (shedder) => shedder.run(self, options))
)

const algorithm = (name: Algorithm["name"], start: Start): Algorithm => ({ [AlgorithmTypeId]: { start }, name })

const byName = { gradient2, vegas, aimd }

const algorithmOf = (given: Algorithm | Algorithm["name"]): Algorithm =>
  typeof given === "string" ? byName[oneOf("algorithm", given, ["gradient2", "vegas", "aimd"])]() : given

const smoothingOf = (value: number): number => numberBetween("smoothing", value, 0.01, 1)

const probeEvery = (options: { readonly probeEvery?: number | undefined }): number =>
  options.probeEvery === Infinity ? Infinity : positiveInteger("probeEvery", options.probeEvery ?? 30)

const defaultMultipliers = { CriticalPlus: 4, Critical: 2, SheddablePlus: 1.5, Sheddable: 1.25 }
