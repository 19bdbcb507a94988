/** Serves `/admin/rate-limits`. */
import * as AdminApi from "effect-resilience/http/AdminApi"
import * as Limits from "../../limits/limits.ts"
import { Breakers } from "../../policies.ts"
import { Api } from "../Api.ts"

/** The handlers, for the limits of callers, agents and the providers. */
export const layer = (
  { agentRequestsPerMinute, providerLimits }: {
    readonly agentRequestsPerMinute: number
    readonly providerLimits: Limits.AllLimits
  }
) =>
  AdminApi.layerRateLimits(Api, {
    policies: [
      Limits.perIp,
      ...Object.values(Limits.perTier).filter((policy) => policy !== undefined),
      Limits.perAgent(agentRequestsPerMinute),
      ...Breakers.names.map((name) => Limits.ofProvider(name, providerLimits[name]))
    ]
  })
