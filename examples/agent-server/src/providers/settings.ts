/** Where language models are asked: at real endpoints, or at simulated ones. */
import type * as Redacted from "effect/Redacted"

/** Language models that this process simulates. */
export interface Simulated {
  readonly _tag: "Simulated"
  /** The first choice. */
  readonly model: string
  readonly seed: number
}

/** Language models at real endpoints; at least one of them is there. */
export interface Real {
  readonly _tag: "Real"
  /** Any endpoint that speaks OpenAI's chat completions. The second model is at the same place. */
  readonly openAi: {
    readonly baseUrl: string
    readonly apiKey: Redacted.Redacted | undefined
    readonly model: string
    readonly fallbackModel: string | undefined
  } | undefined
  readonly anthropic: {
    readonly baseUrl: string | undefined
    readonly apiKey: Redacted.Redacted | undefined
    readonly model: string | undefined
  } | undefined
}

/** Where the language models are. */
export type Provider = Simulated | Real

/** OpenAI's own models have a smaller one beside them; of a server with models of other names nobody knows. */
const fallbackModelOf = (model: string, given: string | undefined): string | undefined => {
  const fallback = given ?? (model.startsWith("gpt-") ? "gpt-4o-mini" : undefined)
  return fallback === model ? undefined : fallback
}

/** Of real providers, those that something says where they are, or with which key; where nothing does, simulated ones. */
export const providerOf = (values: {
  readonly baseUrl: string | undefined
  readonly apiKey: Redacted.Redacted | undefined
  readonly model: string
  readonly fallbackModel: string | undefined
  readonly anthropicBaseUrl: string | undefined
  readonly anthropicApiKey: Redacted.Redacted | undefined
  readonly anthropicModel: string | undefined
  readonly simSeed: number
}): Provider => {
  const { anthropicApiKey, anthropicBaseUrl, anthropicModel, apiKey, baseUrl, fallbackModel, model, simSeed } = values
  const openAi = baseUrl === undefined && apiKey === undefined
    ? undefined
    : {
      baseUrl: baseUrl ?? "https://api.openai.com/v1",
      apiKey,
      model,
      fallbackModel: fallbackModelOf(model, fallbackModel)
    }
  const anthropic = anthropicBaseUrl === undefined && anthropicApiKey === undefined
    ? undefined
    : { baseUrl: anthropicBaseUrl, apiKey: anthropicApiKey, model: anthropicModel }
  return openAi === undefined && anthropic === undefined
    ? { _tag: "Simulated", model, seed: simSeed }
    : { _tag: "Real", openAi, anthropic }
}
