/** What one shared connection makes possible to get wrong, and this client does not. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import { databaseFile } from "./support/files.ts"
import { open, otherConnection } from "./support/sqlite.ts"

const withTable = Effect.gen(function*() {
  const filename = yield* databaseFile
  const sql = yield* open({ filename })
  yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT ROLLBACK)`
  const insert = (id: number) => sql`INSERT INTO t VALUES (${id})`
  const ids = Effect.map(sql<{ id: number }>`SELECT id FROM t ORDER BY id`, (rows) => rows.map((row) => row.id))
  return { filename, sql, insert, ids }
})

describe("a transaction begun by hand", () => {
  it.effect("is undone and refused, so that nobody writes into it", () =>
    Effect.gen(function*() {
      const { filename, ids, insert, sql } = yield* withTable
      for (const statement of [sql`BEGIN`, sql`BEGIN IMMEDIATE`, sql`SAVEPOINT mine`, sql.unsafe("begin").unprepared]) {
        const error = yield* Effect.flip(statement)
        expect(error.reason._tag).toBe("UnknownError")
        expect(error.message).toMatch(/withTransaction/)
      }
      yield* insert(1)
      expect(yield* ids).toEqual([1])
      const other = yield* otherConnection(filename)
      expect(other.prepare("SELECT count(*) AS n FROM t").get()?.["n"]).toBe(1)
    }))

  it.effect("works on a reserved connection, and is undone when left open", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* withTable
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* sql.reserve
        yield* connection.execute("BEGIN", [], undefined)
        yield* connection.execute("INSERT INTO t VALUES (1)", [], undefined)
        yield* connection.execute("COMMIT", [], undefined)
        yield* connection.execute("BEGIN", [], undefined)
        yield* connection.execute("INSERT INTO t VALUES (2)", [], undefined)
      }))
      yield* insert(3)
      expect(yield* ids).toEqual([1, 3])
    }))
})

describe("a transaction that SQLite rolls back on its own", () => {
  it.effect("writes nothing more, even when the error was caught", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* withTable
      const seen: Array<string> = []
      const error = yield* Effect.flip(sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        seen.push((yield* Effect.orDie(Effect.flip(insert(1)))).reason._tag)
        // Without the guard this one would run outside the transaction, and stay.
        const refused = yield* Effect.orDie(Effect.flip(insert(2)))
        expect(refused.message).toMatch(/SQLite rolled this transaction back: UNIQUE constraint failed/)
      })))
      expect(seen).toEqual(["UniqueViolation"])
      expect(error.message).toMatch(/SQLite rolled this transaction back/)
      expect(yield* ids).toEqual([])
      yield* sql.withTransaction(insert(3))
      expect(yield* ids).toEqual([3])
    }))

  it.effect("takes the nested one's outer transaction with it", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* withTable
      const exit = yield* Effect.exit(sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(2), insert(1))))
        yield* Effect.exit(insert(3))
      })))
      expect(Exit.isFailure(exit)).toBe(true)
      expect(yield* ids).toEqual([])
      yield* insert(4)
      expect(yield* ids).toEqual([4])
    }))

  it.effect("can be given up and begun again on a reserved connection", () =>
    Effect.gen(function*() {
      const { ids, sql } = yield* withTable
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* sql.reserve
        const run = (statement: string) => connection.execute(statement, [], undefined)
        yield* run("BEGIN")
        yield* run("INSERT INTO t VALUES (1)")
        yield* Effect.flip(run("INSERT INTO t VALUES (1)"))
        yield* Effect.flip(run("INSERT INTO t VALUES (2)"))
        yield* Effect.flip(run("ROLLBACK TO SAVEPOINT x"))
        yield* run("ROLLBACK")
        yield* run("INSERT INTO t VALUES (3)")
      }))
      expect(yield* ids).toEqual([3])
    }))

  it.effect("is one of a full database too", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* withTable
      yield* sql`CREATE TABLE blobs (body BLOB)`
      yield* sql`PRAGMA max_page_count = 20`
      const error = yield* Effect.flip(sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* Effect.flip(Effect.forever(sql`INSERT INTO blobs VALUES (randomblob(4000))`))
        return yield* Effect.asVoid(insert(2))
      })))
      expect(error.message).toMatch(/rolled this transaction back: database or disk is full/)
      expect(yield* ids).toEqual([])
    }))
})

describe("the one connection", () => {
  it.effect("is not for a fiber that outlives its transaction", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* withTable
      const ended = yield* Deferred.make<void>()
      const late = yield* sql.withTransaction(
        Effect.andThen(
          insert(1),
          Effect.forkDetach(Effect.exit(Effect.andThen(Deferred.await(ended), insert(2))))
        )
      )
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* Deferred.succeed(ended, undefined)
        const exit = yield* Fiber.join(late)
        expect(Exit.isFailure(exit)).toBe(true)
        yield* insert(3)
      }))
      expect(yield* ids).toEqual([1, 3])
    }))

  it.effect("is not waited for by the transaction that holds it", () =>
    Effect.gen(function*() {
      const { insert, sql } = yield* withTable
      const error = yield* Effect.flip(sql.withTransaction(Effect.andThen(insert(1), Effect.scoped(sql.reserve))))
      expect(error.message).toMatch(/would wait for the connection it holds/)
    }))

  it.effect("is refused once the client is closed, also in a transaction that was under way", () =>
    Effect.gen(function*() {
      const filename = yield* databaseFile
      const scope = yield* Scope.make()
      const sql = yield* Scope.provide(open({ filename }), scope)
      yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY)`
      const inside = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
        yield* sql`INSERT INTO t VALUES (1)`
        yield* Deferred.succeed(inside, undefined)
        yield* Deferred.await(gate)
        yield* sql`INSERT INTO t VALUES (2)`
      })))
      yield* Deferred.await(inside)
      yield* Scope.close(scope, Exit.void)
      yield* Deferred.succeed(gate, undefined)
      const error = yield* Effect.flip(Fiber.join(fiber))
      expect(error.reason._tag).toBe("ConnectionError")
      expect(error.message).toContain(filename)
      for (
        const attempt of [sql`SELECT 1`, sql.withTransaction(sql`SELECT 1`), sql.export, sql.backup(`${filename}2`)]
      ) {
        expect((yield* Effect.flip<unknown, SqlErrorLike, never>(attempt)).reason._tag).toBe("ConnectionError")
      }
      const again = yield* open({ filename })
      expect(yield* again`SELECT id FROM t`).toEqual([])
    }))
})

interface SqlErrorLike {
  readonly reason: { readonly _tag: string }
}

describe("the way a transaction begins", () => {
  it.effect("takes the write lock first, and can be told not to", () =>
    Effect.gen(function*() {
      const { filename, insert, sql } = yield* withTable
      yield* insert(1)
      const other = yield* otherConnection(filename)
      const locked = sql.withTransaction(Effect.sync(() => {
        try {
          other.exec("BEGIN IMMEDIATE; ROLLBACK")
          return false
        } catch {
          return true
        }
      }))
      expect(yield* locked).toBe(true)
      expect(yield* Effect.provideService(locked, SqlClient.BeginTransaction, "BEGIN")).toBe(false)
    }))

  it.effect("a deferred one whose snapshot grew stale is a SerializationError at once", () =>
    Effect.gen(function*() {
      const { filename, ids, insert, sql } = yield* withTable
      const other = yield* otherConnection(filename)
      const error = yield* sql.withTransaction(Effect.gen(function*() {
        yield* ids
        other.exec("INSERT INTO t VALUES (10)")
        yield* insert(1)
      })).pipe(Effect.provideService(SqlClient.BeginTransaction, "BEGIN"), Effect.flip)
      expect(error.reason._tag).toBe("SerializationError")
      expect(error.isRetryable).toBe(true)
      expect(yield* ids).toEqual([10])
    }))
})
