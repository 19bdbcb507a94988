/** What fails, fails as a `SqlError` whose reason says what to do about it, and the client goes on working. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError, type SqlError, type SqlErrorReason } from "effect/sql/SqlError"
import { count, type It, makeTable, uniqueName } from "./table.ts"

const reasonOf = (
  statement: Effect.Effect<unknown, SqlError>
): Effect.Effect<SqlErrorReason, unknown, SqlClient.SqlClient> =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(statement)
    expect(isSqlError(error)).toBe(true)
    expect(error.message).not.toBe("")
    expect(error.reason.cause).toBeDefined()
    const sql = yield* SqlClient.SqlClient
    expect(yield* sql`SELECT 1 AS one`).toEqual([{ one: 1 }])
    return error.reason
  })

export const errorTests = (it: It): void => {
  it.effect("a second row with the same unique column is a UniqueViolation that names the constraint", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, email TEXT UNIQUE")
      yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ id: 1, email: "ada@example.org" })}`
      const unique = yield* reasonOf(sql`INSERT INTO ${sql(table)} ${sql.insert({ id: 2, email: "ada@example.org" })}`)
      expect(unique._tag).toBe("UniqueViolation")
      expect(unique._tag === "UniqueViolation" && unique.constraint).toMatch(/email/)
      expect(unique.isRetryable).toBe(false)
      const primary = yield* reasonOf(sql`INSERT INTO ${sql(table)} ${sql.insert({ id: 1, email: "x" })}`)
      expect(primary._tag).toBe("UniqueViolation")
      expect(primary._tag === "UniqueViolation" && primary.constraint).not.toBe("unknown")
      expect(yield* count(table)).toBe(1)
    }))

  it.effect("a missing value, a failed check and a missing reference are ConstraintErrors", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const parent = yield* makeTable("id INTEGER PRIMARY KEY")
      const table = yield* makeTable(
        `id INTEGER PRIMARY KEY, name TEXT NOT NULL, age INTEGER CHECK (age >= 0), parent INTEGER REFERENCES ${parent} (id)`
      )
      const insert = (row: Record<string, unknown>) => reasonOf(sql`INSERT INTO ${sql(table)} ${sql.insert(row)}`)
      expect((yield* insert({ id: 1, name: null }))._tag).toBe("ConstraintError")
      expect((yield* insert({ id: 1, name: "x", age: -1 }))._tag).toBe("ConstraintError")
      expect((yield* insert({ id: 1, name: "x", parent: 404 }))._tag).toBe("ConstraintError")
      expect(yield* count(table)).toBe(0)
    }))

  it.effect("what does not compile is a SqlSyntaxError: bad syntax, no such table, no such column", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY")
      for (
        const statement of [
          sql`SELEC 1`,
          sql`SELECT * FROM`,
          sql`SELECT * FROM ${sql(uniqueName())}`,
          sql`SELECT no_such_column FROM ${sql(table)}`,
          sql`INSERT INTO ${sql(table)} ${sql.insert({ no_such_column: 1 })}`
        ]
      ) {
        const reason = yield* reasonOf(statement)
        expect(reason._tag, statement.compile()[0]).toBe("SqlSyntaxError")
        expect(reason.isRetryable).toBe(false)
      }
    }))

  it.effect("a table that was there and is gone is a SqlSyntaxError too", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY")
      const all = sql`SELECT id FROM ${sql(table)}`
      expect(yield* all).toEqual([])
      yield* sql`DROP TABLE ${sql(table)}`
      expect((yield* reasonOf(all))._tag).toBe("SqlSyntaxError")
    }))

  it.effect("a text with two statements is refused and none of them runs", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY")
      const two = `INSERT INTO ${table} (id) VALUES (1); INSERT INTO ${table} (id) VALUES (2)`
      expect((yield* reasonOf(sql.unsafe(two)))._tag).toBe("SqlSyntaxError")
      expect(yield* count(table)).toBe(0)
      yield* sql.unsafe(`INSERT INTO ${table} (id) VALUES (3);`)
      expect(yield* count(table)).toBe(1)
    }))

  it.effect("an error can be caught by its tag", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const caught = yield* sql`SELECT * FROM ${sql(uniqueName())}`.pipe(
        Effect.catchTag("SqlError", (error) => Effect.succeed(error.reason._tag))
      )
      expect(caught).toBe("SqlSyntaxError")
    }))
}
