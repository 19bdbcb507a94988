/**
 * Data is not to be kept on its way: what was said in a session, what an operator sees, what was wrong a moment ago. Keys also travel
 * in a header of their own, and caches know only that replies to `Authorization` are private.
 *
 * Pages and what they consist of may be kept.
 */
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

/** The middleware: a reply that is data, or is none, says so unless it says something else of it. */
export const middleware = <E, R>(app: App<E, R>): App<E, R | HttpServerRequest.HttpServerRequest> =>
  HttpEffect.withPreResponseHandler(app, (_, response) =>
    Effect.succeed(
      isPage(response) || response.headers["cache-control"] !== undefined
        ? response
        : HttpServerResponse.setHeader(response, "cache-control", "no-store")
    ))

/** JSON and events are data, whatever their type is called in full. */
const isPage = ({ headers }: HttpServerResponse.HttpServerResponse): boolean =>
  /^(text\/(html|css|javascript)|image\/|font\/)/.test(headers["content-type"] ?? "")
