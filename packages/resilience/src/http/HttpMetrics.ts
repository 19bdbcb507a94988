/**
 * Measures requests: those that a server answers, those that it makes, and what its middleware costs.
 *
 * - {@link middleware} goes around a server and fills `http_server_*` and `http_requests_total`.
 * - {@link measure} or {@link layerClient} goes around a client and fills `http_client_request_duration_seconds`, one
 *   observation an attempt.
 * - {@link timed} goes around a middleware and fills `middleware_duration_seconds`.
 *
 * What could be anything is no label: a path is named by its route's template, or `_unmatched`; a method that HTTP does not
 * know is `_OTHER`. Somebody who tries a hundred thousand paths makes one series.
 *
 * A client that goes away is no error: its request has status 499, no `error_type`, and is counted in
 * `http_server_client_aborts_total`.
 *
 * **Example** (A path that nobody serves)
 *
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { HttpEffect, type HttpServerRequest, HttpServerResponse } from "effect/http"
 * import { HttpMetrics, Metrics } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const app = HttpMetrics.middleware()(Effect.succeed(HttpServerResponse.empty({ status: 404 })))
 *   const handler = HttpEffect.toWebHandlerWith<never, HttpServerRequest.HttpServerRequest>(yield* Effect.context<never>())(app)
 *   yield* Effect.promise(() => handler(new Request("http://app.test/wp-login.php")))
 *   return yield* Metrics.format()
 * })
 * const text = await Effect.runPromise(Effect.provideService(program, Metric.MetricRegistry, new Map()))
 * text.includes(`http_requests_total{endpoint="_unmatched",method="GET",status="404"} 1`) // => true
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import { monotonicMillis } from "../internal/monotonic.ts"
import * as Metrics from "../Metrics.ts"
import { isClientAbort } from "./Problem.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>
type Response = HttpServerResponse.HttpServerResponse

/**
 * Options of {@link middleware}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The template of a request's route, `/v1/sessions/:id`; `undefined` where none matches. Default: none does, and every
   * request is one of `_unmatched`.
   */
  readonly route?: ((request: HttpServerRequest.HttpServerRequest) => string | undefined) | undefined
}

/** What a request is called that no route takes. */
const unmatched = "_unmatched"

/** HTTP's own methods (RFC 9110, RFC 5789, and QUERY). */
const methods = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"])

const methodOf = (method: string): string => methods.has(method) ? method : "_OTHER"

const duration = Metrics.instrument("http_server_request_duration_seconds")
const requests = Metrics.instrument("http_requests_total")
const active = Metrics.instrument("http_server_active_requests")
const requestSize = Metrics.instrument("http_server_request_body_size_bytes")
const responseSize = Metrics.instrument("http_server_response_body_size_bytes")
const firstByte = Metrics.instrument("http_server_time_to_first_byte_seconds")
const aborts = Metrics.instrument("http_server_client_aborts_total")
const clientDuration = Metrics.instrument("http_client_request_duration_seconds")
const middlewareDuration = Metrics.instrument("middleware_duration_seconds")

/**
 * Measures what a server answers. Given to `HttpServer.serve` it measures until the last byte is out, replies of the router's own
 * included.
 *
 * - Time to first byte is until the head of the reply is handed over.
 * - The size of a request's body is what its `Content-Length` says; chunked bodies are not measured.
 * - The size of a streamed reply is counted as it goes out, also of one that breaks off.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = (options: Options = {}) =>
<E, R>(
  app: Effect.Effect<Response, E, R>
): Effect.Effect<Response, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.withFiber((fiber) => {
      const start = now(fiber)
      const method = methodOf(request.method)
      const route = options.route?.(request) ?? unmatched
      const at = { http_request_method: method, http_route: route }
      active.addUnsafe(fiber, 1)
      const length = Number(request.headers["content-length"] ?? NaN)
      if (length >= 0) requestSize.observeUnsafe(fiber, length, at)
      const replying = HttpEffect.withPreResponseHandler(app, (_, response) =>
        Effect.suspend(() => {
          firstByte.observeUnsafe(fiber, now(fiber) - start, at)
          return sized(response, (bytes) => responseSize.observe(bytes, at))
        }))
      return Effect.onExit(replying, (exit) =>
        Effect.sync(() => {
          active.addUnsafe(fiber, -1)
          const isAbort = Exit.isFailure(exit) && isClientAbort(exit.cause)
          const status = isAbort ? "499" : `${HttpServerError.exitResponse(exit).status}`
          if (isAbort) aborts.addUnsafe(fiber, 1, { http_route: route })
          requests.addUnsafe(fiber, 1, { method, endpoint: route, status })
          duration.observeUnsafe(fiber, now(fiber) - start, {
            ...at,
            http_response_status_code: status,
            error_type: status.startsWith("5") ? status : ""
          })
        }))
    }))

/** Tells the size of a reply: what it has, or what of a stream has gone out when that ends. */
const sized = (response: Response, tell: (bytes: number) => Effect.Effect<void>): Effect.Effect<Response> => {
  const { body } = response
  if (body._tag !== "Stream") {
    const length = body._tag === "Empty" ? 0 : body.contentLength
    return length === undefined ? Effect.succeed(response) : Effect.as(tell(length), response)
  }
  let bytes = 0
  const counted = body.stream.pipe(
    Stream.mapArray((chunks) => {
      for (const chunk of chunks) bytes += chunk.byteLength
      return chunks
    }),
    Stream.ensuring(Effect.suspend(() => tell(bytes)))
  )
  const replaced = HttpServerResponse.setBody(
    response,
    HttpBody.stream(counted, body.contentType, body.contentLength)
  )
  // A reply may have another content type than its body says.
  return Effect.succeed(HttpServerResponse.setHeaders(replaced, response.headers))
}

