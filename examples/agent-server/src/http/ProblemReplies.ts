/**
 * Makes a problem of everything that goes wrong outside of the endpoints' own errors: a path that does not exist, a body
 * that cannot be read or is too large, input that does not fit its schema, a defect in the server.
 *
 * A defect is logged once, with all that is known of it, and the client learns nothing but the request's id.
 */
import * as ByteSize from "effect/ByteSize"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ProblemDetails from "effect/http/ProblemDetails"
import * as Option from "effect/Option"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Problems from "../api/Problems.ts"
import { says } from "./Problem.ts"
import type { Routes } from "./Routes.ts"

/** The middleware, for a server that has these routes. Goes around the router, and inside of the request's id. */
export const middleware = (routes: Routes) =>
<E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R | HttpServerRequest.HttpServerRequest> =>
  Effect.matchCauseEffect(app, {
    onSuccess: (response) =>
      response.status >= 400 && response.headers["content-type"] !== ProblemDetails.contentType
        ? replyOfStatus(response)
        : Effect.succeed(response),
    onFailure: (cause) => replyOfCause(cause, routes)
  })

/** A request for which the router found nothing: the path is wrong, or only the method. */
const notFound = (request: HttpServerRequest.HttpServerRequest, routes: Routes) => {
  const route = routes.find(request.url)
  if (route === undefined) {
    return HttpServerRespondable.toResponse(
      new Problems.RouteNotFound(says(`There is no endpoint at this path. GET /docs lists those there are.`))
    )
  }
  const allow = route.methods.join(", ")
  return Effect.map(
    HttpServerRespondable.toResponse(
      new Problems.MethodNotAllowed(says(`${request.method} is not a method of this endpoint. It has: ${allow}.`))
    ),
    HttpServerResponse.setHeader("allow", allow)
  )
}

/** An error reply that core wrote by itself, without a problem in it. */
const replyOfStatus = (response: HttpServerResponse.HttpServerResponse) =>
  Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    if (response.status === 415) {
      const type = request.headers["content-type"] ?? ""
      return yield* HttpServerRespondable.toResponse(
        new Problems.UnsupportedMediaType(
          says(`The body must be JSON, sent with "Content-Type: application/json". It came as "${type.slice(0, 100)}".`)
        )
      )
    }
    yield* Effect.logError(`No problem is defined for a reply of status ${response.status}`)
    return yield* internalError
  })

const internalError = Effect.suspend(() =>
  HttpServerRespondable.toResponse(
    new Problems.InternalError(says("Something went wrong on our side. The request_id helps us to find out what."))
  )
)

const replyOfCause = <E>(
  cause: Cause.Cause<E>,
  routes: Routes
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest> => {
  if (Cause.hasInterruptsOnly(cause)) {
    // Nobody is there to read a reply of ours. What went wrong is of type never: nothing but interruption.
    return isClientAbort(cause) ? Effect.failCause(cause as Cause.Cause<never>) : shuttingDown
  }
  return Effect.suspend(() => {
    const error = Cause.squash(cause)
    if (HttpServerError.isHttpServerError(error)) {
      const { reason } = error
      if (reason._tag === "RouteNotFound") return notFound(reason.request, routes)
      if (reason._tag === "RequestParseError") {
        return reason.reason === "BodyTooLarge" ? bodyTooLarge : malformed
      }
    }
    if (HttpApiError.HttpApiSchemaError.is(error)) {
      const where = slots[error.kind]
      if (where !== undefined) return invalid(where, error)
    }
    return Effect.andThen(Effect.logError("Unexpected error", cause), internalError)
  })
}

/** Whether the request was interrupted because its client went away. */
export const isClientAbort = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => reason.annotations.has(HttpServerError.ClientAbort.key))

const shuttingDown = Effect.suspend(() =>
  Effect.map(
    HttpServerRespondable.toResponse(
      new Problems.ShuttingDown({ ...says("The server is shutting down. Try again in 1 second."), retry_after: 1 })
    ),
    HttpServerResponse.setHeader("retry-after", "1")
  )
)

const malformed = Effect.suspend(() =>
  HttpServerRespondable.toResponse(new Problems.MalformedRequest(says("The request's body could not be read.")))
)

const bodyTooLarge = Effect.flatMap(HttpIncomingMessage.MaxBodySize, (size) => {
  const limit = size === undefined ? 0 : Option.getOrElse(ByteSize.toNumber(size), () => 0)
  return HttpServerRespondable.toResponse(
    new Problems.BodyTooLarge({ ...says(`The body is larger than ${limit} bytes.`), limit })
  )
})

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Where in the request the input was; what is missing here is about our own reply. */
const slots: { readonly [Kind in HttpApiError.HttpApiSchemaError["kind"]]?: typeof Problems.InvalidField.Type["in"] } =
  {
    Params: "path",
    Headers: "header",
    Query: "query",
    Payload: "body"
  }

const invalid = (where: typeof Problems.InvalidField.Type["in"], error: HttpApiError.HttpApiSchemaError) => {
  const errors = formatIssues(error.cause.issue).issues.map(({ message, path }) => ({
    in: where,
    path: (path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment)).join("."),
    message
  }))
  const named = errors.map(({ message, path }) => path === "" ? message : `${path}: ${message}`)
  return HttpServerRespondable.toResponse(
    new Problems.InvalidRequest({ ...says(`The request is not valid. ${named.join("; ")}`), errors })
  )
}
