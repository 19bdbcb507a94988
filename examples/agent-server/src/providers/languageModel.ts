/** The language model of the server: at a real endpoint, or at a simulated one that this process runs. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as HttpMetrics from "effect-resilience/http/HttpMetrics"
import * as RequestId from "effect-resilience/http/RequestId"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Provider } from "../config.ts"
import * as policies from "../policies.ts"
import * as Simulator from "../sim/Simulator.ts"
import { type CannotStart, orCannotStart } from "../startup/CannotStart.ts"
import * as Measured from "../telemetry/measured.ts"
import * as OpenAiLanguageModel from "./OpenAiLanguageModel.ts"

/** A client that sends the request's id on with every call, and measures each. */
const client = RequestId.layerClient.pipe(
  Layer.provide(HttpMetrics.layerClient),
  Layer.provide(NodeHttpClient.layerUndiciOptions({ connections: policies.providerConnections }))
)

const measured = (model: string) => Measured.languageModel({ provider: "openai", model })

const simulated = (model: string): Layer.Layer<LanguageModel.LanguageModel, never, Simulator.Simulator> =>
  Layer.unwrap(
    Effect.map(Simulator.Simulator, (simulator) =>
      Layer.provide(
        measured(model),
        OpenAiLanguageModel.layer({ baseUrl: simulator.baseUrl("llm-primary"), model })
      ))
  ).pipe(Layer.provide(client))

/** Provides the language model; a simulated one with the simulator beside it, for `/sim/faults`. */
export const layer = (provider: Provider): Layer.Layer<LanguageModel.LanguageModel, CannotStart> =>
  provider._tag === "OpenAiCompatible"
    ? measured(provider.model).pipe(Layer.provide(OpenAiLanguageModel.layer(provider)), Layer.provide(client))
    : simulated(provider.model).pipe(
      Layer.provideMerge(Simulator.layer({ seed: provider.seed })),
      orCannotStart((error) => `the simulated provider cannot listen on loopback: ${error.message}`)
    )
