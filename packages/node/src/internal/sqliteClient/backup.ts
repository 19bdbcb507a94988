/** Copies a database into another file while it is in use. */
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import { backup as copy } from "node:sqlite"
import type { Database } from "./database.ts"
import { toSqlError } from "./errors.ts"

/** How many pages there were, and how many of them were not copied: 0, since a backup is whole or fails. */
export interface BackupMetadata {
  readonly totalPages: number
  readonly remainingPages: number
}

/** Copies in steps on a thread of its own; an interruption stops it after the current step and waits for that. */
export const backup = ({ db }: Database, destination: string): Effect.Effect<BackupMetadata, SqlError> =>
  Effect.callback((resume, signal) => {
    const fail = (cause: unknown) => resume(Effect.fail(toSqlError(cause, { operation: "backup", file: destination })))
    // Throwing in the progress callback is how node:sqlite's backup is stopped; SQLite then undoes what was copied.
    const progress = () => signal.throwIfAborted()
    try {
      const copied = copy(db, destination, { progress }).then(
        (totalPages) => resume(Effect.succeed({ totalPages, remainingPages: 0 })),
        fail
      )
      return Effect.promise(() => copied)
    } catch (cause) {
      fail(cause)
    }
  })
