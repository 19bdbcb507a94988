/**
 * Retry policies, written as `Schedule`s.
 *
 * A policy says after which failures to try again, when, and how often. It *is* a `Schedule<Output, Input, Error, Env>`,
 * so everything that `Schedule` offers applies to it, and its type says what it needs: `Input` the errors it
 * understands, `Env` the services it draws on. The parts:
 *
 * - {@link backoff}: growing waits with jitter; the base of most policies
 * - {@link byKind}: a schedule for each kind of failure, and no retry for the kinds left out
 * - {@link respectRetryAfter}: never earlier than the dependency asked
 * - {@link withBudget}: only while the program can afford it
 * - {@link withinDeadline}: only while somebody is still waiting
 * - {@link standard}: all of these, with documented defaults
 *
 * {@link retry} runs an effect under a policy. It is `Effect.retry` plus three things: it emits signals, it gives back to
 * the budget what an interrupted wait had taken, and it never retries a failure of kind `Cancelled`.
 *
 * What it does not do: it gives no time limit to an attempt (`Deadline.attempt` inside does) or to the whole
 * (`Deadline.within` outside does), it retries no defect and no interruption, and it does not know whether your effect
 * is safe to repeat.
 *
 * **Example** (Three attempts, then the last error)
 *
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Retry } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * let attempts = 0
 * const flaky = Effect.suspend(() => Effect.fail(`attempt ${++attempts} failed`))
 * const policy = Retry.backoff({ base: "100 millis", cap: "2 seconds", times: 2 })
 *
 * const program = Effect.gen(function*() {
 *   const fiber = yield* Effect.forkChild(Effect.flip(Retry.retry(flaky, policy)))
 *   yield* TestClock.adjust("1 minute")
 *   return yield* Fiber.join(fiber)
 * })
 * await Effect.runPromise(Effect.provide(program, TestClock.layer())) // => "attempt 3 failed"
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Types from "effect/Types"
import * as Failure from "./Failure.ts"
import { remainingMillis } from "./internal/deadline/current.ts"
import { monotonicMillis } from "./internal/monotonic.ts"
import { durationMillis, nonNegativeInteger, numberBetween, positiveMillis } from "./internal/options.ts"
import { outcomeOf } from "./internal/outcome.ts"
import * as Backoff from "./internal/retry/backoff.ts"
import { Call, CurrentCall } from "./internal/retry/call.ts"
import { atMost, decide, decideStep, waiting } from "./internal/retry/decide.ts"
import { late, mayStartLate, type Step, toStep } from "./internal/retry/late.ts"
import { RetryBudget } from "./RetryBudget.ts"
import * as Signal from "./Signal.ts"

/** What {@link withBudget} has made. */
const budgeted = new WeakSet<object>()

/**
 * The kinds of failure that a retry can mend. `Permanent`, `Critical` and `Cancelled` are not among them.
 *
 * @category models
 * @since 0.1.0
 */
export type Retryable = Exclude<Failure.Kind, "Permanent" | "Critical" | "Cancelled">

/**
 * Options of {@link backoff}.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackoffOptions {
  /** The wait before the first retry, before jitter. Above zero. */
  readonly base: Duration.Input
  /** What each wait is multiplied with to get the next. At least 1, default 2. */
  readonly factor?: number | undefined
  /** No wait is longer. Default: no cap. */
  readonly cap?: Duration.Input | undefined
  /**
   * How the wait `w` is spread, so that callers who failed together do not return together. `"full"` (default): from 0
   * to `w`. `"equal"`: from `w/2` to `w`. `"decorrelated"`: from `base` to three times the wait before. `"none"`: `w`.
   */
  readonly jitter?: Backoff.Jitter | undefined
  /** Retries, not attempts: 2 means three attempts. Default: no limit. */
  readonly times?: number | undefined
  /** No retry begins later than this after the first failure. Default: no limit. */
  readonly during?: Duration.Input | undefined
}

