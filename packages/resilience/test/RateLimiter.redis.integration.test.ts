/** Limits in a real Redis: the script against the pure algorithms, its keys, and what happens when it does not answer. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import { assert, it } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as RedisStore from "../src/internal/rateLimiter/redis.ts"
import * as StoreHistories from "./support/storeHistories.ts"

const minute = 60_000

const { concurrency, policy, slidingWindow, tokenBucket } = RateLimiter

/** What a cluster picks the slot by. */
const hashTag = (key: string): string => key.slice(key.indexOf("{") + 1, key.indexOf("}"))

RealServer.describe("redis-server", "RateLimiter in Redis", () => {
  it.layer(RedisServer.layerRedis.pipe(Layer.provideMerge(RedisServer.layer())), { excludeTestServices: true })(
    (it) => {
      it.effect.prop(
        "the script decides random histories as the pure functions do, step by step",
        StoreHistories.inputs,
        (input) =>
          Effect.gen(function*() {
            const clock = { now: 0 }
            const store = yield* RedisStore.make({ prefix: "history:", now: () => clock.now })
            yield* StoreHistories.decidesAsThePureFunctions(store, clock)(input)
          }),
        { arbitrary: { runs: 400 }, timeout: 120_000 }
      )

      it.effect(
        "RL-4 every key is in one slot and has a lifetime within its window or lease",
        () =>
          Effect.gen(function*() {
            const redis = yield* Redis.Redis
            const limiter = yield* RateLimiter.RateLimiter
            const all = policy("ttl", [
              tokenBucket({ limit: 5, window: "1 minute" }),
              slidingWindow({ limit: 5, window: "1 minute" }),
              RateLimiter.fixedWindow({ limit: 5, window: "1 minute" }),
              RateLimiter.fixedWindow({ name: "clock", limit: 5, window: "1 minute", align: "clock" }),
              RateLimiter.leakyBucket({ limit: 5, window: "1 minute", queue: 5 }),
              concurrency({ limit: 5, lease: "1 minute" })
            ])
            for (const key of ["a", "{b}", "c:d"]) {
              yield* limiter.consume([{ policy: all, key }, {
                policy: policy("other", [RateLimiter.perMinute(3)]),
                key: "z"
              }])
              yield* limiter.block({ policy: all, key }, "1 minute")
            }
            const keys = yield* redis.send<ReadonlyArray<string>>("KEYS", "ttl:*")
            assert.isAbove(keys.length, 20)
            const slots = new Set<string>()
            for (const key of keys) {
              const ttl = yield* redis.send<number>("PTTL", key)
              assert.isTrue(ttl > 0 && ttl <= minute, `${key} ${ttl}`)
              slots.add(hashTag(key))
            }
            assert.strictEqual(slots.size, 1)
          }).pipe(Effect.provide(
            RateLimiter.layerWith({ storeTimeout: "10 seconds" }).pipe(
              Layer.provide(RateLimiter.layerStoreRedis({ prefix: "ttl:" }))
            )
          )),
        30_000
      )

      it.effect(
        "RL-4 the server's clock decides: clients that are 30 seconds off, either way, admit nothing more",
        () =>
          Effect.gen(function*() {
            const off = (seconds: number) =>
              Effect.gen(function*() {
                const limiter = yield* RateLimiter.RateLimiter
                const check = {
                  policy: policy("skew", [
                    slidingWindow({ limit: 10, window: "5 seconds" }),
                    tokenBucket({ limit: 10, window: "1 hour" })
                  ]),
                  key: "k"
                }
                const decisions = yield* Effect.replicateEffect(limiter.consume(check), 10)
                return decisions.filter(({ _tag }) => _tag === "Allowed").length
              }).pipe(
                Effect.provide(
                  RateLimiter.layerWith({ storeTimeout: "10 seconds" }).pipe(
                    Layer.provide(RateLimiter.layerStoreRedis({ prefix: "skew:" }))
                  )
                ),
                Effect.updateService(Clock.Clock, (clock) => ({
                  ...clock,
                  sleep: clock.sleep.bind(clock),
                  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + seconds * 1000
                }))
              )
            const counts = [yield* off(0), yield* off(30), yield* off(-30)]
            assert.deepStrictEqual(counts, [10, 0, 0])
          }),
        30_000
      )

      it.effect(
        "a slot of one's own choice spreads keys, and a call over two slots dies",
        () =>
          Effect.gen(function*() {
            const redis = yield* Redis.Redis
            const limiter = yield* RateLimiter.RateLimiter
            const one = policy("p", [RateLimiter.perMinute(3)])
            for (const key of ["a}b", "\ud800", ""]) {
              assert.strictEqual((yield* limiter.consume({ policy: one, key }))._tag, "Allowed")
            }
            const keys = yield* redis.send<ReadonlyArray<string>>("KEYS", "slots:*")
            assert.strictEqual(new Set(keys.map(hashTag)).size, 3)
            const exit = yield* Effect.exit(limiter.consume([{ policy: one, key: "a" }, { policy: one, key: "b" }]))
            assert.match(String(exit), /slot must be the same/)
            assert.throws(
              () => RateLimiter.layerStoreRedis({ prefix: "a{b}" }),
              RangeError,
              /prefix/
            )
          }).pipe(Effect.provide(
            RateLimiter.layerWith({ storeTimeout: "10 seconds" }).pipe(
              Layer.provide(RateLimiter.layerStoreRedis({
                prefix: "slots:",
                slot: ({ key }) => key
              }))
            )
          )),
        30_000
      )

      it.effect(
        "denials can be remembered, so that who hammers a limit does not hammer the store",
        () =>
          Effect.gen(function*() {
            const redis = yield* Redis.Redis
            const limiter = yield* RateLimiter.RateLimiter
            const check = { policy: policy("cached", [tokenBucket({ limit: 2, window: "1 hour" })]), key: "k" }
            const calls = Effect.map(
              redis.send<string>("INFO", "commandstats"),
              (info) => Number(/cmdstat_evalsha:calls=(\d+)/.exec(info)?.[1] ?? 0)
            )
            yield* Effect.replicateEffect(limiter.consume(check), 3)
            const before = yield* calls
            const decisions = yield* Effect.replicateEffect(limiter.consume(check), 50)
            assert.isTrue(decisions.every(({ _tag }) => _tag === "Denied"))
            assert.strictEqual((yield* calls) - before, 0)
            // Not for other costs, and not after a reset.
            yield* limiter.consume({ ...check, cost: 0 })
            assert.strictEqual((yield* calls) - before, 1)
            yield* limiter.reset(check)
            assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
          }).pipe(Effect.provide(
            RateLimiter.layerWith({ storeTimeout: "10 seconds", cacheDenials: "1 minute" }).pipe(
              Layer.provide(RateLimiter.layerStoreRedis({ prefix: "cached:" }))
            )
          )),
        30_000
      )
    }
  )

  it.live(
    "RL-13 a Redis that hangs or is gone is decided about by each rule, and is no refusal",
    () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const limiter = yield* RateLimiter.RateLimiter
        const check = (onStoreError: RateLimiter.OnStoreError) => ({
          policy: policy(JSON.stringify(onStoreError), [
            tokenBucket({ limit: typeof onStoreError === "string" ? 1_000 : 4, window: "1 hour", onStoreError })
          ]),
          key: "k"
        })
        const decide = (onStoreError: RateLimiter.OnStoreError) =>
          Effect.map(
            limiter.consume(check(onStoreError)),
            (decision) => decision._tag === "StoreUnavailable" ? decision.mode : decision._tag
          )
        // The first call of a connection also loads the script, which takes a busy machine longer than 50 ms.
        const answered = Eventually.answers(decide("closed"), (said) => said === "Allowed")
        yield* answered
        const local = RateLimiter.local({ share: 0.5 })
        const whileDown = Effect.gen(function*() {
          assert.deepStrictEqual([yield* decide("open"), yield* decide("closed")], ["open", "closed"])
          const error = yield* Effect.flip(limiter.limit(check("closed"))(Effect.void))
          assert.isTrue(RateLimiter.isRateLimiterUnavailable(error))
        })
        yield* server.pause
        yield* whileDown
        assert.deepStrictEqual([yield* decide(local), yield* decide(local), yield* decide(local)], [
          "local",
          "local",
          "Denied"
        ])
        yield* server.resume
        yield* answered
        yield* server.kill
        yield* whileDown
        yield* server.restart
        yield* answered
      }).pipe(Effect.provide(
        RateLimiter.layer.pipe(
          Layer.provide(RateLimiter.layerStoreRedis()),
          Layer.provideMerge(RedisServer.layerRedis),
          Layer.provideMerge(Layer.fresh(RedisServer.layer()))
        )
      )),
    60_000
  )
})
