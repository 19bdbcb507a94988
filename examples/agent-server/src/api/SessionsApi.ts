/** `/v1/sessions/{id}`: what has been said in a session, and forgetting it. */
import { Authentication } from "effect-resilience/http/ApiKey"
import { RateLimits } from "effect-resilience/http/RateLimitMiddleware"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { Served } from "./ChatApi.ts"
import * as Problems from "./Problems.ts"

/** One message of a session. `served` says how a reply came about. */
const SessionMessage = Schema.Struct({
  role: Schema.Literals(["user", "assistant"]),
  content: Schema.String,
  at: Schema.String.annotate({ description: "When it was stored, ISO 8601 in UTC", format: "date-time" }),
  served: Schema.optionalKey(Served)
}).annotate({ identifier: "SessionMessage" })

/** A session with all of its messages, oldest first. */
const Session = Schema.Struct({
  session_id: Schema.String,
  agent: Schema.String,
  messages: Schema.Array(SessionMessage)
}).annotate({ identifier: "Session" })

const id = { id: Schema.String }

const error = [Problems.SessionNotFound, Problems.StorageUnavailable] as const

/** Sessions: they live until they are deleted, and survive restarts. */
export class SessionsApi extends HttpApiGroup.make("sessions").add(
  HttpApiEndpoint.get("get", "/v1/sessions/:id", { params: id, success: Session, error })
    .annotateMerge(OpenApi.annotations({ summary: "Read a session" })),
  HttpApiEndpoint.delete("delete", "/v1/sessions/:id", { params: id, success: HttpApiSchema.NoContent, error })
    .annotateMerge(OpenApi.annotations({ summary: "Delete a session and all of its messages" }))
).middleware(RateLimits).middleware(Authentication).annotateMerge(OpenApi.annotations({ title: "Sessions" })) {}
