/** Streams that end with an element of their own, in place of being cut. */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Phase, Phases } from "./phases.ts"

/**
 * Ends a stream with `last` when the phase is reached; what it waits for then is interrupted. `mayEnd` is told each piece, and
 * says whether the stream may end behind it.
 */
export const endAt = <A, E, R, B>(
  stream: Stream.Stream<A, E, R>,
  phases: Phases,
  phase: Phase,
  last: () => B,
  makeMayEnd: () => (piece: A) => boolean = () => () => true
): Stream.Stream<A | B, E, R> =>
  Stream.transformPull(stream, (pull) =>
    Effect.sync((): Pull.Pull<NonEmptyReadonlyArray<A | B>, E, void, R> => {
      const mayEnd = makeMayEnd()
      let ended = false
      let between = true
      const next = Effect.map(pull, (pieces) => {
        for (const piece of pieces) between = mayEnd(piece)
        return pieces
      })
      const end = Effect.sync((): NonEmptyReadonlyArray<A | B> => {
        ended = true
        return [last()]
      })
      const orEnd = Effect.raceFirst(next, Effect.andThen(phases.until(phase), end))
      return Effect.suspend((): Pull.Pull<NonEmptyReadonlyArray<A | B>, E, void, R> => {
        if (ended) return Cause.done()
        if (!between) return next
        return phases.has(phase) ? end : orEnd
      })
    }))

/** Whether the bytes so far are whole events of an event stream, so that another one can follow them. */
export const wholeEvents = () => {
  let tail = ""
  return (piece: Uint8Array): boolean => {
    tail = (tail + String.fromCharCode(...piece.subarray(-4))).slice(-4)
    return /(\r\n\r\n|\n\n|\r\r)$/.test(tail)
  }
}
