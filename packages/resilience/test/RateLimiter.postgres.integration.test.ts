/** Limits in a real PostgreSQL: the functions against the pure algorithms, and what happens when it does not answer. */
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import * as PostgresStore from "../src/internal/rateLimiter/postgres.ts"
import * as StoreHistories from "./support/storeHistories.ts"

const { policy, tokenBucket } = RateLimiter

const client = Layer.unwrap(
  Effect.map(
    PostgresServer.PostgresServer,
    ({ url }) => PgClient.layer({ url: Redacted.make(url), maxConnections: 4 })
  )
).pipe(Layer.provideMerge(PostgresServer.layer))

const patient = (table: string) =>
  Effect.provide(
    RateLimiter.layerWith({ storeTimeout: "10 seconds" }).pipe(Layer.provide(RateLimiter.layerStoreSql({ table })))
  )

layer(client, { excludeTestServices: true })("RateLimiter in PostgreSQL", (it) => {
  it.effect.prop(
    "the functions decide random histories as the pure functions do, step by step",
    StoreHistories.inputs,
    (input) =>
      Effect.gen(function*() {
        const clock = { now: 0 }
        const store = yield* PostgresStore.make(yield* SqlClient.SqlClient, "history", () => clock.now)
        yield* StoreHistories.decidesAsThePureFunctions(store, clock)(input)
      }),
    { arbitrary: { runs: 200 }, timeout: 120_000 }
  )

  it.effect(
    "a decision is not undone with the transaction of its caller, and does not wait for it",
    () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const limiter = yield* RateLimiter.RateLimiter
        const check = { policy: policy("outside", [tokenBucket({ limit: 2, window: "1 hour" })]), key: "k" }
        yield* Effect.exit(sql.withTransaction(Effect.andThen(limiter.consume(check), Effect.fail("rolled back"))))
        const decisions = yield* sql.withTransaction(
          // In one transaction and at once: neither waits for the other's connection or locks.
          Effect.all([limiter.consume(check), limiter.consume(check)], { concurrency: 2 })
        )
        assert.deepStrictEqual(decisions.map(({ _tag }) => _tag).toSorted(), ["Allowed", "Denied"])
      }).pipe(patient("outside")),
    30_000
  )

  it.effect("what is over goes, a little with each call", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const limiter = yield* RateLimiter.RateLimiter
      const short = policy("short", [tokenBucket({ limit: 1, window: "10 millis" })])
      for (let i = 0; i < 300; i++) yield* limiter.consume({ policy: short, key: `one-shot-${i}` })
      yield* Effect.sleep("20 millis")
      const left = Effect.map(sql<{ n: number }>`SELECT count(*)::int AS n FROM gone_states`, (rows) => rows[0]!.n)
      for (let i = 0; i < 3_000 && (yield* left) > 3; i++) yield* limiter.consume({ policy: short, key: "again" })
      assert.isAtMost(yield* left, 3)
    }).pipe(patient("gone")), 60_000)

  it.effect(
    "RL-13 a PostgreSQL that is gone is decided about by each rule, and is no refusal",
    () =>
      Effect.gen(function*() {
        const server = yield* PostgresServer.PostgresServer
        const limiter = yield* RateLimiter.RateLimiter
        const decide = (onStoreError: RateLimiter.OnStoreError) =>
          Effect.map(
            limiter.consume({
              policy: policy(JSON.stringify(onStoreError), [tokenBucket({ limit: 9, window: "1 hour", onStoreError })]),
              key: "k"
            }),
            (decision) => decision._tag === "StoreUnavailable" ? decision.mode : decision._tag
          )
        yield* decide("open")
        yield* server.stop
        const said = [yield* decide("open"), yield* decide("closed"), yield* decide(RateLimiter.local({ share: 0.5 }))]
        assert.deepStrictEqual(said, ["open", "closed", "local"])
        yield* server.restart
      }).pipe(
        Effect.provide(RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreSql({ table: "down" }))))
      ),
    60_000
  )
})
