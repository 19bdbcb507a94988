import { assert, describe, it } from "@effect/vitest"
import * as Deadline from "effect-resilience/Deadline"
import * as Failure from "effect-resilience/Failure"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Signal from "effect-resilience/Signal"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { finish } from "./support/faults.ts"
import { answeredBy, ask, dependencyFault, Model, models, requestFault } from "./support/routes.ts"

const exhausted = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(self), (error) => {
    assert.isTrue(FallbackChain.isFallbackExhausted(error), String(error))
    return error as unknown as FallbackChain.FallbackExhausted
  })

describe("FallbackChain: which failure goes where", () => {
  it.effect("FB-1 an outage goes on to any other route and cools the one that failed", () =>
    Effect.gen(function*() {
      for (const kind of ["Transient", "Overloaded", "Timeout"] as const) {
        const { calls, fail, route } = models("a", "b")
        const chain = yield* FallbackChain.make("chain", [route("a"), route("b")])
        fail("a", dependencyFault(kind))
        assert.deepStrictEqual(yield* answeredBy(chain), ["b", true])
        assert.deepStrictEqual(yield* answeredBy(chain), ["b", true])
        assert.deepStrictEqual(calls(), ["a", "b", "b"], kind)
        assert.strictEqual((yield* chain.states)[0]!.state, "Cooling")
      }
    }))

  it.effect("FB-1 429 goes on, and the route is left alone as long as it asked", () =>
    Effect.gen(function*() {
      const { calls, fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")])
      fail("a", dependencyFault("RateLimited", { code: "429", retryAfter: "17 seconds" }))
      yield* answeredBy(chain)
      fail("a", undefined)
      yield* TestClock.adjust("16999 millis")
      assert.deepStrictEqual(yield* answeredBy(chain), ["b", true])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* answeredBy(chain), ["a", false])
      assert.deepStrictEqual(calls(), ["a", "b", "b", "a"])
    }))

  it.effect("FB-1 429 of the only route is waited for, within the deadline", () =>
    Effect.gen(function*() {
      const { calls, fail, route } = models("a")
      const chain = yield* FallbackChain.make("chain", [route("a")])
      fail("a", dependencyFault("RateLimited", { retryAfter: "2 seconds" }))
      const fiber = yield* Effect.forkChild(Deadline.within(chain.run(ask), "5 seconds"))
      yield* TestClock.adjust("1 second")
      fail("a", undefined)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "from a")
      assert.deepStrictEqual(calls(), ["a", "a"])
    }))

  it.effect("FB-1 a lost key or account halts the route until somebody resets it", () =>
    Effect.gen(function*() {
      for (const code of ["AuthenticationError", "QuotaExhaustedError", "401", "402", "403"]) {
        const { calls, fail, route } = models("a", "b")
        const chain = yield* FallbackChain.make("chain", [route("a"), route("b")], { haltFor: "1 day" })
        fail("a", dependencyFault("Permanent", { code }))
        yield* answeredBy(chain)
        fail("a", undefined)
        yield* TestClock.adjust("23 hours")
        assert.deepStrictEqual(yield* answeredBy(chain), ["b", true])
        assert.strictEqual((yield* chain.states)[0]!.state, "Halted")
        yield* chain.reset("a")
        assert.deepStrictEqual(yield* answeredBy(chain), ["a", false])
        assert.deepStrictEqual(calls(), ["a", "b", "b", "a"])
      }
    }))

  it.effect("FB-1 a halted route is not sat out", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a")
      const chain = yield* FallbackChain.make("chain", [route("a")])
      fail("a", dependencyFault("Permanent", { code: "401" }))
      yield* exhausted(chain.run(ask))
      const { attempts, skipped } = yield* exhausted(Deadline.within(chain.run(ask), "30 days"))
      assert.deepStrictEqual([attempts, skipped], [[], [{ route: "a", reason: "Halted" }]])
    }))

  it.effect("FB-1 a context that is too long goes to a longer one, and to no shorter one", () =>
    Effect.gen(function*() {
      const { calls, fail, route } = models("small", "smaller", "same", "large")
      const chain = yield* FallbackChain.make("chain", [
        route("small", { contextWindow: 100 }),
        route("smaller", { contextWindow: 50 }),
        route("same", { contextWindow: 100 }),
        route("large", { contextWindow: 1_000 })
      ])
      fail("small", requestFault("Permanent", { code: "ContextTooLong" }))
      assert.deepStrictEqual(yield* answeredBy(chain), ["large", true])
      assert.deepStrictEqual(calls(), ["small", "large"])
      fail("large", requestFault("Permanent", { code: "ContextTooLong" }))
      const { attempts, skipped } = yield* exhausted(chain.run(ask))
      assert.deepStrictEqual(attempts.map(({ route }) => route), ["small", "large"])
      assert.deepStrictEqual(skipped, [
        { route: "smaller", reason: "ContextWindow" },
        { route: "same", reason: "ContextWindow" }
      ])
    }))

  it.effect("FB-1 refused content goes to a route that takes what was refused, and to no other", () =>
    Effect.gen(function*() {
      const { calls, fail, route } = models("a", "b", "c")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b"), route("c", { takesRefused: true })])
      fail("a", requestFault("Permanent", { code: "ContentPolicyError" }))
      assert.deepStrictEqual(yield* answeredBy(chain), ["c", true])
      assert.deepStrictEqual(calls(), ["a", "c"])
      fail("c", dependencyFault("Transient"))
      const { skipped } = yield* exhausted(chain.run(ask))
      assert.deepStrictEqual(skipped, [{ route: "b", reason: "ContentPolicy" }])
    }))

  it.effect("FB-1 a wrong request is answered with its own error at once", () =>
    Effect.gen(function*() {
      const { calls, fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")])
      const wrong = requestFault("Permanent", { code: "400" })
      fail("a", wrong)
      assert.deepStrictEqual(yield* Effect.exit(chain.run(ask)), Exit.fail(wrong))
      assert.deepStrictEqual(calls(), ["a"])
    }))

  it.effect("FB-1 a failure of the request never cools a route, whatever its kind", () =>
    Effect.gen(function*() {
      const kinds = ["Transient", "RateLimited", "Overloaded", "Timeout", "Permanent", "Critical", "Cancelled"] as const
      for (const kind of kinds) {
        for (const code of [undefined, "CircuitOpen", "ContextTooLong", "ContentPolicyError"]) {
          const { fail, route } = models("a")
          const chain = yield* FallbackChain.make("chain", [route("a")])
          fail("a", requestFault(kind, { retryAfter: "1 hour", ...(code === undefined ? {} : { code }) }))
          yield* Effect.exit(chain.run(ask))
          assert.strictEqual((yield* chain.states)[0]!.state, "Ready", `${kind} ${code}`)
        }
      }
    }))

  it.effect("FB-1 our own refusals go on to the next route", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")])
      fail("a", requestFault("Overloaded", { code: "CircuitOpen" }))
      assert.deepStrictEqual(yield* answeredBy(chain), ["b", true])
      fail("a", undefined)
      assert.deepStrictEqual(yield* answeredBy(chain), ["a", false])
    }))

  it.effect("a defect and an interruption go on to nobody", () =>
    Effect.gen(function*() {
      const { calls, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")])
      assert.deepStrictEqual(yield* Effect.exit(chain.run(Effect.andThen(ask, Effect.die("bug")))), Exit.die("bug"))
      const fiber = yield* Effect.forkChild(chain.run(Effect.andThen(ask, Effect.never)))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(calls(), ["a", "a"])
    }))

  it.effect("a route whose layer cannot be built is one that failed, and one that can is built once", () =>
    Effect.gen(function*() {
      let built = 0
      const unbuilt = Layer.effect(Model, Effect.fail(dependencyFault("Overloaded")))
      const good = Layer.effect(
        Model,
        Effect.acquireRelease(
          Effect.sync(() => ({ ask: Effect.succeed(`build ${++built}`) })),
          () => Effect.sync(() => built = -1)
        )
      )
      yield* Effect.scoped(Effect.gen(function*() {
        const chain = yield* FallbackChain.make("chain", [
          FallbackChain.route("unbuilt", unbuilt),
          FallbackChain.route("good", good)
        ])
        assert.deepStrictEqual(
          yield* Effect.all([chain.run(ask), chain.run(ask), chain.run(ask)], { concurrency: 3 }),
          ["build 1", "build 1", "build 1"]
        )
      }))
      assert.strictEqual(built, -1)
    }))
})

