/** The language models that there are: at real endpoints, or at simulated ones that this process runs. */
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as policies from "../policies.ts"
import { modelProviders } from "../policies/document.ts"
import { Simulator } from "../sim/Simulator.ts"
import * as AnthropicLanguageModel from "./AnthropicLanguageModel.ts"
import * as OpenAiLanguageModel from "./OpenAiLanguageModel.ts"
import type { Provider, Real, Simulated } from "./settings.ts"

/** A model that can be asked: what its route is called, what its provider calls it, and whose policies it has. */
export interface Target {
  readonly route: string
  readonly model: string
  readonly dependency: policies.Dependency
  /** Where it is, unless at its provider's own address. */
  readonly at: string | undefined
  readonly layer: Layer.Layer<LanguageModel.LanguageModel, never, HttpClient.HttpClient>
}

const openAi = (dependency: policies.Dependency, options: OpenAiLanguageModel.Options): Target => ({
  route: options.model,
  model: options.model,
  dependency,
  at: options.baseUrl,
  layer: OpenAiLanguageModel.layer(options)
})

const haiku = "claude-haiku-4-5"

/** The route of the model that there is by default has its plain name, which outlives its versions. */
const anthropic = (
  { model = haiku, ...options }: Omit<AnthropicLanguageModel.Options, "model"> & { readonly model?: string | undefined }
): Target => ({
  route: model === haiku ? "claude-haiku" : model,
  model,
  dependency: "llm-anthropic",
  at: options.baseUrl,
  layer: AnthropicLanguageModel.layer({ ...options, model })
})

/** The models of the environment, the first choice first. What there is no key for is left out. */
export const real = ({ anthropic: messages, openAi: completions }: Real): ReadonlyArray<Target> => {
  const targets: Array<Target> = []
  if (completions !== undefined) {
    const { fallbackModel, ...primary } = completions
    targets.push(openAi("llm-primary", primary))
    if (fallbackModel !== undefined) targets.push(openAi("llm-secondary", { ...primary, model: fallbackModel }))
  }
  if (messages !== undefined) targets.push(anthropic(messages))
  return targets
}

/** The providers that the environment gives models. */
export const providersOf = (provider: Provider): ReadonlyArray<policies.Dependency> =>
  provider._tag === "Simulated" ? modelProviders : real(provider).map(({ dependency }) => dependency)

/** The simulated models, the first choice first. */
export const simulated = ({ model }: Simulated): Effect.Effect<ReadonlyArray<Target>, never, Simulator> =>
  Effect.map(Simulator, ({ baseUrl }) => [
    openAi("llm-primary", { baseUrl: baseUrl("llm-primary"), model }),
    openAi("llm-secondary", { baseUrl: baseUrl("llm-secondary"), model: "gpt-4o-mini" }),
    anthropic({ baseUrl: baseUrl("llm-anthropic"), apiKey: Redacted.make("simulated") })
  ])
