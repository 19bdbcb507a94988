/** Which pipeline a fiber runs in, and how many attempts that has made. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { attemptSpan, pipelineSpan, toldAttempt, toldPipeline } from "../pipelineSpans.ts"

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
    self.pipe(
      toldPipeline(name),
      Effect.provideService(CurrentPipeline, new Pipeline(name)),
      pipelineSpan(name)
    )
  )

export const attempt = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const around = fiber.getRef(CurrentPipeline)
    const name = around?.name ?? "unnamed"
    const number = around === undefined ? 1 : ++around.attempts
    return self.pipe(toldAttempt(name, number), attemptSpan(name, number))
  })
