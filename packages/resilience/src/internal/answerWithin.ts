/** Waits for a store's answer, for so long and not longer. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/**
 * Ends with `orElse` when nothing has come within the time.
 *
 * In a process that was busy for longer than that, the time is over before anybody has looked at what has arrived: timers come
 * first in a turn of the event loop. So there is one more look. An answer that is there by then is an answer.
 */
export const answerWithin = <A, E, B, E2, R2>(
  self: Effect.Effect<A, E>,
  millis: number,
  orElse: Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E | E2, R2> =>
  Effect.flatMap(
    Effect.raceFirst(Effect.asSome(self), Effect.as(Effect.andThen(Effect.sleep(millis), lastLook), Option.none<A>())),
    (answer): Effect.Effect<A | B, E2, R2> => Option.isSome(answer) ? Effect.succeed(answer.value) : orElse
  )

/** The first turn reads what has arrived, the second lets whoever waits for it have it. */
const lastLook = Effect.andThen(Effect.yieldNow, Effect.yieldNow)
