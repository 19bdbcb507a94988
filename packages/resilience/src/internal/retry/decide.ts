/** Changing the decisions of a schedule one by one. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"

/** Changes each wait of a schedule, or stops the schedule where `f` gives `undefined`. */
export const decide = <Output, Input, Error, Env>(
  self: Schedule.Schedule<Output, Input, Error, Env>,
  f: (fiber: Fiber.Fiber<unknown, unknown>, input: Input, wait: Duration.Duration) => Duration.Duration | undefined
): Schedule.Schedule<Output, Input, Error, Env> =>
  Schedule.fromStep(
    Effect.map(Schedule.toStep(self), (step) => (now: number, input: Input) =>
      Effect.flatMap(step(now, input), ([output, wait]) =>
        Effect.withFiber((fiber): Pull.Pull<[Output, Duration.Duration], never, Output> => {
          const next = f(fiber, input, wait)
          return next === undefined ? Cause.done(output) : Effect.succeed([output, next])
        })))
  )

/** Go on after this wait, which is also the output. */
export const waiting = (wait: Duration.Duration): Effect.Effect<[Duration.Duration, Duration.Duration]> =>
  Effect.succeed([wait, wait])
