/** Starts spread evenly, so that no window of any place in time has more of them than it may. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../monotonic.ts"
import { positiveInteger, positiveMillis } from "../options.ts"

/**
 * At most `limit` in any `window`, evenly spread.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rate {
  readonly limit: number
  readonly window: Duration.Input
}

/** Waits for the next free moment. A wait that is interrupted leaves its moment unused. */
export const make = (given: number | Rate | undefined): Effect.Effect<void> => {
  if (given === undefined) return Effect.void
  const rate = typeof given === "number" ? { limit: given, window: 1_000 } : given
  const interval = positiveMillis("rate.window", rate.window) / positiveInteger("rate.limit", rate.limit)
  let next = -Infinity
  return Effect.withFiber((fiber) => {
    const now = monotonicMillis(fiber)
    const mine = Math.max(now, next)
    next = mine + interval
    const waitUntil: Effect.Effect<void> = Effect.suspend(() => {
      const left = mine - monotonicMillis(fiber)
      // Timers count in milliseconds and may fire early by a part of one.
      return left <= 0 ? Effect.void : Effect.andThen(Effect.sleep(Math.ceil(left)), waitUntil)
    })
    return waitUntil
  })
}
