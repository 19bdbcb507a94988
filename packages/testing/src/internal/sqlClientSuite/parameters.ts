/** What is bound comes back as it was, and never becomes SQL. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { count, insertAll, type It, makeTable, uniqueName } from "./table.ts"

const hostileStrings: ReadonlyArray<string> = [
  "",
  " ",
  "'",
  "''",
  "\"",
  "`",
  "\\",
  "\\'",
  "';--",
  "'; DROP TABLE users; --",
  "/* not a comment */",
  "-- nor this",
  "?",
  "$1",
  ":name",
  "%s",
  "100 %",
  "a_b",
  "line\nbreak",
  "carriage\r\nreturn",
  "tab\tbed",
  "\u0001\u001f\u007f",
  "é",
  "e\u0301",
  "日本語",
  "مرحبا",
  "👩‍👩‍👧‍👦",
  "\u202e backwards",
  "\ufeffmarked",
  "\uffff",
  "NULL",
  "0x41",
  "1e999",
  "{\"json\": [1, 2]}"
]

// PostgreSQL has no text with a zero character, and UTF-8 none with half a surrogate pair.
const Text = Schema.String.check(
  Schema.makeFilter((text: string) => text.isWellFormed() && !text.includes("\0"), {
    description: "text any database has"
  })
)

export const parameterTests = (it: It): void => {
  it.effect("a hostile string comes back as it was, as a value and as a condition", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, value TEXT NOT NULL")
      yield* insertAll(table, hostileStrings.map((value, id) => ({ id, value })))
      const rows = yield* sql<{ id: number; value: string }>`SELECT id, value FROM ${sql(table)} ORDER BY id`
      expect(rows.map((row) => row.value)).toEqual(hostileStrings)
      for (const [id, value] of hostileStrings.entries()) {
        const found = yield* sql<{ id: number }>`SELECT id FROM ${sql(table)} WHERE value = ${value}`
        expect(found.map((row) => row.id), JSON.stringify(value)).toEqual([id])
      }
    }))

  it.effect.prop("any string comes back as it was", [Text], ([value]) =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const rows = yield* sql<{ value: string }>`SELECT CAST(${value} AS TEXT) AS value`
      expect(rows[0]?.value).toBe(value)
    }))

  it.effect("a parameter that reads like SQL changes nothing", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("name TEXT NOT NULL")
      yield* sql`INSERT INTO ${sql(table)} ${sql.insert([{ name: "ada" }, { name: "grace" }])}`
      const name = `x' OR '1' = '1`
      expect(yield* sql`SELECT * FROM ${sql(table)} WHERE name = ${name}`).toEqual([])
      yield* sql`DELETE FROM ${sql(table)} WHERE name = ${`x'; DELETE FROM ${table}; --`}`
      expect(yield* count(table)).toBe(2)
    }))

  it.effect("a table and a column may have any name", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = `${uniqueName()} "; DROP TABLE x; --`
      const column = `select "from" where 1=1; --`
      yield* Effect.acquireRelease(
        sql`CREATE TABLE ${sql(table)} (${sql(column)} TEXT)`,
        () => Effect.orDie(sql`DROP TABLE ${sql(table)}`)
      )
      yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ [column]: "kept" })}`
      yield* sql`UPDATE ${sql(table)} SET ${sql.update({ [column]: "changed" })} WHERE ${sql(column)} = ${"kept"}`
      const rows = yield* sql<Record<string, unknown>>`SELECT ${sql(column)} FROM ${sql(table)}`
      expect(rows.map((row) => Object.entries(row))).toEqual([[[column, "changed"]]])
    }))

  it.effect("whole and fractional numbers come back as they were", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable(({ double }) => `id INTEGER PRIMARY KEY, whole INTEGER, fraction ${double}`)
      const whole = [0, 1, -1, 42, 2_147_483_647, -2_147_483_648]
      const fraction = [0.1, -0.5, 1e-300, 1.7976931348623157e308, 9007199254740991, Math.PI]
      yield* insertAll(table, whole.map((value, id) => ({ id, whole: value, fraction: fraction[id] })))
      const rows = yield* sql<{ whole: number; fraction: number }>`SELECT whole, fraction FROM ${
        sql(table)
      } ORDER BY id`
      expect(rows.map((row) => row.whole)).toEqual(whole)
      expect(rows.map((row) => row.fraction)).toEqual(fraction)
    }))

  it.effect("a bigint comes back exactly when safe integers are asked for", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable(({ int64 }) => `id INTEGER PRIMARY KEY, value ${int64} NOT NULL`)
      const values = [9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n, 9_007_199_254_740_993n, 0n]
      yield* insertAll(table, values.map((value, id) => ({ id, value })))
      const rows = yield* sql<{ value: bigint }>`SELECT value FROM ${sql(table)} ORDER BY id`.pipe(
        Effect.provideService(SqlClient.SafeIntegers, true)
      )
      expect(rows.map((row) => BigInt(row.value))).toEqual(values)
    }))

  it.effect("true and false come back as truth and falsehood", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable(({ boolean }) => `id INTEGER PRIMARY KEY, value ${boolean} NOT NULL`)
      yield* sql`INSERT INTO ${sql(table)} ${sql.insert([{ id: 1, value: true }, { id: 2, value: false }])}`
      const rows = yield* sql<{ value: boolean | number }>`SELECT value FROM ${sql(table)} ORDER BY id`
      expect(rows.map((row) => row.value)).toEqual(
        sql.onDialectOrElse({ sqlite: (): Array<boolean | number> => [1, 0], orElse: () => [true, false] })
      )
      const found = yield* sql<{ id: number }>`SELECT id FROM ${sql(table)} WHERE value = ${true}`
      expect(found.map((row) => row.id)).toEqual([1])
    }))

  it.effect("null is null, and so is undefined in a record", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, value TEXT")
      yield* sql`INSERT INTO ${sql(table)} ${sql.insert([{ id: 1, value: null }, { id: 2, value: undefined }])}`
      const rows = yield* sql<{ value: string | null }>`SELECT value FROM ${sql(table)} WHERE value IS NULL ORDER BY id`
      expect(rows.map((row) => row.value)).toEqual([null, null])
    }))

  it.effect("bytes come back as they were, none and many alike", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable(({ blob }) => `id INTEGER PRIMARY KEY, value ${blob} NOT NULL`)
      const values = [
        new Uint8Array(0),
        Uint8Array.from({ length: 256 }, (_, byte) => byte),
        new Uint8Array(new ArrayBuffer(16), 4, 8).fill(7),
        new Uint8Array(1_000_000).map((_, at) => at * 31)
      ]
      yield* insertAll(table, values.map((value, id) => ({ id, value })))
      const rows = yield* sql<{ value: Uint8Array }>`SELECT value FROM ${sql(table)} ORDER BY id`
      for (const [id, value] of values.entries()) {
        const read = rows[id]?.value
        expect(read).toBeInstanceOf(Uint8Array)
        expect(Buffer.from(read ?? []).equals(value), `value ${id}`).toBe(true)
      }
    }))

  it.effect("a thousand parameters keep their order", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, value TEXT NOT NULL")
      const records = Array.from({ length: 500 }, (_, id) => ({ id, value: `value ${id}` }))
      yield* insertAll(table, records)
      const rows = yield* sql`SELECT id, value FROM ${sql(table)} WHERE ${
        sql.in("id", records.map((record) => record.id))
      } ORDER BY id`
      expect(rows).toEqual(records)
    }))
}
