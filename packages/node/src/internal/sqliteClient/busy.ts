/**
 * Waits for a lock that another connection holds. SQLite's own busy timeout would sleep inside the call and stop the
 * whole process with it; here the fiber sleeps, so others run on and the wait can be interrupted.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { isBusy } from "./errors.ts"

/** The milliseconds SQLite's own busy handler waits before each new try (`sqliteDefaultBusyCallback`); the last repeats. */
const delays = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100]

/** Something to do with a database, and how its failure is told. */
export interface Attempt<A> {
  /** Throws while the database is locked, and then has changed nothing. */
  readonly attempt: () => A
  readonly onFailure: (cause: unknown) => SqlError
  /** Milliseconds to wait in all. */
  readonly timeout: number
  /** Applied to the waiting alone. Default: it is as interruptible as the rest. */
  readonly wait?: ((sleep: Effect.Effect<void>) => Effect.Effect<void>) | undefined
}

/** Makes the attempt, again and again while the database is locked. */
export const whileBusy = <A>(
  { attempt, onFailure, timeout, wait = identity }: Attempt<A>
): Effect.Effect<A, SqlError> => {
  const run = (waited: number, tries: number): Effect.Effect<A, SqlError> => {
    try {
      return Effect.succeed(attempt())
    } catch (cause) {
      if (waited >= timeout || !isBusy(cause)) return Effect.fail(onFailure(cause))
      const delay = Math.min(delays[Math.min(tries, delays.length - 1)] ?? 0, timeout - waited)
      return Effect.flatMap(wait(Effect.sleep(delay)), () => run(waited + delay, tries + 1))
    }
  }
  return Effect.suspend(() => run(0, 0))
}

/** The same for a resource: only the waiting can be interrupted, so what was acquired is always released. */
export const acquireWhileBusy = <A>(
  attempt: Attempt<A>,
  release: (a: A) => void
): Effect.Effect<A, SqlError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.acquireRelease(whileBusy({ ...attempt, wait: restore }), (a) => Effect.sync(() => release(a)))
  )
