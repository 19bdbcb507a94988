/**
 * Lets the turns of a session happen one after the other, in the order in which they came.
 *
 * A turn reads the history and writes its end; two at once would each miss what the other said. Turns of different
 * sessions do not wait for each other. How many may wait is bounded: a client that sends faster than it is answered is
 * told so.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/** Too many turns of this session are waiting already. */
export class SessionBusy extends Data.TaggedError("SessionBusy")<{ readonly waiting: number }> {}

/** Runs the turns of each session in order. */
export interface TurnOrder {
  readonly inTurn: (
    sessionId: string
  ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | SessionBusy, R>
}

/** At most `waiting` turns of a session wait, besides the one that runs. It is asked for each turn. */
export const make = (options: { readonly waiting: Effect.Effect<number> }): TurnOrder => {
  const lanes = new Map<string, { readonly semaphore: Semaphore.Semaphore; turns: number }>()

  const enter = (sessionId: string) =>
    Effect.flatMap(options.waiting, (waiting) => {
      const lane = lanes.get(sessionId) ?? { semaphore: Semaphore.makeUnsafe(1), turns: 0 }
      if (lane.turns > waiting) return Effect.fail(new SessionBusy({ waiting: lane.turns - 1 }))
      lane.turns++
      lanes.set(sessionId, lane)
      return Effect.succeed(lane)
    })

  return {
    inTurn: (sessionId) => (self) =>
      Effect.acquireUseRelease(
        enter(sessionId),
        (lane) => lane.semaphore.withPermit(self),
        (lane) =>
          Effect.sync(() => {
            if (--lane.turns === 0) lanes.delete(sessionId)
          })
      )
  }
}