describe("FallbackChain: cooling", () => {
  it.effect("FB-4 the latest of the deadlines holds", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")], {
        cooldown: Schedule.spaced("5 seconds")
      })
      fail("a", dependencyFault("Overloaded", { retryAfter: "1 minute" }))
      yield* chain.run(ask)
      assert.strictEqual(Duration.toMillis((yield* chain.states)[0]!.restsFor), 60_000)
      yield* chain.reset("a")
      fail("a", dependencyFault("Overloaded", { retryAfter: "1 second" }))
      yield* chain.run(ask)
      assert.strictEqual(Duration.toMillis((yield* chain.states)[0]!.restsFor), 5_000)
    }))

  it.effect("FB-4 a late failure may make a rest longer, never shorter", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")], {
        cooldown: Schedule.spaced("10 seconds")
      })
      const slow = Effect.andThen(Effect.sleep("1 second"), ask)
      const early = yield* Effect.forkChild(chain.run(ask), { startImmediately: true })
      yield* Fiber.join(early)
      const late = yield* Effect.forkChild(chain.run(slow), { startImmediately: true })
      fail("a", dependencyFault("RateLimited", { retryAfter: "1 minute" }))
      yield* chain.run(ask)
      fail("a", dependencyFault("RateLimited", { retryAfter: "2 seconds" }))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(late)
      assert.strictEqual(Duration.toMillis((yield* chain.states)[0]!.restsFor), 58_000)
    }))

  it.effect("one outage seen by a hundred calls is one step of the cooldown, the next one is the next", () =>
    Effect.gen(function*() {
      const { calls, fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")], {
        cooldown: Schedule.exponential("1 second")
      })
      fail("a", dependencyFault("Transient"))
      const slow = Effect.andThen(Effect.sleep("1 millis"), ask)
      const all = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 100 }), () => chain.run(slow), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("2 millis")
      yield* Fiber.join(all)
      assert.strictEqual(calls().filter((name) => name === "a").length, 100)
      const rests = []
      for (let outage = 0; outage < 3; outage++) {
        const { restsFor } = (yield* chain.states)[0]!
        rests.push(Math.round(Duration.toSeconds(restsFor)))
        yield* TestClock.adjust(restsFor)
        yield* chain.run(ask)
      }
      assert.deepStrictEqual(rests, [1, 2, 4])
      fail("a", undefined)
      yield* TestClock.adjust("1 hour")
      yield* chain.run(ask)
      fail("a", dependencyFault("Transient"))
      yield* chain.run(ask)
      assert.strictEqual(Duration.toSeconds((yield* chain.states)[0]!.restsFor), 1)
    }))

  it.effect("FB-4 an answer that was asked for before a rest began ends it not", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")])
      const late = yield* Effect.forkChild(chain.run(Effect.tap(ask, () => Effect.sleep("1 second"))))
      yield* TestClock.adjust(0)
      fail("a", dependencyFault("Overloaded", { retryAfter: "1 minute" }))
      yield* chain.run(ask)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(late), "from a")
      assert.strictEqual(Duration.toMillis((yield* chain.states)[0]!.restsFor), 59_000)
    }))

  it.effect("FB-4 when all rest, a call waits for the first of them within its deadline", () =>
    Effect.gen(function*() {
      const { calls, fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")])
      fail("a", dependencyFault("RateLimited", { retryAfter: "9 seconds" }))
      fail("b", dependencyFault("RateLimited", { retryAfter: "4 seconds" }))
      const fiber = yield* Effect.forkChild(Deadline.within(chain.runServed(ask), "10 seconds"))
      yield* TestClock.adjust("3 seconds")
      fail("a", undefined)
      fail("b", undefined)
      yield* TestClock.adjust("1 second")
      const [answer, { attempts, degraded }] = yield* Fiber.join(fiber)
      assert.deepStrictEqual([answer, degraded, attempts.length], ["from b", true, 2])
      assert.deepStrictEqual(calls(), ["a", "b", "b"])
    }))

  it.effect("FB-4 when that would take too long it fails at once, with every attempt and when to come back", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")])
      fail("a", dependencyFault("RateLimited", { code: "429", retryAfter: "9 seconds" }))
      fail("b", dependencyFault("Overloaded", { code: "503", retryAfter: "12 seconds" }))
      const error = yield* exhausted(Deadline.within(chain.run(ask), "9 seconds"))
      assert.deepStrictEqual(
        error.attempts.map(({ code, kind, message, route, scope }) => [route, kind, scope, code, message]),
        [
          ["a", "RateLimited", "dependency", "429", "a RateLimited fault"],
          ["b", "Overloaded", "dependency", "503", "a Overloaded fault"]
        ]
      )
      assert.strictEqual(Duration.toMillis(error.retryAfter!), 9_000)
      const { kind, retryAfter, scope } = yield* Failure.classify(error)
      assert.deepStrictEqual([kind, scope, Duration.toMillis(retryAfter!)], ["Overloaded", "dependency", 9_000])
      const later = yield* exhausted(chain.run(ask))
      assert.deepStrictEqual(later.attempts, [])
      assert.deepStrictEqual(later.skipped, [{ route: "a", reason: "Limited" }, { route: "b", reason: "Cooling" }])
    }))

  it.effect("without a deadline nobody waits, unless the chain says for how long", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a")
      const chain = yield* FallbackChain.make("chain", [route("a")], { maxWait: "10 seconds" })
      fail("a", dependencyFault("RateLimited", { retryAfter: "4 seconds" }))
      const fiber = yield* Effect.forkChild(chain.run(ask))
      yield* TestClock.adjust("1 second")
      fail("a", undefined)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "from a")
    }))

  it.effect("onExhausted hears of it before the caller does", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const { fail, route } = models("a")
      const chain = yield* FallbackChain.make("chain", [route("a")], {
        onExhausted: (error) => Effect.sync(() => heard.push(error.message))
      })
      fail("a", dependencyFault("Transient"))
      yield* exhausted(chain.run(ask))
      assert.deepStrictEqual(heard, ["No route of \"chain\" answered. a: a Transient fault"])
    }))

  it.effect("a FallbackExhausted crosses a wire", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a")
      const chain = yield* FallbackChain.make("chain", [route("a")])
      fail("a", dependencyFault("Transient"))
      const error = yield* exhausted(chain.run(ask))
      const codec = Schema.toCodecJson(FallbackChain.FallbackExhausted)
      const sent = JSON.stringify(yield* Schema.encodeEffect(codec)(error))
      const received = yield* Schema.decodeUnknownEffect(codec)(JSON.parse(sent))
      assert.deepStrictEqual([received.message, received.attempts[0]?.kind], [error.message, "Transient"])
    }))
})

