/** Serves `/admin/circuit-breakers`. */
import * as AdminApi from "effect-resilience/http/AdminApi"
import { Policies } from "../../policies.ts"
import { Api } from "../Api.ts"

/** The handlers, for the breakers of all dependencies. */
export const layer = AdminApi.layerCircuitBreakers(Api, {
  breakers: Policies.use(({ breakers }) => breakers)
})
