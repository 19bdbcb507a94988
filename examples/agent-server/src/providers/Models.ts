/** The chain of language models: a route for each, asked one after the other until one answers. */
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { priceOf, undated } from "../agents/prices.ts"
import type { Provider } from "../config.ts"
import * as policies from "../policies.ts"
import * as Simulator from "../sim/Simulator.ts"
import { CannotStart, orCannotStart } from "../startup/CannotStart.ts"
import * as Measured from "../telemetry/measured.ts"
import { client } from "./client.ts"
import { real, simulated, type Target } from "./languageModel.ts"

/** The route that a call is on: the model, what its provider calls it, and whose policies it has. */
export class ModelRoute extends Context.Service<ModelRoute, {
  readonly languageModel: LanguageModel.LanguageModel
  readonly model: string
  readonly dependency: policies.Dependency
}>()("agent-server/providers/ModelRoute") {}

/** The chain, and which model is the first choice. */
export class Models extends Context.Service<Models, {
  readonly chain: FallbackChain.FallbackChain<ModelRoute, never, never>
  readonly preferred: string
}>()("agent-server/providers/Models") {}

const factsOf = (model: string): { readonly quality?: number; readonly contextWindow?: number } => {
  const known: Readonly<Record<string, { readonly quality: number; readonly contextWindow: number }>> = policies.models
  return known[undated(model)] ?? {}
}

/** What the metrics of a model are labelled with. */
const labelsOf = (dependency: policies.Dependency, model: string) => ({
  provider: dependency === "llm-anthropic" ? "anthropic" : "openai",
  model
})

const routeOf = ({ dependency, layer, model, route }: Target) => {
  const price = priceOf(model)
  return FallbackChain.route(
    route,
    Layer.effect(
      ModelRoute,
      Effect.map(LanguageModel.LanguageModel, (languageModel) => ({ languageModel, model, dependency }))
    ).pipe(Layer.provide(Layer.provide(Measured.languageModel(labelsOf(dependency, model)), layer))),
    {
      ...factsOf(model),
      ...(price === undefined ? {} : { cost: { input: price.prompt, output: price.completion } })
    }
  )
}

const make = Effect.fnUntraced(function*(all: ReadonlyArray<Target>, usdPerDay: number) {
  // The environment may name one model twice; it is asked once.
  const targets = Arr.dedupeWith(all, (one, other) => one.route === other.route)
  if (!Arr.isReadonlyArrayNonEmpty(targets)) return yield* new CannotStart({ lines: ["there is no language model"] })
  // A route is built when it is asked first.
  for (const { dependency, model } of targets) yield* Measured.declareModel(labelsOf(dependency, model))
  const chain = yield* FallbackChain.make("llm", Arr.map(targets, routeOf), policies.chainOptions(usdPerDay))
  return Models.of({ chain, preferred: targets[0].model })
})

/**
 * Provides the chain, which may spend so much a day; where its models are simulated with the simulator beside it, for
 * `/sim/faults`.
 */
export const layer = (
  provider: Provider,
  options: { readonly usdPerDay: number; readonly providerConcurrency: number }
): Layer.Layer<Models, CannotStart> =>
  provider._tag === "Real"
    ? Layer.effect(Models, make(real(provider), options.usdPerDay)).pipe(
      Layer.provide(client(options.providerConcurrency))
    )
    : Layer.effect(Models, Effect.flatMap(simulated(provider), (targets) => make(targets, options.usdPerDay))).pipe(
      Layer.provide(client(options.providerConcurrency)),
      Layer.provideMerge(Simulator.layer({ seed: provider.seed })),
      orCannotStart((error) => `the simulated providers cannot listen on loopback: ${error.message}`)
    )
