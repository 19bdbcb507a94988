/** How a limit stands, and forgetting what was taken of it. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { AdminKey } from "../../../http/AdminKey.ts"
import * as RateLimiter from "../../../RateLimiter.ts"
import { type Like, type Mounting, serve, type Served } from "./mounted.ts"
import * as Named from "./named.ts"
import * as Problems from "./problems.ts"
import { Replies, strictInput } from "./replies.ts"

const query = {
  policy: Schema.NonEmptyString.annotate({ description: "The name of a policy" }),
  key: Schema.NonEmptyString.check(Schema.isMaxLength(1024)).annotate({
    description: "Whose limits: an address, the name of an API key, whatever the policy counts by"
  })
}

const error = [Problems.InvalidRequest, Problems.RateLimitPolicyNotFound, Problems.StorageUnavailable] as const

/** How the limits of one key stand. */
const Limits = Schema.Struct({
  policy: Schema.String,
  key: Schema.String,
  rules: Schema.Array(Schema.Struct({
    rule: Schema.String,
    unit: Schema.String,
    limit: Schema.Finite,
    remaining: Schema.Finite,
    reset_after_ms: Schema.NullOr(Schema.Finite).annotate({
      description: "In this time it is as if nothing had been taken; null for never"
    })
  }))
}).annotate({ identifier: "Limits" })

/**
 * The rate limits, for the server's operator.
 *
 * | endpoint | what |
 * | --- | --- |
 * | `GET /admin/rate-limits?policy=&key=` | how the limits of a key stand; takes nothing |
 * | `DELETE /admin/rate-limits?policy=&key=` | forgets what a key has taken, and its block |
 *
 * @category groups
 * @since 0.1.0
 */
export class RateLimits extends HttpApiGroup.make("rateLimits").add(
  HttpApiEndpoint.get("peek", "/admin/rate-limits", { query, success: Limits, error })
    .annotateMerge(OpenApi.annotations({ summary: "How the limits of a key stand" })),
  HttpApiEndpoint.delete("reset", "/admin/rate-limits", { query, success: HttpApiSchema.NoContent, error })
    .annotateMerge(OpenApi.annotations({ summary: "Forget what a key has taken" }))
).middleware(AdminKey)
  .middleware(Replies)
  .annotateMerge(strictInput)
  .annotateMerge(OpenApi.annotations({ title: "Rate limits" }))
{}

/**
 * Options of {@link layerRateLimits}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateLimitsOptions<R = never> {
  /** The policies that there are, each under its `name`. */
  readonly policies: Named.Named<RateLimiter.Policy, R>
}

export const layer = <ApiId extends string, Group extends Like<typeof RateLimits>, R = never>(
  api: Mounting<ApiId, "rateLimits", Group>,
  options: RateLimitsOptions<R>
): Served<ApiId, Group, R | RateLimiter.RateLimiter> =>
  Layer.unwrap(Effect.map(
    Effect.all([Named.lookup(options.policies), RateLimiter.RateLimiter]),
    ([policies, limiter]) => {
      const find = (name: string) => Named.find(policies, name, (names) => notFound(name, names))
      return serve<typeof RateLimits>()(api, (api) =>
        HttpApiBuilder.group(api, "rateLimits", (handlers) =>
          handlers.handleAll({
            peek: ({ query }) =>
              Effect.flatMap(find(query.policy), (policy) => peek(limiter, policy, query.key)),
            reset: ({ query }) =>
              Effect.flatMap(find(query.policy), (policy) =>
                Effect.catch(
                  limiter.reset({ policy, key: query.key }),
                  (error) => Problems.storageDown("rate limits", error)
                ))
          })))
    }
  ))

const peek = (limiter: RateLimiter.RateLimiter["Service"], policy: RateLimiter.Policy, key: string) =>
  Effect.gen(function*() {
    const decision = yield* limiter.peek({ policy, key, cost: nothingOf(policy) })
    // What a store that is down would be taken to say is no answer to how things stand.
    if (decision._tag === "StoreUnavailable") return yield* Problems.storageDown("rate limits", decision)
    return { policy: policy.name, key, rules: decision.rules.map(toRule) }
  })

const notFound = (name: string, names: ReadonlyArray<string>) =>
  new Problems.RateLimitPolicyNotFound(Named.noSuch("policy", name, names))

/** To look is free, in every unit that the policy counts. */
const nothingOf = ({ rules }: RateLimiter.Policy): Readonly<Record<string, number>> =>
  Object.fromEntries(rules.map(({ unit }) => [unit, 0]))

const toRule = (
  { limit, remaining, resetAfter, rule, unit }: RateLimiter.RuleState
): (typeof Limits.Type)["rules"][number] => ({
  rule,
  unit,
  limit,
  remaining,
  reset_after_ms: Duration.isFinite(resetAfter) ? Duration.toMillis(resetAfter) : null
})
