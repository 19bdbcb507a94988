/** `/admin/fallback-chains`: how the chains stand, what they spent, and letting a route be asked again. */
import { AdminKey } from "effect-resilience/http/AdminKey"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Problems from "./Problems.ts"

/** A route, in the order in which it is asked, and what it was used for since the start. */
const Route = Schema.Struct({
  route: Schema.String,
  state: Schema.Literals(["Ready", "Cooling", "Limited", "Halted"]).annotate({
    description: "Why it is not asked: an outage, a limit of its provider, a key or an account that was refused"
  }),
  rests_for_ms: Schema.Finite,
  latency_ms: Schema.NullOr(Schema.Finite).annotate({
    description: "How long it takes to answer, a moving average; `null` before the first answer"
  }),
  charges: Schema.Int.annotate({
    description: "The calls that used something, those that failed in the middle included"
  }),
  prompt_tokens: Schema.Int,
  completion_tokens: Schema.Int,
  cost_usd: Schema.Finite,
  unpriced_tokens: Schema.Int.annotate({ description: "Tokens of a model whose price is not known" })
}).annotate({ identifier: "FallbackRoute" })

const Chain = Schema.Struct({
  name: Schema.String,
  spent_usd: Schema.Finite.annotate({ description: "In the window of the chain's budget" }),
  level: Schema.Literals(["Normal", "Warned", "Cheaper", "Denied"]).annotate({
    description: "What that leaves: all routes, all routes, the cheapest only, none"
  }),
  routes: Schema.Array(Route)
}).annotate({ identifier: "FallbackChain" })

/** The chains, for the server's operator. */
export class FallbackChainsApi extends HttpApiGroup.make("fallbackChains").add(
  HttpApiEndpoint.get("list", "/admin/fallback-chains", {
    success: Schema.Struct({ fallback_chains: Schema.Array(Chain) })
  }).annotateMerge(OpenApi.annotations({ summary: "How each route stands, and what it was used for" })),
  HttpApiEndpoint.post("reset", "/admin/fallback-chains/:name/routes/:route/reset", {
    params: { name: Schema.String, route: Schema.String },
    success: HttpApiSchema.NoContent,
    error: Problems.FallbackRouteNotFound
  }).annotateMerge(OpenApi.annotations({
    summary: "Let a route be asked again at once",
    description: "After its key was mended, say."
  }))
).middleware(AdminKey).annotateMerge(OpenApi.annotations({ title: "Fallback chains" })) {}
