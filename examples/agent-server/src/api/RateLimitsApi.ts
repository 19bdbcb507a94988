/** `/admin/rate-limits`: how a limit stands, and forgetting what was taken of it. */
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { AdminKey } from "./AdminKey.ts"
import * as Problems from "./Problems.ts"

const query = {
  policy: Schema.NonEmptyString.annotate({ description: "perIp, free, standard, perAgent, or a provider" }),
  key: Schema.NonEmptyString.check(Schema.isMaxLength(1024)).annotate({
    description: "An address, the name of an API key, an agent, or the provider again"
  })
}

const error = [Problems.InvalidRequest, Problems.RateLimitPolicyNotFound] as const

/** How the limits of one key stand. */
const Limits = Schema.Struct({
  policy: Schema.String,
  key: Schema.String,
  rules: Schema.Array(Schema.Struct({
    rule: Schema.String,
    unit: Schema.String,
    limit: Schema.Finite,
    remaining: Schema.Finite,
    reset_after_ms: Schema.Finite.annotate({ description: "In this time it is as if nothing had been taken" })
  }))
}).annotate({ identifier: "Limits" })

/** The rate limits, for the server's operator. */
export class RateLimitsApi extends HttpApiGroup.make("rateLimits").add(
  HttpApiEndpoint.get("peek", "/admin/rate-limits", { query, success: Limits, error })
    .annotateMerge(OpenApi.annotations({ summary: "How the limits of a key stand" })),
  HttpApiEndpoint.delete("reset", "/admin/rate-limits", { query, success: HttpApiSchema.NoContent, error })
    .annotateMerge(OpenApi.annotations({ summary: "Forget what a key has taken" }))
).middleware(AdminKey).annotateMerge(OpenApi.annotations({ title: "Rate limits" })) {}
