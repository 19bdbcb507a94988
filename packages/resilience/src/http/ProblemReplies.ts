/**
 * Makes a problem (`http/Problem`) of everything that goes wrong outside of the endpoints' own errors.
 *
 * | what | code |
 * | --- | --- |
 * | no route has this path, or not with this method | `route_not_found`, `method_not_allowed` with `Allow` |
 * | a body that breaks off, or is larger than `MaxBodySize` | `malformed_request`, `body_too_large` with `limit` |
 * | input of an `HttpApi` that does not fit its schema | `invalid_request` with `errors`, each with where it is |
 * | a body of a type that the endpoint does not read | `unsupported_media_type` |
 * | a refusal of this package: a bulkhead that is full, an open circuit, a deadline | `overloaded`, `deadline_exceeded` |
 * | the server stops while the request is under way | `shutting_down` |
 * | a failure that nobody handled, a defect | `internal_error` |
 *
 * An `HttpApi` reports the first error of its input only, unless it is annotated with
 * `HttpApi.ParseOptions, { errors: "all" }`.
 *
 * The last one of the table is logged once, with all that is known of it; the client learns nothing but the request's id. Errors that
 * can make a reply of themselves do so, and a reply that an endpoint made is left alone. One that is an error without a body
 * gets a problem for its body, with the code `unsupported_media_type`, `not_found`, `request_refused` or `internal_error`.
 *
 * **Example** (A path that does not exist)
 *
 * ```ts
 * import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
 * import { Effect } from "effect"
 * import { ProblemReplies } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const router = yield* HttpRouter.make
 *   yield* router.add("GET", "/here", HttpServerResponse.text("here"))
 *   return HttpEffect.toWebHandler(Effect.scoped(ProblemReplies.middleware()(router.asHttpEffect())))
 * })
 * const handler = await Effect.runPromise(program)
 *
 * const reply = await handler(new Request("http://app.test/there"))
 * const { code, message } = await reply.json()
 * code // => "route_not_found"
 * message // => "There is no endpoint at this path."
 * ```
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Failure from "../Failure.ts"
import { invalidRequest } from "../internal/http/invalidRequest.ts"
import * as Problem from "./Problem.ts"

/**
 * Options of {@link middleware}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Finds the route of a path whatever the method, so that a wrong method is told from a wrong path. Default: none does. */
  readonly findRoute?: ((url: string) => { readonly methods: ReadonlyArray<string> } | undefined) | undefined
  /** What to say where there is no route, such as where to find those there are. */
  readonly notFound?: string | undefined
}

type Reply = Effect.Effect<HttpServerResponse.HttpServerResponse>

/**
 * Goes around a router, and inside of `RequestId`.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = (options: Options = {}) =>
<E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | HttpServerRequest.HttpServerRequest> =>
  Effect.matchCauseEffect(app, {
    onSuccess: (response) =>
      response.status >= 400 && (response.body._tag === "Empty" || isUnsupportedType(response))
        ? Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => ofStatus(response, request))
        : Effect.succeed(response),
    onFailure: (cause) => ofCause(cause, options)
  })

/** The one error of core's that has a body and is no problem. */
const isUnsupportedType = ({ headers, status }: HttpServerResponse.HttpServerResponse): boolean =>
  status === 415 && headers["content-type"]?.startsWith("text/plain") === true

/** An error reply that has a status and says nothing, as core's own have. Its headers are kept. */
const ofStatus = (response: HttpServerResponse.HttpServerResponse, request: HttpServerRequest.HttpServerRequest) => {
  const { status } = response
  const { "content-length": _length, "content-type": _type, ...headers } = response.headers
  if (status === 415) {
    const type = request.headers["content-type"] ?? ""
    return Problem.reply("unsupported_media_type", {
      message: `The endpoint does not read bodies of the type "${type.slice(0, 100)}".`,
      headers
    })
  }
  const code = status >= 500 ? "internal_error" : status === 404 ? "not_found" : "request_refused"
  return Problem.reply({ code, status, title: `Status ${status}` }, {
    message: `The server answered with status ${status}.`,
    headers
  })
}

const ofCause = <E>(
  cause: Cause.Cause<E>,
  options: Options
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (Cause.hasInterruptsOnly(cause)) {
    // Nobody is there to read a reply of ours. What went wrong is of type never: nothing but interruption.
    return Problem.isClientAbort(cause) ? Effect.failCause(cause as Cause.Cause<never>) : shuttingDown
  }
  const error = Cause.squash(cause)
  if (HttpServerError.isHttpServerError(error)) {
    const { reason } = error
    if (reason._tag === "RouteNotFound") return noRoute(reason.request, options)
    if (reason._tag === "RequestParseError") return reason.reason === "BodyTooLarge" ? bodyTooLarge : malformed
  }
  if (HttpApiError.HttpApiSchemaError.is(error)) {
    const reply = invalid(error)
    if (reply !== undefined) return reply
  }
  if (HttpServerRespondable.isRespondable(error) && !HttpServerError.isHttpServerError(error)) {
    return HttpServerRespondable.toResponse(error)
  }
  return refusal(error) ?? Effect.andThen(Effect.logError("Unexpected error", cause), internalError)
}

/** A request for which the router found nothing: the path is wrong, or only the method. */
const noRoute = (request: HttpServerRequest.HttpServerRequest, options: Options): Reply => {
  const route = options.findRoute?.(request.url)
  if (route === undefined) {
    return Problem.reply("route_not_found", { message: options.notFound ?? "There is no endpoint at this path." })
  }
  const allow = route.methods.join(", ")
  return Problem.reply("method_not_allowed", {
    message: `${request.method} is not a method of this endpoint. It has: ${allow}.`,
    headers: { allow }
  })
}

/** What this package's own policies refused. The errors of others say nothing that is meant for a client. */
const refusal = (error: unknown): Reply | undefined => {
  if (!isOurs(error)) return undefined
  const info = error[Failure.symbol]()
  const retryAfter = info.retryAfter === undefined ? undefined : Duration.max(info.retryAfter, Duration.seconds(1))
  switch (info.kind) {
    case "Overloaded":
    case "RateLimited":
      return Problem.reply("overloaded", {
        message: "The server cannot take this request now. Try again a little later.",
        retryAfter: retryAfter ?? "1 second"
      })
    case "Timeout":
      return Problem.reply("deadline_exceeded", { message: "There was no answer in the time that there was." })
    default:
      return undefined
  }
}

const isOurs = (u: unknown): u is { readonly [Failure.symbol]: () => Failure.Info } =>
  Predicate.hasProperty(u, Failure.symbol) && typeof u[Failure.symbol] === "function"

const internalError: Reply = Problem.reply("internal_error", {
  message: "Something went wrong on our side. The request_id helps us to find out what."
})

const shuttingDown: Reply = Problem.reply("shutting_down", {
  message: "The server is shutting down. Try again in 1 second.",
  retryAfter: "1 second"
})

const malformed: Reply = Problem.reply("malformed_request", { message: "The request's body could not be read." })

const bodyTooLarge: Reply = Effect.flatMap(HttpIncomingMessage.MaxBodySize, (size) => {
  const limit = size === undefined ? 0 : Option.getOrElse(ByteSize.toNumber(size), () => 0)
  return Problem.reply("body_too_large", { message: `The body is larger than ${limit} bytes.`, members: { limit } })
})

const invalid = (error: HttpApiError.HttpApiSchemaError): Reply | undefined => {
  const found = invalidRequest(error)
  return found === undefined
    ? undefined
    : Problem.reply("invalid_request", { message: found.message, members: { errors: found.errors } })
}
