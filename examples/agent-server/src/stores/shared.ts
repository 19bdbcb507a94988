/** Where limits and circuits are kept: in a Redis that all instances share, or in this process. */
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import { type Dependency, shown } from "../health/Dependency.ts"
import * as RedisClient from "./Redis.ts"

/**
 * Provides the stores, with `Redis` beside them where there is one.
 *
 * While Redis does not answer, circuits count as closed and limits are decided by their `onStoreError`.
 */
export const layer = (
  redisUrl: Redacted.Redacted | undefined
): Layer.Layer<CircuitBreaker.CircuitBreakerStore | RateLimiter.RateLimiterStore> =>
  redisUrl === undefined
    ? Layer.merge(CircuitBreaker.layerStoreMemory, RateLimiter.layerStoreMemory())
    : Layer.merge(CircuitBreaker.layerStoreRedis(), RateLimiter.layerStoreRedis()).pipe(
      Layer.provideMerge(RedisClient.layer(redisUrl))
    )

/** Redis as something that is watched, when there is one. */
export const dependencies = (
  redisUrl: Redacted.Redacted | undefined
): Effect.Effect<ReadonlyArray<Dependency>> =>
  Effect.map(Effect.serviceOption(Redis.Redis), (redis) =>
    redisUrl === undefined || Option.isNone(redis) ? [] : [{
      name: "redis",
      url: shown(Redacted.value(redisUrl)),
      probe: Effect.asVoid(redis.value.send("PING"))
    }])
