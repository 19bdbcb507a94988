/** Serves `/admin/circuit-breakers`. */
import * as AdminApi from "effect-resilience/http/AdminApi"
import * as Effect from "effect/Effect"
import { Breakers } from "../../policies.ts"
import { Api } from "../Api.ts"

/** The handlers, for the breakers of all dependencies. */
export const layer = AdminApi.layerCircuitBreakers(Api, {
  breakers: Effect.map(Breakers, (breakers) => Breakers.names.map((name) => breakers[name]))
})
