/** What the operator's endpoints answer where they cannot do what they are asked. */
import * as Effect from "effect/Effect"
import * as HttpApiError from "effect/http-api/HttpApiError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Schema from "effect/Schema"
import * as Problem from "../../../http/Problem.ts"
import { InvalidField, summary } from "../invalidRequest.ts"

/**
 * 400: the request does not have the shape it must have. `errors` names everything that is wrong with it.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidRequest extends HttpApiError.Problem<InvalidRequest>()("InvalidRequest", {
  type: "/problems/invalid_request",
  status: 400,
  title: "Invalid request"
}, {
  ...Problem.members("invalid_request"),
  errors: Schema.Array(InvalidField)
}) {}

/**
 * 404: there is no letter of this id. It never was, or it was evicted.
 *
 * @category errors
 * @since 0.1.0
 */
export class LetterNotFound extends HttpApiError.Problem<LetterNotFound>()("LetterNotFound", {
  type: "/problems/letter_not_found",
  status: 404,
  title: "No such letter"
}, Problem.members("letter_not_found")) {}

/**
 * 409: the letter is in a state in which this cannot be done.
 *
 * @category errors
 * @since 0.1.0
 */
export class LetterRefused extends HttpApiError.Problem<LetterRefused>()("LetterRefused", {
  type: "/problems/letter_refused",
  status: 409,
  title: "Not in this state"
}, {
  ...Problem.members("letter_refused"),
  state: Schema.Literals(["Dead", "Redriving", "Quarantined", "Archived", "Discarded"])
}) {}

/**
 * 404: there is no circuit breaker of this name. The message names those that there are.
 *
 * @category errors
 * @since 0.1.0
 */
export class CircuitBreakerNotFound extends HttpApiError.Problem<CircuitBreakerNotFound>()("CircuitBreakerNotFound", {
  type: "/problems/circuit_breaker_not_found",
  status: 404,
  title: "No such circuit breaker"
}, Problem.members("circuit_breaker_not_found")) {}

/**
 * 404: there is no rate limit policy of this name. The message names those that there are.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimitPolicyNotFound
  extends HttpApiError.Problem<RateLimitPolicyNotFound>()("RateLimitPolicyNotFound", {
    type: "/problems/rate_limit_policy_not_found",
    status: 404,
    title: "No such policy"
  }, Problem.members("rate_limit_policy_not_found"))
{}

/** One thing that is wrong with a document, and where. */
export const DocumentProblem = Schema.Struct({
  path: Schema.String.annotate({ description: "Such as `policies.payments.breaker.openFor`; empty for the whole" }),
  message: Schema.String
})

/**
 * 422: the document of policies cannot be put in force, and nothing of it was. `errors` names everything that is wrong with it.
 *
 * @category errors
 * @since 0.1.0
 */
export class PolicyDocumentRefused extends HttpApiError.Problem<PolicyDocumentRefused>()("PolicyDocumentRefused", {
  type: "/problems/policy_document_invalid",
  status: 422,
  title: "Invalid policies"
}, {
  ...Problem.members("policy_document_invalid"),
  errors: Schema.Array(DocumentProblem)
}) {}

/**
 * 503: the store of what was asked for cannot be read or written now.
 *
 * @category errors
 * @since 0.1.0
 */
export class StorageUnavailable extends HttpApiError.Problem<StorageUnavailable>()("StorageUnavailable", {
  type: "/problems/storage_unavailable",
  status: 503,
  title: "Storage unavailable"
}, {
  ...Problem.members("storage_unavailable"),
  retry_after: Problem.RetryAfter
}) {}

/** One thing is wrong with the request, and no schema could know. */
export const wrong = (field: InvalidField): InvalidRequest =>
  new InvalidRequest({ ...Problem.says(summary([field])), errors: [field] })

/** Why the store failed is for the log: it may name hosts and files. */
export const storageDown = (
  what: string,
  error: unknown
): Effect.Effect<never, StorageUnavailable, HttpServerRequest.HttpServerRequest> =>
  Effect.andThen(Effect.logWarning(`The store of ${what} failed`, error), Problem.failWith(storageUnavailable(what)))

export const storageUnavailable = (what: string): StorageUnavailable =>
  new StorageUnavailable({
    ...Problem.says(`The store of ${what} cannot be asked at the moment. Try again in 1 second.`),
    retry_after: 1
  })
