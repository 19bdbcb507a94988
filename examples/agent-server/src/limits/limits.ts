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
export const perAgent = RateLimiter.policy("perAgent", [RateLimiter.perMinute(60_000)])

/** What a provider may be asked for in a minute, and cost in a day. */
export interface ProviderLimits {
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  readonly usdPerDay: number
}

/** Real providers limit their customers and send bills; simulated ones do neither. */
export const providerDefaults: { readonly [Kind in Provider["_tag"]]: ProviderLimits } = {
  OpenAiCompatible: { requestsPerMinute: 3500, tokensPerMinute: 90_000, usdPerDay: 10 },
  Simulated: { requestsPerMinute: 1_000_000, tokensPerMinute: 1_000_000_000, usdPerDay: 1_000_000 }
}

/** The policy of a provider. Its key is the provider's own name: all of our calls are one customer's. */
export const ofProvider = (dependency: Dependency, limits: ProviderLimits): RateLimiter.Policy =>
  RateLimiter.policy(dependency, [
    RateLimiter.tokenBucket({ name: "requests", limit: limits.requestsPerMinute, window: "1 minute" }),
    RateLimiter.tokenBucket({ name: "tokens", unit: "tokens", limit: limits.tokensPerMinute, window: "1 minute" }),
    RateLimiter.slidingWindow({ name: "cost", unit: "cost", limit: limits.usdPerDay, window: "1 day" })
  ])
