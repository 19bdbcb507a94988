/**
 * Every error that the API answers with, by status. The codes are a promise: none is ever changed or used again.
 *
 * `499` is not among them: it is logged for a client that went away, and nobody is there to read a reply.
 */
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as Schema from "effect/Schema"
import { members, RetryAfter, typeOf } from "../http/Problem.ts"

/** A part of the request that is wrong, and why. */
export const InvalidField = Schema.Struct({
  in: Schema.Literals(["body", "path", "query", "header"]),
  path: Schema.String.annotate({ description: "The field's name, nested ones with dots; empty for the whole" }),
  message: Schema.String
})

/** The request does not have the shape it must have; `errors` names everything that is wrong with it. */
export class InvalidRequest extends HttpApiError.Problem<InvalidRequest>()("InvalidRequest", {
  type: typeOf("invalid_request"),
  status: 400,
  title: "Invalid request"
}, { ...members("invalid_request"), errors: Schema.Array(InvalidField) }) {}

/** The request could not be read: its body broke off, or it is not HTTP. */
export class MalformedRequest extends HttpApiError.Problem<MalformedRequest>()("MalformedRequest", {
  type: typeOf("malformed_request"),
  status: 400,
  title: "Malformed request"
}, members("malformed_request")) {}

/** There is no key in the request, and the endpoint needs one. */
export class Unauthorized extends HttpApiError.Problem<Unauthorized>()("Unauthorized", {
  type: typeOf("unauthorized"),
  status: 401,
  title: "Key needed"
}, members("unauthorized")) {}

/** The key in the request does not open this endpoint. */
export class Forbidden extends HttpApiError.Problem<Forbidden>()("Forbidden", {
  type: typeOf("forbidden"),
  status: 403,
  title: "Not allowed"
}, members("forbidden")) {}

/** No endpoint has this path. */
export class RouteNotFound extends HttpApiError.Problem<RouteNotFound>()("RouteNotFound", {
  type: typeOf("route_not_found"),
  status: 404,
  title: "No such endpoint"
}, members("route_not_found")) {}

/** There is no agent of this name. */
export class AgentNotFound extends HttpApiError.Problem<AgentNotFound>()("AgentNotFound", {
  type: typeOf("agent_not_found"),
  status: 404,
  title: "No such agent"
}, members("agent_not_found")) {}

/** There is no session of this id: it was deleted, or never was. */
export class SessionNotFound extends HttpApiError.Problem<SessionNotFound>()("SessionNotFound", {
  type: typeOf("session_not_found"),
  status: 404,
  title: "No such session"
}, members("session_not_found")) {}

/** The server uses real providers: there is nothing to inject faults into. */
export class NotSimulated extends HttpApiError.Problem<NotSimulated>()("NotSimulated", {
  type: typeOf("not_simulated"),
  status: 404,
  title: "Providers are not simulated"
}, members("not_simulated")) {}

/** The path exists, and not with this method; the `Allow` header lists those it has. */
export class MethodNotAllowed extends HttpApiError.Problem<MethodNotAllowed>()("MethodNotAllowed", {
  type: typeOf("method_not_allowed"),
  status: 405,
  title: "Method not allowed"
}, members("method_not_allowed")) {}

/** The request did not arrive within the time that the server waits for one. */
export class RequestTimeout extends HttpApiError.Problem<RequestTimeout>()("RequestTimeout", {
  type: typeOf("request_timeout"),
  status: 408,
  title: "Request timeout"
}, members("request_timeout")) {}

/** A session belongs to the agent that it began with. */
export class WrongAgent extends HttpApiError.Problem<WrongAgent>()("WrongAgent", {
  type: typeOf("wrong_agent"),
  status: 409,
  title: "Session of another agent"
}, members("wrong_agent")) {}

/** Too many turns of this session are waiting for the one before them. */
export class SessionBusy extends HttpApiError.Problem<SessionBusy>()("SessionBusy", {
  type: typeOf("session_busy"),
  status: 409,
  title: "Session is busy"
}, { ...members("session_busy"), retry_after: RetryAfter }) {}

