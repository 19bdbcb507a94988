/** What every store of letters must stand: huge payloads, records that went bad, clocks that are wrong, old tables. */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it, layer as provide } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { offerMany, orders, outcomes } from "./support/deadLetters.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "dead-letters-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const file = Layer.unwrap(
  Effect.map(folder, (folder) => DeadLetterQueue.layerStoreFile({ path: join(folder, "letters.log") }))
).pipe(Layer.provide(NodeFileSystem.layer))

const sqlite = Layer.unwrap(
  Effect.map(folder, (folder) => SqliteClient.layer({ filename: join(folder, "letters.sqlite") }))
)

const postgres = Layer.unwrap(
  Effect.map(PostgresServer.PostgresServer, ({ url }) => PgClient.layer({ url: Redacted.make(url) }))
).pipe(Layer.provide(PostgresServer.layer))

const redis = RedisServer.layerRedis.pipe(Layer.provideMerge(RedisServer.layer()))

const inSql = DeadLetterQueue.layerStoreSql()
const inRedis = DeadLetterQueue.layerStoreRedis()

/** One step of an hour, there or back. */
const hour = 3_600_000

const wrongBy = (millis: number) =>
  Effect.updateService(Clock.Clock, (clock): Clock.Clock => ({
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + millis,
    currentTimeMillis: Effect.map(clock.currentTimeMillis, (now) => now + millis),
    currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe() + BigInt(millis) * 1_000_000n,
    currentTimeNanos: Effect.map(clock.currentTimeNanos, (now) => now + BigInt(millis) * 1_000_000n),
    monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: clock.monotonicTimeNanos,
    sleep: (duration) => clock.sleep(duration)
  }))

const bigTests = <E>(name: string, store: Layer.Layer<DeadLetterQueue.DeadLetterStore, E>) =>
  provide(store, { excludeTestServices: true })(name, (it) => {
    it.effect("keeps a payload of 10 MB, byte for byte, and hands it over", () =>
      Effect.gen(function*() {
        const options = { schema: Schema.Struct({ text: Schema.String }) }
        const queue = yield* DeadLetterQueue.make({ name: "big", ...options })
        const text = "0123456789 \u{1F600} \\\" ".repeat(10 * 1024 * 1024 / 20)
        const id = yield* queue.offer({ text }, { error: new Error("too big for the mailbox") })
        assert.isTrue(Result.getOrThrow((yield* queue.get(id)).payload).text === text)
        const elsewhere = yield* DeadLetterQueue.make({ name: "elsewhere", ...options })
        yield* elsewhere.import(queue.export())
        for (const each of [queue, elsewhere]) {
          const seen: Array<boolean> = []
          const handler = (payload: { readonly text: string }) => Effect.sync(() => seen.push(payload.text === text))
          assert.deepStrictEqual(yield* outcomes(each.redrive({}, handler)), ["redriven"])
          assert.deepStrictEqual(seen, [true])
        }
      }), 60_000)
  })

describe("a huge payload", () => {
  bigTests("in memory", DeadLetterQueue.layerStoreMemory)
  bigTests("in a file", file)
  bigTests("in SQLite", Layer.provide(inSql, sqlite))
  bigTests("in PostgreSQL", Layer.provide(inSql, postgres))
  RealServer.describe("redis-server", "", () => bigTests("in Redis", Layer.provide(inRedis, redis)))
})

/** Writes nonsense into the record of a letter, around the store. */
type Spoil<R> = (id: string, column: "meta" | "body", nonsense: string) => Effect.Effect<unknown, unknown, R>

