/** How a recovered circuit takes up its load again: a `Schedule` of fractions, run once into a table. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"

export interface Ramp {
  /** From `at` milliseconds after the close, `fraction` of the calls are let through. Rising, the first at 0. */
  readonly steps: ReadonlyArray<{ readonly at: number; readonly fraction: number }>
  /** When the circuit counts as closed again. */
  readonly millis: number
}

const maxSteps = 1000

/** Each output is the fraction until the next; the ramp ends with the schedule, or where it reaches 1. */
export const compile = (schedule: Schedule.Schedule<number>): Effect.Effect<Ramp> =>
  Effect.gen(function*() {
    const step = yield* Schedule.toStep(schedule)
    const steps: Array<{ at: number; fraction: number }> = []
    let millis = 0
    let highest = 0
    while (true) {
      const exit = yield* Effect.exit(step(millis, undefined))
      if (Exit.isFailure(exit)) {
        if (Pull.isDoneCause(exit.cause)) return { steps, millis }
        return yield* Effect.failCause(exit.cause as Cause.Cause<never>)
      }
      const [fraction, delay] = exit.value
      if (!(fraction >= 0)) return yield* Effect.die(new RangeError(`recovery must give fractions, got ${fraction}`))
      highest = Math.max(highest, fraction)
      if (highest >= 1) return { steps, millis }
      if (steps.length === maxSteps) {
        return yield* Effect.die(new RangeError(`recovery must end or reach 1 within ${maxSteps} steps`))
      }
      steps.push({ at: millis, fraction: highest })
      millis += Duration.toMillis(delay)
    }
  })

/** The fraction that is let through, and when it next changes, both `elapsed` milliseconds after the close. */
export const at = (ramp: Ramp, elapsed: number): { readonly fraction: number; readonly next: number } => {
  for (let i = ramp.steps.length - 1; i >= 0; i--) {
    const step = ramp.steps[i]!
    if (step.at <= elapsed) return { fraction: step.fraction, next: ramp.steps[i + 1]?.at ?? ramp.millis }
  }
  return { fraction: 1, next: ramp.millis }
}
