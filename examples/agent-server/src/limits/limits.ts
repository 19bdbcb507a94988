/** Who may ask how often, and how much each provider is asked, as the document of policies says. */
import * as RateLimiter from "effect-resilience/RateLimiter"
import type * as Duration from "effect/Duration"
import type { Dependency, OnStoreError, ProviderLimits, Sections } from "../policies/document.ts"

/** The tiers of API keys. */
export const tiers = ["free", "standard", "unlimited"] as const

/** What one provider may be asked for, also as the policy that counts it. Its key is the provider's own name. */
interface OfProvider extends ProviderLimits {
  readonly policy: RateLimiter.Policy
}

/** All limits. Where there is none it is `undefined`. */
export interface Limits {
  readonly perIp: RateLimiter.Policy | undefined
  readonly perKey: { readonly [tier: string]: RateLimiter.Policy | undefined }
  readonly perAgent: RateLimiter.Policy | undefined
  readonly providers: { readonly [D in Dependency]: OfProvider }
  readonly maxWait: Duration.Duration
  readonly maxQueue: number
  /** As the document says it. */
  readonly perMinute: Pick<Sections["limits"], "perIp" | "perKey" | "perAgent">
  readonly onStoreError: OnStoreErrors
}

/** What each kind of limit does while the store of all instances does not answer. */
type OnStoreErrors = NonNullable<Sections["limits"]["onStoreError"]>

/** For a document that does not say it: limits hold, within what two instances together may have. */
const insured: OnStoreErrors = { callers: { share: 1 }, rates: { share: 0.5 }, cost: { share: 0.5 } }

const toRule = (choice: OnStoreError) => typeof choice === "string" ? choice : RateLimiter.local(choice)

/** All of our calls are one customer's. */
const ofProvider = (dependency: Dependency, limits: ProviderLimits, { cost, rates }: OnStoreErrors): OfProvider => {
  const rate = { window: "1 minute", onStoreError: toRule(rates) } as const
  return {
    ...limits,
    policy: RateLimiter.policy(dependency, [
      RateLimiter.tokenBucket({ ...rate, name: "requests", limit: limits.requestsPerMinute }),
      RateLimiter.tokenBucket({ ...rate, name: "tokens", unit: "tokens", limit: limits.tokensPerMinute }),
      RateLimiter.slidingWindow({
        name: "cost",
        unit: "cost",
        limit: limits.usdPerDay,
        window: "1 day",
        onStoreError: toRule(cost)
      })
    ])
  }
}

/** The limits of a document; what is said besides of providers goes for all of them. */
export const limitsOf = (
  { onStoreError = insured, perAgent: forAgent, perIp, perKey, providers: { maxQueue, maxWait } }: Sections["limits"],
  providers: { readonly [D in Dependency]: ProviderLimits },
  given: { readonly [Limit in keyof ProviderLimits | "agentRequestsPerMinute"]?: number | undefined }
): Limits => {
  const perAgent = given.agentRequestsPerMinute ?? forAgent
  const perMinute = (name: string, limit: number | "unlimited"): RateLimiter.Policy | undefined =>
    limit === "unlimited"
      ? undefined
      : RateLimiter.policy(name, [RateLimiter.perMinute(limit, { onStoreError: toRule(onStoreError.callers) })])
  const one = (dependency: Dependency) => {
    const limits = providers[dependency]
    return ofProvider(dependency, {
      requestsPerMinute: given.requestsPerMinute ?? limits.requestsPerMinute,
      tokensPerMinute: given.tokensPerMinute ?? limits.tokensPerMinute,
      usdPerDay: given.usdPerDay ?? limits.usdPerDay
    }, onStoreError)
  }
  return {
    perIp: perMinute("perIp", perIp),
    perKey: {
      free: perMinute("free", perKey.free),
      standard: perMinute("standard", perKey.standard),
      unlimited: perMinute("unlimited", perKey.unlimited)
    },
    perAgent: perMinute("perAgent", perAgent),
    providers: {
      "llm-primary": one("llm-primary"),
      "llm-secondary": one("llm-secondary"),
      "llm-anthropic": one("llm-anthropic")
    },
    maxWait,
    maxQueue,
    perMinute: { perIp, perKey, perAgent },
    onStoreError
  }
}

/** The policies of all limits, for looking at them by their names. */
export const policiesOf = ({ perAgent, perIp, perKey, providers }: Limits): ReadonlyArray<RateLimiter.Policy> =>
  [perIp, ...Object.values(perKey), perAgent, ...Object.values(providers).map(({ policy }) => policy)]
    .filter((policy) => policy !== undefined)
