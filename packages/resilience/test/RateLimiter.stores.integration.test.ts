/** Every store passes the same suite. */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RateLimiterStoreSuite from "@effect-resilience/testing/RateLimiterStoreSuite"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"

RateLimiterStoreSuite.suite("the store in memory", RateLimiter.layerStoreMemory())

RealServer.describe("redis-server", "RateLimiter", () => {
  RateLimiterStoreSuite.suite(
    "the store in Redis",
    RateLimiter.layerStoreRedis().pipe(Layer.provide(RedisServer.layerRedis), Layer.provide(RedisServer.layer()))
  )
})

RateLimiterStoreSuite.suite(
  "the store in PostgreSQL",
  RateLimiter.layerStoreSql().pipe(
    Layer.provide(
      Layer.unwrap(
        Effect.map(
          PostgresServer.PostgresServer,
          ({ url }) => PgClient.layer({ url: Redacted.make(url) })
        )
      )
    ),
    Layer.provide(PostgresServer.layer)
  )
)

RateLimiterStoreSuite.suite(
  "the store in SQLite",
  RateLimiter.layerStoreSql({ table: "limits" }).pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" })))
)
