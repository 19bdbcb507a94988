/**
 * Waiting for what is so a moment later: in another process, at a server, after a call was cut off.
 *
 * It asks again and again, so a test waits no longer than it has to, and one that waits in vain says what it saw last. Time is
 * the `Clock`'s: real in `it.live`; in `it.effect` the test has to move it. What is measured is no promise: how long it took
 * says more about the machine than about the program.
 *
 * **Example** (Another fiber gets there)
 *
 * ```ts
 * import { Eventually } from "@effect-resilience/testing"
 * import { Effect, Fiber } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const seen: Array<string> = []
 *   const fiber = yield* Effect.forkChild(Effect.delay(Effect.sync(() => seen.push("there")), "50 millis"))
 *   yield* Eventually.met(() => seen.length > 0)
 *   yield* Fiber.join(fiber)
 *   return yield* Eventually.answers(Effect.sync(() => seen.length), (count) => count === 1)
 * })
 * await Effect.runPromise(program) // => 1
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { inspect } from "node:util"
import { durationMillis, positiveMillis } from "./internal/options.ts"

/**
 * - `every`: the pause before it is asked again. Default 20 milliseconds.
 * - `within`: how long it goes on; after that it asks a last time. Default 20 seconds. A question under way is not cut off.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  readonly every?: Duration.Input | undefined
  readonly within?: Duration.Input | undefined
}

const pauses = ({ every = "20 millis", within = "20 seconds" }: Options) =>
  Schedule.spaced(positiveMillis("every", every)).pipe(
    Schedule.upTo({ duration: durationMillis("within", within) })
  )

class NotYet {
  readonly answer: unknown

  constructor(answer: unknown) {
    this.answer = answer
  }
}

/**
 * Asks until the answer is so, and gives that answer. Dies with the last answer where none was. A failure of the question is
 * one of the test's at once: where it may fail meanwhile, use {@link holds}.
 *
 * @category waiting
 * @since 0.1.0
 */
export const answers = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  isSo: (answer: A) => boolean,
  options: Options = {}
): Effect.Effect<A, E, R> =>
  Effect.flatMap(ask, (answer) => isSo(answer) ? Effect.succeed(answer) : Effect.fail(new NotYet(answer))).pipe(
    Effect.retry({ schedule: pauses(options), while: (error) => error instanceof NotYet }),
    Effect.catch((error) =>
      error instanceof NotYet
        ? Effect.die(new Error(`It never was so. The last answer: ${inspect(error.answer)}`))
        : Effect.fail(error)
    )
  )

/**
 * Looks until a condition is met. Dies where it never is.
 *
 * @category waiting
 * @since 0.1.0
 */
export const met = (condition: () => boolean, options?: Options): Effect.Effect<void> =>
  Effect.asVoid(answers(Effect.sync(condition), (is) => is, options))

/**
 * Runs assertions until they hold: failures and defects count as "not yet". Where they never hold, ends as they did the last
 * time.
 *
 * @category waiting
 * @since 0.1.0
 */
export const holds = <A, E, R>(assertions: Effect.Effect<A, E, R>, options: Options = {}): Effect.Effect<A, E, R> =>
  Effect.sandbox(assertions).pipe(
    Effect.retry({ schedule: pauses(options), while: (cause) => !Cause.hasInterrupts(cause) }),
    Effect.catch(Effect.failCause)
  )
