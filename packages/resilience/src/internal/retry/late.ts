/**
 * Schedules that need not be started before a call has failed.
 *
 * Nearly every call succeeds at once, and starting a policy of several parts costs more than such a call. A schedule that
 * is only asked about failures may start at the first of them. One that draws on a budget may not: budgets count calls.
 * Of a schedule that somebody else made nothing is known, so it starts with the call.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"

type AnySchedule = Schedule.Schedule<unknown, never, unknown, unknown>

export type Step<Output, Input, Error, Env> = (
  now: number,
  input: Input
) => Pull.Pull<[Output, Duration.Duration], Error, Output, Env>

const known = new WeakSet<AnySchedule>()

export const mayStartLate = (schedule: AnySchedule): boolean => known.has(schedule)

/** Marks a schedule as one that may start late. */
export const late = <S extends AnySchedule>(schedule: S): S => {
  known.add(schedule)
  return schedule
}

/** The step of a schedule, started at the first failure where that makes no difference. */
export const toStep = <Output, Input, Error, Env>(
  schedule: Schedule.Schedule<Output, Input, Error, Env>
): Effect.Effect<Step<Output, Input, Error, Env>, never, Env> =>
  mayStartLate(schedule)
    ? Effect.sync(() => {
      let started: Step<Output, Input, Error, Env> | undefined
      return (now, input) =>
        started !== undefined
          ? started(now, input)
          : Effect.flatMap(Schedule.toStep(schedule), (step) => {
            started = step
            return step(now, input)
          })
    })
    : Schedule.toStep(schedule)
