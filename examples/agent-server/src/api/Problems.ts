/** A class for each kind of problem, to fail with. What they mean is in `problemKinds.ts`. */
import { members, RetryAfter } from "effect-resilience/http/Problem"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as Schema from "effect/Schema"
import { kind } from "./problemKinds.ts"

/** A part of the request that is wrong, and why. */
const InvalidField = Schema.Struct({
  in: Schema.Literals(["body", "path", "query", "header"]),
  path: Schema.String.annotate({ description: "The field's name, nested ones with dots; empty for the whole" }),
  message: Schema.String
})

/** Where the turn that failed is kept, and the session that will have it when it has been completed. */
const kept = {
  letter_id: Schema.optionalKey(Schema.String.annotate({
    description: "The dead letter that the turn has become; also in the header X-Dead-Letter"
  })),
  session_id: Schema.optionalKey(Schema.String.annotate({
    description: "The session that will have the turn when it has been redriven"
  }))
}

export class InvalidRequest extends HttpApiError.Problem<InvalidRequest>()(
  "InvalidRequest",
  kind("invalid_request"),
  { ...members("invalid_request"), errors: Schema.Array(InvalidField) }
) {}

export class AgentNotFound extends HttpApiError.Problem<AgentNotFound>()(
  "AgentNotFound",
  kind("agent_not_found"),
  members("agent_not_found")
) {}

export class SessionNotFound extends HttpApiError.Problem<SessionNotFound>()(
  "SessionNotFound",
  kind("session_not_found"),
  members("session_not_found")
) {}

export class FallbackRouteNotFound extends HttpApiError.Problem<FallbackRouteNotFound>()(
  "FallbackRouteNotFound",
  kind("fallback_route_not_found"),
  members("fallback_route_not_found")
) {}

export class NotSimulated extends HttpApiError.Problem<NotSimulated>()(
  "NotSimulated",
  kind("not_simulated"),
  members("not_simulated")
) {}

export class WrongAgent extends HttpApiError.Problem<WrongAgent>()(
  "WrongAgent",
  kind("wrong_agent"),
  members("wrong_agent")
) {}

export class SessionBusy extends HttpApiError.Problem<SessionBusy>()(
  "SessionBusy",
  kind("session_busy"),
  { ...members("session_busy"), retry_after: RetryAfter }
) {}

export class IdempotencyKeyInUse extends HttpApiError.Problem<IdempotencyKeyInUse>()(
  "IdempotencyKeyInUse",
  kind("idempotency_key_in_use"),
  { ...members("idempotency_key_in_use"), retry_after: RetryAfter }
) {}

export class IdempotencyKeyReused extends HttpApiError.Problem<IdempotencyKeyReused>()(
  "IdempotencyKeyReused",
  kind("idempotency_key_reused"),
  members("idempotency_key_reused")
) {}

export class BodyTooLarge extends HttpApiError.Problem<BodyTooLarge>()(
  "BodyTooLarge",
  kind("body_too_large"),
  { ...members("body_too_large"), limit: Schema.Int }
) {}

export class MessageTooLong extends HttpApiError.Problem<MessageTooLong>()(
  "MessageTooLong",
  kind("message_too_long"),
  { ...members("message_too_long"), limit: Schema.Int }
) {}

export class UnsupportedMediaType extends HttpApiError.Problem<UnsupportedMediaType>()(
  "UnsupportedMediaType",
  kind("unsupported_media_type"),
  members("unsupported_media_type")
) {}

export class ContentRefused extends HttpApiError.Problem<ContentRefused>()(
  "ContentRefused",
  kind("content_refused"),
  members("content_refused")
) {}

export class InvalidAudio extends HttpApiError.Problem<InvalidAudio>()(
  "InvalidAudio",
  kind("invalid_audio"),
  members("invalid_audio")
) {}

export class NoSpeech extends HttpApiError.Problem<NoSpeech>()(
  "NoSpeech",
  kind("no_speech"),
  members("no_speech")
) {}

export class TurnInterrupted extends HttpApiError.Problem<TurnInterrupted>()(
  "TurnInterrupted",
  kind("turn_interrupted"),
  members("turn_interrupted")
) {}

export class ContextTooLong extends HttpApiError.Problem<ContextTooLong>()(
  "ContextTooLong",
  kind("context_too_long"),
  members("context_too_long")
) {}

export class ProviderRateLimited extends HttpApiError.Problem<ProviderRateLimited>()(
  "ProviderRateLimited",
  kind("provider_rate_limited"),
  {
    ...members("provider_rate_limited"),
    ...kept,
    error: Schema.tag("rate_limit_exceeded"),
    retry_after: RetryAfter,
    limit: Schema.Null.annotate({ description: "Nobody but the provider knows" }),
    remaining: Schema.Literal(0),
    reset: Schema.Int.annotate({ description: "The same as retry_after: more is not known" })
  }
) {}

export class InternalError extends HttpApiError.Problem<InternalError>()(
  "InternalError",
  kind("internal_error"),
  { ...members("internal_error"), ...kept }
) {}

export class BadUpstream extends HttpApiError.Problem<BadUpstream>()(
  "BadUpstream",
  kind("bad_upstream"),
  { ...members("bad_upstream"), ...kept }
) {}

export class UpstreamUnavailable extends HttpApiError.Problem<UpstreamUnavailable>()(
  "UpstreamUnavailable",
  kind("upstream_unavailable"),
  { ...members("upstream_unavailable"), ...kept, retry_after: RetryAfter }
) {}

export class StorageUnavailable extends HttpApiError.Problem<StorageUnavailable>()(
  "StorageUnavailable",
  kind("storage_unavailable"),
  { ...members("storage_unavailable"), retry_after: RetryAfter }
) {}

export class DeadlineExceeded extends HttpApiError.Problem<DeadlineExceeded>()(
  "DeadlineExceeded",
  kind("deadline_exceeded"),
  { ...members("deadline_exceeded"), ...kept }
) {}

export class ShuttingDown extends HttpApiError.Problem<ShuttingDown>()(
  "ShuttingDown",
  kind("shutting_down"),
  { ...members("shutting_down"), retry_after: RetryAfter }
) {}
