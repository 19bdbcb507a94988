/** A table for one test, which the tests beside it on the same database do not meet. */
import type { Vitest } from "@effect/vitest"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { randomUUID } from "node:crypto"

/** The tests of a layer that provides the client under test. */
export type It = Vitest.MethodsNonLive<SqlClient.SqlClient>

/** A name no other test has. Lower case, so that every dialect keeps it as it is with and without quotes. */
export const uniqueName = (): string => `suite_${randomUUID().replaceAll("-", "")}`

/** The column types that the two dialects call differently. */
export interface Types {
  readonly blob: string
  readonly double: string
  readonly boolean: string
  readonly int64: string
}

const typesOf = (sql: SqlClient.SqlClient): Types =>
  sql.onDialectOrElse({
    sqlite: () => ({ blob: "BLOB", double: "REAL", boolean: "INTEGER", int64: "INTEGER" }),
    orElse: () => ({ blob: "BYTEA", double: "DOUBLE PRECISION", boolean: "BOOLEAN", int64: "BIGINT" })
  })

/** Creates a table with these columns and drops it at the end of the test. */
export const makeTable = (
  columns: string | ((types: Types) => string)
): Effect.Effect<string, SqlError, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const name = uniqueName()
    const body = typeof columns === "string" ? columns : columns(typesOf(sql))
    yield* Effect.acquireRelease(
      sql`CREATE TABLE ${sql(name)} (${sql.literal(body)})`,
      () => Effect.orDie(sql`DROP TABLE IF EXISTS ${sql(name)}`)
    )
    return name
  })

/** How many rows a table has, as a number in every dialect. */
export const count = (table: string, where?: string): Effect.Effect<number, SqlError, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const rows = yield* sql<
      { n: number }
    >`SELECT CAST(COUNT(*) AS INTEGER) AS n FROM ${sql(table)} ${
      sql.literal(where === undefined ? "" : `WHERE ${where}`)
    }`
    return rows[0]?.n ?? Number.NaN
  })

/** Inserts these rows, in one statement. */
export const insertAll = (
  table: string,
  rows: ReadonlyArray<Record<string, unknown>>
): Effect.Effect<void, SqlError, SqlClient.SqlClient> =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      Arr.isReadonlyArrayNonEmpty(rows)
        ? Effect.asVoid(sql`INSERT INTO ${sql(table)} ${sql.insert(rows)}`)
        : Effect.void
  )
