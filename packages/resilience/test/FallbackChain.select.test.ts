/** Which route is next: the pure decision, and what a budget does to it. */
import { assert, describe, it } from "@effect/vitest"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { healthy, rest } from "../src/internal/fallbackChain/health.ts"
import { estimate, type Facts, isFree, sorted } from "../src/internal/fallbackChain/order.ts"
import { choose, unfit } from "../src/internal/fallbackChain/select.ts"
import { answeredBy, ask, dependencyFault, models } from "./support/routes.ts"

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Route = Schema.Struct({
  price: Schema.NullOr(Schema.Struct({ input: integerBetween(0, 3), output: integerBetween(0, 3) })),
  quality: Schema.NullOr(integerBetween(0, 3)),
  contextWindow: integerBetween(0, 10),
  rests: Schema.Boolean
})

describe("FallbackChain: which route is next", () => {
  it.prop(
    "FB-6 cost order never picks a dearer route while a cheaper eligible one is healthy, nor one that does not fit",
    {
      routes: Schema.Array(Route).check(Schema.isMaxLength(6)),
      input: integerBetween(0, 6),
      output: integerBetween(0, 6),
      minQuality: Schema.NullOr(integerBetween(0, 3)),
      level: Schema.Literals(["Normal", "Warned", "Cheaper", "Denied"])
    },
    ({ input, level, minQuality, output, routes }) => {
      const usage = { input, output }
      const needs = { size: input + output, minQuality: minQuality ?? -Infinity }
      const facts = routes.map(({ contextWindow, price, quality }, index): Facts => ({
        name: `${index}`,
        index,
        priority: index,
        price: price ?? undefined,
        quality: quality ?? undefined,
        contextWindow,
        takesRefused: false
      }))
      const fits = ({ contextWindow, quality }: Facts) =>
        input + output <= contextWindow && (minQuality === null || (quality !== undefined && quality >= minQuality))
      const healthOf = ({ index }: Facts) => routes[index]!.rests ? rest(healthy, "Cooling", 100) : healthy
      const eligible = facts.filter((route) => unfit(route, needs) === undefined)
      assert.deepStrictEqual(eligible, facts.filter(fits))
      const choice = choose(
        sorted(eligible, "cost", usage, () => undefined),
        { tried: new Set(), tooShort: -Infinity, onward: "Any" },
        { health: healthOf, level, usage, now: 0 }
      )
      const costs = eligible.map((route) => estimate(route, usage))
      const cheapest = Math.min(...costs)
      const allowed = eligible.filter((route) =>
        level === "Denied"
          ? isFree(route)
          : level === "Cheaper"
          ? estimate(route, usage) <= cheapest
          : true
      )
      const ready = allowed.filter(({ index }) => !routes[index]!.rests)
      if (choice._tag === "Try") {
        assert.isTrue(fits(choice.route))
        assert.strictEqual(estimate(choice.route, usage), Math.min(...ready.map((route) => estimate(route, usage))))
      } else {
        assert.strictEqual(ready.length, 0)
        assert.strictEqual(choice._tag, allowed.length > 0 ? "Wait" : "Exhausted")
      }
    },
    { arbitrary: { runs: 2_000 } }
  )

  it.effect("each order asks in its order", () =>
    Effect.gen(function*() {
      const all = ["a", "b", "c"] as const
      const { calls, fail, route } = models(...all)
      const routes = [
        route("a", { cost: 3, quality: 1, priority: 2 }),
        route("b", { cost: { input: 0, output: 9 }, quality: 3, priority: 3 }),
        route("c", { quality: 2, priority: 1 })
      ] as const
      for (const name of all) fail(name, dependencyFault("RateLimited"))
      const asked = (options: FallbackChain.Options, request?: FallbackChain.Request) =>
        Effect.gen(function*() {
          const chain = yield* FallbackChain.make("chain", routes, options)
          yield* Effect.flip(chain.run(ask, request))
          return calls().join("")
        })
      assert.strictEqual(yield* asked({}), "cab")
      assert.strictEqual(yield* asked({ order: "quality" }), "bca")
      assert.strictEqual(yield* asked({ order: "cost" }, { usage: { input: 10, output: 1 } }), "bac")
      assert.strictEqual(yield* asked({ order: "cost" }, { usage: { input: 1, output: 10 } }), "abc")
      assert.strictEqual(yield* asked({ order: "cost" }, { usage: { input: 10 } }), "abc")
      assert.strictEqual(yield* asked({ order: "cost" }), "abc")
      assert.strictEqual(yield* asked({ order: (found) => found.filter(({ name }) => name !== "b") }), "ac")
    }))

  it.effect("latency order measures every route, and then prefers the fastest", () =>
    Effect.gen(function*() {
      const { calls, route } = models("slow", "fast")
      const chain = yield* FallbackChain.make("chain", [route("slow"), route("fast")], { order: "latency" })
      const run = chain.run(
        Effect.tap(ask, (answer) => Effect.sleep(answer === "from slow" ? "2 seconds" : "1 second"))
      )
      for (let n = 0; n < 4; n++) {
        const fiber = yield* Effect.forkChild(run)
        yield* TestClock.adjust("2 seconds")
        assert.isDefined(fiber.pollUnsafe())
      }
      assert.deepStrictEqual(calls(), ["slow", "fast", "fast", "fast"])
    }))
})

