import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Dependency from "../src/Dependency.ts"

describe("Dependency.scripted", () => {
  it.effect("answers by its script, and repeats the last answer", () =>
    Effect.gen(function*() {
      const dependency = Dependency.scripted([Effect.succeed(1), Effect.fail("no"), Effect.succeed(2)])
      const exits = yield* Effect.replicateEffect(Effect.exit(dependency.call), 5)
      assert.deepStrictEqual(exits, [
        Exit.succeed(1),
        Exit.fail("no"),
        Exit.succeed(2),
        Exit.succeed(2),
        Exit.succeed(2)
      ])
    }))

  it.effect("starts its script again when told to", () =>
    Effect.gen(function*() {
      const dependency = Dependency.scripted([Effect.succeed(1), Effect.succeed(2)], { end: "cycle" })
      assert.deepStrictEqual(yield* Effect.replicateEffect(dependency.call, 5), [1, 2, 1, 2, 1])
    }))

  it.effect("dies when it is called once too often, when told to", () =>
    Effect.gen(function*() {
      const dependency = Dependency.scripted([Effect.succeed(1)], { end: "die" })
      yield* dependency.call
      const exit = yield* Effect.exit(dependency.call)
      assert.isTrue(Exit.hasDies(exit))
      assert.match(String(Exit.isFailure(exit) && exit.cause), /The script has 1 answers, and this is call 2/)
    }))

  it.effect("gives calls at the same time their answers in the order in which they start", () =>
    Effect.gen(function*() {
      const dependency = Dependency.scripted([
        Effect.delay(Effect.succeed("first"), "3 seconds"),
        Effect.delay(Effect.succeed("second"), "1 second"),
        Effect.never
      ])
      const fibers = yield* Effect.replicateEffect(
        Effect.forkChild(dependency.call, { startImmediately: true }),
        3
      )
      assert.strictEqual(dependency.inFlight, 3)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(dependency.inFlight, 2)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interruptAll(fibers)
      assert.strictEqual(dependency.inFlight, 0)
      assert.strictEqual(dependency.mostInFlight, 3)
      assert.deepStrictEqual(dependency.calls, [
        { request: undefined, startedAt: 0, endedAt: 3_000, outcome: "success" },
        { request: undefined, startedAt: 0, endedAt: 1_000, outcome: "success" },
        { request: undefined, startedAt: 0, endedAt: 4_000, outcome: "interrupted" }
      ])
    }))

  it.effect("remembers requests and every way to end", () =>
    Effect.gen(function*() {
      const dependency = Dependency.scripted([
        Effect.void,
        Effect.fail("no"),
        Effect.die("bug"),
        Effect.interrupt,
        Effect.never
      ])
      for (const request of ["a", "b", "c", "d"]) yield* Effect.exit(dependency.callWith(request))
      yield* Effect.forkChild(dependency.callWith("e"), { startImmediately: true })
      assert.deepStrictEqual(dependency.calls.map(({ outcome, request }) => [request, outcome]), [
        ["a", "success"],
        ["b", "failure"],
        ["c", "defect"],
        ["d", "interrupted"],
        ["e", "running"]
      ])
    }))

  it.effect("what was read does not change afterwards", () =>
    Effect.gen(function*() {
      const dependency = Dependency.scripted([Effect.void])
      const before = dependency.calls
      yield* dependency.call
      assert.deepStrictEqual(before, [])
    }))

  it("is of the type of all its answers", () => {
    const dependency = Dependency.scripted([Effect.succeed(1), Effect.fail("no" as const), Effect.succeed(true)])
    const call: Effect.Effect<number | boolean, "no"> = dependency.call
    // Would not compile if the script's failures were forgotten.
    const error: Effect.Error<typeof dependency.call> = "no"
    assert.strictEqual(call, dependency.call)
    assert.strictEqual(error, "no")
  })

  it("refuses a script without an answer", () => {
    assert.throws(() => Dependency.scripted([]), RangeError, /^answers must not be empty$/)
  })
})
