/** Serves `/admin/rate-limits`. */
import { says } from "effect-resilience/http/Problem"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Limits from "../../limits/limits.ts"
import { Breakers } from "../../policies.ts"
import { Api } from "../Api.ts"
import { RateLimitPolicyNotFound } from "../Problems.ts"

/** The handlers. Limits are counted in this process: what their store can fail with, it cannot. */
export const layer = (providerLimits: Limits.AllLimits) =>
  HttpApiBuilder.group(
    Api,
    "rateLimits",
    Effect.fnUntraced(function*(handlers) {
      const limiter = yield* RateLimiter.RateLimiter
      const known = new Map(
        [
          Limits.perIp,
          ...Object.values(Limits.perTier).filter((policy) => policy !== undefined),
          Limits.perAgent,
          ...Breakers.names.map((name) => Limits.ofProvider(name, providerLimits[name]))
        ].map((policy) => [policy.name, policy])
      )
      const find = (name: string): Effect.Effect<RateLimiter.Policy, RateLimitPolicyNotFound> => {
        const policy = known.get(name)
        return policy === undefined ? Effect.fail(notFound(name, [...known.keys()])) : Effect.succeed(policy)
      }
      return handlers.handleAll({
        peek: ({ query }) =>
          Effect.gen(function*() {
            const policy = yield* find(query.policy)
            const { rules } = yield* limiter.peek({ policy, key: query.key, cost: { requests: 0, tokens: 0, cost: 0 } })
            return {
              policy: policy.name,
              key: query.key,
              rules: rules.map(({ limit, remaining, resetAfter, rule, unit }) => ({
                rule,
                unit,
                limit,
                remaining,
                reset_after_ms: Duration.toMillis(resetAfter)
              }))
            }
          }),
        reset: ({ query }) =>
          Effect.flatMap(find(query.policy), (policy) => Effect.orDie(limiter.reset({ policy, key: query.key })))
      })
    })
  )

const notFound = (name: string, names: ReadonlyArray<string>) =>
  new RateLimitPolicyNotFound(
    says(`There is no policy "${name.slice(0, 100)}". There are: ${names.join(", ")}.`)
  )
