/** `GET /v1/agents`: who there is to talk to. */
import { Authentication } from "effect-resilience/http/ApiKey"
import { RateLimits } from "effect-resilience/http/RateLimitMiddleware"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"

/** An agent, as a client sees it. */
const AgentSummary = Schema.Struct({
  name: Schema.String,
  description: Schema.String
}).annotate({ identifier: "Agent" })

/** The agents of this server. */
export class AgentsApi extends HttpApiGroup.make("agents").add(
  HttpApiEndpoint.get("list", "/v1/agents", {
    success: Schema.Struct({ agents: Schema.Array(AgentSummary) })
  }).annotateMerge(OpenApi.annotations({ summary: "List the agents" }))
).middleware(RateLimits).middleware(Authentication).annotateMerge(OpenApi.annotations({ title: "Agents" })) {}
