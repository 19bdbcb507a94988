/**
 * Faults for tests: an effect that fails, is late, or never answers, when the test says so.
 *
 * A {@link Fault} is a function from an effect to an effect, so it stands in a pipe, and any function of that shape
 * is one.
 *
 * | fault | what happens to a call |
 * | --- | --- |
 * | {@link none} | nothing |
 * | {@link fail} | it fails, and is not made |
 * | {@link delay} | it is made later |
 * | {@link hang} | it is not made and there is never an answer |
 * | {@link flaky} | another fault, at a rate |
 * | {@link schedule} | other faults, one after the other: up, down, up again |
 *
 * What happens follows from the seed and the order of the calls and from nothing else: a test that fails fails again.
 * Time is the `Clock`'s, so a `TestClock` runs a week of outages in a moment.
 *
 * **Gotchas**
 *
 * {@link flaky} and {@link schedule} count the calls they see. Build them once for each test.
 *
 * **Example** (A dependency that is down for ten seconds)
 *
 * ```ts
 * import { Faults } from "@effect-resilience/testing"
 * import { Effect } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * const outage = Faults.schedule([
 *   { for: "1 minute", fault: Faults.none },
 *   { for: "10 seconds", fault: Faults.fail("down") }
 * ])
 * const call = Effect.succeed("up").pipe(outage, Effect.catch(Effect.succeed))
 *
 * const program = Effect.gen(function*() {
 *   const answers = [yield* call]
 *   yield* TestClock.adjust("1 minute")
 *   answers.push(yield* call)
 *   yield* TestClock.adjust("10 seconds")
 *   return [...answers, yield* call]
 * })
 * await Effect.runPromise(Effect.provide(program, TestClock.layer())) // => ["up", "down", "up"]
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Phases from "./internal/faults/phases.ts"
import { uniformAt } from "./internal/faults/seeded.ts"
import { durationMillis, integer, positiveInteger, positiveMillis, share } from "./internal/options.ts"

/**
 * What goes wrong: changes an effect, and may add errors of type `E` to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fault<out E = never> {
  <A, E1, R>(self: Effect.Effect<A, E1, R>): Effect.Effect<A, E1 | E, R>
}

/**
 * The errors that a fault adds.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorOf<F> = F extends Fault<infer E> ? E : never

/**
 * Nothing goes wrong.
 *
 * @category faults
 * @since 0.1.0
 */
export const none: Fault = (self) => self

/**
 * The call fails with this error at once, and is not made.
 *
 * @category faults
 * @since 0.1.0
 */
export const fail = <const E>(error: E): Fault<E> => () => Effect.fail(error)

/**
 * The call is made after this time, or after a time between `min` and `max` that follows from `seed`.
 *
 * **Example** (Some slow calls make a tail)
 *
 * ```ts
 * import { Faults } from "@effect-resilience/testing"
 * import { Effect } from "effect"
 *
 * const bimodal = <A, E, R>(self: Effect.Effect<A, E, R>) =>
 *   self.pipe(
 *     Faults.delay({ min: "5 millis", max: "15 millis", seed: 1 }),
 *     Faults.flaky({ rate: 0.03, seed: 2, fault: Faults.delay("1 second") })
 *   )
 *
 * await Effect.runPromise(bimodal(Effect.succeed("an answer"))) // => "an answer"
 * ```
 *
 * Throws a `RangeError` when a time is not one of zero or more, `max` is less than `min`, or `seed` is no integer.
 *
 * @category faults
 * @since 0.1.0
 */
export const delay = (
  time: Duration.Input | { readonly min: Duration.Input; readonly max: Duration.Input; readonly seed: number }
): Fault => {
  if (!isRange(time)) {
    const millis = durationMillis("time", time)
    return (self) => Effect.delay(self, millis)
  }
  const min = durationMillis("min", time.min)
  const max = durationMillis("max", time.max)
  if (max < min) throw new RangeError(`max must be at least min, got ${max} ms and ${min} ms`)
  const draw = drawing(time.seed)
  return (self) => Effect.suspend(() => Effect.delay(self, min + draw() * (max - min)))
}

const isRange = <Range extends { readonly seed: number }>(time: Duration.Input | Range): time is Range =>
  typeof time === "object" && "seed" in time

/**
 * The call is not made and nobody ever answers. It can be interrupted.
 *
 * @category faults
 * @since 0.1.0
 */
export const hang: Fault = () => Effect.never

