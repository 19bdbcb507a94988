/** Replies that come as server-sent events. */
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** `Accept: text/event-stream` asks for events; with `q=0` it refuses them. */
export const acceptsEvents = (accept: string | undefined): boolean =>
  accept !== undefined &&
  accept.toLowerCase().split(",").some((range) =>
    /^\s*text\/event-stream\s*(;|$)/.test(range) && !/;\s*q=0(\.0+)?\s*(;|$)/.test(range)
  )

/** Each event must be seen when it happens: nothing between us and the client may keep or gather them. */
const headers = { "cache-control": "no-store", "x-accel-buffering": "no" }

/** Says so in the headers of the reply that the handler is about to make. */
export const passOnAtOnce = HttpEffect.appendPreResponseHandler((_, response) =>
  Effect.succeed(HttpServerResponse.setHeaders(response, headers))
)
