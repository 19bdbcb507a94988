/**
 * One id for everything that a request causes: in its reply, in every log line, and on every outbound call.
 *
 * A caller may bring its own in `X-Request-ID`, so that one id follows the work through several services. What it brings
 * ends up in logs and in headers, so only 1 to 128 letters, digits, dots, dashes and underscores are taken over; for
 * anything else a new id is made.
 *
 * - {@link middleware} or {@link layer} serve every request under its id.
 * - {@link layerClient} or {@link sendOn} put it on outbound calls.
 * - {@link RequestId} tells it to whoever asks.
 *
 * An id is for finding things. It proves nothing about who sent it: whoever calls may bring the id of another's request.
 *
 * **Example** (The caller's id comes back)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpEffect, HttpServerResponse } from "effect/http"
 * import { RequestId } from "effect-resilience"
 *
 * const handler = HttpEffect.toWebHandler(
 *   RequestId.middleware(Effect.map(RequestId.RequestId, (id) => HttpServerResponse.text(`served as ${id}`)))
 * )
 *
 * const reply = await handler(new Request("http://app.test/", { headers: { "x-request-id": "order-7" } }))
 * await reply.text() // => "served as order-7"
 * reply.headers.get("x-request-id") // => "order-7"
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"

/**
 * The header that carries the id, in lower case.
 *
 * @category headers
 * @since 0.1.0
 */
export const headerName = "x-request-id"

/**
 * The id of the request that is being served, or `undefined` outside of one.
 *
 * @category services
 * @since 0.1.0
 */
export const RequestId: Context.Reference<string | undefined> = Context.Reference<string | undefined>(
  "effect-resilience/http/RequestId",
  { defaultValue: () => undefined }
)

/**
 * Whether an inbound id can be taken over as it is: 1 to 128 letters, digits, dots, dashes and underscores.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSane = (id: unknown): id is string => typeof id === "string" && sane.test(id)

const sane = /^[A-Za-z0-9._-]{1,128}$/

/**
 * A new id: a UUID of version 4, from the platform's secure random numbers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (): string => SecureRandom.uuidV4Unsafe()

/**
 * The id for a request with these headers, lower-case names: its own if that is sane, or a new one.
 *
 * **Example** (What could forge a log line is not taken over)
 *
 * ```ts
 * import { RequestId } from "effect-resilience"
 *
 * RequestId.fromHeadersUnsafe({ "x-request-id": "order-7" }) // => "order-7"
 * RequestId.fromHeadersUnsafe({ "x-request-id": "7\nlevel=ERROR" }).length // => 36
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromHeadersUnsafe = (headers: Readonly<Record<string, string | undefined>>): string => {
  const inbound = headers[headerName]
  return isSane(inbound) ? inbound : makeUnsafe()
}

/**
 * Serves a request under its id: {@link RequestId} is set, log lines have it as `request_id`, and the reply has it in its
 * header, errors and defects included.
 *
 * Goes outermost: what is outside of it has no id. Given to `HttpServer.serve` it covers replies of the router's own, too.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const id = fromHeadersUnsafe(request.headers)
    const withId = (response: HttpServerResponse.HttpServerResponse) =>
      HttpServerResponse.setHeader(response, headerName, id)
    return app.pipe(
      HttpEffect.withPreResponseHandler((_, response) => Effect.succeed(withId(response))),
      // The handler is not asked about a reply that another middleware makes instead of the application's.
      Effect.map(withId),
      Effect.annotateLogs("request_id", id),
      Effect.provideService(RequestId, id)
    )
  })

/**
 * {@link middleware} for every route of a router.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.middleware(middleware, {
  global: true
})

/**
 * A client that sends the id of the request being served on with every call. A call that is made outside of a request, or
 * that has an id of its own already, is left as it is.
 *
 * **Example** (An outbound call)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 * import { RequestId } from "effect-resilience"
 *
 * const echo = HttpClient.make((request) =>
 *   Effect.succeed(HttpClientResponse.fromWeb(request, new Response(request.headers["x-request-id"])))
 * )
 * const call = Effect.flatMap(RequestId.sendOn(echo).get("http://127.0.0.1/"), (reply) => reply.text)
 *
 * await Effect.runPromise(Effect.provideService(call, RequestId.RequestId, "order-7")) // => "order-7"
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const sendOn = <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E, R> =>
  HttpClient.mapRequestEffect(
    client,
    (request) =>
      Effect.map(RequestId, (id) =>
        id === undefined || request.headers[headerName] !== undefined
          ? request
          : HttpClientRequest.setHeader(request, headerName, id))
  )

/**
 * {@link sendOn} for the `HttpClient` that is in scope.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient: Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, sendOn)
)
