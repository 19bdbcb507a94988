/**
 * Lets the newest turn of a session interrupt the one before it, because whoever speaks over an answer does not want it any more.
 *
 * The older turn fails with {@link BargedIn} after all that it had begun has been undone, and only then does the newer one begin. Turns of
 * different sessions have nothing to do with each other.
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"

/** A newer turn of the session began before this one had ended. */
export class BargedIn extends Data.TaggedError("BargedIn") {
  override readonly message = "A newer turn of the session began"
}

interface Running {
  readonly bargeIn: Deferred.Deferred<never, BargedIn>
  readonly over: Deferred.Deferred<void>
}

/** The turns that are under way. */
export interface BargeIns {
  readonly isRunning: (sessionId: string) => boolean
  /** Runs a turn as the newest one of its session. It is told whether it interrupted another. */
  readonly newest: (
    sessionId: string
  ) => <A, E, R>(turn: (interrupted: boolean) => Effect.Effect<A, E, R>) => Effect.Effect<A, E | BargedIn, R>
}

/** No turn is under way yet. */
export const make = (): BargeIns => {
  const running = new Map<string, Running>()

  const enter = (sessionId: string) =>
    Effect.sync(() => {
      const before = running.get(sessionId)
      if (before !== undefined) Deferred.doneUnsafe(before.bargeIn, Effect.fail(new BargedIn()))
      const mine: Running = { bargeIn: Deferred.makeUnsafe(), over: Deferred.makeUnsafe() }
      running.set(sessionId, mine)
      return { before: before === undefined ? undefined : Deferred.await(before.over), mine }
    })

  return {
    isRunning: (sessionId) => running.has(sessionId),
    newest: (sessionId) => (turn) =>
      Effect.acquireUseRelease(
        enter(sessionId),
        ({ before, mine }) =>
          Effect.raceFirst(
            before === undefined ? turn(false) : Effect.andThen(before, turn(true)),
            Deferred.await(mine.bargeIn)
          ),
        ({ before, mine }) =>
          // Who waits for this one waits for the one before it too: it may have been interrupted while it still waited.
          Effect.andThen(
            before ?? Effect.void,
            Effect.sync(() => {
              if (running.get(sessionId) === mine) running.delete(sessionId)
              Deferred.doneUnsafe(mine.over, Effect.void)
            })
          )
      )
  }
}
