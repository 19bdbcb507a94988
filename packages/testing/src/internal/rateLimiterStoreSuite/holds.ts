/** Reservations settle once, and leases end. */
import { assert } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { fresh, long, remaining, type Test } from "./kit.ts"

const { concurrency, fixedWindow, slidingWindow, tokenBucket } = RateLimiter

export const holdTests = (test: Test): void => {
  test("RL-8 a reservation holds its estimate, settles once, and comes back after a failure", (limiter) =>
    Effect.gen(function*() {
      for (const make of [tokenBucket, slidingWindow, fixedWindow]) {
        const check = { policy: fresh(make({ limit: 100, window: "1000 days", unit: "tokens" })), key: "k" }
        const left = Effect.map(remaining(limiter, check), ([left]) => Math.round(left!))
        yield* Effect.scoped(Effect.gen(function*() {
          const first = yield* limiter.reserve(check, { estimate: 60 })
          const second = yield* limiter.reserve(check, { estimate: 30 })
          assert.strictEqual(yield* left, 10)
          assert.strictEqual((yield* limiter.consume({ ...check, cost: 11 }))._tag, "Denied")
          yield* first.settle(25)
          assert.strictEqual(yield* left, 45)
          yield* first.settle(60)
          yield* second.settle(35)
        }))
        assert.strictEqual(yield* left, 40)
        yield* Effect.exit(Effect.scoped(Effect.andThen(limiter.reserve(check, { estimate: 40 }), Effect.fail("no"))))
        assert.strictEqual(yield* left, 40)
      }
    }))

  test("RL-8 what nobody renews comes back when its lease is over, and settling it late still charges", (limiter) =>
    Effect.gen(function*() {
      const check = { policy: fresh(fixedWindow({ limit: 10, window: long, unit: "tokens" })), key: "k" }
      const store = yield* RateLimiter.RateLimiterStore
      const rule = check.policy.rules[0]!
      const place = { table: rule.table, key: "k", policy: check.policy.name, shape: rule.shape }
      const entry = { ...place, cost: 8 * rule.shape.scale, shadow: false, lease: 100 }
      const reply = yield* store.decide({ entries: [entry], subjects: [], peek: false, hold: "h" })
      assert.isTrue(reply.allowed)
      assert.deepStrictEqual(yield* remaining(limiter, check), [2])
      yield* Effect.sleep("110 millis")
      assert.deepStrictEqual(yield* remaining(limiter, check), [10])
      const settlement = { hold: "h", entries: [{ ...place, charge: 5 * rule.shape.scale }], renew: undefined }
      assert.isFalse(yield* store.settle({ ...settlement, force: false }))
      assert.deepStrictEqual(yield* remaining(limiter, check), [10])
      assert.isFalse(yield* store.settle({ ...settlement, force: true }))
      assert.deepStrictEqual(yield* remaining(limiter, check), [5])
    }))

  test("RL-10 leases are held while the work runs, longer than they last, and end with it", (limiter) =>
    Effect.gen(function*() {
      const check = { policy: fresh(concurrency({ limit: 2, lease: "300 millis" })), key: "k" }
      let running = 0
      let most = 0
      const work = limiter.limit(check, { maxWait: "30 seconds" })(Effect.acquireUseRelease(
        Effect.sync(() => most = Math.max(most, ++running)),
        () => Effect.sleep("20 millis"),
        () => Effect.sync(() => running--)
      ))
      yield* Effect.all(Array.from({ length: 12 }, () => work), { concurrency: "unbounded" })
      assert.strictEqual(most, 2)
      assert.deepStrictEqual(yield* remaining(limiter, check), [2])
      const fiber = yield* Effect.forkChild(limiter.limit(check)(Effect.sleep("900 millis")))
      yield* Effect.sleep("700 millis")
      assert.deepStrictEqual(yield* remaining(limiter, check), [1])
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* remaining(limiter, check), [2])
    }))

  test("RL-10 interruptions at any time leave nothing held", (limiter) =>
    Effect.gen(function*() {
      const check = { policy: fresh(concurrency({ limit: 5, lease: long })), key: "k" }
      for (let round = 0; round < 20; round++) {
        const fibers = yield* Effect.forEach(
          Array.from({ length: 10 }),
          () => Effect.forkChild(limiter.limit(check, { maxWait: "10 seconds" })(Effect.sleep("5 millis")))
        )
        for (const fiber of fibers) {
          yield* Effect.sleep(Math.floor(Math.random() * 3))
          yield* Fiber.interrupt(fiber)
        }
      }
      assert.deepStrictEqual(yield* remaining(limiter, check), [5])
    }))
}
