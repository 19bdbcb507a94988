/** What a request has to pass before anything is done for it: the caller's limit, and the agent's. */
import * as ApiKey from "effect-resilience/http/ApiKey"
import { type Client, ClientAddress } from "effect-resilience/http/ClientAddress"
import type * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as NetAddress from "effect/net/NetAddress"
import * as Agents from "../agents/Agents.ts"
import { perAgent, perIp, perTier } from "./limits.ts"

/** What decides about a request. */
export interface Options {
  /** Whether there are keys at all. */
  readonly hasKeys: boolean
  /** What one agent takes in a minute, whoever asks. */
  readonly agentRequestsPerMinute: number
}

/** The checks of a request. */
export const checksOf = (options: Options) => {
  const policy = perAgent(options.agentRequestsPerMinute)
  return (request: HttpServerRequest.HttpServerRequest): Effect.Effect<ReadonlyArray<RateLimiter.Check>> =>
    Effect.gen(function*() {
      const caller = yield* ApiKey.Caller
      const agent = agentIn(request.url)
      return [
        ...(caller === ApiKey.anonymous ? ofAddress(yield* ClientAddress, options) : ofKey(caller)),
        ...(agent === undefined ? [] : [{ policy, key: agent.name }])
      ]
    })
}

/**
 * By address, but for this machine itself as long as there are no keys: whoever tries the server on their own machine, or puts
 * it under load there, is not a stranger, and has no key to show for it.
 */
const ofAddress = (
  client: Client | undefined,
  { hasKeys }: Pick<Options, "hasKeys">
): ReadonlyArray<RateLimiter.Check> =>
  !hasKeys && client !== undefined && NetAddress.isLoopback(client.address)
    ? []
    : [{ policy: perIp, key: client?.key ?? "unknown" }]

const ofKey = ({ name, tier }: ApiKey.Caller): ReadonlyArray<RateLimiter.Check> => {
  const policy = perTier[tier]
  return policy === undefined ? [] : [{ policy, key: name }]
}

/** Only agents that there are: a key for each name that somebody makes up would be a key for each request. */
const agentIn = (url: string): Agents.Agent | undefined => {
  const name = /^\/v1\/agents\/([^/?]+)\/chat/.exec(url)?.[1]
  return name === undefined ? undefined : Agents.find(name)
}
