/**
 * What all errors that a client gets have in common: RFC 9457 problem details, with three more members than the standard
 * asks for: a `code` that never changes, a `message` for people, and the `request_id` under which the log tells more.
 */
import * as Effect from "effect/Effect"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { RequestId } from "./RequestId.ts"

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

/** Tells `retry_after` in the header as well. */
export const withRetryAfter = <S extends Schema.Top & { readonly Type: { readonly retry_after: number } }>(problem: S) =>
  problem.pipe(HttpApiSchema.encodeToWithHeaders({
    body: problem,
    headers: { "retry-after": Schema.String }
  }, {
    // The pair's type stays unresolved while the schema is a parameter.
    decode: (pair) => (pair as { readonly body: S["Type"] }).body,
    encode: (body) => ({ body, headers: { "retry-after": String(body.retry_after) } })
  }))
