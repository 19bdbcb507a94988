/** Locks that another connection holds, in virtual time: the fiber waits, the thread does not. */
import type { SqliteClientConfig } from "@effect-resilience/node/SqliteClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { databaseFile } from "./support/files.ts"
import { open, otherConnection, settle } from "./support/sqlite.ts"

const locked = (config?: Partial<SqliteClientConfig>) =>
  Effect.gen(function*() {
    const filename = yield* databaseFile
    const sql = yield* open({ ...config, filename })
    yield* sql`CREATE TABLE t (id INTEGER PRIMARY KEY)`
    const other = yield* otherConnection(filename)
    other.exec("BEGIN IMMEDIATE")
    return { filename, sql, other, insert: (id: number) => sql`INSERT INTO t VALUES (${id})` }
  })

/** Whether a fiber is still running after everything that can run now has run. */
const isRunning = (fiber: Fiber.Fiber<unknown, unknown>) => Effect.map(settle, () => fiber.pollUnsafe() === undefined)

describe("a lock held by another connection", () => {
  it.effect("is waited for, and the statement runs when it is free", () =>
    Effect.gen(function*() {
      const { insert, other, sql } = yield* locked()
      const fiber = yield* Effect.forkChild(insert(1))
      yield* TestClock.adjust("4 seconds")
      expect(yield* isRunning(fiber)).toBe(true)
      other.exec("COMMIT")
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(fiber)
      expect(yield* sql`SELECT id FROM t`).toEqual([{ id: 1 }])
    }))

  it.effect("is given up on after five seconds, with a LockTimeoutError that names the file", () =>
    Effect.gen(function*() {
      const { filename, insert } = yield* locked()
      const fiber = yield* Effect.forkChild(Effect.flip(insert(1)))
      yield* TestClock.adjust("4999 millis")
      expect(yield* isRunning(fiber)).toBe(true)
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      expect(error.reason._tag).toBe("LockTimeoutError")
      expect(error.isRetryable).toBe(true)
      expect(error.message).toContain(filename)
    }))

  it.effect("is given up on after the time that was asked for, at once for none", () =>
    Effect.gen(function*() {
      const { insert } = yield* locked({ busyTimeout: 0 })
      expect((yield* Effect.flip(insert(1))).reason._tag).toBe("LockTimeoutError")
      const patient = yield* locked({ busyTimeout: "1 minute" })
      const fiber = yield* Effect.forkChild(Effect.flip(patient.insert(1)))
      yield* TestClock.adjust("59 seconds")
      expect(yield* isRunning(fiber)).toBe(true)
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(fiber)).reason._tag).toBe("LockTimeoutError")
    }))

  it.effect("is waited for by a transaction at its beginning", () =>
    Effect.gen(function*() {
      const { insert, other, sql } = yield* locked()
      let begun = false
      const fiber = yield* Effect.forkChild(
        sql.withTransaction(Effect.andThen(Effect.sync(() => begun = true), insert(1)))
      )
      yield* TestClock.adjust("1 second")
      expect(yield* isRunning(fiber)).toBe(true)
      expect(begun).toBe(false)
      other.exec("ROLLBACK")
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(fiber)
      expect(begun).toBe(true)
    }))

  it.effect("does not stop readers where there is a write-ahead log", () =>
    Effect.gen(function*() {
      const { other, sql } = yield* locked()
      other.exec("INSERT INTO t VALUES (9)")
      expect(yield* sql`SELECT id FROM t`).toEqual([])
      expect(yield* Stream.runCollect(sql`SELECT id FROM t`.stream)).toEqual([])
    }))

  it.effect("a statement or transaction interrupted while it waits frees the connection", () =>
    Effect.gen(function*() {
      const { insert, other, sql } = yield* locked()
      for (const waiting of [insert(1), sql.withTransaction(insert(1))]) {
        const fiber = yield* Effect.forkChild(waiting)
        yield* TestClock.adjust("1 second")
        expect(yield* isRunning(fiber)).toBe(true)
        const behind = yield* Effect.forkChild(sql`SELECT id FROM t`)
        expect(yield* isRunning(behind)).toBe(true)
        yield* Fiber.interrupt(fiber)
        expect(yield* Fiber.join(behind)).toEqual([])
      }
      other.exec("ROLLBACK")
      yield* sql.withTransaction(insert(2))
      expect(yield* sql`SELECT id FROM t`).toEqual([{ id: 2 }])
    }))

  it.effect("is waited for by a commit where there is no write-ahead log", () =>
    Effect.gen(function*() {
      const { insert, other, sql } = yield* locked({ disableWAL: true })
      other.exec("ROLLBACK; BEGIN")
      other.prepare("SELECT * FROM t").all()
      const fiber = yield* Effect.forkChild(sql.withTransaction(insert(1)))
      yield* TestClock.adjust("2 seconds")
      expect(yield* isRunning(fiber)).toBe(true)
      other.exec("COMMIT")
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(fiber)
      expect(yield* sql`SELECT id FROM t`).toEqual([{ id: 1 }])
    }))

  it.effect("a commit that never got the lock writes nothing", () =>
    Effect.gen(function*() {
      const { insert, other, sql } = yield* locked({ disableWAL: true })
      other.exec("ROLLBACK; BEGIN")
      other.prepare("SELECT * FROM t").all()
      const fiber = yield* Effect.forkChild(Effect.flip(sql.withTransaction(insert(1))))
      yield* TestClock.adjust("5 seconds")
      expect((yield* Fiber.join(fiber)).reason._tag).toBe("LockTimeoutError")
      other.exec("COMMIT")
      expect(yield* sql`SELECT id FROM t`).toEqual([])
      yield* sql.withTransaction(insert(2))
      expect(yield* sql`SELECT id FROM t`).toEqual([{ id: 2 }])
    }))

  it.effect("is waited for by opening the file", () =>
    Effect.gen(function*() {
      const filename = yield* databaseFile
      const other = yield* otherConnection(filename)
      other.exec("PRAGMA locking_mode = EXCLUSIVE; CREATE TABLE t (id INTEGER PRIMARY KEY)")
      const fiber = yield* Effect.forkChild(Effect.flip(Effect.scoped(open({ filename }))))
      yield* TestClock.adjust("4999 millis")
      expect(yield* isRunning(fiber)).toBe(true)
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      expect(error.reason._tag).toBe("LockTimeoutError")
      expect(error.message).toContain(filename)
      const waiting = yield* Effect.forkChild(open({ filename }))
      yield* TestClock.adjust("1 second")
      other.close()
      yield* TestClock.adjust("100 millis")
      const sql = yield* Fiber.join(waiting)
      expect(yield* sql`SELECT id FROM t`).toEqual([])
    }))
})
