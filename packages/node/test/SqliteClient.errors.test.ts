/** Files that cannot be opened or are damaged, and errors whose result code alone does not say what they are. */
import type * as SqliteClient from "@effect-resilience/node/SqliteClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import { databaseFile, temporaryDirectory } from "./support/files.ts"
import { open } from "./support/sqlite.ts"

const openError = (config: SqliteClient.SqliteClientConfig) => Effect.scoped(Effect.flip(open(config)))

describe("opening a file that cannot be opened is a ConnectionError that says which and why", () => {
  it.effect("the directory is missing", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const filename = join(directory, "missing", "test.sqlite")
      const error = yield* openError({ filename })
      expect(error.reason._tag).toBe("ConnectionError")
      expect(error.message).toBe(
        `cannot open the SQLite database ${filename}: the directory ${join(directory, "missing")} does not exist ` +
          "(unable to open database file)"
      )
      expect(error.reason.operation).toBe("open")
    }))

  it.effect("it is a directory, or in a file", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      expect((yield* openError({ filename: directory })).message).toMatch(/it is a directory/)
      const file = join(directory, "file")
      writeFileSync(file, "")
      const inFile = yield* openError({ filename: join(file, "test.sqlite") })
      expect(inFile.reason._tag).toBe("ConnectionError")
      expect(inFile.message).toMatch(/file is not a directory/)
    }))

  it.effect("it does not exist and may not be created", () =>
    Effect.gen(function*() {
      const filename = yield* databaseFile
      const error = yield* openError({ filename, readonly: true })
      expect(error.reason._tag).toBe("ConnectionError")
      expect(error.message).toMatch(/does not exist, and a read-only client creates nothing/)
    }))

  it.effect("it is no database", () =>
    Effect.gen(function*() {
      const filename = yield* databaseFile
      writeFileSync(filename, "a letter, not a database\n".repeat(200))
      for (const config of [{}, { readonly: true }, { disableWAL: true }]) {
        const error = yield* openError({ filename, ...config })
        expect(error.reason._tag).toBe("ConnectionError")
        expect(error.message).toBe(`cannot open the SQLite database ${filename}: file is not a database`)
      }
      expect(readFileSync(filename, "utf8")).toMatch(/^a letter/)
    }))

  it.effect("its name holds a zero character", () =>
    Effect.gen(function*() {
      expect((yield* openError({ filename: "test\0.sqlite" })).reason._tag).toBe("ConnectionError")
    }))
})

describe("a damaged file", () => {
  it.effect("fails the statement that meets the damage, not retryably, and names the file", () =>
    Effect.gen(function*() {
      const filename = yield* databaseFile
      yield* Effect.scoped(Effect.gen(function*() {
        const sql = yield* open({ filename })
        yield* sql`CREATE TABLE sound (id INTEGER PRIMARY KEY)`
        yield* sql`CREATE TABLE damaged (id INTEGER PRIMARY KEY, body TEXT)`
        yield* sql`INSERT INTO damaged WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 500)
          SELECT n, printf('%.100c', 'x') FROM c`
      }))
      const file = openSync(filename, "r+")
      writeSync(file, Buffer.alloc(4096 * 5, 0xff), 0, 4096 * 5, 4096 * 3)
      closeSync(file)
      const sql = yield* open({ filename })
      const error = yield* Effect.flip(sql`SELECT sum(length(body)) FROM damaged`)
      expect(error.reason._tag).toBe("UnknownError")
      expect(error.isRetryable).toBe(false)
      expect(error.message).toBe(`database disk image is malformed (${filename})`)
      expect(yield* sql`SELECT id FROM sound`).toEqual([])
    }))

  it.effect("a full one is a ConnectionError that names it, and can be read", () =>
    Effect.gen(function*() {
      const filename = yield* databaseFile
      const sql = yield* open({ filename })
      yield* sql`CREATE TABLE t (body BLOB)`
      yield* sql`PRAGMA max_page_count = 10`
      const error = yield* Effect.flip(Effect.forever(sql`INSERT INTO t VALUES (randomblob(4000))`))
      expect(error.reason._tag).toBe("ConnectionError")
      expect(error.message).toBe(`database or disk is full (${filename})`)
      expect((yield* sql`SELECT body FROM t`).length).toBeGreaterThan(0)
    }))
})

describe("errors of a statement", () => {
  it.effect("the same result code is a SqlSyntaxError before a statement runs and not once it runs", () =>
    Effect.gen(function*() {
      const sql = yield* open({ filename: ":memory:" })
      const tag = (statement: string) =>
        Effect.map(Effect.flip(sql.unsafe(statement)), (error) => [error.reason._tag, error.message])
      expect(yield* tag("SELECT nope()")).toEqual(["SqlSyntaxError", "no such function: nope"])
      expect(yield* tag("SELECT json('{')")).toEqual(["UnknownError", "malformed JSON"])
      expect(yield* tag("SELECT abs(-9223372036854775807 - 1)")).toEqual(["UnknownError", "integer overflow"])
      expect((yield* tag(""))[0]).toBe("SqlSyntaxError")
      expect((yield* tag("-- nothing"))[0]).toBe("SqlSyntaxError")
    }))

  it.effect("what a trigger raises is a ConstraintError with its words", () =>
    Effect.gen(function*() {
      const sql = yield* open({ filename: ":memory:" })
      yield* sql`CREATE TABLE t (id INTEGER)`
      yield* sql`CREATE TRIGGER no_seven BEFORE INSERT ON t WHEN NEW.id = 7 BEGIN SELECT RAISE(ABORT, 'no sevens'); END`
      const error = yield* Effect.flip(sql`INSERT INTO t VALUES (7)`)
      expect(error.reason._tag).toBe("ConstraintError")
      expect(error.message).toBe("no sevens")
    }))

  it.effect("the constraint is named by its columns, or by its index", () =>
    Effect.gen(function*() {
      const sql = yield* open({ filename: ":memory:" })
      yield* sql`CREATE TABLE t (a TEXT, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID`
      yield* sql`CREATE UNIQUE INDEX lower_a ON t (lower(a))`
      yield* sql`INSERT INTO t VALUES ('x', 'y')`
      const constraint = (statement: string) =>
        Effect.map(Effect.flip(sql.unsafe(statement)), ({ reason }) =>
          reason._tag === "UniqueViolation" ? reason.constraint : reason._tag)
      expect(yield* constraint("INSERT INTO t VALUES ('X', 'z')")).toBe("index 'lower_a'")
      yield* sql`DROP INDEX lower_a`
      expect(yield* constraint("INSERT INTO t VALUES ('x', 'y')")).toBe("t.a, t.b")
    }))

  it.effect("a comment or an empty statement after a statement is no second one", () =>
    Effect.gen(function*() {
      const sql = yield* open({ filename: ":memory:" })
      for (const after of [";", " ; ", ";;\n", "; -- the end", "; /* the ** end */", "; -- a\n /* b */ -- c", ";/*"]) {
        expect(yield* sql.unsafe(`SELECT 1 AS one${after}`), after).toEqual([{ one: 1 }])
      }
      for (const after of ["; SELECT 2", "; -- a\nSELECT 2", "; /* a */ SELECT 2", ";\0", "; - 1", "; /* a */ /"]) {
        const error = yield* Effect.flip(sql.unsafe(`SELECT 1 AS one${after}`))
        expect(error.reason._tag, JSON.stringify(after)).toBe("SqlSyntaxError")
      }
      expect(yield* sql.unsafe("SELECT ';' AS a -- ; SELECT 2")).toEqual([{ a: ";" }])
    }))
})
