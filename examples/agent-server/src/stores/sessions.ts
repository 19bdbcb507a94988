/** Where sessions are kept: in the database, and with one that is shared, in what stands in for it while it is away. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Redis from "effect/persistence/Redis"
import type * as Redacted from "effect/Redacted"
import type * as Migrator from "effect/sql/Migrator"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as SqlError from "effect/sql/SqlError"
import { prepareDirectory } from "../sessions/database.ts"
import * as Sessions from "../sessions/Sessions.ts"
import { because, type CannotStart } from "../startup/CannotStart.ts"
import * as FallbackSessions from "./FallbackSessions.ts"
import * as Journal from "./journal.ts"

/** Where the data is, and what becomes of turns while a shared database is away. */
export interface Options {
  readonly dataDir: string
  readonly databaseUrl: Redacted.Redacted | undefined
  readonly whileAway: FallbackSessions.WhileAway
}

/** A SQLite file is not away, so nothing stands in for it. */
export const layer = (options: Options): Layer.Layer<
  Sessions.Sessions,
  CannotStart | Migrator.MigrationError | SqlError.SqlError,
  SqlClient.SqlClient | FileSystem.FileSystem | Path.Path
> => options.databaseUrl === undefined ? Sessions.layer : Layer.provide(withJournal(options), Sessions.layer)

const withJournal = ({ dataDir, whileAway }: Options) =>
  Layer.unwrap(Effect.gen(function*() {
    yield* prepareDirectory(dataDir)
    const redis = Option.getOrUndefined(yield* Effect.serviceOption(Redis.Redis))
    const alone = yield* Journal.tryLock(dataDir)
    if (!alone) {
      yield* Effect.logWarning(
        "DATA_DIR: another process has the journal. While the database is away, this one refuses to store anything"
      )
    }
    return Layer.catch(
      FallbackSessions.layer({
        whileAway: alone ? whileAway : "refuse",
        journal: alone ? Journal.layer(dataDir, redis) : Journal.layerCopies(redis)
      }),
      (error) =>
        Layer.effectContext(
          Effect.fail(because(`DATA_DIR: cannot use the journal in ${JSON.stringify(dataDir)}: ${error.message}`))
        )
    )
  }))
