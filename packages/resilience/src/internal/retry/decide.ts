/** Changing the decisions of a schedule one by one. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import { late, mayStartLate, type Step, toStep } from "./late.ts"

/** Changes each wait, or stops the schedule with `undefined`. */
export type Decision<Input> = (
  fiber: Fiber.Fiber<unknown, unknown>,
  input: Input,
  wait: Duration.Duration
) => Duration.Duration | undefined

/** Changes the decisions of a schedule. */
export const decide = <Output, Input, Error, Env>(
  self: Schedule.Schedule<Output, Input, Error, Env>,
  decision: Decision<Input>
): Schedule.Schedule<Output, Input, Error, Env> =>
  like(self, Schedule.fromStep(Effect.map(toStep(self), (step) => decideStep(step, decision))))

/** The same for a schedule that has been started. */
export const decideStep = <Output, Input, Error, Env>(
  step: Step<Output, Input, Error, Env>,
  decision: Decision<Input>
): Step<Output, Input, Error, Env> =>
(now, input) =>
  Effect.flatMap(
    step(now, input),
    ([output, wait]) =>
      Effect.withFiber((fiber): Pull.Pull<[Output, Duration.Duration], never, Output> => {
        const next = decision(fiber, input, wait)
        return next === undefined ? Cause.done(output) : Effect.succeed([output, next])
      })
  )

/** At most `times` retries, whatever else the schedule says. */
export const atMost = <Output, Input, Error, Env>(
  self: Schedule.Schedule<Output, Input, Error, Env>,
  times: number
): Schedule.Schedule<Output, Input, Error, Env> =>
  like(
    self,
    Schedule.fromStep(
      Effect.map(toStep(self), (step) => {
        let left = times
        return (now: number, input: Input): Pull.Pull<[Output, Duration.Duration], Error, Output, Env> =>
          Effect.flatMap(step(now, input), (next) => left-- > 0 ? Effect.succeed(next) : Cause.done(next[0]))
      })
    )
  )

/** What is made of a schedule that may start late may start late too. */
const like = <S extends Schedule.Schedule<unknown, never, unknown, unknown>>(
  self: Schedule.Schedule<unknown, never, unknown, unknown>,
  made: S
): S => mayStartLate(self) ? late(made) : made

/** Go on after this wait, which is also the output. */
export const waiting = (wait: Duration.Duration): Effect.Effect<[Duration.Duration, Duration.Duration]> =>
  Effect.succeed([wait, wait])
