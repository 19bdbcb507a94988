/**
 * Measures turns: how long their stages take, into the program's `SessionMetrics`.
 *
 * A turn is what `SessionMetrics` calls a session: it ends, and is written to the file, when its reply is complete, so that
 * a process that is killed loses the measurements of no turn that had ended.
 */
import type * as SessionMetrics from "effect-resilience/SessionMetrics"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** The measurements of the turn that a fiber works on. */
const Current = Context.Reference<SessionMetrics.Session | undefined>("agent-server/measures/TurnMeasures/Current", {
  defaultValue: () => undefined
})

const withCurrent = <A, E, R>(
  use: (session: SessionMetrics.Session | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => Effect.withFiber((fiber) => use(fiber.getRef(Current)))

/** Measures an effect as a stage of the turn under way, if there is one. */
export const stage = (name: SessionMetrics.Stage) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  withCurrent((session) => session === undefined ? self : session.stage(name)(self))

/** How long the first bit takes of what comes bit by bit, from when this is run. Nothing for what comes as a whole. */
export const first = <A>(
  name: SessionMetrics.Stage,
  hear: ((bit: A) => Effect.Effect<void>) | undefined
): Effect.Effect<((bit: A) => Effect.Effect<void>) | undefined> =>
  hear === undefined ? Effect.succeed(undefined) : Effect.clockWith((clock) => {
    const began = clock.monotonicTimeNanosUnsafe()
    let isFirst = true
    return Effect.succeed((bit: A) => {
      if (!isFirst) return hear(bit)
      isFirst = false
      const duration = Duration.nanos(clock.monotonicTimeNanosUnsafe() - began)
      return Effect.andThen(tell((session) => session.record(name, duration)), hear(bit))
    })
  })

/** Runs a turn as one that is measured. What is part of a turn that is measured already is a part of it. */
export const measured =
  (metrics: SessionMetrics.SessionMetrics["Service"], sessionId: string) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    withCurrent((outer) =>
      outer !== undefined ? self : Effect.scoped(
        Effect.flatMap(metrics.start(sessionId), (session) => Effect.provideService(self, Current, session))
      )
    )

/** What the turn under way is told about itself. */
export const tell = (about: (session: SessionMetrics.Session) => Effect.Effect<void>): Effect.Effect<void> =>
  withCurrent((session) => session === undefined ? Effect.void : about(session))
