import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Metrics from "effect-resilience/Metrics"
import * as StoreMetrics from "effect-resilience/StoreMetrics"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import * as SqlClient from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"
import * as TestClock from "effect/testing/TestClock"
import { offerMany, orders } from "./support/deadLetters.ts"
import { parse } from "./support/exposition.ts"

const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const samples = Effect.map(Metrics.format(), (text) => parse(text).samples)

describe("StoreMetrics.layerSql", () => {
  const database = Layer.merge(
    SqliteClient.layer({ filename: ":memory:" }),
    StoreMetrics.layerSql({ system: "sqlite" })
  )

  const counts = Effect.map(samples, (all) =>
    Object.fromEntries(
      [...all].flatMap(([key, count]) => {
        const found = /^db_client_operation_duration_seconds_count\{(.*)\}$/.exec(key)
        return found === null ? [] : [[found[1]!.replace(",db_system_name=sqlite", ""), count]]
      })
    ))

  it.effect("times each statement by its first word, and says what failed", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE things (id INTEGER PRIMARY KEY)`
      yield* sql`insert INTO things (id) VALUES (1)`
      yield* sql`  SELECT * FROM things`
      yield* sql`SELECT * FROM things`.values
      yield* Effect.exit(sql`INSERT INTO things (id) VALUES (1)`)
      yield* Effect.exit(sql`nonsense ${"of somebody"}`)
      const all = yield* counts
      assert.deepInclude(all, {
        "db_operation_name=CREATE": 1,
        "db_operation_name=INSERT": 1,
        "db_operation_name=SELECT": 2
      })
      const failed = Object.keys(all).filter((key) => key.includes("error_type"))
      assert.strictEqual(failed.length, 2)
      assert.isTrue(failed.some((key) => /db_operation_name=INSERT,error_type=\w+/.test(key)))
      assert.isTrue(failed.some((key) => /db_operation_name=_OTHER,error_type=\w+/.test(key)))
    }).pipe(Effect.provide(database), apart))

  it.effect("leaves the transformer that is there at its work", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`SELECT 1`
      assert.deepStrictEqual(seen, ["SELECT 1"])
      assert.deepStrictEqual(yield* counts, { "db_operation_name=SELECT": 1 })
    }).pipe(Effect.provide(Layer.provideMerge(database, transforming)), apart))

  const seen: Array<string> = []
  const transforming = Layer.succeed(Statement.CurrentTransformer)((statement) => {
    seen.push(statement.compile()[0])
    return Effect.succeed(statement)
  })
})

describe("StoreMetrics.layerConnections", () => {
  it.effect("shows the pool as it is, and again when it is time; who does not answer stops nothing", () =>
    Effect.gen(function*() {
      const answers: Array<Effect.Effect<{ readonly idle: number; readonly used: number }, string>> = [
        Effect.succeed({ idle: 4, used: 1 }),
        Effect.fail("gone"),
        Effect.die("a defect"),
        Effect.succeed({ idle: 0, used: 5 })
      ]
      const read = Effect.suspend(() => answers.shift() ?? Effect.never)
      yield* Layer.build(StoreMetrics.layerConnections(read, { every: Schedule.spaced("10 seconds") }))
      const used = Effect.map(samples, (all) => all.get("db_client_connection_count{state=used}"))
      assert.strictEqual(yield* used, 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* used, 1)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* used, 5)
    }).pipe(Effect.scoped, apart))
})

describe("StoreMetrics.layerDeadLetters", () => {
  it.effect("shows how many letters there are in each state, and how old the oldest is", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* Layer.build(StoreMetrics.layerDeadLetters("orders", queue, { every: Schedule.spaced("10 seconds") }))
      const shown = Effect.map(samples, (all) => [
        all.get("dlq_depth{queue=orders,state=Dead}"),
        all.get("dlq_depth{queue=orders,state=Archived}"),
        all.get("dlq_oldest_age_seconds{queue=orders}")
      ])
      assert.deepStrictEqual(yield* shown, [0, 0, 0])
      const [first = ""] = yield* offerMany(queue, 3)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* shown, [3, 0, 20])
      yield* queue.archive([first])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* shown, [2, 1, 30])
    }).pipe(Effect.scoped, Effect.provide(DeadLetterQueue.layerStoreMemory), apart))

  it.effect("a pool that is watched is let go with its scope", () =>
    Effect.gen(function*() {
      let reads = 0
      const read = Effect.sync(() => {
        reads++
        return { idle: 0, used: 0 }
      })
      const watching = yield* Effect.forkChild(
        Effect.scoped(Effect.andThen(Layer.build(StoreMetrics.layerConnections(read)), Effect.never)),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(watching)
      const before = reads
      yield* TestClock.adjust("1 hour")
      // At once, and every 15 seconds.
      assert.strictEqual(before, 5)
      assert.strictEqual(reads, before)
    }).pipe(apart))
})
