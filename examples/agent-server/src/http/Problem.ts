/**
 * What all errors that a client gets have in common: RFC 9457 problem details, with three more members than the standard
 * asks for: a `code` that never changes, a `message` for people, and the `request_id` under which the log tells more.
 */
import { RequestId } from "effect-resilience/http/RequestId"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"

/** Filled in from the request when the problem is written, so that nobody has to carry it. */
const requestId = Schema.optionalKey(Schema.String).pipe(
  Schema.encodeTo(Schema.String, {
    decode: SchemaGetter.passthrough(),
    encode: SchemaGetter.withDefault(Effect.map(RequestId, (id) => id ?? ""))
  })
)

/** The members that every problem has besides `type`, `status` and `title`. */
export const members = <const Code extends string>(code: Code) => ({
  code: Schema.tag(code),
  detail: Schema.String,
  message: Schema.String,
  request_id: requestId
})

/** What a problem says. `detail` is the standard's name for it, `message` the one that most clients look for. */
export const says = (text: string): { readonly detail: string; readonly message: string } => ({
  detail: text,
  message: text
})

/** How long to stay away, in whole seconds: the member `retry_after` of a problem, and its `Retry-After` header. */
export const RetryAfter = Schema.Int.annotate({ description: "Seconds to wait before the next try" })

/** Fails with a problem. Where it has a `retry_after`, the reply has it in the `Retry-After` header too. */
export const failWith = <P extends object>(problem: P): Effect.Effect<never, P, HttpServerRequest.HttpServerRequest> =>
  Predicate.hasProperty(problem, "retry_after")
    ? Effect.andThen(
      HttpEffect.appendPreResponseHandler((_, response) =>
        Effect.succeed(HttpServerResponse.setHeader(response, "retry-after", String(problem.retry_after)))
      ),
      Effect.fail(problem)
    )
    : Effect.fail(problem)