describe("FallbackChain: the budget ladder", () => {
  const million = 1_000_000
  const used = (input: number) => Effect.tap(ask, () => FallbackChain.charge({ input }))

  it.effect("FB-7 warns at 80 %, takes the cheapest at 100 %, and then what is free", () =>
    Effect.gen(function*() {
      const { fail, route } = models("dear", "cheap", "free")
      const chain = yield* FallbackChain.make("chain", [
        route("dear", { cost: 10, priority: 1 }),
        route("cheap", { cost: 1, priority: 2 }),
        route("free", { cost: 0, priority: 3, when: ({ attributes }) => attributes?.["free"] === true })
      ], { budget: { limit: 100, window: "1 day" } })
      const level = Effect.map(chain.ledger, ({ level, spent }) => [level, spent])
      const request = { usage: { input: 1 } }
      yield* chain.run(used(7.9 * million), request)
      assert.deepStrictEqual(yield* level, ["Normal", 79])
      yield* chain.run(used(0.1 * million), request)
      assert.deepStrictEqual(yield* level, ["Warned", 80])
      assert.deepStrictEqual(yield* answeredBy(chain, request), ["dear", false])
      yield* chain.run(used(2 * million), request)
      assert.deepStrictEqual(yield* level, ["Cheaper", 100])
      assert.deepStrictEqual(yield* answeredBy(chain, request), ["cheap", true])
      fail("cheap", dependencyFault("Transient"))
      const refused = yield* Effect.flip(chain.run(ask, request))
      assert.include(String(refused), "dear: not asked (Budget)")
      fail("cheap", undefined)
      yield* chain.reset("cheap")
      yield* chain.run(used(20 * million), request)
      assert.deepStrictEqual(yield* level, ["Denied", 120])
      assert.deepStrictEqual(yield* answeredBy(chain, { ...request, attributes: { free: true } }), ["free", true])
      assert.include(String(yield* Effect.flip(chain.run(ask, request))), "cheap: not asked (Budget)")
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(yield* level, ["Normal", 0])
      assert.deepStrictEqual(yield* answeredBy(chain, request), ["dear", false])
      const { routes } = yield* chain.ledger
      assert.deepStrictEqual(routes["dear"], {
        charges: 3,
        input: 10 * million,
        output: 0,
        cost: 100,
        unpriced: 0
      })
    }))

  it.effect("FB-7 what a failed attempt spent is written to its route, and units without a price are counted", () =>
    Effect.gen(function*() {
      const { fail, route } = models("a", "b")
      const chain = yield* FallbackChain.make("chain", [route("a"), route("b", { cost: 2 })])
      fail("a", dependencyFault("Transient"))
      yield* chain.run(Effect.andThen(FallbackChain.charge({ input: 3, output: 4 }), ask))
      const { routes } = yield* chain.ledger
      assert.deepStrictEqual(routes["a"], { charges: 1, input: 3, output: 4, cost: 0, unpriced: 7 })
      assert.deepStrictEqual(routes["b"], { charges: 1, input: 3, output: 4, cost: 14 / million, unpriced: 0 })
    }))
})
