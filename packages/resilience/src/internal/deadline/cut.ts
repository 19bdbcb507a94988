/** Cutting an effect when its time is up. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { monotonicMillis } from "../monotonic.ts"
import { type Current, CurrentDeadline } from "./current.ts"
import * as Timer from "./timer.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/**
 * Runs an effect until it is done or its time is up, as `Effect.timeout` does, where most effects are done before a timer would be
 * set: the work gets a fiber of its own, and only when it is not done at once is there a timer. `late` says what is wrong then.
 */
export const raceTimer = <A, E, R, E2>(
  parent: AnyFiber,
  self: Effect.Effect<A, E, R>,
  current: Current,
  late: () => E2
): Effect.Effect<A, E | E2, R> => {
  // The parent's context is that of R: its fiber runs an effect that needs R.
  const context = Context.add(parent.context, CurrentDeadline, current) as Context.Context<R>
  let work: Fiber.Fiber<A, E> | undefined
  let stop: Timer.Stop | undefined
  // Work and timer are started below the finalizer: this fiber may be interrupted between any two steps.
  return Effect.onExitPrimitive(
    Effect.suspend((): Effect.Effect<A, E | E2, R> => {
      work = Effect.runForkWith(context)(self)
      const done = work.pollUnsafe()
      if (done !== undefined) return done
      return Effect.callback<A, E | E2>((resume) => {
        work!.addObserver(resume)
        stop = Timer.start(
          parent,
          current.end - monotonicMillis(parent),
          (exit) => resume(Exit.isSuccess(exit) ? Exit.fail(late()) : Exit.failCause(exit.cause))
        )
      })
    }),
    () => stopped(work, stop)
  )
}

/** The caller goes on when what it does not wait for any more has ended. */
const stopped = (work: AnyFiber | undefined, stop: Timer.Stop | undefined): Effect.Effect<void> | undefined => {
  stop?.()
  if (work === undefined || work.pollUnsafe() !== undefined) return undefined
  work.interruptUnsafe()
  return work.pollUnsafe() === undefined ? Effect.asVoid(Fiber.await(work)) : undefined
}