/** The body has more bytes than the server reads. */
export class BodyTooLarge extends HttpApiError.Problem<BodyTooLarge>()("BodyTooLarge", {
  type: typeOf("body_too_large"),
  status: 413,
  title: "Body too large"
}, { ...members("body_too_large"), limit: Schema.Int }) {}

/** The message has more characters than an agent takes. */
export class MessageTooLong extends HttpApiError.Problem<MessageTooLong>()("MessageTooLong", {
  type: typeOf("message_too_long"),
  status: 413,
  title: "Message too long"
}, { ...members("message_too_long"), limit: Schema.Int }) {}

/** The body is of a type that the endpoint does not read. */
export class UnsupportedMediaType extends HttpApiError.Problem<UnsupportedMediaType>()("UnsupportedMediaType", {
  type: typeOf("unsupported_media_type"),
  status: 415,
  title: "Unsupported media type"
}, members("unsupported_media_type")) {}

/** The model will not answer this message: the provider's content policy refused it. */
export class ContentRefused extends HttpApiError.Problem<ContentRefused>()("ContentRefused", {
  type: typeOf("content_refused"),
  status: 422,
  title: "Content refused"
}, members("content_refused")) {}

/** The message and its history do not fit into the model. */
export class ContextTooLong extends HttpApiError.Problem<ContextTooLong>()("ContextTooLong", {
  type: typeOf("context_too_long"),
  status: 422,
  title: "Context too long"
}, members("context_too_long")) {}

/** The request's headers are larger than the server reads. */
export class HeadersTooLarge extends HttpApiError.Problem<HeadersTooLarge>()("HeadersTooLarge", {
  type: typeOf("headers_too_large"),
  status: 431,
  title: "Headers too large"
}, members("headers_too_large")) {}

/** The provider refuses more requests for now, and went on refusing. */
export class ProviderRateLimited extends HttpApiError.Problem<ProviderRateLimited>()("ProviderRateLimited", {
  type: typeOf("provider_rate_limited"),
  status: 429,
  title: "Rate limit exceeded"
}, {
  ...members("provider_rate_limited"),
  error: Schema.tag("rate_limit_exceeded"),
  retry_after: RetryAfter
}) {}

/** The server is at fault. The log has more under the same `request_id`. */
export class InternalError extends HttpApiError.Problem<InternalError>()("InternalError", {
  type: typeOf("internal_error"),
  status: 500,
  title: "Internal error"
}, members("internal_error")) {}

/** The provider failed, or answered something that makes no sense. */
export class BadUpstream extends HttpApiError.Problem<BadUpstream>()("BadUpstream", {
  type: typeOf("bad_upstream"),
  status: 502,
  title: "Provider failed"
}, members("bad_upstream")) {}

/** The provider cannot take requests now. */
export class UpstreamUnavailable extends HttpApiError.Problem<UpstreamUnavailable>()("UpstreamUnavailable", {
  type: typeOf("upstream_unavailable"),
  status: 503,
  title: "Provider unavailable"
}, { ...members("upstream_unavailable"), retry_after: RetryAfter }) {}

/** The sessions' store cannot be read or written now. */
export class StorageUnavailable extends HttpApiError.Problem<StorageUnavailable>()("StorageUnavailable", {
  type: typeOf("storage_unavailable"),
  status: 503,
  title: "Storage unavailable"
}, { ...members("storage_unavailable"), retry_after: RetryAfter }) {}

/** The server stops, and has ended the request. */
export class ShuttingDown extends HttpApiError.Problem<ShuttingDown>()("ShuttingDown", {
  type: typeOf("shutting_down"),
  status: 503,
  title: "Shutting down"
}, { ...members("shutting_down"), retry_after: RetryAfter }) {}

/** There was no answer within the time that a request may take. */
export class DeadlineExceeded extends HttpApiError.Problem<DeadlineExceeded>()("DeadlineExceeded", {
  type: typeOf("deadline_exceeded"),
  status: 504,
  title: "Took too long"
}, members("deadline_exceeded")) {}
