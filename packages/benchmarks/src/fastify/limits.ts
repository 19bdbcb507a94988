/** How often callers and agents may ask: @fastify/rate-limit by key or address, and a second one by agent. */
import rateLimit from "@fastify/rate-limit"
import type { FastifyInstance, FastifyRequest } from "fastify"
import { agentsByName } from "./agents.ts"
import type { Metrics } from "./metrics.ts"
import { rateLimited } from "./problems.ts"

const perMinute: Readonly<Record<string, number>> = { free: 60, standard: 600 }

const isLoopback = (address: string): boolean => /^(127\.|::1$|::ffff:127\.)/.test(address)

/** Adds the limits to all routes that are registered after this. Health and metrics say `rateLimit: false`. */
export const addLimits = async (
  app: FastifyInstance,
  options: { readonly hasKeys: boolean; readonly agentRequestsPerMinute: number; readonly metrics: Metrics }
): Promise<void> => {
  const { agentRequestsPerMinute, hasKeys, metrics } = options
  const isUnlimited = ({ caller, ip }: FastifyRequest): boolean =>
    caller === undefined ? !hasKeys && isLoopback(ip) : perMinute[caller.tier] === undefined
  await app.register(rateLimit, {
    timeWindow: "1 minute",
    keyGenerator: ({ caller, ip }) => caller === undefined ? `ip:${ip}` : `key:${caller.name}`,
    max: ({ caller }) => caller === undefined ? 60 : perMinute[caller.tier] ?? 60,
    allowList: isUnlimited,
    onExceeded: () => metrics.decision("caller", "denied"),
    errorResponseBuilder: (_, { max, ttl }) => {
      const seconds = Math.max(1, Math.ceil(ttl / 1000))
      return rateLimited(seconds, { limit: max, remaining: 0, reset: seconds })
    }
  })
  const ofAgent = app.createRateLimit({
    timeWindow: "1 minute",
    max: agentRequestsPerMinute,
    keyGenerator: (request) => `agent:${agentOf(request)}`
  })
  app.addHook("preHandler", async (request) => {
    const agent = agentOf(request)
    if (agent === undefined || !agentsByName.has(agent)) return
    const limit = await ofAgent(request)
    if (limit.isAllowed || !limit.isExceeded) {
      metrics.decision("agent", "allowed")
      return
    }
    metrics.decision("agent", "denied")
    const seconds = Math.max(1, limit.ttlInSeconds)
    throw rateLimited(seconds, { limit: limit.max, remaining: 0, reset: seconds })
  })
}

/** Routes with an agent have it as a parameter. */
const agentOf = ({ params }: FastifyRequest): string | undefined =>
  (params as { readonly agent?: string } | undefined)?.agent
