/** The store in a database, by its dialect. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlError from "effect/sql/SqlError"
import * as Postgres from "./postgres.ts"
import * as Sqlite from "./sqlite.ts"
import { RateLimiterStore } from "./store.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface SqlOptions {
  /** What the names of tables and functions begin with: small letters, digits and `_`. Default `"rate_limits"`. */
  readonly table?: string | undefined
}

export const layer = (
  options: SqlOptions
): Layer.Layer<RateLimiterStore, SqlError.SqlError, SqlClient.SqlClient> => {
  const table = options.table ?? "rate_limits"
  if (!/^[a-z_][a-z0-9_]{0,39}$/.test(table)) {
    throw new RangeError(`table must be up to 40 small letters, digits and _, got ${table}`)
  }
  return Layer.effect(
    RateLimiterStore,
    Effect.flatMap(SqlClient.SqlClient, (client) =>
      client.onDialectOrElse({
        pg: () => Postgres.make(client, table),
        sqlite: () => Sqlite.make(client, table),
        orElse: () => Effect.die(new Error("Rate limits can be kept in PostgreSQL and SQLite"))
      }))
  )
}
