/**
 * The spans of a call with all of its policies and of its attempts, and how each of them ended, as signals.
 *
 * The signals are told inside of the spans, so that what is made of them can be traced to these. A stack trace for each call would
 * cost more than its span.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Signal from "../Signal.ts"
import { monotonicMillis } from "./monotonic.ts"
import { type Outcome, outcomeOf } from "./outcome.ts"

/** What the name of a pipeline's span begins with. */
export const pipelinePrefix = "resilience.pipeline "

export const pipelineSpan = (name: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  self.pipe(
    Effect.withSpan(`${pipelinePrefix}${name}`, { attributes: { "resilience.name": name } }, {
      captureStackTrace: false
    })
  )

export const attemptSpan =
  (name: string, attempt: number) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    self.pipe(
      Effect.withSpan("resilience.attempt", {
        attributes: { "resilience.name": name, "resilience.attempt.number": attempt }
      }, { captureStackTrace: false })
    )

export const toldPipeline = (name: string) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  told(self, (outcome, duration) => ({ _tag: "PipelineSettled", name, outcome, duration }))

export const toldAttempt =
  (name: string, attempt: number) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    told(self, (outcome, duration) => ({ _tag: "AttemptSettled", name, attempt, outcome, duration }))

const told = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  signal: (outcome: Outcome, duration: Duration.Duration) => Signal.Signal
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const since = monotonicMillis(fiber)
    return Effect.onExitPrimitive(self, (exit) => {
      Signal.emitUnsafe(fiber, () => signal(outcomeOf(exit), Duration.millis(monotonicMillis(fiber) - since)))
      return undefined
    })
  })
