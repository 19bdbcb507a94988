import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as DeadLetterStoreSuite from "@effect-resilience/testing/DeadLetterStoreSuite"
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import { afterAll, assert, describe, it, layer as provide } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { offerMany, orders, outcomes } from "./support/deadLetters.ts"
import { layerFaulty } from "./support/faultySql.ts"

const sqliteFile = Layer.unwrap(Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "dead-letters-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => SqliteClient.layer({ filename: join(folder, "letters.sqlite") })
))

const postgres = Layer.unwrap(Effect.map(PostgresServer.PostgresServer, (server) =>
  PgClient.layer({
    url: Redacted.make(server.url)
  }))).pipe(Layer.provide(PostgresServer.layer))

DeadLetterStoreSuite.deadLetterStoreSuite(
  "letters in a SQLite file",
  DeadLetterQueue.layerStoreSql().pipe(Layer.provide(sqliteFile)),
  {
    faulty: (faults) =>
      DeadLetterQueue.layerStoreSql().pipe(
        Layer.provide(layerFaulty(faults, Statement.makeCompilerSqlite())),
        Layer.provide(Layer.fresh(SqliteClient.layer({ filename: ":memory:" })))
      )
  }
)

/** The test of faults builds the store anew for each of them; the server beneath is started once. */
const serverScope = Scope.makeUnsafe()
const startedServer = Effect.runSync(Effect.cached(Layer.buildWithScope(PostgresServer.layer, serverScope)))
afterAll(() => Effect.runPromise(Scope.close(serverScope, Exit.void)))

const postgresClient = Layer.unwrap(
  Effect.map(
    startedServer,
    (services) => PgClient.layer({ url: Redacted.make(Context.get(services, PostgresServer.PostgresServer).url) })
  )
)

DeadLetterStoreSuite.deadLetterStoreSuite(
  "letters in PostgreSQL",
  DeadLetterQueue.layerStoreSql({ prefix: "dlq_" }).pipe(Layer.provide(postgresClient)),
  {
    faulty: (faults) =>
      DeadLetterQueue.layerStoreSql({ prefix: "dlq_" }).pipe(
        Layer.provide(layerFaulty(faults, PgClient.makeCompiler())),
        Layer.provide(postgresClient)
      )
  }
)

/** What holds for both: the work and its note in one transaction, and migrations. */
const transactionTests = <E>(name: string, client: Layer.Layer<SqlClient.SqlClient, E>) =>
  describe(name, () => {
    provide(
      DeadLetterQueue.layerStoreSql().pipe(Layer.provideMerge(client)),
      { excludeTestServices: true }
    )((it) => {
      it.effect("`offer` inside a transaction is kept if that commits", () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const queue = yield* orders({ name: "outbox" })
          const offer = queue.offer({ order: 1 }, { error: "down" })
          yield* Effect.exit(sql.withTransaction(Effect.andThen(offer, Effect.fail("rolled back"))))
          assert.strictEqual(yield* queue.count(), 0)
          yield* sql.withTransaction(offer)
          assert.strictEqual(yield* queue.count(), 1)
        }))

      it.effect("`atomically` makes the work and the note of its success one", () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* sql`CREATE TABLE placed (n BIGINT NOT NULL)`
          const queue = yield* orders({ name: "atomic" })
          yield* offerMany(queue, 20)
          const handler = ({ order }: { readonly order: number }) =>
            Effect.andThen(
              sql`INSERT INTO placed ${sql.insert({ n: order })}`,
              order % 2 === 0 ? Effect.fail("no stock") : Effect.void
            )
          const done = yield* outcomes(queue.redrive({}, handler, { atomically: sql.withTransaction, concurrency: 4 }))
          assert.strictEqual(done.filter((outcome) => outcome === "redriven").length, 10)
          const placed = yield* sql<{ n: number | string }>`SELECT n FROM placed ORDER BY n`
          assert.deepStrictEqual(placed.map(({ n }) => Number(n)), [1, 3, 5, 7, 9, 11, 13, 15, 17, 19])
          assert.strictEqual(yield* queue.count({ state: "Dead" }), 10)
          assert.strictEqual(yield* queue.count({ state: "Archived" }), 10)
        }))

      it.effect("a second start finds its tables and what is in them", () =>
        Effect.gen(function*() {
          const queue = yield* orders({ name: "again" })
          yield* offerMany(queue, 3)
          const again = yield* Effect.provide(
            Effect.flatMap(orders({ name: "again" }), (queue) => queue.count()),
            Layer.fresh(DeadLetterQueue.layerStoreSql())
          )
          assert.strictEqual(again, 3)
        }))

      it.effect("says typed that the database is not as it should be", () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const queue = yield* orders({ name: "broken" }).pipe(
            Effect.provide(Layer.fresh(DeadLetterQueue.layerStoreSql({ prefix: "broken_" })))
          )
          yield* sql`DROP TABLE broken_letters`
          const error = yield* Effect.flip(queue.offer({ order: 1 }, { error: "down" }))
          assert.strictEqual(error._tag, "DeadLetterStoreError")
          assert.match(error.message, /^The dead letter store failed to insert a letter: /)
        }))
    })
  })

