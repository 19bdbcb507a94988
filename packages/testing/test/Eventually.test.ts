import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Eventually from "../src/Eventually.ts"

/** Counts how often it is asked, from 1. */
const counting = () => {
  let count = 0
  return Effect.sync(() => ++count)
}

/** How it ends while the clock goes on for a minute. */
const ended = <A, E>(waiting: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(waiting)
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.await(fiber)
  })

const defectOf = <A, E>(exit: Exit.Exit<A, E>) => String(Exit.isFailure(exit) && Cause.squash(exit.cause))

describe("Eventually", () => {
  it.effect("asks no more than it has to, and gives the answer that is so", () =>
    Effect.gen(function*() {
      const ask = counting()
      const fiber = yield* Effect.forkChild(Eventually.answers(ask, (count) => count === 3, { every: "1 second" }))
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(fiber), 3)
      assert.strictEqual(yield* ask, 4)
    }))

  it.effect("asks once where it is so already, even if it may not wait", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Eventually.answers(counting(), (count) => count === 1, { within: 0 }), 1)
      yield* Eventually.met(() => true)
    }))

  it.effect("dies with the last answer, in the end", () =>
    Effect.gen(function*() {
      const never = Eventually.answers(counting(), () => false, { every: "1 second", within: "5 seconds" })
      assert.match(defectOf(yield* ended(never)), /never was so\. The last answer: 7$/)
      assert.match(defectOf(yield* ended(Eventually.met(() => false))), /never was so/)
    }))

  it.effect("leaves a question's failure to the test", () =>
    Effect.gen(function*() {
      let asked = 0
      const ask = Effect.suspend(() => ++asked === 2 ? Effect.fail("gone") : Effect.succeed(asked))
      assert.deepStrictEqual(yield* ended(Eventually.answers(ask, () => false)), Exit.fail("gone"))
      assert.strictEqual(asked, 2)
    }))

  it.effect("runs assertions until they hold, whatever they fail with", () =>
    Effect.gen(function*() {
      const ask = counting()
      const assertions = Effect.gen(function*() {
        const count = yield* ask
        if (count === 1) return yield* Effect.fail("typed")
        assert.strictEqual(count, 3)
        return count
      })
      assert.deepStrictEqual(yield* ended(Eventually.holds(assertions)), Exit.succeed(3))
    }))

  it.effect("ends as the assertions did the last time", () =>
    Effect.gen(function*() {
      const ask = counting()
      const failing = Eventually.holds(Effect.flatMap(ask, Effect.fail), { every: "1 second", within: "5 seconds" })
      assert.deepStrictEqual(yield* ended(failing), Exit.fail(7))
      const dying = Eventually.holds(Effect.die("wrong"), { every: "1 second", within: "5 seconds" })
      assert.deepStrictEqual(yield* ended(dying), Exit.die("wrong"))
    }))

  it.effect("is interrupted at once, and does not go on by itself", () =>
    Effect.gen(function*() {
      const ask = counting()
      const fiber = yield* Effect.forkChild(Eventually.holds(Effect.flatMap(ask, Effect.fail), { every: "1 second" }), {
        startImmediately: true
      })
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* ask, 2)
      let runs = 0
      const exit = yield* ended(Eventually.holds(Effect.suspend(() => (runs++, Effect.interrupt))))
      assert.isTrue(Exit.hasInterrupts(exit))
      assert.strictEqual(runs, 1)
    }))

  it.effect("takes no options that make no sense", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.suspend(() => Eventually.met(() => true, { every: 0 })))
      assert.match(defectOf(exit), /^RangeError: every must be a duration above zero, got 0$/)
      assert.throws(() => Eventually.holds(Effect.void, { within: -1 }), RangeError)
    }))
})
