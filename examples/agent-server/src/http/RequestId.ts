/**
 * One id for everything that a request causes: it is in every reply, in every log line, and on every outbound call.
 *
 * A caller may bring its own in `X-Request-ID`, so that one id follows the work through several services. What it brings
 * ends up in logs and in headers, so only 1 to 128 letters, digits, dots, dashes and underscores are taken; anything
 * else gets an id made here.
 */
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"

const headerName = "x-request-id"

/** The id of the request that is being served, or `undefined` outside of one. */
export const RequestId: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "agent-server/http/RequestId",
  { defaultValue: () => undefined }
)

/** Whether an inbound id can be taken over as it is. */
const isSane = (id: string | undefined): id is string => id !== undefined && /^[A-Za-z0-9._-]{1,128}$/.test(id)

/** A new id: a UUID of version 4. */
export const makeUnsafe = (): string => SecureRandom.uuidV4Unsafe()

/** Serves a request under its id. Goes outermost: what is outside of it has no id in its log lines. */
export const middleware = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const inbound = request.headers[headerName]
    const id = isSane(inbound) ? inbound : makeUnsafe()
    return app.pipe(
      HttpEffect.withPreResponseHandler((_, response) =>
        Effect.succeed(HttpServerResponse.setHeader(response, headerName, id))
      ),
      Effect.annotateLogs("request_id", id),
      Effect.provideService(RequestId, id)
    )
  })

/** Sends the id on with every call of the `HttpClient` that is in scope. */
export const layerClient: Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    HttpClient.HttpClient,
    HttpClient.mapRequestEffect((request) =>
      Effect.map(RequestId, (id) => id === undefined ? request : HttpClientRequest.setHeader(request, headerName, id))
    )
  )
)
