import { assert, describe, it } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Signal from "effect-resilience/Signal"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { integerBetween } from "./support/histories.ts"

const { concurrency, fixedWindow, policy, slidingWindow, tokenBucket } = RateLimiter

const withCapacity = (capacity: number) =>
  Effect.provide(RateLimiter.layer.pipe(Layer.provideMerge(RateLimiter.layerStoreMemory({ capacity }))))

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

const heap = (): number => {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

describe("RL-11 the store in memory", () => {
  for (
    const rule of [
      tokenBucket({ limit: 10, window: "1 minute" }),
      slidingWindow({ limit: 10, window: "1 minute" }),
      fixedWindow({ limit: 10, window: "1 minute" })
    ]
  ) {
    it.effect(
      `takes at most 200 bytes a live key and gives them back within two windows (${rule.algorithm})`,
      () =>
        Effect.gen(function*() {
          const limiter = yield* RateLimiter.RateLimiter
          const api = policy("api", [rule])
          yield* limiter.consume({ policy: api, key: "warm up" })
          const before = heap()
          const count = 1_000_000
          yield* Effect.forEach(
            Array.from({ length: 100 }, (_, i) => i),
            (chunk) =>
              Effect.gen(function*() {
                for (let i = 0; i < count / 100; i++) {
                  yield* limiter.consume({ policy: api, key: `user-${chunk * (count / 100) + i}` })
                }
              }),
            { discard: true }
          )
          assert.isAtMost((heap() - before) / count, 200)
          yield* TestClock.adjust("2 minutes")
          // The sweep lets others run between its chunks, and virtual time does not wait for it.
          yield* Effect.replicateEffect(Effect.yieldNow, 500)
          assert.isAtMost(heap(), before * 1.1)
        }).pipe(withCapacity(1_000_001)),
      180_000
    )
  }

  it.effect.prop("forgets only keys that refuse nobody: an exhausted, held or blocked key stays so", {
    victims: Schema.Array(Schema.Literals(["exhausted", "held", "blocked", "half", "used"])).check(
      Schema.isMaxLength(30)
    ),
    crowd: integerBetween(1, 300)
  }, ({ crowd, victims }) =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const bucket = policy("bucket", [tokenBucket({ limit: 4, window: "1 hour" })])
      for (const [index, kind] of victims.entries()) {
        const check = { policy: bucket, key: `victim-${index}` }
        if (kind === "blocked") yield* limiter.block(check, "1 hour")
        else if (kind === "held") yield* limiter.reserve(check, { estimate: 4 })
        else yield* limiter.consume({ ...check, cost: kind === "exhausted" ? 4 : kind === "half" ? 2 : 1 })
      }
      for (let i = 0; i < crowd; i++) yield* limiter.consume({ policy: bucket, key: `one-shot-${i}` })
      for (const [index, kind] of victims.entries()) {
        const { _tag } = yield* limiter.peek({ policy: bucket, key: `victim-${index}` })
        assert.strictEqual(_tag, kind === "half" || kind === "used" ? "Allowed" : "Denied", `${kind} ${index}`)
      }
    }).pipe(withCapacity(50), Effect.scoped), { arbitrary: { runs: 100 } })

  it.effect("that is full of exhausted keys is a store that cannot answer: each rule decides", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const of = (onStoreError: RateLimiter.OnStoreError) =>
        policy("p", [tokenBucket({ limit: 1, window: "1 hour", onStoreError })])
      for (let i = 0; i < 10; i++) yield* limiter.consume({ policy: of("open"), key: `${i}` })
      assert.deepInclude(yield* limiter.consume({ policy: of("open"), key: "new" }), {
        _tag: "StoreUnavailable",
        mode: "open"
      })
      assert.deepInclude(yield* limiter.consume({ policy: of("closed"), key: "new" }), {
        _tag: "StoreUnavailable",
        mode: "closed"
      })
      for (let i = 0; i < 10; i++) {
        assert.strictEqual((yield* limiter.consume({ policy: of("open"), key: `${i}` }))._tag, "Denied")
      }
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* limiter.consume({ policy: of("closed"), key: "new" }))._tag, "Allowed")
    }).pipe(withCapacity(10)))

  it.effect("sleeps while it is empty: a year passes at once", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.consume({ policy: policy("p", [tokenBucket({ limit: 1, window: "1 second" })]), key: "k" })
      yield* TestClock.adjust("400 days")
      assert.strictEqual(
        (yield* limiter.peek({ policy: policy("p", [concurrency({ limit: 1 })]), key: "k" }))._tag,
        "Allowed"
      )
    }).pipe(withCapacity(10)))
})

