/** Streams give every row, in order, and hold nothing longer than they run. */
import { expect } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { count, type It, makeTable, uniqueName } from "./table.ts"

const total = 2_000

const numbers = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const table = yield* makeTable("id INTEGER PRIMARY KEY, seen INTEGER DEFAULT 0 NOT NULL")
  yield* sql`INSERT INTO ${sql(table)} (id)
    WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < CAST(${total} AS INTEGER))
    SELECT n FROM counter`
  const stream = sql<{ id: number }>`SELECT id FROM ${sql(table)} ORDER BY id`.stream
  return { sql, table, stream }
})

const firstIds = (n: number) => Array.from({ length: n }, (_, at) => ({ id: at + 1 }))

export const streamingTests = (it: It): void => {
  it.effect("a stream gives every row in order", () =>
    Effect.gen(function*() {
      const { stream } = yield* numbers
      expect(yield* Stream.runCollect(stream)).toEqual(firstIds(total))
      expect(yield* Stream.runCollect(stream)).toEqual(firstIds(total))
    }))

  it.effect("a stream of no rows is empty", () =>
    Effect.gen(function*() {
      const { sql, table } = yield* numbers
      expect(yield* Stream.runCollect(sql`SELECT id FROM ${sql(table)} WHERE id < ${0}`.stream)).toEqual([])
    }))

  it.effect("a stream that is left early frees what it held, again and again", () =>
    Effect.gen(function*() {
      const { stream, table } = yield* numbers
      for (let turn = 0; turn < 40; turn++) {
        expect(yield* Stream.runCollect(Stream.take(stream, 3))).toEqual(firstIds(3))
      }
      expect(yield* count(table)).toBe(total)
    }))

  it.effect("statements and transactions run while a stream is open", () =>
    Effect.gen(function*() {
      const { sql, stream, table } = yield* numbers
      yield* stream.pipe(
        Stream.filter(({ id }) => id % 100 === 0),
        Stream.mapEffect(({ id }) => {
          const see = sql`UPDATE ${sql(table)} SET seen = ${1} WHERE id = ${id}`
          return id % 200 === 0 ? sql.withTransaction(see) : see
        }),
        Stream.runDrain
      )
      expect(yield* count(table, "seen = 1")).toBe(total / 100)
    }))

  it.effect("a stream inside a transaction sees the rows of that transaction, which goes on after it", () =>
    Effect.gen(function*() {
      const { sql, stream, table } = yield* numbers
      const error = yield* Effect.flip(sql.withTransaction(Effect.gen(function*() {
        yield* sql`DELETE FROM ${sql(table)} WHERE id > ${10}`
        expect(yield* Stream.runCollect(stream)).toEqual(firstIds(10))
        expect(yield* Stream.runCollect(Stream.take(stream, 2))).toEqual(firstIds(2))
        yield* sql`DELETE FROM ${sql(table)} WHERE id > ${5}`
        expect(yield* count(table)).toBe(5)
        return yield* Effect.fail("undo" as const)
      })))
      expect(error).toBe("undo")
      expect(yield* count(table)).toBe(total)
    }))

  it.effect("a stream that cannot start fails with a SqlSyntaxError", () =>
    Effect.gen(function*() {
      const { sql, table } = yield* numbers
      const error = yield* Effect.flip(Stream.runCollect(sql`SELECT * FROM ${sql(uniqueName())}`.stream))
      expect(error.reason._tag).toBe("SqlSyntaxError")
      expect(yield* count(table)).toBe(total)
    }))

  it.effect("an interrupted stream leaves the client usable", () =>
    Effect.gen(function*() {
      const { stream, table } = yield* numbers
      for (let turn = 0; turn < 20; turn++) {
        const inside = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(
            Stream.drop(stream, turn * 50),
            () => Effect.andThen(Deferred.succeed(inside, undefined), Effect.never)
          )
        )
        yield* Deferred.await(inside)
        yield* Fiber.interrupt(fiber)
      }
      expect(yield* count(table)).toBe(total)
    }))

  it.effect("many streams at once each give every row", () =>
    Effect.gen(function*() {
      const { stream } = yield* numbers
      const counts = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => Stream.runFold(stream, () => 0, (n) => n + 1),
        { concurrency: "unbounded" }
      )
      expect(counts).toEqual(Array.from({ length: 20 }, () => total))
    }))
}
