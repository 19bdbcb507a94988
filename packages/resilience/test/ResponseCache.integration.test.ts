/** The cache over a real Redis, and over files of another program's making. */
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import { assert, describe, it } from "@effect/vitest"
import * as ResponseCache from "effect-resilience/ResponseCache"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Persistence from "effect/persistence/Persistence"
import * as Redis from "effect/persistence/Redis"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"

const Reply = Schema.Struct({ text: Schema.String, at: Schema.DateFromString })
const NewReply = Schema.Struct({ text: Schema.String, tokens: Schema.Int })

const make = <A>(schema: Schema.ConstraintCodec<A, unknown>, ttl: number | "1 hour" = "1 hour") =>
  ResponseCache.make({
    name: "replies",
    key: (request: string) => ResponseCache.promptKey({ model: "m", messages: request }),
    schema,
    ttl,
    capacity: 1
  })

const reply = { text: "a secret reply", at: new Date(0) }
const redis = (command: string, ...args: ReadonlyArray<string>) =>
  Effect.flatMap(Redis.Redis, (client) => client.send<unknown>(command, ...args))
const keys = Effect.map(redis("KEYS", "*"), (found) => found as ReadonlyArray<string>)

const withRedis = Effect.provide(
  ResponseCache.layerStoreRedis({ timeout: "500 millis" }).pipe(
    Layer.provideMerge(RedisServer.layerRedis),
    Layer.provideMerge(RedisServer.layer())
  )
)

RealServer.describe("redis-server", "ResponseCache over Redis", () => {
  it.live("what one process keeps another one finds, and no word of the prompt is in a key", () =>
    Effect.gen(function*() {
      yield* (yield* make(Reply)).set("my secret question", reply)
      const other = (yield* make(Reply)).through(() => Effect.die("not asked"))
      assert.deepStrictEqual(yield* other("my secret question"), reply)
      for (const key of yield* keys) assert.notInclude(key, "secret")
    }).pipe(Effect.scoped, withRedis))

  it.live("every key expires", () =>
    Effect.gen(function*() {
      yield* (yield* make(Reply)).set("a", reply)
      const [key, ...others] = yield* keys
      assert.strictEqual(others.length, 0)
      const left = Number(yield* redis("PTTL", key!))
      assert.isTrue(left > 0 && left <= 3_600_000, `${left}`)
    }).pipe(Effect.scoped, withRedis))

  it.live("what does not decode any more, and what is no entry, is a told miss and goes", () =>
    Effect.gen(function*() {
      yield* (yield* make(Reply)).set("a", reply)
      const next = { text: "next", tokens: 3 }
      const answer = (yield* make(NewReply)).through(() => Effect.succeed(next))
      const [key] = yield* keys
      const said = Effect.map(answer.served("a"), ({ reason, result, value }) => [value, result, reason])
      assert.deepStrictEqual(yield* said, [next, "miss", "Undecodable"])
      assert.deepStrictEqual(yield* said, [next, "hit", undefined])
      for (const garbage of ["{", "7", "\"text\"", "[]", "{\"value\":1}"]) {
        yield* redis("SET", key!, garbage)
        assert.deepStrictEqual(yield* said, [next, "miss", "Undecodable"], garbage)
        assert.deepStrictEqual(yield* said, [next, "hit", undefined])
      }
    }).pipe(Effect.scoped, withRedis))

  it.live("a Redis that hangs, then dies, then comes back makes misses and no failures", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.RedisServer
      const cache = yield* make(Reply)
      const answer = cache.through(() => Effect.succeed(reply))
      const said = Effect.map(answer.served("a"), ({ reason, result }) => [result, reason])
      assert.deepStrictEqual(yield* said, ["miss", "Absent"])
      assert.deepStrictEqual(yield* said, ["hit", undefined])
      yield* server.pause
      assert.deepStrictEqual(yield* said, ["miss", "StoreUnavailable"])
      yield* server.resume
      yield* server.kill
      assert.deepStrictEqual(yield* said, ["miss", "StoreUnavailable"])
      assert.isAbove((yield* cache.stats).storeErrors, 0)
      yield* server.restart
      const back = yield* Effect.repeat(said, { until: ([result]) => result === "hit", times: 50 })
      assert.deepStrictEqual(back, ["hit", undefined])
    }).pipe(Effect.scoped, withRedis))
})

describe("ResponseCache over a KeyValueStore", () => {
  const stored = ResponseCache.layerStorePersistence().pipe(
    Layer.provide(Persistence.layerBackingKvs),
    Layer.provideMerge(KeyValueStore.layerMemory)
  )

  it.effect("ages by the wall clock, and takes what comes from the future for new", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 hour")
      const cache = yield* make(Schema.String, 1_000)
      let calls = 0
      const answer = cache.through(() => Effect.sync(() => `reply ${++calls}`))
      yield* answer("a")
      yield* TestClock.setTime(0)
      assert.strictEqual(yield* answer("a"), "reply 1")
      yield* TestClock.setTime(3_600_999)
      assert.strictEqual(yield* answer("a"), "reply 1")
      yield* TestClock.setTime(3_601_000)
      assert.strictEqual(yield* answer("a"), "reply 2")
    }).pipe(Effect.scoped, Effect.provide(stored)))
})
