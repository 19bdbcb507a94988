/**
 * What all errors that a client gets have in everyones: RFC 9457 problem details, with three more members than the standard
 * asks for: a `code` that never changes, a `message` for people, and the `request_id` under which the log tells more.
 *
 * - {@link members} and {@link says} make `HttpApiError.Problem` classes of this form, for endpoints to fail with.
 * - {@link reply} makes a reply without a class, for middleware.
 * - {@link middleware} makes problems of all that goes wrong outside of the endpoints' own errors.
 *
 * What went wrong inside of the server is for its log. A client is told the kind of it and the id.
 *
 * **Example** (A problem of one's own)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { Problem, RequestId } from "effect-resilience"
 *
 * const reply = Problem.reply(
 *   { code: "out_of_stock", status: 409, title: "Out of stock" },
 *   { message: "There is nothing left of this.", members: { sku: "A-7" } }
 * )
 *
 * const response = await Effect.runPromise(Effect.provideService(reply, RequestId.RequestId, "order-7"))
 * await HttpServerResponse.toWeb(response).json() // => { type: "about:blank", status: 409, title: "Out of stock", detail: "There is nothing left of this.", code: "out_of_stock", message: "There is nothing left of this.", request_id: "order-7", sku: "A-7" }
 * ```
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerError from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ProblemDetails from "effect/http/ProblemDetails"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { problemKinds } from "../internal/http/problemKinds.ts"
import { durationMillis } from "../internal/options.ts"
import { RequestId } from "./RequestId.ts"

// -----------------------------------------------------------------------------
// Problems as classes
// -----------------------------------------------------------------------------

/** Filled in from the request when the problem is written, so that nobody has to carry it. */
const requestId = Schema.optionalKey(Schema.String).pipe(
  Schema.encodeTo(Schema.String, {
    decode: SchemaGetter.passthrough(),
    encode: SchemaGetter.withDefault(Effect.map(RequestId, (id) => id ?? ""))
  })
)

/**
 * The fields that every problem class has: `code`, `detail`, `message`, `request_id`. The last one is filled in when the
 * problem is written.
 *
 * **Example** (A class)
 *
 * ```ts
 * import { HttpApiError } from "effect/http-api"
 * import { Problem } from "effect-resilience"
 *
 * class SessionNotFound extends HttpApiError.Problem<SessionNotFound>()(
 *   "SessionNotFound",
 *   { type: "/problems/session_not_found", status: 404, title: "No such session" },
 *   Problem.members("session_not_found")
 * ) {}
 *
 * const problem = new SessionNotFound(Problem.says("There is no session of this id."))
 * problem.code // => "session_not_found"
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const members = <const Code extends string>(code: Code): {
  readonly code: Schema.tag<Code>
  readonly detail: Schema.String
  readonly message: Schema.String
  readonly request_id: typeof requestId
} => ({
  code: Schema.tag(code),
  detail: Schema.String,
  message: Schema.String,
  request_id: requestId
})

/**
 * What a problem says. `detail` is the standard's name for it, `message` the one that most clients look for.
 *
 * @category constructors
 * @since 0.1.0
 */
export const says = (text: string): { readonly detail: string; readonly message: string } => ({
  detail: text,
  message: text
})

/**
 * The field `retry_after` of a problem: how long to stay away, in whole seconds.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RetryAfter: Schema.Int = Schema.Int.annotate({ description: "Seconds to wait before the next try" })

/**
 * Fails with a problem. Where it has a `retry_after`, the reply has it in the `Retry-After` header too.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failWith = <P extends object>(problem: P): Effect.Effect<never, P, HttpServerRequest.HttpServerRequest> =>
  Predicate.hasProperty(problem, "retry_after")
    ? Effect.andThen(
      HttpEffect.appendPreResponseHandler((_, response) =>
        Effect.succeed(HttpServerResponse.setHeader(response, "retry-after", String(problem.retry_after)))
      ),
      Effect.fail(problem)
    )
    : Effect.fail(problem)

// -----------------------------------------------------------------------------
// Problems as replies
// -----------------------------------------------------------------------------

/**
 * The code of a problem that this package answers with. None is ever changed or used for something else.
 *
 * @category models
 * @since 0.1.0
 */
