/** Waking somebody later. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"

/** Stops a timer that has not gone off. */
export type Stop = () => void

/** The clock of a program that has not provided another. */
const live = Context.get(Context.empty(), Clock.Clock)

/** The longest time that `setTimeout` takes. */
const longestMillis = 2 ** 31 - 1

/**
 * Calls `wake` once, after so many milliseconds of the fiber's clock. Most of what has a time limit is done long before, so a timer
 * is to cost little when it is stopped: it has a fiber of its own only where another clock than the program's has to be asked.
 */
export const start = (
  fiber: Fiber.Fiber<unknown, unknown>,
  millis: number,
  wake: (exit: Exit.Exit<void>) => void
): Stop => {
  if (millis <= longestMillis && fiber.getRef(Clock.Clock) === live) {
    // oxlint-disable-next-line rooms/no-ambient -- this is that clock's sleep, as it says itself, without a fiber to wait in
    const handle = setTimeout(() => wake(Exit.void), millis)
    return () => clearTimeout(handle)
  }
  const sleeping = Effect.runForkWith(fiber.context)(Effect.sleep(millis))
  sleeping.addObserver(wake)
  return () => sleeping.interruptUnsafe()
}
