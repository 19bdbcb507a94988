/** The language model of the server: at a real endpoint, or at a simulated one that this process runs. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as RequestId from "effect-resilience/http/RequestId"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Provider } from "../config.ts"
import * as policies from "../policies.ts"
import * as Simulator from "../sim/Simulator.ts"
import { type CannotStart, orCannotStart } from "../startup/CannotStart.ts"
import * as OpenAiLanguageModel from "./OpenAiLanguageModel.ts"

/** A client that sends the request's id on with every call. */
const client = Layer.provide(
  RequestId.layerClient,
  NodeHttpClient.layerUndiciOptions({ connections: policies.providerConnections })
)

const simulated = (model: string): Layer.Layer<LanguageModel.LanguageModel, never, Simulator.Simulator> =>
  Layer.unwrap(
    Effect.map(Simulator.Simulator, (simulator) =>
      OpenAiLanguageModel.layer({ baseUrl: simulator.baseUrl("llm-primary"), model }))
  ).pipe(Layer.provide(client))

/** Provides the language model; a simulated one with the simulator beside it, for `/sim/faults`. */
export const layer = (provider: Provider): Layer.Layer<LanguageModel.LanguageModel, CannotStart> =>
  provider._tag === "OpenAiCompatible"
    ? Layer.provide(OpenAiLanguageModel.layer(provider), client)
    : simulated(provider.model).pipe(
      Layer.provideMerge(Simulator.layer({ seed: provider.seed })),
      orCannotStart((error) => `the simulated provider cannot listen on loopback: ${error.message}`)
    )
