/**
 * Two models and, when neither answers, words that were written beforehand. Whoever asks learns which it was.
 *
 *     node src/fallback-chain.ts
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Context, Data, Effect, Layer } from "effect"
import { Failure, FallbackChain } from "effect-resilience"

class ModelDown extends Data.TaggedError("ModelDown") {
  [Failure.symbol]() {
    return Failure.fromHttpStatus(503)
  }
}

class Model extends Context.Service<Model, {
  readonly ask: (question: string) => Effect.Effect<string, ModelDown>
}>()("app/Model") {}

/** Which models answer today. */
const up = new Set(["large", "small"])

const model = (name: string) =>
  Layer.succeed(Model, { ask: () => Effect.suspend(() => up.has(name) ? Effect.succeed("Yes.") : new ModelDown()) })

class Models extends FallbackChain.Service<Models>()("app/Models", [
  FallbackChain.route("large", model("large"), { cost: 10, quality: 9, contextWindow: 128_000 }),
  FallbackChain.route("small", model("small"), { cost: 1, quality: 6, contextWindow: 16_000 })
]) {}

const canned = FallbackChain.patterns([[/\bthanks?\b/i, "You are welcome."]])

const ask = (question: string) =>
  Effect.gen(function*() {
    const chain = yield* Models
    const [[answer, by]] = yield* FallbackChain.effectsServed("replies", [
      [
        "model",
        Effect.map(chain.runServed(Model.use((model) => model.ask(question))), ([text, { route }]) => [text, route])
      ],
      ["canned", Effect.map(canned(question), (text) => [text, "canned"])],
      ["apology", Effect.succeed(["I cannot answer just now.", "apology"])]
    ])
    yield* Console.log(`${question} ${answer} (${by})`)
  })

const program = Effect.gen(function*() {
  yield* ask("Does it rain?")
  up.delete("large")
  yield* ask("Does it snow?")
  up.delete("small")
  yield* ask("Thank you, and thanks for all.")
  yield* ask("Is anybody there?")
})

NodeRuntime.runMain(Effect.provide(program, Models.layer))