/**
 * Growing waits with jitter. The output is the wait that was chosen.
 *
 * After the `n`-th failure the wait before jitter is `base * factor^(n-1)`, at most `cap`. It is never negative, NaN or
 * above `cap`, whatever `n`. The jitter draws from the `Random` service. Time is monotonic.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * **Example** (The waits themselves)
 *
 * ```ts
 * import { Duration, Effect, Schedule } from "effect"
 * import { Retry } from "effect-resilience"
 *
 * const policy = Retry.backoff({ base: "1 second", cap: "5 seconds", jitter: "none" })
 * const waits = Effect.gen(function*() {
 *   const step = yield* Schedule.toStep(policy)
 *   const outputs: Array<string> = []
 *   for (let failure = 1; failure <= 5; failure++) {
 *     const [wait] = yield* step(0, "an error")
 *     outputs.push(Duration.format(wait))
 *   }
 *   return outputs
 * })
 * await Effect.runPromise(waits) // => ["1s", "2s", "4s", "5s", "5s"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const backoff = (options: BackoffOptions): Schedule.Schedule<Duration.Duration> => {
  const waits: Backoff.Options = {
    baseMillis: positiveMillis("base", options.base),
    factor: numberBetween("factor", options.factor ?? 2, 1, Number.MAX_VALUE),
    capMillis: options.cap === undefined ? Infinity : positiveMillis("cap", options.cap, { infinite: true }),
    jitter: options.jitter ?? "full"
  }
  const times = options.times === undefined ? Infinity : nonNegativeInteger("times", options.times)
  const during = options.during === undefined ? Infinity : durationMillis("during", options.during)
  return late(Schedule.fromStep(Effect.sync(() => {
    let failures = 0
    let firstFailureAt: number | undefined
    let wait: number | undefined
    return () =>
      Effect.withFiber((fiber): Pull.Pull<[Duration.Duration, Duration.Duration], never, Duration.Duration> => {
        failures++
        const now = monotonicMillis(fiber)
        firstFailureAt ??= now
        const next = Backoff.wait(waits, failures, wait, fiber.getRef(Random.Random).nextDoubleUnsafe())
        if (failures > times || now - firstFailureAt + next > during) return Cause.done(Duration.millis(wait ?? 0))
        wait = next
        return waiting(Duration.millis(next))
      })
  })))
}

/**
 * The schedules of {@link byKind}, one for each kind that is to be retried.
 *
 * @category models
 * @since 0.1.0
 */
export type Schedules = { readonly [K in Retryable]?: Schedule.Schedule<unknown, never, unknown, unknown> | undefined }

type Given<S extends Schedules> = NonNullable<S[keyof S]>

/** What all of the schedules understand. */
type CommonInput<S extends Schedules> = Types.UnionToIntersection<
  { [K in keyof S]: readonly [Schedule.Input<NonNullable<S[K]>>] }[keyof S]
> extends readonly [infer Input] ? Input : never

/**
 * Each kind of failure by its own schedule; a kind that is left out is not retried. The output is the wait.
 *
 * The program's `Failure.Classifier` says what kind a failure is. Each schedule keeps its own count: a timeout between
 * two resets does not move the resets' back-off.
 *
 * The policy understands the errors that all of its schedules understand, and needs the services of all of them.
 *
 * **Example** (Patience with an overloaded server, none with a wrong request)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Failure, Retry } from "effect-resilience"
 *
 * class Rejected {
 *   readonly _tag = "Rejected";
 *   [Failure.symbol](): Failure.Info {
 *     return { kind: "Permanent", scope: "request", message: "rejected" }
 *   }
 * }
 *
 * const policy = Retry.byKind({
 *   Transient: Retry.backoff({ base: "50 millis", times: 3 }),
 *   Overloaded: Retry.backoff({ base: "2 seconds", cap: "1 minute", times: 5 })
 * })
 *
 * let attempts = 0
 * const call = Effect.suspend(() => {
 *   attempts++
 *   return Effect.fail(new Rejected())
 * })
 * await Effect.runPromise(Effect.ignore(Retry.retry(call, policy)))
 * attempts // => 1
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const byKind = <const S extends Schedules>(
  schedules: S
): Schedule.Schedule<Duration.Duration, CommonInput<S>, Schedule.Error<Given<S>>, Schedule.Env<Given<S>>> => {
  type Input = CommonInput<S>
  type Error = Schedule.Error<Given<S>>
  type Env = Schedule.Env<Given<S>>
  const kinds = Object.keys(schedules) as Array<keyof S & Retryable>
  const given = kinds.map((kind) => schedules[kind] as Schedule.Schedule<unknown, Input, Error, Env>)
  const start = Effect.map(
    Effect.forEach(given, toStep),
    (steps) => new Map<Failure.Kind, Step<unknown, Input, Error, Env>>(kinds.map((kind, at) => [kind, steps[at]!]))
  )
  const policy = Schedule.fromStep(
    Effect.map(
      start,
      (steps) => (now: number, input: Input) =>
        Effect.withFiber((fiber): Pull.Pull<[Duration.Duration, Duration.Duration], Error, Duration.Duration, Env> => {
          const step = steps.get(Failure.infoUnsafe(fiber, input).kind)
          if (step === undefined) {
            return Cause.done(Duration.zero)
          }
          return Pull.matchEffect(step(now, input), {
            onSuccess: ([, delay]) => waiting(delay),
            onFailure: Effect.failCause,
            onDone: () => Cause.done(Duration.zero)
          })
        })
    )
  )
  return given.every(mayStartLate) ? late(policy) : policy
}

/**
 * Waits at least as long as the dependency asked (its `retryAfter`), and stops where it asked for more than `cap`:
 * coming back earlier than asked is what gets clients banned.
 *
 * Where the dependency asks for more than the schedule would wait, the asked time is spread upward by a random part of
 * the schedule's own wait, so that clients who were refused together do not return in the same millisecond.
 *
 * Throws a `RangeError` when `cap` is not a duration of zero or more.
 *
 * @category combinators
 * @since 0.1.0
 */