export type Code = keyof typeof problemKinds

/**
 * What a problem is: the same for all of its code.
 *
 * - `type`: the URI that identifies it and tells people more; default `about:blank`, "no more than its status".
 *
 * @category models
 * @since 0.1.0
 */
export interface Kind {
  readonly code: string
  readonly status: number
  readonly title: string
  readonly type?: string | undefined
}

/**
 * Types and titles for the codes of this package, for a server that describes its problems: `type` and `title` replace
 * those that the code has by itself. Default: none.
 *
 * **Example** (Pages about problems)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import { Problem } from "effect-resilience"
 *
 * const reply = Problem.reply("overloaded", { message: "Too much to do.", retryAfter: "2 seconds" }).pipe(
 *   Effect.provideService(Problem.Described, (code) => ({ type: `/problems/${code}` }))
 * )
 *
 * const response = HttpServerResponse.toWeb(await Effect.runPromise(reply))
 * const { type, retry_after } = await response.json()
 * type // => "/problems/overloaded"
 * retry_after // => 2
 * response.headers.get("retry-after") // => "2"
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Described: Context.Reference<(code: Code) => Description | undefined> = Context.Reference<
  (code: Code) => Description | undefined
>("effect-resilience/http/Problem/Described", { defaultValue: () => () => undefined })

/**
 * What a server says about a code.
 *
 * @category models
 * @since 0.1.0
 */
export interface Description {
  readonly type?: string
  readonly title?: string
}

/**
 * What a reply says beside its kind.
 *
 * - `message`: for people.
 * - `retryAfter`: how long to stay away; rounded up to seconds, in the member `retry_after` and the `Retry-After` header. An
 *   infinite one is left out.
 * - `members`: more members. They cannot replace those that every problem has.
 * - `headers`: of the reply.
 *
 * @category models
 * @since 0.1.0
 */
export interface Saying {
  readonly message: string
  readonly retryAfter?: Duration.Input | undefined
  readonly members?: Readonly<Record<string, unknown>> | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/**
 * A problem as a reply, `application/problem+json`: one of this package's codes, or a kind of one's own.
 *
 * Throws a `RangeError` when `retryAfter` is no duration of zero or more.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reply = (
  kind: Code | Kind,
  { headers, members, message, retryAfter }: Saying
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const millis = retryAfter === undefined ? Infinity : durationMillis("retryAfter", retryAfter)
  const seconds = millis === Infinity ? undefined : Math.ceil(millis / 1000)
  return Effect.withFiber((fiber) => {
    const { code, status, title, type }: Kind = typeof kind === "string"
      ? { code: kind, ...problemKinds[kind], ...fiber.getRef(Described)(kind) }
      : kind
    const everyones = {
      type: type ?? ProblemDetails.blankType,
      status,
      title,
      ...says(message),
      code,
      message,
      request_id: fiber.getRef(RequestId) ?? ""
    }
    // First for their place, and again so that no member of the caller's replaces one of them.
    const body = {
      ...everyones,
      ...members,
      ...everyones,
      ...(seconds === undefined ? undefined : { retry_after: seconds })
    }
    const response = HttpServerResponse.setHeaders(ProblemDetails.toResponse(body), headers ?? {})
    return Effect.succeed(
      seconds === undefined ? response : HttpServerResponse.setHeader(response, "retry-after", String(seconds))
    )
  })
}

/**
 * Whether a request was interrupted because its client went away. Nobody is there to read a reply.
 *
 * @category guards
 * @since 0.1.0
 */
export const isClientAbort = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => reason.annotations.has(HttpServerError.ClientAbort.key))
