/** What a request has to pass before anything is done for it: the caller's limit, and the agent's. */
import * as ApiKey from "effect-resilience/http/ApiKey"
import { ClientAddress } from "effect-resilience/http/ClientAddress"
import type * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Agents from "../agents/Agents.ts"
import { perAgent, perIp, perTier } from "./limits.ts"

/** The checks of a request. */
export const checksOf = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<ReadonlyArray<RateLimiter.Check>> =>
  Effect.gen(function*() {
    const caller = yield* ApiKey.Caller
    const agent = agentIn(request.url)
    return [
      ...(caller === ApiKey.anonymous
        ? [{ policy: perIp, key: (yield* ClientAddress)?.key ?? "unknown" }]
        : ofKey(caller)),
      ...(agent === undefined ? [] : [{ policy: perAgent, key: agent.name }])
    ]
  })

const ofKey = ({ name, tier }: ApiKey.Caller): ReadonlyArray<RateLimiter.Check> => {
  const policy = perTier[tier]
  return policy === undefined ? [] : [{ policy, key: name }]
}

/** Only agents that there are: a key for each name that somebody makes up would be a key for each request. */
const agentIn = (url: string): Agents.Agent | undefined => {
  const name = /^\/v1\/agents\/([^/?]+)\/chat/.exec(url)?.[1]
  return name === undefined ? undefined : Agents.find(name)
}
