/** What a request has to pass before anything is done for it: the caller's limit, and the agent's. */
import * as ApiKey from "effect-resilience/http/ApiKey"
import { type Client, ClientAddress } from "effect-resilience/http/ClientAddress"
import * as RateLimitMiddleware from "effect-resilience/http/RateLimitMiddleware"
import * as RateLimiter from "effect-resilience/RateLimiter"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as NetAddress from "effect/net/NetAddress"
import * as Agents from "../agents/Agents.ts"
import { withFew } from "../http/fewServices.ts"
import { Policies } from "../policies.ts"
import type { Limits } from "./limits.ts"

/** What decides about callers without a key. */
export interface Options {
  /** Whether there are keys at all. */
  readonly hasKeys: boolean
  /** What checks find besides what a request is given on its way. */
  readonly base: Context.Context<never>
}

/** The checks of a request, under the limits that are in force. */
const checksOf = (
  request: HttpServerRequest.HttpServerRequest,
  { perAgent, perIp, perKey }: Limits,
  options: Options
): Effect.Effect<ReadonlyArray<RateLimiter.Check>> =>
  Effect.gen(function*() {
    const caller = yield* ApiKey.Caller
    const agent = agentIn(request.url)
    return [
      ...(caller === ApiKey.anonymous
        ? ofAddress(perIp, yield* ClientAddress, options)
        : check(perKey[caller.tier], caller.name)),
      ...(agent === undefined ? [] : check(perAgent, agent.name))
    ]
  })

/** The middleware that refuses who has had enough. */
export const layer = (options: Options) =>
  Layer.unwrap(Policies.useSync(({ now }) =>
    RateLimitMiddleware.layerApi({
      checks: (request) => Effect.flatMap(now, ({ limits }) => checksOf(request, limits, options))
    }).pipe(withFew(options.base, RateLimiter.RateLimiter))
  ))

const check = (policy: RateLimiter.Policy | undefined, key: string): ReadonlyArray<RateLimiter.Check> =>
  policy === undefined ? [] : [{ policy, key }]

/**
 * By address, but for this machine itself as long as there are no keys: whoever tries the server on their own machine, or puts
 * it under load there, is not a stranger, and has no key to show for it.
 */
const ofAddress = (
  perIp: RateLimiter.Policy | undefined,
  client: Client | undefined,
  { hasKeys }: Options
): ReadonlyArray<RateLimiter.Check> =>
  !hasKeys && client !== undefined && NetAddress.isLoopback(client.address)
    ? []
    : check(perIp, client?.key ?? "unknown")

/** Only agents that there are: a key for each name that somebody makes up would be a key for each request. */
const agentIn = (url: string): Agents.Agent | undefined => {
  const name = /^\/v1\/agents\/([^/?]+)\/chat/.exec(url)?.[1]
  return name === undefined ? undefined : Agents.find(name)
}