describe("FallbackChain: who answered", () => {
  it.effect("FB-5 degraded is true exactly when another than the first eligible route answered", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a", "b", "c")
      const chain = yield* FallbackChain.make("chain", [
        route("a", { contextWindow: 100 }),
        route("b", { quality: 5 }),
        route("c", { when: ({ attributes }) => attributes?.["c"] === true, quality: 9 })
      ])
      assert.deepStrictEqual(yield* answeredBy(chain), ["a", false])
      assert.deepStrictEqual(yield* answeredBy(chain, { usage: { input: 90, output: 11 } }), ["b", false])
      assert.deepStrictEqual(yield* answeredBy(chain, { minQuality: 6, attributes: { c: true } }), ["c", false])
      fail("a", dependencyFault("Transient"))
      assert.deepStrictEqual(yield* answeredBy(chain), ["b", true])
      assert.deepStrictEqual(yield* answeredBy(chain), ["b", true], "while it rests, too")
      fail("b", dependencyFault("Transient"))
      assert.deepStrictEqual(yield* answeredBy(chain, { usage: { input: 101 }, attributes: { c: true } }), ["c", true])
    }))

  it.effect("FB-5 the signal and withServed say it", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const { fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b")])
      const hidden = Effect.map(chain.run(ask), (answer) => answer.length)
      fail("a", dependencyFault("Timeout"))
      const [[length, served], outer] = yield* FallbackChain.withServed(FallbackChain.withServed(hidden)).pipe(
        Effect.provide(Signal.layer((signal) => heard.push(signal)))
      )
      assert.deepStrictEqual(outer, served)
      assert.strictEqual(length, 6)
      assert.deepStrictEqual(served.map(({ chain, degraded, route }) => [chain, route, degraded]), [[
        "chain",
        "b",
        true
      ]])
      assert.deepStrictEqual(heard, [
        { _tag: "FallbackServed", chain: "chain", route: "b", index: 1, degraded: true, reason: "Timeout" }
      ])
    }))
})

