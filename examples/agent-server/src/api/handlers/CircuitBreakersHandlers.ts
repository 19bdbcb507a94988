/** Serves `/admin/circuit-breakers`. */
import * as AdminApi from "effect-resilience/http/AdminApi"
import * as Effect from "effect/Effect"
import { Breakers } from "../../policies.ts"
import { SpeechBreakers } from "../../voice/policies.ts"
import { Api } from "../Api.ts"

/** The handlers, for the breakers of all dependencies. */
export const layer = AdminApi.layerCircuitBreakers(Api, {
  breakers: Effect.gen(function*() {
    const ofModels = yield* Breakers
    const ofSpeech = yield* SpeechBreakers
    return [
      ...Breakers.names.map((name) => ofModels[name]),
      ...SpeechBreakers.names.map((name) => ofSpeech[name])
    ]
  })
})