const spoilTests = <R, E>(
  name: string,
  layer: Layer.Layer<DeadLetterQueue.DeadLetterStore | R, E>,
  spoil: Spoil<R>
) =>
  provide(layer, { excludeTestServices: true })(name, (it) => {
    it.effect("DL-9 keeps no other letter from being listed, counted, exported and redriven", () =>
      Effect.gen(function*() {
        const queue = yield* orders({ name: "spoilt" })
        const ids = yield* offerMany(queue, 5)
        yield* spoil(ids[1]!, "meta", "{\"state\":")
        yield* spoil(ids[3]!, "body", "\u0001 no JSON")
        assert.strictEqual((yield* queue.list()).letters.length, 5)
        assert.strictEqual((yield* queue.report).total, 5)
        assert.strictEqual((yield* Stream.runCollect(queue.export())).length, 5)
        const handled: Array<number> = []
        yield* Stream.runDrain(queue.redrive({}, ({ order }) => Effect.sync(() => handled.push(order))))
        assert.deepStrictEqual(handled, [1, 3, 5])
        assert.strictEqual(yield* queue.count({ state: "Quarantined" }), 2)
        assert.strictEqual((yield* queue.get(ids[3]!)).raw, "\u0001 no JSON")
        assert.strictEqual(yield* queue.discard({ state: "Quarantined" }, "spoilt"), 2)
      }))
  })

const spoilSql: Spoil<SqlClient.SqlClient> = (id, column, nonsense) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`UPDATE dead_letter_letters SET ${sql(column)} = ${nonsense} WHERE id = ${id}`
  )

const spoilRedis: Spoil<Redis.Redis> = (id, column, nonsense) =>
  Effect.flatMap(Redis.Redis, (redis) => redis.send("HSET", `dead-letters:{spoilt}:l:${id}`, column, nonsense))

describe("a record that went bad", () => {
  spoilTests("in SQLite", Layer.provideMerge(inSql, sqlite), spoilSql)
  spoilTests("in PostgreSQL", Layer.provideMerge(inSql, postgres), spoilSql)
  RealServer.describe("redis-server", "", () => {
    spoilTests("in Redis", Layer.provideMerge(inRedis, redis), spoilRedis)
  })
})

/** The store has a clock of its own: what a process believes of the time does not matter. */
const clockTests = <E>(name: string, store: Layer.Layer<DeadLetterQueue.DeadLetterStore, E>) =>
  provide(store, { excludeTestServices: true })(name, (it) => {
    it.effect("DL-4 takes no letter from a worker who has it, and evicts none too early", () =>
      Effect.gen(function*() {
        for (const millis of [hour, -hour]) {
          const queue = yield* orders({ name: `clock ${millis}`, lease: "30 seconds" })
          const [id = ""] = yield* offerMany(queue, 1)
          const started = yield* Latch.make()
          const finish = yield* Latch.make()
          const worker = yield* Effect.forkChild(outcomes(queue.redrive(
            [id],
            () => Effect.andThen(started.open, finish.await)
          )))
          yield* started.await
          yield* Effect.gen(function*() {
            const other = yield* orders({
              name: `clock ${millis}`,
              lease: "30 seconds",
              retention: { age: "10 minutes" }
            })
            yield* other.sweep
            assert.deepStrictEqual(yield* outcomes(other.redrive([id], () => Effect.die("it is taken"))), ["taken"])
            yield* offerMany(other, 1)
            yield* other.sweep
            assert.strictEqual(yield* other.count({ olderThan: "10 minutes" }), 0)
          }).pipe(wrongBy(millis))
          yield* finish.open
          assert.deepStrictEqual(yield* Fiber.join(worker), ["redriven"])
          assert.strictEqual(yield* queue.count(), 2)
        }
      }))
  })

describe("a process whose clock is an hour off", () => {
  clockTests("with PostgreSQL", Layer.provide(inSql, postgres))
  RealServer.describe("redis-server", "", () => clockTests("with Redis", Layer.provide(inRedis, redis)))
})

describe("a clock that is set back by an hour", () => {
  it.live("keeps no letter from being redriven, and loses none", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ retention: { age: "10 minutes" } }).pipe(wrongBy(hour))
      yield* offerMany(queue, 2).pipe(wrongBy(hour))
      yield* offerMany(queue, 1)
      yield* queue.sweep
      assert.strictEqual(yield* queue.count({ state: "Dead" }), 3)
      const ids = (yield* queue.list({}, { order: "oldest" })).letters.map(({ id }) => id)
      assert.deepStrictEqual(yield* outcomes(queue.redrive(ids, () => Effect.void)), [
        "redriven",
        "redriven",
        "redriven"
      ])
    }).pipe(Effect.scoped, Effect.provide(DeadLetterQueue.layerStoreMemory)))
})

