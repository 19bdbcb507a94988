/** Lets the pages of some origins call this server from a browser. */
import type * as Effect from "effect/Effect"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

/**
 * The middleware, for these origins. Of none, nothing is said: a browser then keeps other sites' pages from reading replies.
 *
 * Keys travel in headers and never in cookies, so no credentials are allowed.
 */
export const middleware = (
  origins: ReadonlyArray<string>
): <E, R>(app: App<E, R>) => App<E, R | HttpServerRequest.HttpServerRequest> =>
  // Without origins core's middleware would allow them all.
  origins.length === 0 ? (app) => app : HttpMiddleware.cors({
    // A function, so that a reply to one origin never names another.
    allowedOrigins: (origin) => origins.includes(origin),
    allowedMethods: ["GET", "HEAD", "POST", "PUT", "DELETE"],
    allowedHeaders: ["authorization", "content-type", "idempotency-key", "x-api-key", "x-request-id"],
    exposedHeaders: exposed,
    maxAge: 600
  })

/** What a page may read of a reply beside the few headers that it always may. */
const exposed = [
  "idempotency-replayed",
  "retry-after",
  "ratelimit",
  "ratelimit-policy",
  "x-dead-letter",
  "x-degraded",
  "x-ratelimit-limit",
  "x-ratelimit-remaining",
  "x-ratelimit-reset",
  "x-request-id",
  "x-served-by"
]
