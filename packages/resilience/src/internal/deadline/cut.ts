/** Cutting an effect when its time is up. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { type Current, CurrentDeadline } from "./current.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/**
 * Races an effect against a timer, as `Effect.raceFirst` does, where most effects are done before a timer would be set: the work gets
 * a fiber of its own, and only when it is not done at once is there a second one that waits.
 */
export const raceTimer = <A, E, R, E2>(
  parent: AnyFiber,
  self: Effect.Effect<A, E, R>,
  current: Current,
  timeIsUp: Effect.Effect<never, E2>
): Effect.Effect<A, E | E2, R> => {
  // The parent's context is that of R: its fiber runs an effect that needs R.
  const context = Context.add(parent.context, CurrentDeadline, current) as Context.Context<R>
  let work: Fiber.Fiber<A, E> | undefined
  let timer: Fiber.Fiber<never, E2> | undefined
  // The fibers are started below the finalizer: this one may be interrupted between any two steps.
  return Effect.onExitPrimitive(
    Effect.suspend((): Effect.Effect<A, E | E2, R> => {
      work = Effect.runForkWith(context)(self)
      const done = work.pollUnsafe()
      if (done !== undefined) return done
      return Effect.callback<A, E | E2>((resume) => {
        const end = (exit: Exit.Exit<A, E | E2>) => resume(exit)
        work!.addObserver(end)
        timer = Effect.runForkWith(context)(timeIsUp)
        timer.addObserver(end)
      })
    }),
    () => stopped(work, timer)
  )
}

/** The caller goes on when what it does not wait for any more has ended. */
const stopped = (work: AnyFiber | undefined, timer: AnyFiber | undefined): Effect.Effect<void> | undefined => {
  timer?.interruptUnsafe()
  if (work === undefined || work.pollUnsafe() !== undefined) return undefined
  work.interruptUnsafe()
  return work.pollUnsafe() === undefined ? Effect.asVoid(Fiber.await(work)) : undefined
}