/** A letter as the first release wrote it. No later one may fail to read it. */
const first = {
  id: "01M7YWQDV7DXR6W2QWS7WNXKBP",
  fingerprint: "70849c045ee58588",
  meta: JSON.stringify({
    state: "Dead",
    failure: { kind: "Permanent", scope: "dependency", message: "no stock" },
    fingerprint: "70849c045ee58588",
    failedAt: 1000,
    offeredAt: 2000,
    changedAt: 2000,
    occurrences: 1,
    attempts: { delivered: 0, interrupted: 0, crashed: 0 },
    claims: 0,
    round: 0,
    payloadVersion: 1,
    dedupeKey: "d-7",
    sourceAttempts: [],
    history: [{ at: 2000, event: "Offered", failure: { kind: "Permanent", scope: "dependency", message: "no stock" } }],
    forgotten: 0
  }),
  body: JSON.stringify({ payload: "{\"order\":7}", headers: { tenant: "t1" }, causes: ["Error: no stock"] })
}

const oldTables = [
  `CREATE TABLE dead_letter_migrations (
    migration_id integer PRIMARY KEY NOT NULL,
    created_at timestamp NOT NULL DEFAULT current_timestamp,
    name VARCHAR(255) NOT NULL
  )`,
  `INSERT INTO dead_letter_migrations (migration_id, name) VALUES (1, 'create_letters')`,
  `CREATE TABLE dead_letter_queues (name TEXT PRIMARY KEY NOT NULL, last BIGINT NOT NULL)`,
  `INSERT INTO dead_letter_queues VALUES ('orders', 1)`,
  `CREATE TABLE dead_letter_letters (
    queue TEXT NOT NULL, id TEXT NOT NULL, seq BIGINT NOT NULL, version BIGINT NOT NULL, state TEXT NOT NULL,
    kind TEXT NOT NULL, fingerprint TEXT NOT NULL, failed_at BIGINT NOT NULL, dedupe_key TEXT, meta TEXT NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (queue, id)
  )`,
  `CREATE UNIQUE INDEX dead_letter_letters_dedupe ON dead_letter_letters (queue, dedupe_key)
    WHERE dedupe_key IS NOT NULL`,
  `CREATE INDEX dead_letter_letters_seq ON dead_letter_letters (queue, seq)`,
  `CREATE INDEX dead_letter_letters_state ON dead_letter_letters (queue, state, seq)`,
  `CREATE INDEX dead_letter_letters_alike ON dead_letter_letters (queue, fingerprint, state, seq)`,
  `CREATE INDEX dead_letter_letters_age ON dead_letter_letters (queue, state, failed_at)`,
  `CREATE INDEX dead_letter_letters_report ON dead_letter_letters (queue, state, kind, fingerprint, failed_at)`
]

const oldTests = <E>(name: string, client: Layer.Layer<SqlClient.SqlClient, E>) =>
  it.live(name, () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* Effect.forEach(oldTables, (statement) => sql.unsafe(statement))
      yield* sql`INSERT INTO dead_letter_letters ${
        sql.insert({
          queue: "orders",
          id: first.id,
          seq: 1,
          version: 1,
          state: "Dead",
          kind: "Permanent",
          fingerprint: first.fingerprint,
          failed_at: 1000,
          dedupe_key: "d-7",
          meta: first.meta,
          body: first.body
        })
      }`
      yield* Effect.gen(function*() {
        const queue = yield* orders()
        const letter = yield* queue.get(first.id)
        assert.deepInclude(letter, { state: "Dead", failedAt: 1000, headers: { tenant: "t1" }, dedupeKey: "d-7" })
        const again = yield* queue.offer({ order: 7 }, { error: new Error("no stock"), dedupeKey: "d-7" })
        assert.strictEqual(again, first.id)
        const handled: Array<number> = []
        yield* Stream.runDrain(queue.redrive({}, ({ order }) => Effect.sync(() => handled.push(order))))
        assert.deepStrictEqual(handled, [7])
        assert.deepInclude(yield* queue.get(first.id), { state: "Archived", occurrences: 2 })
      }).pipe(Effect.provide(inSql))
    }).pipe(Effect.scoped, Effect.provide(client)))

describe("tables of the first release", () => {
  oldTests("go on with SQLite", sqlite)
  oldTests("go on with PostgreSQL", postgres)
})
