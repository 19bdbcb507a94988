/** Keys stay apart whatever they hold, and one can be refused by itself. */
import { assert } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { fresh, long, remaining, type Test } from "./kit.ts"

const { concurrency, tokenBucket } = RateLimiter

const awkwardKeys: ReadonlyArray<string> = [
  "",
  " ",
  ":",
  "a:b",
  "a",
  "{",
  "}",
  "{}",
  "{a}",
  "*",
  "a*",
  "%",
  "_",
  "'",
  "\"",
  "\\",
  "\0",
  "a\0",
  "a\0b",
  "\n",
  "\u007f",
  "\ud800",
  "\udfff",
  "\ufffd",
  "é",
  "e\u0301",
  "🙂",
  "=a",
  "~a",
  "x".repeat(10_000),
  `${"x".repeat(10_000)}y`
]

export const keyTests = (test: Test): void => {
  test("RL-12 keys stay apart whatever they hold, and one can be reset alone", (limiter) =>
    Effect.gen(function*() {
      const one = fresh(tokenBucket({ limit: 1, window: long }), concurrency({ limit: 1, lease: long }))
      for (const key of awkwardKeys) {
        const label = JSON.stringify(key.slice(0, 20))
        assert.strictEqual((yield* limiter.consume({ policy: one, key }))._tag, "Allowed", label)
        assert.strictEqual((yield* limiter.consume({ policy: one, key }))._tag, "Denied", label)
      }
      for (const reset of ["*", "{a}", "\0"]) {
        yield* limiter.reset({ policy: one, key: reset })
        for (const key of awkwardKeys) {
          const { _tag } = yield* limiter.peek({ policy: one, key })
          assert.strictEqual(_tag, key === reset ? "Allowed" : "Denied", JSON.stringify(key.slice(0, 20)))
        }
        yield* limiter.consume({ policy: one, key: reset })
      }
    }))

  test("block refuses a key until it is over or lifted, and no other", (limiter) =>
    Effect.gen(function*() {
      const check = { policy: fresh(tokenBucket({ limit: 9, window: long })), key: "k" }
      yield* limiter.block(check, long)
      const denied = yield* limiter.consume(check)
      assert.deepInclude(denied, { _tag: "Denied", rule: "block", reason: "Blocked" })
      assert.isTrue(denied._tag === "Denied" && Duration.toMinutes(denied.retryAfter) > 58)
      assert.strictEqual((yield* limiter.consume({ ...check, key: "other" }))._tag, "Allowed")
      yield* limiter.block(check, 0)
      assert.deepStrictEqual(yield* remaining(limiter, check), [9])
      yield* limiter.block(check, "50 millis")
      yield* Effect.sleep("60 millis")
      assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
    }))
}