export const respectRetryAfter: {
  (
    options: { readonly cap: Duration.Input }
  ): <Output, Input, Error, Env>(
    self: Schedule.Schedule<Output, Input, Error, Env>
  ) => Schedule.Schedule<Output, Input, Error, Env>
  <Output, Input, Error, Env>(
    self: Schedule.Schedule<Output, Input, Error, Env>,
    options: { readonly cap: Duration.Input }
  ): Schedule.Schedule<Output, Input, Error, Env>
} = dual(2, <Output, Input, Error, Env>(
  self: Schedule.Schedule<Output, Input, Error, Env>,
  options: { readonly cap: Duration.Input }
): Schedule.Schedule<Output, Input, Error, Env> => {
  const cap = durationMillis("cap", options.cap)
  return decide(self, (fiber, input, delay) => {
    const asked = Failure.infoUnsafe(fiber, input).retryAfter
    if (asked === undefined) return delay
    const askedMillis = Duration.toMillis(asked)
    if (askedMillis > cap) return undefined
    const own = Duration.toMillis(delay)
    const spread = Math.min(own, askedMillis) * fiber.getRef(Random.Random).nextDoubleUnsafe()
    return Duration.millis(Math.max(own, askedMillis + spread))
  })
})

/**
 * Stops where the wait would not fit into what the enclosing `Deadline` leaves: the caller hears the error now, not when
 * its time is up. Without a deadline it changes nothing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withinDeadline = <Output, Input, Error, Env>(
  self: Schedule.Schedule<Output, Input, Error, Env>
): Schedule.Schedule<Output, Input, Error, Env> =>
  decide(self, (fiber, _, delay) => Duration.toMillis(delay) < remainingMillis(fiber) ? delay : undefined)

/**
 * Asks the program's {@link RetryBudget} before each wait, and stops when it is spent.
 *
 * Place it outermost, so that nothing is taken from the budget for a retry that another part of the policy refuses. Run
 * the policy with {@link retry}, which gives back what an interrupted wait had taken.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withBudget = <Output, Input, Error, Env>(
  self: Schedule.Schedule<Output, Input, Error, Env>
): Schedule.Schedule<Output, Input, Error, Env | RetryBudget> => {
  const policy = budgetedStep(self)
  budgeted.add(policy)
  return policy
}

/**
 * Whether a policy is one that {@link withBudget} made. Of one that was changed afterwards it cannot be told.
 *
 * @category guards
 * @since 0.1.0
 */
export const isBudgeted = (policy: Schedule.Schedule<unknown, never, unknown, unknown>): boolean => budgeted.has(policy)

const budgetedStep = <Output, Input, Error, Env>(
  self: Schedule.Schedule<Output, Input, Error, Env>
): Schedule.Schedule<Output, Input, Error, Env | RetryBudget> =>
  Schedule.fromStep(Effect.flatMap(RetryBudget, (budget) =>
    Effect.withFiber((fiber) => {
      const call = fiber.getRef(CurrentCall)
      if (call === undefined && (budget.rule === "tokens" || budget.rule === "inFlight")) {
        return Effect.die(
          new Error(`A retry budget of ${budget.rule} needs Retry.retry: Effect.retry cannot settle it`)
        )
      }
      const account = call === undefined ? budget.openUnsafe(fiber) : call.accountOf(budget, fiber)
      const affordable = (fiber: Fiber.Fiber<unknown, unknown>, input: Input, delay: Duration.Duration) => {
        // Without a call nobody else says that the wait before this failure is over.
        if (call === undefined) account.startedUnsafe()
        const failure = Failure.infoUnsafe(fiber, input)
        if (account.reserveUnsafe(failure.kind)) return delay
        Signal.emitUnsafe(fiber, () => ({ _tag: "BudgetExhausted", budget: budget.rule, failure }))
        return undefined
      }
      return Effect.map(toStep(self), (step) => decideStep(step, affordable))
    })))

