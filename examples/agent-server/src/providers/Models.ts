/** The chain of language models: a route for each, asked one after the other until one answers. */
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { factsOf } from "../agents/prices.ts"
import * as policies from "../policies.ts"
import * as Simulator from "../sim/Simulator.ts"
import { CannotStart, orCannotStart } from "../startup/CannotStart.ts"
import * as Measured from "../telemetry/measured.ts"
import { client } from "./client.ts"
import { real, simulated, type Target } from "./languageModel.ts"
import type { Provider } from "./settings.ts"

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

const make = Effect.fnUntraced(function*(all: ReadonlyArray<Target>) {
  // The environment may name one model twice; it is asked once.
  const targets = Arr.dedupeWith(all, (one, other) => one.route === other.route)
  if (!Arr.isReadonlyArrayNonEmpty(targets)) return yield* new CannotStart({ lines: ["there is no language model"] })
  // A route is built when it is asked first.
  for (const { dependency, model } of targets) yield* Measured.declareModel(labelsOf(dependency, model))
  /** The providers to ask, the first choice first. */
  let routes: ReadonlyArray<policies.Dependency> = []
  const chain = yield* FallbackChain.make(
    "llm",
    Arr.map(targets, ({ dependency, layer, model, route }) =>
      FallbackChain.route(
        route,
        Layer.effect(
          ModelRoute,
          Effect.map(LanguageModel.LanguageModel, (languageModel) => ({ languageModel, model, dependency }))
        ).pipe(Layer.provide(Layer.provide(Measured.languageModel(labelsOf(dependency, model)), layer))),
        { when: () => routes.includes(dependency) }
      ))
  )
  const { whenever } = yield* policies.Policies
  yield* whenever((values) => {
    routes = values.chain.routes
    return chain.reconfigure({ ...policies.chainOptions(values), routes: tuningOf(targets, values) })
  })
  return Models.of({
    chain,
    get preferred() {
      return (targets.toSorted((one, other) => placeOf(routes, one) - placeOf(routes, other))[0] ?? targets[0]).model
    }
  })
})

/** What the metrics of a model are labelled with. */
const labelsOf = (dependency: policies.Dependency, model: string) => ({
  provider: dependency === "llm-anthropic" ? "anthropic" : "openai",
  model
})

/** Where in the order of the policies it is; what they leave out, behind all others. */
const placeOf = (routes: ReadonlyArray<policies.Dependency>, { dependency }: Target): number =>
  routes.includes(dependency) ? routes.indexOf(dependency) : Infinity

/** What the policies know of the models, and the order in which they are asked. */
const tuningOf = (
  targets: ReadonlyArray<Target>,
  { chain, models }: policies.Values
): { readonly [route: string]: FallbackChain.RouteTuning } =>
  Object.fromEntries(targets.map(({ dependency, model, route }) => {
    const { contextWindow, price, quality } = factsOf(models, model)
    return [route, { priority: chain.routes.indexOf(dependency), contextWindow, quality, cost: price }]
  }))

/**
 * Provides the chain, under the policies, with so many connections to each provider; where its models are simulated with the
 * simulator beside it, for `/sim/faults`.
 */
export const layer = (
  provider: Provider,
  { connections }: { readonly connections: number }
): Layer.Layer<Models, CannotStart, policies.Policies> =>
  provider._tag === "Real"
    ? Layer.effect(Models, make(real(provider))).pipe(Layer.provide(client(connections)))
    : Layer.effect(Models, Effect.flatMap(simulated(provider), make)).pipe(
      Layer.provide(client(connections)),
      Layer.provideMerge(Simulator.layer({ seed: provider.seed })),
      orCannotStart((error) => `the simulated providers cannot listen on loopback: ${error.message}`)
    )
