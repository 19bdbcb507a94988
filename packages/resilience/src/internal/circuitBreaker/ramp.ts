/** How a recovered circuit takes up its load again: a `Schedule` of fractions, run once into a table. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { numberBetween, positiveMillis } from "../options.ts"
import { table } from "./table.ts"

export interface Ramp {
  /** From `at` milliseconds after the close, `fraction` of the calls are let through. Rising, the first at 0. */
  readonly steps: ReadonlyArray<{ readonly at: number; readonly fraction: number }>
  /** When the circuit counts as closed again. */
  readonly millis: number
}

/** Each of the fractions for as long as `every`. */
export const ramp = (fractions: ReadonlyArray<number>, every: Duration.Input): Schedule.Schedule<number> => {
  for (const fraction of fractions) numberBetween("fraction", fraction, 0, 1)
  const wait = Duration.millis(positiveMillis("every", every))
  return Schedule.fromStep(Effect.sync(() => {
    let steps = 0
    return () => {
      const fraction = fractions[steps++]
      return fraction === undefined ? Cause.done(1) : Effect.succeed<[number, Duration.Duration]>([fraction, wait])
    }
  }))
}

/** Each output is the fraction until the next; the ramp ends with the schedule, or where it reaches 1. */
export const compile = (schedule: Schedule.Schedule<number, number>): Effect.Effect<Ramp> =>
  Effect.map(table(schedule, (fraction) => fraction >= 1), ({ end, steps }) => {
    if (end === "cut") throw new RangeError(`recovery must end or reach 1 within ${steps.length} steps`)
    let millis = 0
    let highest = 0
    const rising: Array<{ readonly at: number; readonly fraction: number }> = []
    for (const [fraction, delay] of steps) {
      if (!(fraction >= 0)) throw new RangeError(`recovery must give fractions from 0 to 1, got ${fraction}`)
      highest = Math.max(highest, fraction)
      rising.push({ at: millis, fraction: highest })
      millis += delay
    }
    return { steps: rising, millis }
  })

/** The fraction that is let through, and when it next changes, both `elapsed` milliseconds after the close. */
export const at = (ramp: Ramp, elapsed: number): { readonly fraction: number; readonly next: number } => {
  if (elapsed >= ramp.millis) return { fraction: 1, next: ramp.millis }
  for (let i = ramp.steps.length - 1; i >= 0; i--) {
    const step = ramp.steps[i]!
    if (step.at <= elapsed) return { fraction: step.fraction, next: ramp.steps[i + 1]?.at ?? ramp.millis }
  }
  return { fraction: 1, next: ramp.millis }
}
