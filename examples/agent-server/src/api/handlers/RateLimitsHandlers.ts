/** Serves `/admin/rate-limits`. */
import * as AdminApi from "effect-resilience/http/AdminApi"
import * as Limits from "../../limits/limits.ts"
import { Api } from "../Api.ts"

/** The handlers, for the limits of callers, agents and the provider. */
export const layer = (providerLimits: Limits.ProviderLimits) =>
  AdminApi.layerRateLimits(Api, {
    policies: [
      Limits.perIp,
      ...Object.values(Limits.perTier).filter((policy) => policy !== undefined),
      Limits.perAgent,
      Limits.ofProvider("llm-primary", providerLimits)
    ]
  })
