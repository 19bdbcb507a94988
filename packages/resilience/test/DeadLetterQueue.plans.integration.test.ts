/** How PostgreSQL reads a million letters: by the very statements that the store sends. */
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import type * as Statement from "effect/sql/Statement"
import { statements, tables } from "../src/internal/deadLetterQueue/sql.ts"
import { offerMany, orders } from "./support/deadLetters.ts"

const postgres = Layer.unwrap(
  Effect.map(PostgresServer.PostgresServer, ({ url }) => PgClient.layer({ url: Redacted.make(url) }))
).pipe(Layer.provide(PostgresServer.layer))

/** 900,000 archived letters of a year, and 100,000 dead ones of a thousand kinds of failure. */
const fill = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const queue = yield* orders()
  yield* offerMany(queue, 1)
  // Written without its indexes, which are then made anew as the migration made them; its crashes are nobody's concern.
  yield* sql`ALTER TABLE dead_letter_letters SET UNLOGGED`
  const indexes = yield* sql<{ readonly indexname: string; readonly indexdef: string }>`SELECT indexname, indexdef
    FROM pg_indexes WHERE tablename = 'dead_letter_letters' AND indexname NOT LIKE '%_pkey'`
  yield* Effect.forEach(indexes, ({ indexname }) => sql`DROP INDEX ${sql(indexname)}`)
  yield* sql`INSERT INTO dead_letter_letters
    SELECT queue, id || '-' || n, seq + n, version, CASE WHEN n % 10 = 0 THEN 'Dead' ELSE 'Archived' END,
      CASE WHEN n % 3 = 0 THEN 'Transient' ELSE 'Permanent' END, 'fingerprint-' || (n % 1000),
      failed_at - CAST(n AS BIGINT) * 31536, CASE WHEN n % 20 = 0 THEN 'key-' || n END,
      CASE WHEN n % 10 = 0 THEN meta ELSE '' END, CASE WHEN n % 10 = 0 THEN body ELSE '' END
    FROM dead_letter_letters, generate_series(1, 1000000) AS n`
  yield* Effect.forEach(indexes, ({ indexdef }) => sql.unsafe(indexdef))
  yield* sql`UPDATE dead_letter_queues SET last = 1000001`
  yield* sql`VACUUM ANALYZE dead_letter_letters`
  return queue
})

it.live(
  "DL-12 a million letters in PostgreSQL: no statement of the store reads them one after the other",
  () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const queue = yield* fill
      const [{ id } = { id: "" }] = (yield* queue.list({ state: "Dead" }, { limit: 1 })).letters
      const say = statements(sql, tables("dead_letter_"))
      const asked: Record<string, Statement.Fragment> = {
        "a letter": say.get("orders", id),
        "a page of dead letters, newest first": say.page("orders", { states: ["Dead"] }, "newest", 900_000, 101),
        "a page of a kind of failure": say.page(
          "orders",
          { states: ["Dead"], fingerprints: ["fingerprint-10"] },
          "oldest",
          5,
          101
        ),
        "a page of a selection": say.page("orders", { states: ["Dead"], seqUntil: 500_000 }, "oldest", 400_000, 101),
        "how many are dead": say.count("orders", { states: ["Dead"] }),
        "how many died before": say.count("orders", { states: ["Dead"], failedBefore: 1 }),
        "the report of the dead": say.groups("orders", { states: ["Dead"] }),
        "whether work is there already": say.duplicate({ queue: "orders", id: "none", dedupeKey: "key-20" })
      }
      for (const [what, statement] of Object.entries(asked)) {
        const plan = (yield* sql<{ readonly "QUERY PLAN": string }>`EXPLAIN ${statement}`).map((row) =>
          row["QUERY PLAN"]
        ).join("\n")
        assert.match(plan, /Index( Only)? Scan/, `${what}\n${plan}`)
        assert.notMatch(plan, /Seq Scan/, `${what}\n${plan}`)
      }
      assert.strictEqual(yield* queue.count({ state: "Dead" }), 100_001)
    }).pipe(Effect.scoped, Effect.provide(DeadLetterQueue.layerStoreSql().pipe(Layer.provideMerge(postgres)))),
  180_000
)
