/** The contract, row by row, on a server whose stores are a Redis and a PostgreSQL. */
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { tests } from "./contract.ts"
import { subject } from "./kit.ts"

const stores = Effect.gen(function*() {
  const redis = yield* RedisServer.make()
  const postgres = yield* PostgresServer.make
  return { REDIS_URL: redis.url, DATABASE_URL: postgres.url }
})

RealServer.describe("redis-server", "the contract of shared stores", () => {
  it.layer(subject(stores), { excludeTestServices: true, timeout: "2 minutes" })(
    "a server with Redis and PostgreSQL",
    tests
  )
})
