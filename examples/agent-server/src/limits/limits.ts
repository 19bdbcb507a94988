/** Who may ask how often, and how much each provider is asked. */
import * as RateLimiter from "effect-resilience/RateLimiter"
import type { Provider } from "../config.ts"
import type { Dependency } from "../policies.ts"

/** The tiers of API keys. */
export const tiers = ["free", "standard", "unlimited"] as const

/** Whoever has no key is limited by address. */
export const perIp = RateLimiter.policy("perIp", [RateLimiter.perMinute(60)])

/** A key is limited by its tier, and one of the tier `unlimited` is not. */
export const perTier: { readonly [tier: string]: RateLimiter.Policy | undefined } = {
  free: RateLimiter.policy("free", [RateLimiter.perMinute(60)]),
  standard: RateLimiter.policy("standard", [RateLimiter.perMinute(600)])
}

/** What one agent answers, whoever asks. */
export const perAgent = (requestsPerMinute: number): RateLimiter.Policy =>
  RateLimiter.policy("perAgent", [RateLimiter.perMinute(requestsPerMinute)])

/** What a provider may be asked for in a minute, and cost in a day. */
export interface ProviderLimits {
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  readonly usdPerDay: number
}

/** The limits of every provider. */
export type AllLimits = { readonly [D in Dependency]: ProviderLimits }

const openAi: ProviderLimits = { requestsPerMinute: 3500, tokensPerMinute: 90_000, usdPerDay: 10 }
const anthropic: ProviderLimits = { requestsPerMinute: 50, tokensPerMinute: 50_000, usdPerDay: 10 }
const outOfReach: ProviderLimits = { requestsPerMinute: 1e6, tokensPerMinute: 1e9, usdPerDay: 1e6 }

/** Real providers limit their customers and send bills; simulated ones do neither. */
const defaults: { readonly [Kind in Provider["_tag"]]: AllLimits } = {
  Real: { "llm-primary": openAi, "llm-secondary": openAi, "llm-anthropic": anthropic },
  Simulated: { "llm-primary": outOfReach, "llm-secondary": outOfReach, "llm-anthropic": outOfReach }
}

/** The limits of each provider, where nothing is said of them the defaults of its kind. */
export const limitsOf = (
  kind: Provider["_tag"],
  given: { readonly [Limit in keyof ProviderLimits]: number | undefined }
): AllLimits => {
  const one = (fallback: ProviderLimits): ProviderLimits => ({
    requestsPerMinute: given.requestsPerMinute ?? fallback.requestsPerMinute,
    tokensPerMinute: given.tokensPerMinute ?? fallback.tokensPerMinute,
    usdPerDay: given.usdPerDay ?? fallback.usdPerDay
  })
  const all = defaults[kind]
  return {
    "llm-primary": one(all["llm-primary"]),
    "llm-secondary": one(all["llm-secondary"]),
    "llm-anthropic": one(all["llm-anthropic"])
  }
}

/** The policy of a provider. Its key is the provider's own name: all of our calls are one customer's. */
export const ofProvider = (dependency: Dependency, limits: ProviderLimits): RateLimiter.Policy =>
  RateLimiter.policy(dependency, [
    RateLimiter.tokenBucket({ name: "requests", limit: limits.requestsPerMinute, window: "1 minute" }),
    RateLimiter.tokenBucket({ name: "tokens", unit: "tokens", limit: limits.tokensPerMinute, window: "1 minute" }),
    RateLimiter.slidingWindow({ name: "cost", unit: "cost", limit: limits.usdPerDay, window: "1 day" })
  ])