transactionTests("with SQLite", sqliteFile)
transactionTests("with PostgreSQL", postgres)

describe("the SQL store", () => {
  it("refuses a prefix that is no name", () => {
    assert.throws(() => DeadLetterQueue.layerStoreSql({ prefix: "a; drop" }), RangeError, /^prefix must be/)
  })

  it.live(
    "DL-12 a million letters: pages, counts and redrives read an index, in bounded memory",
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const queue = yield* orders()
        const [id = ""] = yield* offerMany(queue, 1)
        yield* queue.archive([id])
        yield* offerMany(queue, 1)
        // The archived ones are in nobody's way only if nobody reads them: there is nothing in them to be read.
        yield* sql`UPDATE dead_letter_letters SET meta = '', body = '' WHERE state = 'Archived'`
        const copy = (from: string, offset: number, n: number) =>
          sql`WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < ${n})
          INSERT INTO dead_letter_letters
          SELECT queue, id || '-' || count.n, seq + ${offset} + count.n, version, state, kind, fingerprint,
            failed_at, NULL, meta, body FROM dead_letter_letters, count WHERE state = ${from} AND seq <= 2`
        // Written without its indexes, which are then made anew as the migration made them.
        const indexes = yield* sql<{ name: string; sql: string }>`SELECT name, sql FROM sqlite_master
        WHERE type = 'index' AND tbl_name = 'dead_letter_letters' AND sql IS NOT NULL`
        yield* Effect.forEach(indexes, ({ name }) => sql`DROP INDEX ${sql(name)}`)
        yield* sql`PRAGMA synchronous = OFF`
        yield* copy("Archived", 10, 900_000)
        yield* copy("Dead", 2_000_000, 100_000)
        yield* sql`UPDATE dead_letter_queues SET last = 3000000`
        yield* Effect.forEach(indexes, (index) => sql.unsafe(index.sql))
        assert.strictEqual(yield* queue.count(), 1_000_002)
        assert.strictEqual(yield* queue.count({ state: "Dead" }), 100_001)

        const plans = yield* Effect.forEach(
          [
            sql`SELECT * FROM dead_letter_letters WHERE queue = 'orders' AND state IN ('Dead') AND seq > 5
            ORDER BY seq LIMIT 100`,
            sql`SELECT COUNT(*) FROM dead_letter_letters WHERE queue = 'orders' AND state IN ('Dead')`,
            sql`SELECT COUNT(*) FROM dead_letter_letters WHERE queue = 'orders' AND state IN ('Dead')
            AND failed_at >= 5`,
            sql`SELECT * FROM dead_letter_letters WHERE queue = 'orders' AND fingerprint IN ('f') AND state IN ('Dead')
            ORDER BY seq LIMIT 100`
          ],
          (statement) => sql<{ detail: string }>`EXPLAIN QUERY PLAN ${statement}`
        )
        for (const plan of plans.flat()) assert.match(plan.detail, /^SEARCH .* USING (COVERING )?INDEX/)

        const heap = () => {
          global.gc?.()
          return process.memoryUsage().heapUsed
        }
        const before = heap()
        let seen = 0
        let most = 0
        yield* Stream.runForEach(queue.redrive({}, () => Effect.void, { dryRun: true }).pipe(Stream.take(20_000)), () =>
          Effect.sync(() => {
            if (seen++ % 5_000 === 0) {
              most = Math.max(most, heap())
            }
          }))
        assert.strictEqual(seen, 20_000)
        assert.isBelow(most - before, 100 * 1024 * 1024)
      }).pipe(Effect.scoped, Effect.provide(DeadLetterQueue.layerStoreSql().pipe(Layer.provideMerge(sqliteFile)))),
    180_000
  )

  it.live("fails typed when the database cannot be opened", () =>
    Effect.gen(function*() {
      const layer = DeadLetterQueue.layerStoreSql().pipe(
        Layer.provide(SqliteClient.layer({ filename: "/nowhere/at/all.sqlite" }))
      )
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.scoped(Layer.build(layer)))))
    }))
})
