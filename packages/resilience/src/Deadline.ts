/**
 * How long somebody will wait for this work, known to all the work below it.
 *
 * {@link within} gives an effect a time budget and cuts it when the budget is spent. What runs inside can ask how much
 * is {@link remaining}, and so decline a retry that cannot finish, or tell the next service with {@link header}. Nested
 * deadlines only shrink: asking for ten seconds inside of two leaves two.
 *
 * - The time is measured on the monotonic clock; setting the system's clock moves no deadline.
 * - Cutting means interrupting: finalizers run, permits come back, sockets close, and only then does the caller hear
 *   of it. Uninterruptible work is waited for.
 * - A deadline that has passed before the call starts fails at once and starts nothing.
 *
 * {@link attempt} is the same for one attempt of several: place it inside a retry, and {@link within} outside.
 *
 * **Example** (Ten seconds for everything, two for each attempt)
 *
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Deadline } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * const program = Effect.never.pipe(
 *   Deadline.attempt("2 seconds"),
 *   Effect.retry({ times: 9 }),
 *   Deadline.within("10 seconds"),
 *   Effect.flip
 * )
 *
 * const error = await Effect.runPromise(Effect.gen(function*() {
 *   const fiber = yield* Effect.forkChild(program)
 *   yield* TestClock.adjust("1 minute")
 *   return yield* Fiber.join(fiber)
 * }).pipe(Effect.provide(TestClock.layer())))
 * error.scope // => "total"
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Failure from "./Failure.ts"
import { type Current, CurrentDeadline, remainingMillis } from "./internal/deadline/current.ts"
import { raceTimer } from "./internal/deadline/cut.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { durationMillis } from "./internal/options.ts"
import * as Signal from "./Signal.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/Deadline/DeadlineExceeded"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/Deadline/DeadlineExceeded"

/**
 * The time was up.
 *
 * - `budget`: the time that there was. Where an enclosing deadline was the tighter one, it is that one that passed, and
 *   all three fields speak of it.
 * - `elapsed`: the time that had been used; zero when nothing was started because the deadline had passed before.
 * - `scope`: `"attempt"` for one attempt, `"total"` for the whole call.
 *
 * Its kind of failure is `Timeout`. It counts against the dependency unless nothing was started.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>("effect-resilience/DeadlineExceeded")(
  "DeadlineExceeded",
  {
    budget: Schema.DurationFromMillis,
    elapsed: Schema.DurationFromMillis,
    scope: Schema.Literals(["attempt", "total"])
  }
) {
  readonly [TypeId]: TypeId = TypeId

  override get message(): string {
    const what = this.scope === "attempt" ? "The attempt" : "The call"
    return Duration.isZero(this.elapsed)
      ? `${what} was not started: its deadline had passed`
      : `${what} took longer than ${Duration.format(this.budget)}`
  }

  [Failure.symbol](): Failure.Info {
    return {
      kind: "Timeout",
      scope: Duration.isZero(this.elapsed) ? "request" : "dependency",
      code: "DeadlineExceeded",
      message: this.message
    }
  }
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isDeadlineExceeded = (u: unknown): u is DeadlineExceeded => Predicate.hasProperty(u, TypeId)

/**
 * Gives the whole of an effect at most `duration`, or what an enclosing deadline leaves, and fails with
 * {@link DeadlineExceeded} of scope `"total"` when that is over.
 *
 * Throws a `RangeError` when `duration` is not a duration of zero or more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const within: {
  (duration: Duration.Input): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DeadlineExceeded, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input): Effect.Effect<A, E | DeadlineExceeded, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input) => cut(self, duration, "total"))

/**
 * Gives one attempt of an effect at most `duration`, or what an enclosing deadline leaves, and fails with
 * {@link DeadlineExceeded} of scope `"attempt"` when that is over.
 *
 * Throws a `RangeError` when `duration` is not a duration of zero or more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const attempt: {
  (duration: Duration.Input): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DeadlineExceeded, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input): Effect.Effect<A, E | DeadlineExceeded, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input) => cut(self, duration, "attempt"))

/**
 * Tells an effect that it has at most `duration`, or what an enclosing deadline leaves, and cuts nothing: {@link attempt} below ends
 * at that time, {@link remaining} and {@link header} know of it, and retries that would not fit are not made.
 *
 * For a policy whose attempts are cut each by itself, where cutting the whole as well would only cost.
 *
 * Throws a `RangeError` when `duration` is not a duration of zero or more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const announce: {
  (duration: Duration.Input): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, duration: Duration.Input): Effect.Effect<A, E, R> => {
  const asked = durationMillis("duration", duration)
  return asked === Infinity
    ? self
    : Effect.withFiber((fiber) =>
      Effect.provideService(self, CurrentDeadline, tightest(fiber, monotonicMillis(fiber), asked, "total"))
    )
})

/**
 * How much time the running work has left; `None` when it has no deadline.
 *
 * **Example** (What an enclosing deadline leaves)
 *
 * ```ts
 * import { Duration, Effect, Option } from "effect"
 * import { Deadline } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * const left = Deadline.remaining.pipe(
 *   Deadline.within("10 seconds"),
 *   Deadline.within("2 seconds"),
 *   Effect.provide(TestClock.layer())
 * )
 * await Effect.runPromise(left) // => Option.some(Duration.seconds(2))
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const remaining: Effect.Effect<Option.Option<Duration.Duration>> = Effect.withFiber((fiber) => {
  const millis = remainingMillis(fiber)
  return Effect.succeed(millis === Infinity ? Option.none() : Option.some(Duration.millis(millis)))
})

/**
 * The header that carries a deadline from one service to the next: the milliseconds left, a whole number. It is a time
 * span and not a point in time, so the clocks of the two need not agree (gRPC's `grpc-timeout` does the same).
 *
 * @category headers
 * @since 0.1.0
 */
