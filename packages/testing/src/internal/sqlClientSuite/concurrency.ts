/** Many fibers at once, and fibers that are interrupted at every point. */
import { expect } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as SqlClient from "effect/sql/SqlClient"
import { count, type It, makeTable } from "./table.ts"

const yields = (times: number): Effect.Effect<void> =>
  Effect.forEach(Array.from({ length: times }), () => Effect.yieldNow, { discard: true })

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, at) => at)

/** A table of batches, and a transaction that writes one batch of three rows with pauses between. */
const batches = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const table = yield* makeTable("batch INTEGER NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (batch, part)")
  const write = <E, R>(batch: number, before: (part: number) => Effect.Effect<unknown, E, R>) =>
    sql.withTransaction(Effect.forEach([0, 1, 2], (part) =>
      Effect.gen(function*() {
        yield* before(part)
        yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ batch, part })}`
        yield* Effect.yieldNow
      }), { discard: true }))
  return { sql, table, write }
})

export const concurrencyTests = (it: It): void => {
  it.effect("counters add up when many fibers count at once", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const table = yield* makeTable("id INTEGER PRIMARY KEY, n INTEGER NOT NULL")
      yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ id: 1, n: 0 })}`
      const add = sql`UPDATE ${sql(table)} SET n = n + 1 WHERE id = ${1}`
      yield* Effect.forEach(range(300), (at) => at % 3 === 0 ? sql.withTransaction(add) : add, {
        concurrency: "unbounded",
        discard: true
      })
      expect(yield* sql`SELECT n FROM ${sql(table)}`).toEqual([{ n: 300 }])
    }))

  it.effect("concurrent transactions do not interleave: each batch is whole or absent, to everyone", () =>
    Effect.gen(function*() {
      const { sql, table, write } = yield* batches
      const sizes = Effect.map(
        sql<{ n: number }>`SELECT CAST(COUNT(*) AS INTEGER) AS n FROM ${sql(table)} GROUP BY batch`,
        (rows) => rows.map((row) => row.n)
      )
      const seen: Array<number> = []
      const look = Effect.map(sizes, (found) => seen.push(...found))
      const exits = yield* Effect.forEach(range(40), (batch) =>
        Effect.exit(Effect.andThen(
          look,
          write(batch, (part) => batch % 4 === 0 && part === 2 ? Effect.fail("refused" as const) : yields(batch % 5))
        )), { concurrency: "unbounded" })
      expect(exits.filter(Exit.isFailure).length).toBe(10)
      expect((yield* sizes).length).toBe(30)
      yield* look
      expect(seen.filter((n) => n !== 3)).toEqual([])
    }))

  it.effect("interrupted at any point, a transaction leaves all or nothing and the client usable", () =>
    Effect.gen(function*() {
      const { sql, table, write } = yield* batches
      let batch = 0
      for (const at of [0, 1, 2]) {
        for (const later of range(25)) {
          const here = ++batch
          const reached = yield* Deferred.make<void>()
          const fiber = yield* Effect.forkChild(
            write(here, (part) => part === at ? Deferred.succeed(reached, undefined) : Effect.void)
          )
          yield* Deferred.await(reached)
          yield* yields(later)
          yield* Fiber.interrupt(fiber)
          const exit = yield* Fiber.await(fiber)
          const written = yield* count(table, `batch = ${here}`)
          expect([0, 3], `interrupted ${later} turns after part ${at}`).toContain(written)
          if (Exit.isSuccess(exit)) expect(written).toBe(3)
        }
      }
      expect(yield* sql`SELECT 1 AS one`).toEqual([{ one: 1 }])
    }))

  it.effect("interrupted statements leave the client usable", () =>
    Effect.gen(function*() {
      const { sql, table } = yield* batches
      for (const later of range(50)) {
        const fiber = yield* Effect.forkChild(sql`INSERT INTO ${sql(table)} ${sql.insert({ batch: later, part: 0 })}`)
        yield* yields(later % 10)
        yield* Fiber.interrupt(fiber)
      }
      expect(yield* sql.withTransaction(sql`SELECT 1 AS one`)).toEqual([{ one: 1 }])
    }))

  it.effect("a fiber interrupted while it waits for a connection takes none with it", () =>
    Effect.gen(function*() {
      const { sql, table } = yield* batches
      const fibers = 40
      for (const round of range(3)) {
        const gate = yield* Deferred.make<void>()
        const first = yield* Deferred.make<void>()
        let inside = 0
        const all = yield* Effect.forEach(range(fibers), (part) =>
          Effect.forkChild(sql.withTransaction(Effect.gen(function*() {
            inside += 1
            yield* Deferred.succeed(first, undefined)
            yield* Deferred.await(gate)
            yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ batch: round, part })}`
          }))))
        yield* Deferred.await(first)
        yield* yields(20)
        // The last ones are behind in line: with fewer connections than fibers, these are waiting.
        const waiting = all.slice(fibers / 2)
        yield* Effect.forEach(waiting, (fiber) =>
          Fiber.interrupt(fiber), { concurrency: "unbounded" })
        yield* Deferred.succeed(gate, undefined)
        const exits = yield* Effect.forEach(all, Fiber.await)
        expect(inside).toBeGreaterThan(0)
        expect(exits.slice(0, fibers / 2).every(Exit.isSuccess)).toBe(true)
        expect(yield* count(table, `batch = ${round}`)).toBe(exits.filter(Exit.isSuccess).length)
      }
    }))

  it.effect("a transaction goes on while others come and are interrupted", () =>
    Effect.gen(function*() {
      const { sql, table, write } = yield* batches
      const writer = yield* Effect.forkChild(Effect.forEach(range(30), (batch) => write(batch, () => Effect.yieldNow)))
      const others = yield* Effect.forkChild(Effect.forEach(range(60), (turn) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(sql.withTransaction(Effect.andThen(sql`SELECT 1`, Effect.never)))
          yield* yields(turn % 7)
          yield* Fiber.interrupt(fiber)
        }), { discard: true }))
      yield* Fiber.join(writer)
      yield* Fiber.join(others)
      expect(yield* count(table)).toBe(90)
    }))
}
