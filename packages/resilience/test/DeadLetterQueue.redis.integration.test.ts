import * as DeadLetterStoreSuite from "@effect-resilience/testing/DeadLetterStoreSuite"
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import { assert, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Failure from "effect-resilience/Failure"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import { offerMany, orders, outcomes } from "./support/deadLetters.ts"

const lost = () => new Redis.RedisError({ cause: new Error("the connection is lost") })

/** A `Redis` whose commands fail when a test says so. */
const faulty = (faults: DeadLetterStoreSuite.Faults) =>
  Layer.effect(
    Redis.Redis,
    Effect.map(Redis.Redis, (redis) => {
      const guard = <A>(self: Effect.Effect<A, Redis.RedisError>): Effect.Effect<A, Redis.RedisError> =>
        Effect.suspend(() =>
          faults.before() ?
            Effect.fail(lost()) :
            Effect.filterOrFail(self, () => !faults.after(), lost)
        )
      return Redis.Redis.of({
        ...redis,
        send: (command, ...args) => guard(redis.send(command, ...args)),
        eval: (script) => (...params) => guard(redis.eval(script)(...params))
      })
    })
  )

const server = RedisServer.layerRedis.pipe(Layer.provideMerge(RedisServer.layer()))

RealServer.describe("redis-server", "letters in Redis", () => {
  DeadLetterStoreSuite.deadLetterStoreSuite(
    "the store",
    DeadLetterQueue.layerStoreRedis().pipe(Layer.provide(server)),
    {
      faulty: (faults) => DeadLetterQueue.layerStoreRedis().pipe(Layer.provide(faulty(faults)), Layer.provide(server))
    }
  )

  it.live("keeps all keys of a queue in one slot of a cluster, and leaves none behind when its letters are gone", () =>
    Effect.gen(function*() {
      const redis = yield* Redis.Redis
      yield* redis.send("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
      yield* Eventually.answers(redis.send<string>("CLUSTER", "INFO"), (info) => info.includes("cluster_state:ok"))
      const store = yield* DeadLetterQueue.DeadLetterStore
      const queue = yield* orders({ name: "a:{b}*" })
      const ids = yield* offerMany(queue, 5)
      yield* queue.discard(ids.slice(0, 2), "no")
      assert.deepStrictEqual(yield* outcomes(queue.redrive({}, () => Effect.void)), [
        "redriven",
        "redriven",
        "redriven"
      ])
      const keys = yield* redis.send<ReadonlyArray<string>>("KEYS", "*")
      const slots = yield* Effect.forEach(keys, (key) => redis.send<number>("CLUSTER", "KEYSLOT", key))
      assert.isAbove(keys.length, 8)
      assert.strictEqual(new Set(slots).size, 1)
      for (const id of ids) {
        const row = (yield* store.get(queue.name, id))!
        yield* store.remove(queue.name, id, row.version)
      }
      assert.deepStrictEqual(yield* redis.send("KEYS", "*"), ["dead-letters:{a%3A%7Bb%7D*}:seq"])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        DeadLetterQueue.layerStoreRedis().pipe(
          Layer.provideMerge(RedisServer.layerRedis),
          Layer.provideMerge(RedisServer.layer({ args: ["--cluster-enabled", "yes"] }))
        )
      )
    ))

  it.live("DL-8 says typed that Redis is away", () =>
    Effect.gen(function*() {
      const redis = yield* RedisServer.RedisServer
      const queue = yield* orders()
      yield* redis.kill
      const error = yield* Effect.flip(queue.offer({ order: 1 }, { error: "down" }).pipe(Effect.timeout("5 seconds")))
      assert.include(["Transient", "Timeout"], (yield* Failure.classify(error)).kind)
    }).pipe(
      Effect.scoped,
      Effect.provide(DeadLetterQueue.layerStoreRedis().pipe(Layer.provideMerge(Layer.fresh(server))))
    ))
})
