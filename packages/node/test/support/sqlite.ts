/** A client for one test, and connections beside it that are not Effect's. */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { SqlError } from "effect/sql/SqlError"
import { DatabaseSync } from "node:sqlite"

/** Opens a client that is closed at the end of the test. */
export const open = (
  config: SqliteClient.SqliteClientConfig
): Effect.Effect<SqliteClient.SqliteClient, SqlError, Scope.Scope> =>
  Effect.map(Layer.build(SqliteClient.layer(config)), (context) => Context.get(context, SqliteClient.SqliteClient))

/** Another connection to the file, as another process would have it. */
export const otherConnection = (file: string): Effect.Effect<DatabaseSync, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => new DatabaseSync(file)), (db) => Effect.sync(() => db.isOpen && db.close()))

/** Gives every fiber that can run without the clock its turn. */
export const settle: Effect.Effect<void> = Effect.forEach(Array.from({ length: 50 }), () => Effect.yieldNow, {
  discard: true
})
