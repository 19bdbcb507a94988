/** A transaction is whole or nothing, however it ends; nested ones are savepoints. */
import { expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { count, type It, makeTable } from "./table.ts"

class Refused {
  readonly _tag = "Refused"
}

/** A fresh table and how to write a row into it. */
const rows = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const table = yield* makeTable("id INTEGER PRIMARY KEY")
  const insert = (id: number): Effect.Effect<void, SqlError> =>
    Effect.asVoid(sql`INSERT INTO ${sql(table)} ${sql.insert({ id })}`)
  const ids = Effect.map(
    sql<{ id: number }>`SELECT id FROM ${sql(table)} ORDER BY id`,
    (rows) => rows.map((row) => row.id)
  )
  return { sql, table, insert, ids }
})

export const transactionTests = (it: It): void => {
  it.effect("a transaction that succeeds is written and gives its result", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      const result = yield* sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* insert(2)
        return yield* ids
      }))
      expect(result).toEqual([1, 2])
      expect(yield* ids).toEqual([1, 2])
    }))

  it.effect("a transaction that fails writes nothing and fails with its own error", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      const refused = new Refused()
      const error = yield* Effect.flip(sql.withTransaction(Effect.andThen(insert(1), Effect.fail(refused))))
      expect(error).toBe(refused)
      expect(yield* ids).toEqual([])
    }))

  it.effect("a statement that fails takes the transaction with it", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      const exit = yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(1), insert(1))))
      expect(Exit.isFailure(exit)).toBe(true)
      expect(yield* ids).toEqual([])
    }))

  it.effect("a transaction that dies writes nothing and dies the same way", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      const defect = new Error("a bug")
      const exit = yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(1), Effect.die(defect))))
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBe(defect)
      expect(yield* ids).toEqual([])
    }))

  it.effect("a transaction that is interrupted writes nothing", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      const inside = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(
        sql.withTransaction(
          Effect.andThen(insert(1), Effect.andThen(Deferred.succeed(inside, undefined), Effect.never))
        )
      )
      yield* Deferred.await(inside)
      yield* Fiber.interrupt(fiber)
      expect(yield* ids).toEqual([])
      yield* sql.withTransaction(insert(2))
      expect(yield* ids).toEqual([2])
    }))

  it.effect("a transaction reads what it wrote", () =>
    Effect.gen(function*() {
      const { insert, sql, table } = yield* rows
      const seen = yield* sql.withTransaction(Effect.andThen(insert(1), count(table)))
      expect(seen).toBe(1)
    }))

  it.effect("nobody reads what a transaction has not committed", () =>
    Effect.gen(function*() {
      const { insert, sql, table } = yield* rows
      const written = yield* Deferred.make<void>()
      const writer = yield* Effect.forkChild(Effect.exit(sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* Deferred.succeed(written, undefined)
        yield* Effect.repeat(Effect.yieldNow, { times: 50 })
        return yield* Effect.fail(new Refused())
      }))))
      yield* Deferred.await(written)
      expect(yield* count(table)).toBe(0)
      expect(Exit.isFailure(yield* Fiber.join(writer))).toBe(true)
    }))

  it.effect("a nested transaction that fails is undone alone", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* Effect.flip(sql.withTransaction(Effect.andThen(insert(2), Effect.fail(new Refused()))))
        yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(3), Effect.die("a bug"))))
        yield* sql.withTransaction(insert(4))
      }))
      expect(yield* ids).toEqual([1, 4])
    }))

  it.effect("a nested transaction in which a statement failed leaves the outer one usable", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        const error = yield* Effect.flip(sql.withTransaction(Effect.andThen(insert(2), insert(1))))
        expect(error.reason._tag).toBe("UniqueViolation")
        yield* insert(3)
      }))
      expect(yield* ids).toEqual([1, 3])
    }))

  it.effect("an outer transaction that fails takes the nested ones with it", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      const nested = sql.withTransaction(Effect.andThen(insert(2), sql.withTransaction(insert(3))))
      yield* Effect.flip(sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* nested
        return yield* Effect.fail(new Refused())
      })))
      expect(yield* ids).toEqual([])
    }))

  it.effect("a nested transaction that is interrupted is undone alone", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        const inside = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          sql.withTransaction(
            Effect.andThen(insert(2), Effect.andThen(Deferred.succeed(inside, undefined), Effect.never))
          )
        )
        yield* Deferred.await(inside)
        yield* Fiber.interrupt(fiber)
        yield* insert(3)
      }))
      expect(yield* ids).toEqual([1, 3])
    }))

  it.effect("nested transactions of several fibers take turns", () =>
    Effect.gen(function*() {
      const { ids, insert, sql } = yield* rows
      yield* sql.withTransaction(Effect.forEach([1, 2, 3, 4, 5, 6], (id) =>
        Effect.exit(sql.withTransaction(Effect.gen(function*() {
          yield* insert(id)
          yield* Effect.yieldNow
          if (id % 2 === 0) return yield* Effect.fail(new Refused())
        }))), { concurrency: "unbounded" }))
      expect(yield* ids).toEqual([1, 3, 5])
    }))

  it.effect("what waits for the commit runs after it, and not at all without one", () =>
    Effect.gen(function*() {
      const { insert, sql, table } = yield* rows
      const seen: Array<number> = []
      const note = sql.afterCommit(Effect.orDie(Effect.asVoid(Effect.map(count(table), (n) => seen.push(n)))))
      yield* sql.withTransaction(Effect.gen(function*() {
        yield* note
        yield* insert(1)
        yield* insert(2)
        expect(seen).toEqual([])
      }))
      expect(seen).toEqual([2])
      yield* Effect.flip(sql.withTransaction(Effect.andThen(note, Effect.fail(new Refused()))))
      expect(seen).toEqual([2])
    }))

  it.effect("a commit that fails writes nothing, fails with the reason, and leaves the client usable", () =>
    Effect.gen(function*() {
      const { ids, insert, sql, table } = yield* rows
      const child = yield* makeTable(`parent INTEGER REFERENCES ${table} (id) DEFERRABLE INITIALLY DEFERRED`)
      const error = yield* Effect.flip(sql.withTransaction(Effect.gen(function*() {
        yield* insert(1)
        yield* sql`INSERT INTO ${sql(child)} ${sql.insert({ parent: 404 })}`
      })))
      expect(error.reason._tag).toBe("ConstraintError")
      expect(yield* ids).toEqual([])
      yield* sql.withTransaction(insert(2))
      expect(yield* ids).toEqual([2])
    }))

  it.effect("a reserved connection runs statements until its scope closes", () =>
    Effect.gen(function*() {
      const { ids, sql, table } = yield* rows
      yield* Effect.scoped(Effect.gen(function*() {
        const connection = yield* sql.reserve
        yield* connection.execute(`INSERT INTO ${table} (id) VALUES (1)`, [], undefined)
        expect(yield* connection.executeValues(`SELECT id FROM ${table}`, [])).toEqual([[1]])
      }))
      expect(yield* ids).toEqual([1])
    }))
}
