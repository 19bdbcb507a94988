/** The language models that there are: at real endpoints, or at simulated ones that this process runs. */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Layer from "effect/Layer"
import type { Real, Simulated } from "../config.ts"
import type * as policies from "../policies.ts"
import { Simulator } from "../sim/Simulator.ts"
import * as OpenAiLanguageModel from "./OpenAiLanguageModel.ts"

/** A model that can be asked: what its route is called, what its provider calls it, and whose policies it has. */
export interface Target {
  readonly route: string
  readonly model: string
  readonly dependency: policies.Dependency
  readonly layer: Layer.Layer<LanguageModel.LanguageModel, never, HttpClient.HttpClient>
}

const openAi = (dependency: policies.Dependency, options: OpenAiLanguageModel.Options): Target => ({
  route: options.model,
  model: options.model,
  dependency,
  layer: OpenAiLanguageModel.layer(options)
})

/** The models of the environment, the first choice first. What there is no key for is left out. */
export const real = ({ openAi: endpoint }: Real): ReadonlyArray<Target> => {
  if (endpoint === undefined) return []
  const { fallbackModel, ...primary } = endpoint
  return [
    openAi("llm-primary", primary),
    ...(fallbackModel === undefined ? [] : [openAi("llm-secondary", { ...primary, model: fallbackModel })])
  ]
}

/** The simulated models, the first choice first. */
export const simulated = ({ model }: Simulated): Effect.Effect<ReadonlyArray<Target>, never, Simulator> =>
  Effect.map(Simulator, (simulator) => [openAi("llm-primary", { baseUrl: simulator.baseUrl("llm-primary"), model })])
