/** The spans of a call and of its attempts, and how each of them ended, as signals. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Signal from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"

type Outcome = Signal.PipelineSettled["outcome"]

class Pipeline {
  readonly name: string
  attempts = 0

  constructor(name: string) {
    this.name = name
  }
}

/** The innermost pipeline that a fiber runs in. */
const CurrentPipeline = Context.Reference<Pipeline | undefined>("effect-resilience/Tracing/CurrentPipeline", {
  defaultValue: () => undefined
})

export const pipeline = <A, E, R>(self: Effect.Effect<A, E, R>, name: string): Effect.Effect<A, E, R> =>
  Effect.suspend(() =>
    told(self, (outcome, duration) => ({ _tag: "PipelineSettled", name, outcome, duration })).pipe(
      Effect.provideService(CurrentPipeline, new Pipeline(name)),
      // A stack trace for each call would cost more than the span.
      Effect.withSpan(`resilience.pipeline ${name}`, { attributes: { "resilience.name": name } }, {
        captureStackTrace: false
      })
    )
  )

export const attempt = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const around = fiber.getRef(CurrentPipeline)
    const name = around?.name ?? "unnamed"
    const number = around === undefined ? 1 : ++around.attempts
    return told(self, (outcome, duration) => ({ _tag: "AttemptSettled", name, attempt: number, outcome, duration }))
      .pipe(
        Effect.withSpan("resilience.attempt", {
          attributes: { "resilience.name": name, "resilience.attempt.number": number }
        }, { captureStackTrace: false })
      )
  })

/** Tells the end of an effect, inside of its span. */
const told = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  signal: (outcome: Outcome, duration: Duration.Duration) => Signal.Signal
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const start = monotonicMillis(fiber)
    return Effect.onExitPrimitive(self, (exit) => {
      Signal.emitUnsafe(fiber, () => signal(outcomeOf(exit), Duration.millis(monotonicMillis(fiber) - start)))
      return undefined
    })
  })

/** Interruption is no failure, and no success either. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome =>
  exit._tag === "Success" ? "success" : Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "failure"
