/** All of a decision or nothing, exact times, and limits that hold under contention. */
import { assert } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { admitted, fresh, long, remaining, tags, type Test } from "./kit.ts"

const { concurrency, fixedWindow, leakyBucket, slidingWindow, tokenBucket } = RateLimiter

export const decisionTests = (test: Test): void => {
  test("RL-2 a denied request changes no counter", (limiter) =>
    Effect.gen(function*() {
      const rules = [
        tokenBucket({ limit: 5, window: long }),
        slidingWindow({ limit: 5, window: long }),
        fixedWindow({ limit: 5, window: long }),
        concurrency({ limit: 5, lease: long })
      ]
      for (const rule of rules) {
        const check = { policy: fresh(rule), key: "k" }
        yield* limiter.consume({ ...check, cost: 3 })
        const denied = yield* Effect.replicateEffect(limiter.consume({ ...check, cost: 3 }), 10)
        assert.deepStrictEqual(new Set(tags(denied)), new Set(["Denied"]))
        assert.deepStrictEqual(yield* remaining(limiter, check), [2])
        assert.strictEqual((yield* limiter.consume({ ...check, cost: 2 }))._tag, "Allowed")
      }
    }))

  test("RL-3 nine rules over three scopes are taken together or not at all", (limiter) =>
    Effect.gen(function*() {
      const rules = (limit: number) => [
        tokenBucket({ limit, window: long }),
        slidingWindow({ limit, window: long }),
        fixedWindow({ limit, window: long })
      ]
      const checks = [
        { policy: fresh(...rules(10)), key: "alice" },
        { policy: fresh(...rules(20)), key: "acme" },
        { policy: fresh(...rules(3)), key: "all" }
      ]
      assert.deepStrictEqual(tags(yield* Effect.replicateEffect(limiter.consume(checks), 5)), [
        "Allowed",
        "Allowed",
        "Allowed",
        "Denied",
        "Denied"
      ])
      for (const [index, expected] of [7, 17, 0].entries()) {
        assert.deepStrictEqual(yield* remaining(limiter, checks[index]!), [expected, expected, expected])
      }
    }))

  test("RL-6 waiting as long as told succeeds, and a cost above the capacity never will", (limiter) =>
    Effect.gen(function*() {
      const rules = [
        tokenBucket({ limit: 10, window: "2 seconds", burst: 1 }),
        slidingWindow({ limit: 1, window: "200 millis" }),
        fixedWindow({ limit: 1, window: "200 millis" }),
        leakyBucket({ limit: 10, window: "2 seconds" }),
        concurrency({ limit: 1, lease: "200 millis" })
      ]
      for (const rule of rules) {
        const check = { policy: fresh(rule), key: "k" }
        assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
        // On a busy machine the second may come so late that there is room for it, too.
        const denied = yield* Effect.repeat(limiter.consume(check), {
          until: (decision) => decision._tag === "Denied",
          times: 20
        })
        if (denied._tag !== "Denied") return assert.fail(`${rule.algorithm}: ${denied._tag}`)
        const millis = Duration.toMillis(denied.retryAfter)
        assert.isTrue(millis > 0 && millis <= 200, `${rule.algorithm}: ${millis}`)
        // A millisecond more: this process's timer and the store's clock do not tick together.
        yield* Effect.sleep(millis + 1)
        assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed", rule.algorithm)
        assert.deepInclude(yield* limiter.consume({ ...check, cost: 11 }), { _tag: "Denied", never: true })
      }
    }))

  test("RL-5 windows up to 2^53 milliseconds and fractions of a cost lose nothing", (limiter) =>
    Effect.gen(function*() {
      for (const window of [25 * 86_400_000, 365.25 * 86_400_000, 2 ** 53 - 1]) {
        for (const make of [tokenBucket, slidingWindow, fixedWindow]) {
          const check = { policy: fresh(make({ limit: 1, window, unit: "cost" })), key: "k", cost: 0.1 }
          assert.strictEqual(yield* admitted(limiter, check, 12, 1), 10, `${make.name} ${window}`)
          const { rules } = yield* limiter.peek(check)
          assert.closeTo(rules[0]!.remaining, 0, 0.001)
        }
      }
    }))

  test("a leaky bucket gives places in its queue, evenly apart", (limiter) =>
    Effect.gen(function*() {
      const check = { policy: fresh(leakyBucket({ limit: 1, window: long, queue: 3 })), key: "k" }
      const decisions = yield* Effect.replicateEffect(limiter.consume(check), 5)
      const hours = decisions.map((decision) =>
        decision._tag === "Allowed" ? Math.round(Duration.toHours(decision.delay)) : decision._tag
      )
      assert.deepStrictEqual(hours, [0, 1, 2, 3, "Denied"])
    }))

  test("RL-16 under contention a limit is reached exactly and never exceeded", (limiter) =>
    Effect.gen(function*() {
      const one = fresh(
        fixedWindow({ limit: 100, window: long }),
        slidingWindow({ limit: 150, window: long }),
        tokenBucket({ limit: 200, window: "1000 days" })
      )
      const other = fresh(tokenBucket({ limit: 300, window: "1000 days" }))
      const both = [{ policy: one, key: "k" }, { policy: other, key: "k" }]
      // Two orders of the same keys: a store that locks them in the order they come in would lock up.
      const counts = yield* Effect.all([
        admitted(limiter, both, 150, 32),
        admitted(limiter, both.toReversed(), 150, 32)
      ], { concurrency: "unbounded" })
      assert.strictEqual(counts[0] + counts[1], 100)
      assert.deepStrictEqual(yield* remaining(limiter, both[0]!), [0, 50, 100])
      assert.deepStrictEqual(yield* remaining(limiter, both[1]!), [200])
    }))
}