/**
 * Another fault happens to a share of the calls, as the seed decides.
 *
 * The fate of the n-th call is the same in each run. It does not depend on when other calls end.
 *
 * **Example** (The same calls fail each time)
 *
 * ```ts
 * import { Faults } from "@effect-resilience/testing"
 * import { Effect } from "effect"
 *
 * const program = Effect.suspend(() => {
 *   const faulty = Faults.flaky({ rate: 0.4, seed: 7, fault: Faults.fail("lost") })
 *   return Effect.replicateEffect(Effect.result(faulty(Effect.succeed("found"))), 100)
 * })
 * const first = await Effect.runPromise(program)
 * const second = await Effect.runPromise(program)
 * second // => first
 * ```
 *
 * Throws a `RangeError` when `rate` is not from 0 to 1 or `seed` is no integer.
 *
 * @category faults
 * @since 0.1.0
 */
export const flaky = <E>(options: {
  readonly rate: number
  readonly seed: number
  readonly fault: Fault<E>
}): Fault<E> => {
  const { fault } = options
  const rate = share("rate", options.rate)
  const draw = drawing(options.seed)
  return (self) => Effect.suspend(() => draw() < rate ? fault(self) : self)
}

/** One number for each call, in the order of the calls. */
const drawing = (seed: number): () => number => {
  integer("seed", seed)
  let n = 0
  return () => uniformAt(seed, n++)
}

/**
 * What goes wrong for a while: see {@link schedule}. It ends after the time `for`, or when `calls` calls were made,
 * whichever is sooner; with neither it does not end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Phase<out E = never> {
  readonly fault: Fault<E>
  readonly for?: Duration.Input | undefined
  readonly calls?: number | undefined
}

/**
 * Faults one after the other. The first phase starts with the first call. After the last one nothing goes wrong any
 * more, or with `repeat` the first one starts again.
 *
 * **Example** (Two failures, then success)
 *
 * ```ts
 * import { Faults } from "@effect-resilience/testing"
 * import { Effect } from "effect"
 *
 * const call = Effect.succeed("third time lucky").pipe(
 *   Faults.schedule([{ calls: 2, fault: Faults.fail("not yet") }]),
 *   Effect.retry({ times: 2 })
 * )
 *
 * await Effect.runPromise(call) // => "third time lucky"
 * ```
 *
 * Throws a `RangeError` when there is no phase, a `for` is not above zero or a `calls` is not a positive integer.
 *
 * @category faults
 * @since 0.1.0
 */
export const schedule = <const P extends ReadonlyArray<Phase<unknown>>>(
  phases: P,
  options?: { readonly repeat?: boolean | undefined }
): Fault<ErrorOf<P[number]["fault"]>> => {
  if (phases.length === 0) throw new RangeError("phases must not be empty")
  const script: Phases.Options = {
    phases: phases.map((phase) => ({
      millis: phase.for === undefined ? Infinity : positiveMillis("for", phase.for),
      calls: phase.calls === undefined ? Infinity : positiveInteger("calls", phase.calls)
    })),
    repeat: options?.repeat ?? false
  }
  // A phase adds errors of its own type, and the result's type is that of all of them.
  const faults = phases.map(({ fault }) => fault as Fault<ErrorOf<P[number]["fault"]>>)
  let state: Phases.State | undefined
  return (self) =>
    Effect.flatMap(Clock.monotonicTimeNanos, (nanos) => {
      const now = Number(nanos) / 1_000_000
      const [next, index] = Phases.call(script, state ?? Phases.start(now), now)
      state = next
      return index === undefined ? self : faults[index]!(self)
    })
}

/**
 * A service with faults: takes it from below and provides it as `wrap` makes it.
 *
 * **Example** (A service that answers late)
 *
 * ```ts
 * import { Faults } from "@effect-resilience/testing"
 * import { Context, Effect, Layer } from "effect"
 *
 * class Weather extends Context.Service<Weather, { readonly today: Effect.Effect<string, "offline"> }>()("Weather") {}
 *
 * const real = Layer.succeed(Weather, { today: Effect.succeed("rain") })
 * const offline = Faults.layer(Weather, ({ today }) => ({ today: today.pipe(Faults.fail("offline")) }))
 *
 * const today = Effect.flatMap(Weather, (weather) => weather.today).pipe(Effect.flip)
 * await Effect.runPromise(Effect.provide(today, Layer.provide(offline, real))) // => "offline"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <I, S>(tag: Context.Key<I, S>, wrap: (service: S) => S): Layer.Layer<I, never, I> =>
  Layer.effect(tag, Effect.map(tag, wrap))
