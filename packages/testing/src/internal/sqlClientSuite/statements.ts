/** Inserts, updates, conditions and the ways to run one statement. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { count, type It, makeTable } from "./table.ts"

export const statementTests = (it: It): void => {
  it.effect("an insert gives back what it was asked to return", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, name TEXT NOT NULL, score INTEGER DEFAULT 7")
      const rows = yield* sql`INSERT INTO ${sql(table)} ${
        sql.insert([{ id: 1, name: "ada" }, { id: 2, name: "grace" }]).returning("*")
      }`
      expect(rows).toEqual([{ id: 1, name: "ada", score: 7 }, { id: 2, name: "grace", score: 7 }])
      expect(yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ id: 3, name: "edsger" })}`).toEqual([])
    }))

  it.effect("an update changes the rows it names and gives them back", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, name TEXT NOT NULL, score INTEGER NOT NULL")
      yield* sql`INSERT INTO ${sql(table)} ${
        sql.insert([{ id: 1, name: "ada", score: 1 }, { id: 2, name: "grace", score: 2 }])
      }`
      const updated = { id: 2, name: "grace hopper", score: 20 }
      const rows = yield* sql`UPDATE ${sql(table)} SET ${
        sql.update(updated, ["id"])
      } WHERE id = ${updated.id} RETURNING *`
      expect(rows).toEqual([updated])
      expect(yield* sql`SELECT score FROM ${sql(table)} ORDER BY id`).toEqual([{ score: 1 }, { score: 20 }])
    }))

  it.effect("an insert or update finds the row that is there", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("name TEXT PRIMARY KEY, hits INTEGER NOT NULL")
      const hit = sql`INSERT INTO ${sql(table)} ${
        sql.insert({ name: "home", hits: 1 })
      } ON CONFLICT (name) DO UPDATE SET hits = ${sql(table)}.hits + 1 RETURNING hits`
      expect(yield* hit).toEqual([{ hits: 1 }])
      expect(yield* hit).toEqual([{ hits: 2 }])
    }))

  it.effect("conditions combine, and an empty list is in nothing", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, kind TEXT NOT NULL")
      yield* sql`INSERT INTO ${sql(table)} ${
        sql.insert([{ id: 1, kind: "a" }, { id: 2, kind: "b" }, { id: 3, kind: "a" }])
      }`
      const ids = (condition: Parameters<typeof sql.and>[0][number]) =>
        Effect.map(
          sql<{ id: number }>`SELECT id FROM ${sql(table)} WHERE ${
            typeof condition === "string" ? sql.literal(condition) : condition
          } ${sql.csv("ORDER BY", ["id"])}`,
          (rows) => rows.map((row) => row.id)
        )
      expect(yield* ids(sql.and([sql`kind = ${"a"}`, sql`id > ${1}`]))).toEqual([3])
      expect(yield* ids(sql.or([sql`kind = ${"b"}`, sql`id = ${1}`]))).toEqual([1, 2])
      expect(yield* ids(sql.in("id", [3, 1]))).toEqual([1, 3])
      expect(yield* ids(sql.in("id", []))).toEqual([])
      expect(yield* ids(sql`id IN ${sql.in([])}`)).toEqual([])
      expect(yield* ids(sql.and([]))).toEqual([1, 2, 3])
    }))

  it.effect("the same rows come as objects, as arrays, unprepared and without transforms", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, first_name TEXT NOT NULL")
      yield* sql`INSERT INTO ${sql(table)} ${
        sql.insert([{ id: 1, first_name: "ada" }, { id: 2, first_name: "grace" }])
      }`
      const query = sql`SELECT id, first_name FROM ${sql(table)} ORDER BY id`
      const objects = [{ id: 1, first_name: "ada" }, { id: 2, first_name: "grace" }]
      const arrays = [[1, "ada"], [2, "grace"]]
      // Twice and mixed: how one run wants its rows says nothing about the next run of the same statement.
      for (let run = 0; run < 2; run++) {
        expect(yield* query).toEqual(objects)
        expect(yield* query.values).toEqual(arrays)
        expect(yield* query.unprepared).toEqual(objects)
        expect(yield* query.valuesUnprepared).toEqual(arrays)
        expect(yield* query.withoutTransform).toEqual(objects)
      }
      expect(yield* query.raw).toBeDefined()
      expect(yield* sql.unsafe(`SELECT first_name FROM ${table} WHERE id = ${1}`)).toEqual([{ first_name: "ada" }])
    }))

  it.effect("a statement sees the columns a table has now, not those it had", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY")
      yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ id: 1 })}`
      const all = () => sql.unsafe(`SELECT id, kind FROM ${table}`)
      expect((yield* Effect.flip(all())).reason._tag).toBe("SqlSyntaxError")
      yield* sql`ALTER TABLE ${sql(table)} ADD COLUMN kind TEXT DEFAULT 'new'`
      expect(yield* all()).toEqual([{ id: 1, kind: "new" }])
    }))

  it.effect("the client knows its dialect and its driver", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const version = yield* sql.onDialectOrElse({
        sqlite: () => sql<{ version: string }>`SELECT sqlite_version() AS version`,
        pg: () => sql<{ version: string }>`SELECT version() AS version`,
        orElse: () => Effect.succeed([{ version: "unknown" }])
      })
      expect(version[0]?.version).toMatch(/\d/)
      expect(sql.driver).not.toBe("")
      expect(sql.safe).toBe(sql)
    }))

  it.effect("a large result comes whole", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, value TEXT NOT NULL")
      yield* sql`INSERT INTO ${sql(table)} (id, value)
        WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 50000)
        SELECT n, 'row ' || CAST(n AS TEXT) FROM counter`
      expect(yield* count(table)).toBe(50_000)
      const rows = yield* sql<{ id: number; value: string }>`SELECT id, value FROM ${sql(table)} ORDER BY id`
      expect(rows.length).toBe(50_000)
      expect(rows.every((row, at) => row.id === at + 1 && row.value === `row ${at + 1}`)).toBe(true)
    }))

  it.effect("a large text comes whole", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("value TEXT NOT NULL")
      const value = "0123456789abcdef é".repeat(100_000)
      yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ value })}`
      const rows = yield* sql<{ value: string }>`SELECT value FROM ${sql(table)}`
      expect(rows[0]?.value === value).toBe(true)
    }))
}
