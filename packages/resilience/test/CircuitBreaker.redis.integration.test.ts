/** Circuits in a real Redis. */
import * as CircuitBreakerStoreSuite from "@effect-resilience/testing/CircuitBreakerStoreSuite"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import { CircuitBreakerStore } from "effect-resilience/CircuitBreaker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as RedisStore from "../src/internal/circuitBreaker/redisStore.ts"

/** A clock in Redis that stands still until it is moved. */
const handClock = `local micros = tonumber(redis.call("GET", "now") or 0) * 1000`

const subject = Layer.effect(
  CircuitBreakerStoreSuite.Subject,
  Effect.gen(function*() {
    const redis = yield* Redis.Redis
    const store = yield* CircuitBreakerStore
    return {
      store,
      now: Effect.orDie(Effect.map(redis.send<string | null>("GET", "now"), (now) => Number(now ?? 0))),
      advance: (millis) => Effect.orDie(redis.send("INCRBY", "now", `${millis}`))
    }
  })
).pipe(
  Layer.provide(RedisStore.make({ lease: "1 day", timeout: "10 seconds" }, handClock)),
  Layer.provide(RedisServer.layerRedis),
  Layer.provide(RedisServer.layer())
)

RealServer.describe("redis-server", "CircuitBreaker in Redis", () => {
  CircuitBreakerStoreSuite.suite("CircuitBreaker.layerStoreRedis", subject, { histories: 1_500, timeout: 120_000 })
})