describe("FallbackChain: parts of a route", () => {
  it.effect("its schedule tries it again before the next one is asked, its guard is around each try", () =>
    Effect.gen(function*() {
      let guarded = 0
      const guard = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.andThen(Effect.sync(() => guarded++), self)
      const { calls, fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [
        route("a", { retry: Schedule.recurs(2), guard }),
        route("b")
      ])
      fail("a", dependencyFault("Transient"))
      assert.deepStrictEqual(yield* finish(chain.run(ask)), Exit.succeed("from b"))
      assert.deepStrictEqual(calls(), ["a", "a", "a", "b"])
      assert.strictEqual(guarded, 3)
    }))

  it.effect("the plan runs with Effect's own withExecutionPlan", () =>
    Effect.gen(function*() {
      const { calls, fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a", { priority: 2 }), route("b", { priority: 1 })])
      fail("b", dependencyFault("Transient"))
      assert.strictEqual(yield* Effect.withExecutionPlan(ask, chain.plan), "from a")
      assert.deepStrictEqual(calls(), ["b", "a"])
    }))

  it("options out of their range are refused by name", () => {
    const { route, routes } = models("a", "b")
    assert.throws(() => route("a", { cost: -1 }), RangeError, /^cost must be/)
    assert.throws(() => route("a", { cost: { input: 1, output: Number.NaN } }), RangeError, /^cost.output must be/)
    assert.throws(() => route("a", { contextWindow: -1 }), RangeError, /^contextWindow must be/)
    assert.throws(() => route("a", { quality: Infinity }), RangeError, /^quality must be/)
    const [a] = routes
    assert.throws(() => FallbackChain.make("chain", [a!, a!]), RangeError, /^routes must have different names, got "a"/)
    assert.throws(() => FallbackChain.make("chain", [a!], { maxWait: "-1 second" }), RangeError, /^maxWait must be/)
    assert.throws(
      () => FallbackChain.make("chain", [a!], { budget: { limit: 0 } }),
      RangeError,
      /^budget.limit must be/
    )
    assert.throws(
      () => FallbackChain.make("chain", [a!], { budget: { limit: 1, denyAt: 0.5 } }),
      RangeError,
      /^budget.denyAt must be/
    )
  })
})