/**
 * The policy to use when in doubt.
 *
 * - at most three attempts
 * - by kind: `Transient` and `Timeout` back off from 100 ms (cap 5 s), `Overloaded` and `RateLimited` from 1 s (cap 20 s);
 *   everything else is not retried
 * - full jitter
 * - never earlier than the dependency asked, and not at all where it asked for more than 30 s
 * - only while the enclosing deadline leaves time for the wait
 * - only while the program's {@link RetryBudget} has some left
 *
 * **Example** (With the default budget)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Deadline, Retry, RetryBudget } from "effect-resilience"
 *
 * const call = Effect.succeed("an answer").pipe(
 *   Deadline.attempt("5 seconds"),
 *   Retry.retry(Retry.standard),
 *   Deadline.within("20 seconds")
 * )
 *
 * await Effect.runPromise(Effect.provide(call, RetryBudget.layer())) // => "an answer"
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const standard: Schedule.Schedule<Duration.Duration, unknown, never, RetryBudget> = byKind({
  Transient: backoff({ base: "100 millis", cap: "5 seconds" }),
  Timeout: backoff({ base: "100 millis", cap: "5 seconds" }),
  Overloaded: backoff({ base: "1 second", cap: "20 seconds" }),
  RateLimited: backoff({ base: "1 second", cap: "20 seconds" })
}).pipe(
  (policy) => atMost(policy, 2),
  respectRetryAfter({ cap: "30 seconds" }),
  withinDeadline,
  withBudget
)

/**
 * Options of {@link retry}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryOptions {
  /** What the signals call it. Default `"retry"`. */
  readonly name?: string | undefined
}

/**
 * Runs an effect, and again after each failure for as long as the policy says. It fails with the last error.
 *
 * Emits `RetryScheduled` before each wait and `RetrySettled` at the end.
 *
 * @category running
 * @since 0.1.0
 */
export const retry: {
  <Output, E, Error, Env>(
    policy: Schedule.Schedule<Output, Types.NoInfer<E>, Error, Env>,
    options?: RetryOptions
  ): <A, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Error, R | Env>
  <A, E, R, Output, Error, Env>(
    self: Effect.Effect<A, E, R>,
    policy: Schedule.Schedule<Output, Types.NoInfer<E>, Error, Env>,
    options?: RetryOptions
  ): Effect.Effect<A, E | Error, R | Env>
} = dual((args) => Effect.isEffect(args[0]), <A, E, R, Output, Error, Env>(
  self: Effect.Effect<A, E, R>,
  policy: Schedule.Schedule<Output, E, Error, Env>,
  options?: RetryOptions
): Effect.Effect<A, E | Error, R | Env> => {
  const name = options?.name ?? "retry"
  const isLate = mayStartLate(policy)
  const start = Schedule.toStep(policy)
  return Effect.withFiber((fiber) => {
    const call = new Call()
    const first = Effect.suspend(() => {
      call.attemptStarted()
      return self
    })
    // Nearly every call succeeds at once, so what retries is set up when the first attempt has failed; except for a
    // budget, which counts calls, and not only those that fail.
    const attempts = isLate
      ? Effect.catchCause(
        first,
        (cause) => Effect.flatMap(start, (step) => again(self, cause, watched(step, call, name), call))
      )
      : Effect.flatMap(
        Effect.provideService(start, CurrentCall, call),
        (step) => Effect.catchCause(first, (cause) => again(self, cause, watched(step, call, name), call))
      )
    return Effect.onExitPrimitive(attempts, (exit) => {
      const outcome = outcomeOf(exit)
      call.settled(outcome)
      Signal.emitUnsafe(fiber, () => ({ _tag: "RetrySettled", name, attempts: call.attempts, outcome }))
      return undefined
    })
  })
})

/** Goes on after a first attempt that failed, as `Effect.retry` goes on. */
const again = <A, E, R, Output, Error, Env>(
  self: Effect.Effect<A, E, R>,
  first: Cause.Cause<E>,
  policy: Schedule.Schedule<Output, E, Error, Env>,
  call: Call
): Effect.Effect<A, E | Error, R | Env> => {
  let isFirst = true
  const attempt = Effect.suspend(() => {
    if (isFirst) {
      isFirst = false
      return Effect.failCause(first)
    }
    call.attemptStarted()
    return self
  })
  return Effect.retry(attempt, policy)
}

/** The policy as {@link retry} runs it: telling each retry, and never retrying what was cancelled. */
const watched = <Output, Input, Error, Env>(
  step: Step<Output, Input, Error, Env>,
  call: Call,
  name: string
): Schedule.Schedule<Output | undefined, Input, Error, Env> =>
  Schedule.fromStep(
    Effect.succeed((now: number, input: Input) =>
      Effect.withFiber((fiber): Pull.Pull<[Output, Duration.Duration], Error, Output | undefined, Env> => {
        const failure = Failure.infoUnsafe(fiber, input)
        if (failure.kind === "Cancelled") return Cause.done(undefined)
        return Effect.tap(step(now, input), ([, delay]) => {
          Signal.emitUnsafe(fiber, () => ({ _tag: "RetryScheduled", name, attempt: call.attempts, delay, failure }))
          return Effect.void
        })
      })
    )
  )
