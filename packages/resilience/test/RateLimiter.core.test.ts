/** Effect's own rate limiter interface on this engine. The examples are those of Effect's documentation. */
import { assert, describe, it } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Core from "effect/persistence/RateLimiter"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { integerBetween } from "./support/histories.ts"

const ours = RateLimiter.layerCore.pipe(Layer.provide(RateLimiter.layerStoreMemory()))
const theirs = Core.layer.pipe(Layer.provide(Core.layerStoreMemory))

describe("RL-19 behind layerCore", () => {
  it.effect("makeWithRateLimiter runs the effect, as documented", () =>
    Effect.gen(function*() {
      const messages: Array<string> = []
      const withLimiter = yield* Core.makeWithRateLimiter
      yield* Effect.sync(() => messages.push("Making a request with rate limiting")).pipe(
        withLimiter({ key: "some-key", limit: 10, onExceeded: "delay", window: "5 seconds", algorithm: "fixed-window" })
      )
      assert.deepStrictEqual(messages, ["Making a request with rate limiting"])
    }).pipe(Effect.provide(ours)))

  it.effect("sleep tells what remains, as documented", () =>
    Effect.gen(function*() {
      const limiter = yield* Core.RateLimiter
      const partial = yield* Core.sleep(limiter)({
        key: "partial",
        limit: 10,
        window: "5 seconds",
        algorithm: "fixed-window"
      })
      const direct = yield* Core.sleep(limiter, {
        key: "direct",
        limit: 10,
        window: "5 seconds",
        algorithm: "token-bucket"
      })
      assert.deepStrictEqual([partial.remaining, direct.remaining], [9, 9])
    }).pipe(Effect.provide(ours)))

  it.effect("what exceeds the limit fails with Effect's error and an exact time", () =>
    Effect.gen(function*() {
      const limiter = yield* Core.RateLimiter
      for (const algorithm of ["fixed-window", "token-bucket"] as const) {
        const options = { algorithm, key: algorithm, limit: 2, window: "1 second", onExceeded: "fail" } as const
        yield* limiter.consume({ ...options, tokens: 2 })
        const error = yield* Effect.flip(limiter.consume(options))
        assert.strictEqual(error.reason._tag, "RateLimitExceeded")
        const { retryAfter } = error.reason as Core.RateLimitExceeded
        assert.strictEqual(Duration.toMillis(retryAfter), algorithm === "fixed-window" ? 1_000 : 500)
        yield* TestClock.adjust(Duration.toMillis(retryAfter) - 1)
        yield* Effect.flip(limiter.consume(options))
        yield* TestClock.adjust(1)
        yield* limiter.consume(options)
        const never = yield* Effect.flip(limiter.consume({ ...options, tokens: 3 }))
        assert.strictEqual(Duration.toMillis((never.reason as Core.RateLimitExceeded).retryAfter), 1_000)
      }
    }).pipe(Effect.provide(ours)))

  it.effect("with delay, calls are spread over the time that follows", () =>
    Effect.gen(function*() {
      const starts = (algorithm: "fixed-window" | "token-bucket") =>
        Effect.gen(function*() {
          const limiter = yield* Core.RateLimiter
          const begin = yield* Clock.currentTimeMillis
          const fibers = yield* Effect.forEach(Array.from({ length: 6 }), () =>
            Effect.forkChild(
              Effect.flatMap(Core.sleep(limiter, { algorithm, key: algorithm, limit: 2, window: "1 second" }), () =>
                Effect.map(Clock.currentTimeMillis, (now) => now - begin)),
              { startImmediately: true }
            ))
          yield* TestClock.adjust("10 seconds")
          return yield* Effect.forEach(fibers, (fiber) =>
            Fiber.join(fiber))
        })
      assert.deepStrictEqual(yield* starts("fixed-window"), [0, 0, 1_000, 1_000, 2_000, 2_000])
      assert.deepStrictEqual(yield* starts("token-bucket"), [0, 0, 500, 1_000, 1_500, 2_000])
    }).pipe(Effect.provide(ours)))

  it.effect("a token bucket admits in any window what Effect's own admits, and no more than its bound", () =>
    Effect.gen(function*() {
      const admitted = Effect.gen(function*() {
        const limiter = yield* Core.RateLimiter
        const times: Array<number> = []
        for (let millis = 0; millis < 30_000; millis += 100) {
          const exit = yield* Effect.exit(
            limiter.consume({ key: "k", limit: 10, window: "10 seconds", algorithm: "token-bucket" })
          )
          if (exit._tag === "Success") times.push(millis)
          yield* TestClock.adjust(100)
        }
        return times
      })
      const peak = (times: ReadonlyArray<number>) =>
        Math.max(...times.map((from) => times.filter((time) => time >= from && time < from + 10_000).length))
      const [a, b] = [yield* Effect.provide(admitted, ours), yield* Effect.provide(admitted, theirs)]
      // Its burst, and what flows in.
      assert.strictEqual(peak(a), peak(b))
      assert.isAtMost(peak(a), 20)
    }))

  it.effect.prop("what it learns from a server's refusals is what Effect's own learns", {
    events: Schema.Array(Schema.Struct({
      what: Schema.Literals(["consume", "refuse"]),
      gap: integerBetween(0, 3_000),
      tokens: integerBetween(1, 4),
      retryAfter: integerBetween(0, 5_000),
      stale: Schema.Boolean
    })).check(Schema.isMaxLength(60))
  }, ({ events }) =>
    Effect.gen(function*() {
      const [a, b] = [
        yield* Effect.provide(Core.RateLimiter, Layer.fresh(ours), { local: true }),
        yield* Effect.provide(Core.RateLimiter, Layer.fresh(theirs), { local: true })
      ]
      let epoch = 0
      for (const { gap, retryAfter, stale, tokens, what } of events) {
        yield* TestClock.adjust(gap)
        if (what === "consume") {
          const options = { key: "k", tokens, fallbackLimit: 10, fallbackWindow: Duration.seconds(10) }
          const [one, two] = [yield* a.adaptiveConsume(options), yield* b.adaptiveConsume(options)]
          assert.deepStrictEqual([one.phase, one.epoch], [two.phase, two.epoch])
          assert.closeTo(Duration.toMillis(one.delay), Duration.toMillis(two.delay), 1e-6)
          epoch = one.epoch
        } else {
          const feedback = {
            key: "k",
            epoch: stale ? epoch - 1 : epoch,
            tokens,
            status: 429,
            retryAfter: Duration.millis(retryAfter)
          }
          yield* a.adaptiveFeedback(feedback)
          yield* b.adaptiveFeedback(feedback)
        }
      }
    }).pipe(Effect.scoped), { arbitrary: { runs: 200 } })
})
