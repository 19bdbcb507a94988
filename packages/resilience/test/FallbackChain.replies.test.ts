/** Replies in place of a reply, and a chain as a service. */
import { assert, describe, it } from "@effect/vitest"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Signal from "effect-resilience/Signal"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { answeredBy, dependencyFault, models, requestFault } from "./support/routes.ts"

describe("FallbackChain.effects", () => {
  it.effect("FB-5 answers with the first that does not fail, and says which", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const wrong = requestFault("Permanent", { code: "400" })
      const replies = FallbackChain.effectsServed("replies", [
        ["model", Effect.fail(wrong)],
        ["cache", Effect.fail(dependencyFault("Timeout"))],
        ["static", Effect.succeed("sorry")]
      ])
      const [reply, { attempts, degraded, route }] = yield* Effect.provide(
        replies,
        Signal.layer((signal) => heard.push(signal))
      )
      assert.deepStrictEqual([reply, route, degraded], ["sorry", "static", true])
      assert.deepStrictEqual(attempts.map(({ kind, route }) => [route, kind]), [
        ["model", "Permanent"],
        ["cache", "Timeout"]
      ])
      assert.strictEqual(attempts[0]!.error, wrong)
      assert.deepStrictEqual(heard, [
        { _tag: "FallbackServed", chain: "replies", route: "static", index: 2, degraded: true, reason: "Permanent" }
      ])
      const first = FallbackChain.effectsServed("replies", [["model", Effect.succeed("a reply")]])
      assert.isFalse((yield* first)[1].degraded)
    }))

  it.effect("fails with every attempt when all do, and catches neither defects nor interruptions", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        FallbackChain.effects("replies", [["a", Effect.fail("no")], ["b", Effect.fail("neither")]])
      )
      assert.deepStrictEqual(error.attempts.map(({ error, route }) => [route, error]), [["a", "no"], ["b", "neither"]])
      const after = Effect.succeed("not asked")
      const died = FallbackChain.effects("replies", [["a", Effect.die("bug")], ["b", after]])
      assert.deepStrictEqual(yield* Effect.exit(died), Exit.die("bug"))
      const fiber = yield* Effect.forkChild(FallbackChain.effects("replies", [["a", Effect.never], ["b", after]]), {
        startImmediately: true
      })
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Exit.hasInterrupts(exit))
    }))
})

describe("FallbackChain.patterns", () => {
  const reply = FallbackChain.patterns([
    [/^hello/gi, "Hello!"],
    [/order (\d+)/, ([, order]) => `I am looking for order ${order}.`]
  ])

  it.effect("answers with the first pattern that matches, each time anew", () =>
    Effect.gen(function*() {
      for (let time = 0; time < 3; time++) assert.strictEqual(yield* reply("Hello there"), "Hello!")
      assert.strictEqual(yield* reply("where is order 66?"), "I am looking for order 66.")
      const error = yield* Effect.flip(reply("why?"))
      assert.isTrue(FallbackChain.isNoPatternMatched(error))
      assert.strictEqual(error.message, "None of 2 patterns matched")
    }))

  it.effect("looks at the beginning of a long text only", () =>
    Effect.gen(function*() {
      const long = "x".repeat(10_000)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(reply(`${long} order 66`))))
    }))
})

describe("FallbackChain.Service", () => {
  it.effect("takes plain options from Config, and refuses those out of range", () =>
    Effect.gen(function*() {
      const { route } = models("a", "b")
      class Chain extends FallbackChain.Service<Chain>()("test/Chain", [
        route("a", { cost: 2 }),
        route("b", { cost: 1 })
      ]) {}
      const served = Effect.flatMap(Chain, (chain) => answeredBy(chain))
      assert.deepStrictEqual(yield* Effect.provide(served, Chain.layer), ["a", false])
      const layer = Chain.layerConfig({
        order: Config.Literals(["priority", "cost"], "ORDER"),
        budget: { limit: Config.Finite("LIMIT") }
      })
      const withConfig = (env: Record<string, string>) =>
        Effect.provide(served, layer).pipe(
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(env))
        )
      assert.deepStrictEqual(yield* withConfig({ ORDER: "cost", LIMIT: "10" }), ["b", false])
      const error = yield* Effect.flip(withConfig({ ORDER: "cost", LIMIT: "0" }))
      assert.include(String(error), "budget.limit must be")
    }))
})
