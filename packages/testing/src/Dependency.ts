/**
 * A dependency that answers by a script and remembers how it was called.
 *
 * The script is a list of effects: the first call gets the first, the second the second. An answer that is late,
 * missing or broken is an effect that is: `Effect.delay(Effect.succeed("late"), "2 seconds")`, `Effect.never`,
 * `Effect.fail(error)`, `Effect.die(defect)`, or any effect with {@link Faults} on it.
 *
 * **Example** (What a retry does to its dependency)
 *
 * ```ts
 * import { Dependency } from "@effect-resilience/testing"
 * import { Effect, Fiber, Schedule } from "effect"
 * import { TestClock } from "effect/testing"
 *
 * const quotes = Dependency.scripted([
 *   Effect.fail("busy"),
 *   Effect.delay(Effect.fail("busy"), "100 millis"),
 *   Effect.succeed(42)
 * ])
 *
 * const program = Effect.gen(function*() {
 *   const fiber = yield* Effect.forkChild(Effect.retry(quotes.call, Schedule.spaced("1 second")))
 *   yield* TestClock.adjust("1 minute")
 *   return yield* Fiber.join(fiber)
 * })
 * await Effect.runPromise(Effect.provide(program, TestClock.layer())) // => 42
 *
 * quotes.calls.map((call) => call.startedAt) // => [0, 1_000, 2_100]
 * quotes.calls.map((call) => call.outcome) // => ["failure", "failure", "success"]
 * quotes.mostInFlight // => 1
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * How a call has ended, or that it has not.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "running" | "success" | "failure" | "defect" | "interrupted"

/**
 * One call that was made.
 *
 * - `request`: what {@link Scripted.callWith} was given, `undefined` for a plain call.
 * - `startedAt`, `endedAt`: the `Clock`'s milliseconds; `endedAt` is `undefined` while the call runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly request: unknown
  readonly startedAt: number
  readonly endedAt: number | undefined
  readonly outcome: Outcome
}

/**
 * A dependency with a script. What it has seen is read without an effect, at any time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scripted<A, E, R = never> {
  /** Calls the dependency. */
  readonly call: Effect.Effect<A, E, R>
  /** Calls it with something that the record keeps. It does not change the answer. */
  readonly callWith: (request: unknown) => Effect.Effect<A, E, R>
  /** All calls so far, in the order in which they started. */
  readonly calls: ReadonlyArray<Call>
  /** Calls that run now. */
  readonly inFlight: number
  /** The most calls that ran at the same time. */
  readonly mostInFlight: number
}

/**
 * A dependency that answers its n-th call with the n-th effect.
 *
 * After the script, as `end` says, the last answer is repeated (`"last"`, the default), the script starts again
 * (`"cycle"`), or a call dies with a defect that says so (`"die"`).
 *
 * Throws a `RangeError` when there is no answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const scripted = <const Answers extends ReadonlyArray<Effect.Effect<unknown, unknown, unknown>>>(
  answers: Answers,
  options?: { readonly end?: "last" | "cycle" | "die" | undefined }
): Scripted<
  Effect.Success<Answers[number]>,
  Effect.Error<Answers[number]>,
  Effect.Services<Answers[number]>
> => {
  type Answer = Effect.Effect<
    Effect.Success<Answers[number]>,
    Effect.Error<Answers[number]>,
    Effect.Services<Answers[number]>
  >
  // Each answer is of its own type, and the dependency's is that of all of them.
  const script = answers as ReadonlyArray<unknown> as ReadonlyArray<Answer>
  if (script.length === 0) throw new RangeError("answers must not be empty")
  const end = options?.end ?? "last"
  const calls: Array<Call> = []
  let inFlight = 0
  let mostInFlight = 0

  const answer = (n: number): Answer => {
    const found = script[end === "cycle" ? n % script.length : end === "last" ? Math.min(n, script.length - 1) : n]
    return found ?? Effect.die(new Error(`The script has ${script.length} answers, and this is call ${n + 1}`))
  }

  const callWith = (request: unknown): Answer =>
    Effect.clockWith((clock) => {
      const n = calls.length
      const started: Call = {
        request,
        startedAt: clock.currentTimeMillisUnsafe(),
        endedAt: undefined,
        outcome: "running"
      }
      calls.push(started)
      inFlight++
      mostInFlight = Math.max(mostInFlight, inFlight)
      return Effect.onExitPrimitive(answer(n), (exit) => {
        inFlight--
        calls[n] = { ...started, endedAt: clock.currentTimeMillisUnsafe(), outcome: outcomeOf(exit) }
        return undefined
      })
    })

  return {
    call: callWith(undefined),
    callWith,
    get calls() {
      return [...calls]
    },
    get inFlight() {
      return inFlight
    },
    get mostInFlight() {
      return mostInFlight
    }
  }
}

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome => {
  if (Exit.isSuccess(exit)) return "success"
  if (Cause.hasDies(exit.cause)) return "defect"
  return Cause.hasInterrupts(exit.cause) ? "interrupted" : "failure"
}
