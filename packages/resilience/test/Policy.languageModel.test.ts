/** Policies around language models, and around chains that stand behind Effect's own `LanguageModel`. */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Policy from "effect-resilience/Policy"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

/** A model that says its name, or does not, or never answers. */
const model = (name: string) => {
  const state = { calls: 0, mode: "well" as "well" | "down" | "hung" }
  const down = AiError.make({
    module: "test",
    method: "test",
    reason: new AiError.InternalProviderError({ description: "down" })
  })
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: () =>
        Effect.suspend(() => {
          state.calls++
          if (state.mode === "hung") return Effect.never
          return state.mode === "down" ? Effect.fail(down) : Effect.succeed([{ type: "text", text: name } as const])
        }),
      streamText: () => Stream.die("not asked for")
    })
  )
  return { layer, name, state }
}

type Model = ReturnType<typeof model>

const chainOf = (name: string, first: Model, second: Model, options?: FallbackChain.Options) =>
  FallbackChain.make(name, [
    FallbackChain.route(first.name, first.layer),
    FallbackChain.route(second.name, second.layer)
  ], options)

const ask = Effect.map(LanguageModel.generateText({ prompt: "why?" }), ({ text }) => text)

const rooms = Effect.provide(CircuitBreaker.layerStoreMemory)

const trip = CircuitBreaker.consecutive(2)

describe("a policy whose fallback is a chain of language models", () => {
  it.effect("gives calls their model, each route under a circuit and a deadline of its own", () =>
    Effect.gen(function*() {
      const [a, b] = [model("a"), model("b")]
      a.state.mode = "hung"
      const policy = yield* Policy.make({
        name: "chat",
        deadline: { total: "20 seconds", call: "4 seconds" },
        fallback: yield* chainOf("llm", a, b),
        breaker: { trip }
      })
      const fiber = yield* Effect.forkChild(policy.run(ask))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "b")
      assert.deepStrictEqual([a.state.calls, b.state.calls], [1, 1])
      // It rests after its time-out; asked again once that is over it fails for the second time, and its circuit opens.
      yield* TestClock.adjust("5 seconds")
      const second = yield* Effect.forkChild(policy.run(ask))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* Fiber.join(second), "b")
      assert.deepStrictEqual(
        [yield* policy.breaker!.state("a"), yield* policy.breaker!.state("b")],
        ["Open", "Closed"]
      )
    }).pipe(Effect.scoped, rooms))
})

describe("a policy whose routes are chains behind FallbackChain.languageModel", () => {
  it.effect("goes from one chain to the next when all of the first failed, and says who answered in each", () =>
    Effect.gen(function*() {
      const [a, b, c, d] = [model("a"), model("b"), model("c"), model("d")]
      const here = yield* chainOf("here", a, b, { maxWait: 0 })
      const there = yield* chainOf("there", c, d, { maxWait: 0 })
      const policy = yield* Policy.make({
        name: "chat",
        deadline: "30 seconds",
        fallback: yield* FallbackChain.make("regions", [
          FallbackChain.route("here", FallbackChain.languageModel(here)),
          FallbackChain.route("there", FallbackChain.languageModel(there))
        ]),
        breaker: { trip }
      })
      const served = Effect.map(
        FallbackChain.withServed(policy.run(ask)),
        ([text, served]) => [text, served.map(({ chain, route }) => `${chain}: ${route}`)] as const
      )
      assert.deepStrictEqual(yield* served, ["a", ["here: a", "regions: here"]])
      a.state.mode = "down"
      assert.deepStrictEqual(yield* served, ["b", ["here: b", "regions: here"]])
      b.state.mode = "down"
      assert.deepStrictEqual(yield* served, ["c", ["there: c", "regions: there"]])
      // To the circuit of the region the chain is one model: it failed once, however many are in it.
      assert.strictEqual(yield* policy.breaker!.state("here"), "Closed")
      assert.deepStrictEqual([a.state.calls, b.state.calls, c.state.calls, d.state.calls], [2, 2, 1, 0])
    }).pipe(Effect.scoped, rooms))

  it.effect("stands around a caller that knows nothing of chains", () =>
    Effect.gen(function*() {
      const [a, b] = [model("a"), model("b")]
      a.state.mode = "down"
      b.state.mode = "down"
      const policy = yield* Policy.make({ name: "chat", deadline: "10 seconds", breaker: { trip } })
      const caller = policy.run(ask).pipe(Effect.provide(FallbackChain.languageModel(yield* chainOf("llm", a, b))))
      const failed = yield* Effect.forkChild(Effect.flip(caller))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(failed))._tag, "AiError")
      b.state.mode = "well"
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* caller, "b")
      assert.strictEqual(yield* policy.breaker!.state(), "Closed")
    }).pipe(Effect.scoped, rooms))
})