describe("a decision", () => {
  it.effect.prop("is the same whether a rule is asked alone or beside one that never refuses", {
    kind: integerBetween(0, 3),
    limit: integerBetween(1, 9),
    events: Schema.Array(Schema.Struct({ gap: integerBetween(0, 600), cost: integerBetween(0, 4) })).check(
      Schema.isMaxLength(60)
    )
  }, ({ events, kind, limit }) =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const rule = [tokenBucket, slidingWindow, fixedWindow, RateLimiter.leakyBucket][kind]!({
        limit,
        window: "1 second"
      })
      const plenty = fixedWindow({ name: "plenty", limit: 1e9, window: "1 second" })
      const alone = { policy: policy(`alone-${kind}-${limit}`, [rule]), key: "k" }
      const beside = { policy: policy(`beside-${kind}-${limit}`, [rule, plenty]), key: "k" }
      for (const { cost, gap } of events) {
        yield* TestClock.adjust(gap)
        const [one, two] = [
          yield* limiter.consume({ ...alone, cost }),
          yield* limiter.consume({ ...beside, cost })
        ]
        const told = (decision: RateLimiter.Decision) => ({
          tag: decision._tag,
          retryAfter: decision._tag === "Denied" ? decision.retryAfter : undefined,
          remaining: decision.rules[0]!.remaining,
          resetAfter: decision.rules[0]!.resetAfter
        })
        assert.deepStrictEqual(told(one), told(two))
      }
      yield* limiter.reset(alone)
      yield* limiter.reset(beside)
    }).pipe(withCapacity(100)), { arbitrary: { runs: 100 } })
})

describe("RL-13 without an answer of the store", () => {
  /** A store that is full of exhausted keys: it cannot take a new one. */
  const down = (test: Effect.Effect<void, unknown, RateLimiter.RateLimiter>) =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.consume({ policy: policy("full", [tokenBucket({ limit: 1, window: "1 day" })]), key: "k" })
      yield* test
    }).pipe(withCapacity(1))

  const { limiter } = { limiter: RateLimiter.RateLimiter }
  const bucket = (options: Partial<RateLimiter.TokenBucketOptions>) =>
    tokenBucket({ limit: 8, window: "1 day", ...options })

  it.effect("open lets calls through, closed fails them with another error than a refusal", () =>
    down(Effect.gen(function*() {
      const { limit, reserve, wait } = yield* limiter
      const open = { policy: policy("open", [bucket({})]), key: "k" }
      const closed = { policy: policy("closed", [bucket({ onStoreError: "closed" })]), key: "k" }
      assert.strictEqual(yield* limit(open)(Effect.succeed("ran")), "ran")
      const reservation = yield* Effect.scoped(Effect.tap(reserve(open, { estimate: 3 }), ({ settle }) => settle(2)))
      assert.deepInclude(reservation.decision, { _tag: "StoreUnavailable", mode: "open" })
      for (const call of [limit(closed)(Effect.void), wait(closed), Effect.scoped(reserve(closed))]) {
        const error = yield* Effect.flip(call as Effect.Effect<unknown, unknown>)
        assert.isTrue(RateLimiter.isRateLimiterUnavailable(error))
        assert.isFalse(RateLimiter.isRateLimited(error))
      }
      // The strictest rule decides.
      assert.deepInclude(yield* Effect.flip(wait([open, closed])), { _tag: "RateLimiterUnavailable", policy: "closed" })
    })))

  it.effect("local enforces this process's share of the limit", () =>
    down(Effect.gen(function*() {
      const { consume } = yield* limiter
      const check = {
        policy: policy("local", [bucket({ onStoreError: RateLimiter.local({ share: 0.25 }) })]),
        key: "k"
      }
      const decisions = yield* Effect.replicateEffect(consume(check), 4)
      assert.deepStrictEqual(decisions.map((d) => d._tag === "StoreUnavailable" ? d.mode : d._tag), [
        "local",
        "local",
        "Denied",
        "Denied"
      ])
      assert.strictEqual(decisions[2]?.rules[0]?.limit, 2)
      yield* TestClock.adjust("12 hours")
      assert.deepInclude(yield* consume(check), { _tag: "StoreUnavailable", mode: "local" })
    })))

  it.effect("says so, one signal a rule", () =>
    down(Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const { consume } = yield* limiter
      yield* consume({ policy: policy("open", [bucket({})]), key: "k" }).pipe(
        Effect.provide(Signal.layer((signal) => heard.push(signal)))
      )
      assert.deepStrictEqual(heard, [
        { _tag: "LimitDecided", policy: "open", rule: "tokenBucket", decision: "store_unavailable" }
      ])
    })))
})
