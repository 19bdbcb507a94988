/** Serves `/admin/rate-limits`. */
import * as AdminApi from "effect-resilience/http/AdminApi"
import * as Effect from "effect/Effect"
import * as Limits from "../../limits/limits.ts"
import { Policies } from "../../policies.ts"
import { Api } from "../Api.ts"

/** The handlers, for the limits of callers, agents and the providers. */
export const layer = AdminApi.layerRateLimits(Api, {
  policies: Effect.map(Policies.use(({ now }) => now), ({ limits }) => Limits.policiesOf(limits))
})