/**
 * Measures a middleware without what it wraps. The series of a name exists from its first request.
 *
 * **Example** (What checking keys costs)
 *
 * ```ts
 * import { ApiKey, HttpMetrics } from "effect-resilience"
 *
 * const checked = HttpMetrics.timed("api_key", ApiKey.middleware())
 * typeof checked // => "function"
 * ```
 *
 * @category middleware
 * @since 0.1.0
 */
export const timed = <E, R, E2, R2>(
  name: string,
  middleware: (app: Effect.Effect<Response, E, R>) => Effect.Effect<Response, E2, R2>
): (app: Effect.Effect<Response, E, R>) => Effect.Effect<Response, E2, R2> => {
  const series = middlewareDuration.with({ middleware: name })
  return (app) =>
    Effect.suspend(() => {
      let inside = 0
      const wrapped = measured(app, (_, seconds) => inside += seconds)
      // What it wraps is measured within the whole; a clock that two fibers read must not make it less than nothing.
      return measured(
        middleware(wrapped),
        (fiber, seconds) => series.observeUnsafe(fiber, Math.max(0, seconds - inside))
      )
    })
}

const measured = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  tell: (fiber: AnyFiber, seconds: number) => void
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const start = now(fiber)
    return Effect.onExitPrimitive(self, () => {
      tell(fiber, now(fiber) - start)
      return undefined
    })
  })

/**
 * Measures what a client asks of others, until the head of the reply is there. What repeats requests goes around this, and
 * each attempt is measured.
 *
 * `error_type` is the status from 400 on, or why there was no reply: `TransportError` and the other reasons of
 * `HttpClientError`, or `_OTHER`. A request that was interrupted has neither status nor error.
 *
 * **Example** (A client that is measured)
 *
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 * import { HttpMetrics, Metrics } from "effect-resilience"
 *
 * const answering = HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response("fine"))))
 * const program = Effect.andThen(HttpMetrics.measure(answering).get("http://api.test/v1"), Metrics.format())
 *
 * const text = await Effect.runPromise(Effect.provideService(program, Metric.MetricRegistry, new Map()))
 * text.includes(`_count{method="GET",server_address="api.test",status="200"} 1`) // => true
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const measure = <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E, R> =>
  HttpClient.transform(client, (reply, request) =>
    Effect.withFiber((fiber) => {
      const start = now(fiber)
      return Effect.onExitPrimitive(reply, (exit) => {
        const status = Exit.isSuccess(exit) ? `${exit.value.status}` : ""
        clientDuration.observeUnsafe(fiber, now(fiber) - start, {
          method: methodOf(request.method),
          server_address: addressOf(request),
          status,
          error_type: Exit.isSuccess(exit) ? exit.value.status >= 400 ? status : "" : errorOf(exit)
        })
        return undefined
      })
    }))

/**
 * {@link measure} for the `HttpClient` that is in scope.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient: Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient> = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(HttpClient.HttpClient, measure)
)

/** The last URL that was looked at: most clients ask for one thing again and again. */
let latest = { url: "", address: "" }

const addressOf = ({ url }: HttpClientRequest.HttpClientRequest): string => {
  if (url !== latest.url) latest = { url, address: URL.canParse(url) ? new URL(url).hostname : "" }
  return latest.address
}

const errorOf = (exit: Exit.Failure<unknown, unknown>): string => {
  const failed = exit.cause.reasons.find((reason) => reason._tag !== "Interrupt")
  if (failed === undefined) return ""
  const error = failed._tag === "Fail" ? failed.error : undefined
  return isClientError(error) ? error.reason._tag : "_OTHER"
}

const isClientError = (error: unknown): error is HttpClientError.HttpClientError =>
  Predicate.hasProperty(error, "_tag") && error._tag === "HttpClientError" && Predicate.hasProperty(error, "reason")
  && Predicate.hasProperty(error.reason, "_tag") && typeof error.reason._tag === "string"

/** Seconds of the monotonic clock. */
const now = (fiber: AnyFiber): number => monotonicMillis(fiber) / 1000

/**
 * Has the series of these metrics exist at 0 that can be named before the first request.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Metrics.layerDeclare(active)
