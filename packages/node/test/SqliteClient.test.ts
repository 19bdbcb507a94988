import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as SqlClientSuite from "@effect-resilience/testing/SqlClientSuite"
import { describe, expect, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as String from "effect/String"
import * as Tracer from "effect/Tracer"
import { join } from "node:path"
import { databaseFile, temporaryDirectory } from "./support/files.ts"
import { open } from "./support/sqlite.ts"

const renaming = {
  transformQueryNames: String.camelToSnake,
  transformResultNames: String.snakeToCamel
}

const onFile = (config: Omit<SqliteClient.SqliteClientConfig, "filename">) =>
  Layer.unwrap(Effect.map(databaseFile, (filename) => SqliteClient.layer({ ...config, filename })))

SqlClientSuite.sqlClientSuite("SqliteClient on a file", onFile({}), { renaming: onFile(renaming) })

SqlClientSuite.sqlClientSuite("SqliteClient in memory", SqliteClient.layer({ filename: ":memory:" }), {
  renaming: SqliteClient.layer({ filename: ":memory:", ...renaming })
})

SqlClientSuite.sqlClientSuite("SqliteClient without a write-ahead log", onFile({ disableWAL: true }))

SqlClientSuite.sqlClientSuite("SqliteClient that keeps no statements", onFile({ prepareCacheSize: 0 }))

const inMemory = open({ filename: ":memory:" })
const onFreshFile = Effect.flatMap(databaseFile, (filename) => open({ filename }))

describe("SqliteClient options", () => {
  it.effect("a file has a write-ahead log and its foreign keys are enforced", () =>
    Effect.gen(function*() {
      const sql = yield* onFreshFile
      expect(yield* sql`PRAGMA journal_mode`).toEqual([{ journal_mode: "wal" }])
      expect(yield* sql`PRAGMA foreign_keys`).toEqual([{ foreign_keys: 1 }])
    }))

  it.effect("without a write-ahead log the journal mode stays as it is", () =>
    Effect.gen(function*() {
      const filename = yield* databaseFile
      const sql = yield* open({ filename, disableWAL: true })
      expect(yield* sql`PRAGMA journal_mode`).toEqual([{ journal_mode: "delete" }])
    }))

  it.effect("a read-only client reads and refuses to write", () =>
    Effect.gen(function*() {
      const filename = yield* databaseFile
      const writer = yield* open({ filename })
      yield* writer`CREATE TABLE t (id INTEGER PRIMARY KEY)`
      yield* writer`INSERT INTO t VALUES (1)`
      const reader = yield* open({ filename, readonly: true })
      expect(yield* reader`SELECT id FROM t`).toEqual([{ id: 1 }])
      expect(yield* reader.withTransaction(reader`SELECT id FROM t`)).toEqual([{ id: 1 }])
      expect(yield* Stream.runCollect(reader`SELECT id FROM t`.stream)).toEqual([{ id: 1 }])
      const error = yield* Effect.flip(reader`INSERT INTO t VALUES (2)`)
      expect(error.reason._tag).toBe("AuthorizationError")
      expect(error.message).toContain(filename)
    }))

  it("an option out of range throws at once and names itself and its value", () => {
    const layer = (config: Partial<SqliteClient.SqliteClientConfig>) => () =>
      SqliteClient.layer({ filename: ":memory:", ...config })
    expect(layer({ prepareCacheSize: -1 })).toThrow(/prepareCacheSize.*-1/)
    expect(layer({ prepareCacheSize: 1.5 })).toThrow(RangeError)
    expect(layer({ prepareCacheTTL: -1 })).toThrow(/prepareCacheTTL.*-1/)
    expect(layer({ busyTimeout: "-3 seconds" })).toThrow(/busyTimeout.*-3 seconds/)
  })

  it.effect("the options can come from the configuration", () =>
    Effect.gen(function*() {
      const layer = SqliteClient.layerConfig({
        filename: Config.String("SQLITE_FILE"),
        readonly: Config.Boolean("SQLITE_READONLY").pipe(Config.withDefault(false))
      })
      const filename = yield* databaseFile
      const journal = Effect.flatMap(SqliteClient.SqliteClient, (sql) => sql<{ file: string }>`PRAGMA database_list`)
        .pipe(
          Effect.provide(layer)
        )
      const rows = yield* Effect.provide(
        journal,
        ConfigProvider.layer(ConfigProvider.fromUnknown({ SQLITE_FILE: filename }))
      )
      expect(rows[0]?.file).toBe(filename)
      const error = yield* Effect.flip(
        Effect.provide(journal, ConfigProvider.layer(ConfigProvider.fromUnknown({})))
      )
      expect(error._tag).toBe("ConfigError")
    }))

  it.effect("a statement's span says which system it asked, and carries the attributes given", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const sql = yield* open({ filename: ":memory:", spanAttributes: { "db.namespace": "sessions" } })
      yield* sql`SELECT 1`.pipe(Effect.provideService(Tracer.Tracer, tracer))
      expect(spans[0]?.name).toBe("sessions")
      expect(spans[0]?.attributes.get("db.system.name")).toBe("sqlite")
      expect(spans[0]?.attributes.get("db.query.text")).toBe("SELECT 1")
    }))
})

