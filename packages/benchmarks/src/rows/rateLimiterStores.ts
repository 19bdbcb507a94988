/** Rate limiters that share a store: a real Redis and a real PostgreSQL of their own, on loopback. */
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CoreRateLimiter from "effect/persistence/RateLimiter"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { Pool } from "pg"
import { RateLimiterPostgres, RateLimiterRedis } from "rate-limiter-flexible"
import { createClient } from "redis"
import type { Comparison } from "../harness/compare.ts"
import { concurrently, type Contender, effects, scopedPromises } from "../harness/contender.ts"
import { type Keys, uniform } from "../harness/keys.ts"

const plenty = 1_000_000_000
const keys: Keys = uniform(1000)

const rule = () => RateLimiter.fixedWindow({ limit: plenty, window: "1 minute" })

const oneRule = [RateLimiter.policy("bench", [rule()])]

/** Three rules in each of three scopes. */
const nineRules = ["global", "user", "endpoint"].map((scope) => RateLimiter.policy(scope, [rule(), rule(), rule()]))

const redis = RedisServer.layerRedis.pipe(Layer.provideMerge(RedisServer.layer()))

const postgres = Layer.unwrap(Effect.map(PostgresServer.PostgresServer, (server) =>
  PgClient.layer({
    url: Redacted.make(server.url)
  }))).pipe(Layer.provideMerge(PostgresServer.layer))

const ours = <R, E>(
  name: string,
  store: Layer.Layer<RateLimiter.RateLimiterStore, E, R>,
  server: Layer.Layer<R, E>,
  policies: ReadonlyArray<RateLimiter.Policy>
): Contender =>
  effects(
    name,
    RateLimiter.layerWith({ storeTimeout: "10 seconds" }).pipe(Layer.provide(store), Layer.provide(server)),
    Effect.map(RateLimiter.RateLimiter, (limiter) => {
      const next = keys()
      return Effect.suspend(() => {
        const key = next()
        return limiter.consume(policies.map((policy) => ({ policy, key })))
      })
    })
  )

const flexibleRedis = scopedPromises(
  "rate-limiter-flexible",
  Effect.gen(function*() {
    const { host, port } = Context.get(yield* Layer.build(RedisServer.layer()), RedisServer.RedisServer)
    const client = yield* Effect.acquireRelease(
      Effect.promise(() => createClient({ url: `redis://${host}:${port}` }).connect()),
      (client) => Effect.promise(() => client.close())
    )
    const limiter = new RateLimiterRedis({ storeClient: client, useRedisPackage: true, points: plenty, duration: 60 })
    const next = keys()
    return () => limiter.consume(next())
  })
)

const coreRedis = effects(
  "Effect core",
  CoreRateLimiter.layer.pipe(Layer.provide(CoreRateLimiter.layerStoreRedis()), Layer.provide(redis)),
  Effect.map(CoreRateLimiter.RateLimiter, (limiter) => {
    const next = keys()
    return Effect.suspend(() =>
      Effect.orDie(limiter.consume({ key: next(), limit: plenty, window: "1 minute", onExceeded: "fail" }))
    )
  })
)

const ping = effects("PING", redis, Effect.map(Redis.Redis, (client) => Effect.orDie(client.send("PING"))))

const oneRedis = (name: string, policies: ReadonlyArray<RateLimiter.Policy>) =>
  ours(name, RateLimiter.layerStoreRedis(), redis, policies)

const flexiblePostgres = scopedPromises(
  "rate-limiter-flexible",
  Effect.gen(function*() {
    const { database, host, password, port, username } = Context.get(
      yield* Layer.build(PostgresServer.layer),
      PostgresServer.PostgresServer
    )
    const pool = yield* Effect.acquireRelease(
      // The server may be gone before the last idle connection is, which is nobody's business any more.
      Effect.sync(() => new Pool({ database, host, password, port, user: username, max: 10 }).on("error", () => {})),
      (pool) => Effect.promise(() => pool.end())
    )
    const limiter = yield* Effect.callback<RateLimiterPostgres>((resume) => {
      const made: RateLimiterPostgres = new RateLimiterPostgres(
        { storeClient: pool, points: plenty, duration: 60, tableName: "limits" },
        () => resume(Effect.succeed(made))
      )
    })
    const next = keys()
    return () => limiter.consume(next())
  })
)

const select = effects("SELECT 1", postgres, Effect.map(SqlClient.SqlClient, (sql) => Effect.orDie(sql`SELECT 1`)))

const onPostgres = ours("1 rule", RateLimiter.layerStoreSql(), postgres, oneRule)

const call = "A request that has room, on one of a thousand keys."

/** Ours are to be at least as fast as a peer; three rules in three scopes cost at most what 0.85 of the speed leaves. */
const slower = (share: number): number => 1 / share

/** What a reader must know about the figures. */
export const redisNotes =
  `One script decides for all rules, algorithms and units, in numbers that lose nothing: on a small machine the time of a decision is the
time that Redis' interpreter takes for it. rate-limiter-flexible's script adds to a counter. A script of its own for a single fixed
window would close most of the gap.`

/** On Redis. */
export const redisComparisons: ReadonlyArray<Comparison> = [1, 64].flatMap((callers): ReadonlyArray<Comparison> => {
  const by = (contender: Contender) => callers === 1 ? contender : concurrently(contender, callers)
  const who = callers === 1 ? "one caller" : `${callers} callers`
  return [
    {
      title: `Redis, one rule, ${who}`,
      call,
      contenders: [by(oneRedis("1 rule", oneRule)), by(flexibleRedis), by(coreRedis), by(ping)],
      targets: [{ against: "rate-limiter-flexible", atMost: 1 }]
    },
    {
      title: `Redis, three rules in each of three scopes, ${who}`,
      call: `${call} Nine rules are decided in one step.`,
      contenders: [by(oneRedis("9 rules", nineRules)), by(oneRedis("1 rule", oneRule)), by(flexibleRedis)],
      targets: [{ against: "1 rule", atMost: slower(0.85) }]
    }
  ]
})

/** What a reader must know about the figures. */
export const postgresNotes =
  `One round trip each. Our function locks the keys in order, decides for all rules and writes the states back as rows; the peer runs one
upsert. What would help is the same as on Redis: a path of its own for a single rule.`

/** On PostgreSQL. */
export const postgresComparisons: ReadonlyArray<Comparison> = [1, 8].map((callers): Comparison => {
  const by = (contender: Contender) => callers === 1 ? contender : concurrently(contender, callers)
  return {
    title: `PostgreSQL, one rule, ${callers === 1 ? "one caller" : `${callers} callers`}`,
    call,
    contenders: [by(onPostgres), by(flexiblePostgres), by(select)],
    targets: [{ against: "rate-limiter-flexible", atMost: 1 }]
  }
})
