/** Every store passes the same suite. */
import * as RateLimiterStoreSuite from "@effect-resilience/testing/RateLimiterStoreSuite"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Layer from "effect/Layer"

RateLimiterStoreSuite.suite("the store in memory", RateLimiter.layerStoreMemory())

RealServer.describe("redis-server", "RateLimiter", () => {
  RateLimiterStoreSuite.suite(
    "the store in Redis",
    RateLimiter.layerStoreRedis().pipe(Layer.provide(RedisServer.layerRedis), Layer.provide(RedisServer.layer()))
  )
})