describe("SqliteClient values", () => {
  it.effect("what SQLite has no value for is refused, in any place, and says what to bind instead", () =>
    Effect.gen(function*() {
      const sql = yield* inMemory
      const refused = (value: unknown) =>
        Effect.gen(function*() {
          for (const statement of [sql`SELECT ${value} AS a`, sql`SELECT ${1} AS a, ${value} AS b`]) {
            const error = yield* Effect.flip(statement)
            expect(error.reason._tag).toBe("UnknownError")
            expect(error.message).toMatch(/^parameter [12] is a/)
          }
          return (yield* Effect.flip(sql`SELECT ${value}`)).message
        })
      expect(yield* refused(new Date(0))).toMatch(/toISOString/)
      expect(yield* refused({ a: 1 })).toMatch(/JSON.stringify/)
      expect(yield* refused([1])).toMatch(/sql.in/)
      expect(yield* refused(Symbol.iterator)).toMatch(/symbol/)
      expect(yield* refused(() => 1)).toMatch(/function/)
      const tooLarge = yield* Effect.flip(sql`SELECT ${2n ** 64n}`)
      expect(tooLarge.reason._tag).toBe("UnknownError")
    }))

  it.effect("an integer beyond what a number holds fails to be read, unless safe integers are asked for", () =>
    Effect.gen(function*() {
      const sql = yield* inMemory
      const query = sql<{ n: bigint }>`SELECT 9007199254740993 AS n`
      const error = yield* Effect.flip(query)
      expect(error.reason._tag).toBe("UnknownError")
      expect(error.message).toMatch(/SafeIntegers/)
      const safe = Effect.provideService(SqlClient.SafeIntegers, true)
      expect(yield* safe(query)).toEqual([{ n: 9007199254740993n }])
      expect(yield* safe(query.values)).toEqual([[9007199254740993n]])
      const streamed = Stream.runCollect(query.stream)
      expect(yield* safe(streamed)).toEqual([{ n: 9007199254740993n }])
      expect(yield* safe(sql.withTransaction(streamed))).toEqual([{ n: 9007199254740993n }])
      expect((yield* Effect.flip(query)).message).toMatch(/SafeIntegers/)
      expect(yield* sql`SELECT 1 AS n`).toEqual([{ n: 1 }])
    }))

  it.effect("text may hold a zero character, and bytes come from every kind of view", () =>
    Effect.gen(function*() {
      const sql = yield* inMemory
      expect(yield* sql`SELECT ${"a\0b"} AS a`).toEqual([{ a: "a\0b" }])
      const bytes = Uint8Array.of(1, 2, 3, 4)
      for (const value of [bytes, bytes.buffer, new DataView(bytes.buffer), Buffer.from(bytes), new Int8Array(bytes)]) {
        const rows = yield* sql<{ a: Uint8Array }>`SELECT ${value} AS a`
        expect([...rows[0]?.a ?? []]).toEqual([1, 2, 3, 4])
      }
    }))

  it.effect("a number is bound as a floating-point value, a bigint as an integer", () =>
    Effect.gen(function*() {
      const sql = yield* inMemory
      yield* sql`CREATE TABLE t (value TEXT)`
      yield* sql`INSERT INTO t ${sql.insert([{ value: 42 }, { value: 42n }, { value: "42" }])}`
      expect(yield* sql`SELECT value FROM t`.values).toEqual([["42.0"], ["42"], ["42"]])
    }))

  it.effect("two columns of one name are both there as values", () =>
    Effect.gen(function*() {
      const sql = yield* inMemory
      expect(yield* sql`SELECT 1 AS a, 2 AS a`.values).toEqual([[1, 2]])
    }))

  it.effect("the raw result of a write tells how many rows it changed", () =>
    Effect.gen(function*() {
      const sql = yield* inMemory
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY)`
      expect(yield* sql`INSERT INTO t VALUES (7), (8)`.raw).toEqual({ changes: 2, lastInsertRowid: 8 })
      expect(yield* sql`SELECT id FROM t`.raw).toEqual([{ id: 7 }, { id: 8 }])
    }))
})

describe("SqliteClient streams", () => {
  const numbers = (filename: string, config?: Partial<SqliteClient.SqliteClientConfig>) =>
    Effect.gen(function*() {
      const sql = yield* open({ ...config, filename })
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY)`
      yield* sql`INSERT INTO t WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000) SELECT n FROM c`
      return sql
    })
  const size = (stream: Stream.Stream<unknown, SqlError>) => Stream.runFold(stream, () => 0, (n) => n + 1)

  it.effect("a stream reads the rows there were when it began, while others write", () =>
    Effect.gen(function*() {
      const sql = yield* numbers(yield* databaseFile)
      let written = 1000
      const read = yield* sql`SELECT id FROM t`.stream.pipe(
        Stream.tap(() => {
          const id = ++written
          return sql`INSERT INTO t VALUES (${id})`
        }),
        size
      )
      expect(read).toBe(1000)
      expect(yield* size(sql`SELECT id FROM t`.stream)).toBe(2000)
    }))

  it.effect("a stream does not wait for a transaction that is open", () =>
    Effect.gen(function*() {
      const sql = yield* numbers(yield* databaseFile)
      const inside = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const writer = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
        yield* sql`DELETE FROM t`
        yield* Deferred.succeed(inside, undefined)
        yield* Deferred.await(gate)
      })))
      yield* Deferred.await(inside)
      expect(yield* size(sql`SELECT id FROM t`.stream)).toBe(1000)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(writer)
      expect(yield* size(sql`SELECT id FROM t`.stream)).toBe(0)
    }))

  it.effect("what only the main connection knows streams too: temporary tables, attached files, writes", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory
      const sql = yield* numbers(join(directory, "main.sqlite"))
      yield* sql`CREATE TEMP TABLE aside AS SELECT id FROM t WHERE id <= 10`
      yield* sql`ATTACH DATABASE ${join(directory, "attached.sqlite")} AS attached`
      yield* sql`CREATE TABLE attached.more AS SELECT id FROM t WHERE id <= 20`
      expect(yield* size(sql`SELECT id FROM aside`.stream)).toBe(10)
      expect(yield* size(sql`SELECT id FROM attached.more`.stream)).toBe(20)
      expect(yield* size(sql`DELETE FROM t WHERE id <= 30 RETURNING id`.stream)).toBe(30)
      expect(yield* size(sql`SELECT id FROM t`.stream)).toBe(970)
    }))

  it.effect("a transaction goes on writing while it streams", () =>
    Effect.gen(function*() {
      const sql = yield* numbers(":memory:")
      const read = yield* sql.withTransaction(
        sql<{ id: number }>`SELECT id FROM t ORDER BY id`.stream.pipe(
          Stream.tap(({ id }) => sql`UPDATE t SET id = ${-id} WHERE id = ${id}`),
          Stream.take(500),
          size
        )
      )
      expect(read).toBe(500)
      expect(yield* size(sql`SELECT id FROM t WHERE id < 0`.stream)).toBe(500)
    }))

  it.effect("an error in the middle of a stream fails it", () =>
    Effect.gen(function*() {
      const sql = yield* numbers(yield* databaseFile)
      yield* sql`CREATE TABLE documents (body TEXT)`
      yield* sql`INSERT INTO documents SELECT CASE id WHEN 900 THEN '{' ELSE '{}' END FROM t`
      let read = 0
      const stream = sql`SELECT json_extract(body, '$.a') AS a FROM documents`.stream
      const error = yield* Effect.flip(Stream.runForEach(stream, () => Effect.sync(() => read++)))
      expect(error.reason._tag).toBe("UnknownError")
      expect(error.message).toMatch(/malformed JSON/)
      expect(read).toBeLessThan(900)
      expect(read).toBeGreaterThan(0)
    }))
})
