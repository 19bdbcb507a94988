/** Runs a `Schedule` to its end at once, on a clock of its own: what it would do, as a table. */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"

export interface Table<Output> {
  /** Each output, and the milliseconds until the next. */
  readonly steps: ReadonlyArray<readonly [output: Output, delay: number]>
  /** Whether the schedule ended, was `done`, or neither within the longest table that there may be. */
  readonly end: "finished" | "done" | "cut"
}

const maxSteps = 1000

/** The input of the `n`-th step is `n`, counted from 1. A step that is `done` is not part of the table. */
export const table = <Output>(
  schedule: Schedule.Schedule<Output, number>,
  done: (output: Output, delay: number) => boolean
): Effect.Effect<Table<Output>> =>
  Effect.gen(function*() {
    const step = yield* Schedule.toStep(schedule)
    const steps: Array<readonly [Output, number]> = []
    let now = 0
    while (steps.length < maxSteps) {
      const exit = yield* Effect.exit(step(now, steps.length + 1))
      if (Exit.isFailure(exit)) {
        if (Pull.isDoneCause(exit.cause)) return { steps, end: "finished" }
        // What is left is a defect: these schedules have no errors.
        return yield* Effect.failCause(exit.cause as Cause.Cause<never>)
      }
      const [output, duration] = exit.value
      const delay = Duration.toMillis(duration)
      if (done(output, delay)) return { steps, end: "done" }
      steps.push([output, delay])
      now += delay
    }
    return { steps, end: "cut" }
  })