export const headerName = "x-request-timeout-ms"

/**
 * The headers to send with an outgoing request, so that the other side stops when nobody waits any more. Empty when
 * there is no deadline.
 *
 * **Example** (On an outgoing request)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Deadline } from "effect-resilience"
 * import { HttpClientRequest } from "effect/http"
 * import { TestClock } from "effect/testing"
 *
 * const request = Effect.map(
 *   Deadline.header,
 *   (headers) => HttpClientRequest.setHeaders(HttpClientRequest.get("http://127.0.0.1/"), headers)
 * )
 *
 * const sent = await Effect.runPromise(
 *   request.pipe(Deadline.within("1500 millis"), Effect.provide(TestClock.layer()))
 * )
 * sent.headers["x-request-timeout-ms"] // => "1500"
 * ```
 *
 * @category headers
 * @since 0.1.0
 */
export const header: Effect.Effect<Readonly<Record<string, string>>> = Effect.withFiber((fiber) => {
  const millis = remainingMillis(fiber)
  return Effect.succeed(millis === Infinity ? {} : { [headerName]: String(Math.floor(millis)) })
})

/**
 * The deadline in the headers of an incoming request, lower-case names. `None` when there is none, or when it is not a
 * whole number of milliseconds in plain digits.
 *
 * @category headers
 * @since 0.1.0
 */
export const fromHeaders = (
  headers: Readonly<Record<string, string | undefined>>
): Option.Option<Duration.Duration> => {
  const value = headers[headerName]
  return value !== undefined && /^\d{1,15}$/.test(value) ? Option.some(Duration.millis(Number(value))) : Option.none()
}

/**
 * Serves an incoming request within the deadline that its headers carry, and within `cap` in any case: a caller may ask
 * for less time, never for more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withinHeaders: {
  (
    headers: Readonly<Record<string, string | undefined>>,
    options: { readonly cap: Duration.Input }
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DeadlineExceeded, R>
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    headers: Readonly<Record<string, string | undefined>>,
    options: { readonly cap: Duration.Input }
  ): Effect.Effect<A, E | DeadlineExceeded, R>
} = dual(
  3,
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    headers: Readonly<Record<string, string | undefined>>,
    options: { readonly cap: Duration.Input }
  ) =>
    within(
      self,
      Option.match(fromHeaders(headers), {
        onNone: () => options.cap,
        onSome: (asked) => Duration.min(asked, Duration.fromInputUnsafe(options.cap))
      })
    )
)

const cut = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  duration: Duration.Input,
  scope: Current["scope"]
): Effect.Effect<A, E | DeadlineExceeded, R> => {
  const asked = durationMillis("duration", duration)
  if (asked === Infinity) return self
  return Effect.withFiber((fiber) => {
    const now = monotonicMillis(fiber)
    const current = tightest(fiber, now, asked, scope)
    if (current.end <= now) return Effect.fail(exceeded(fiber, current, 0))
    return raceTimer(fiber, self, current, () => exceeded(fiber, current, monotonicMillis(fiber) - current.start))
  })
}

/**
 * Where the enclosing deadline is the tighter one, what passes is that one: whichever of the two timers fires first, the error is
 * the same.
 */
const tightest = (
  fiber: Fiber.Fiber<unknown, unknown>,
  now: number,
  asked: number,
  scope: Current["scope"]
): Current => {
  const enclosing = fiber.getRef(CurrentDeadline)
  return enclosing !== undefined && enclosing.end <= now + asked
    ? enclosing
    : { scope, start: now, budget: asked, end: now + asked, told: false }
}

const exceeded = (
  fiber: Fiber.Fiber<unknown, unknown>,
  current: Current,
  elapsedMillis: number
): DeadlineExceeded => {
  const { scope } = current
  const budget = Duration.millis(current.budget)
  const elapsed = Duration.millis(elapsedMillis)
  if (!current.told) {
    current.told = true
    Signal.emitUnsafe(fiber, () => ({ _tag: "DeadlinePassed", scope, budget, elapsed }))
  }
  return new DeadlineExceeded({ budget, elapsed, scope })
}
