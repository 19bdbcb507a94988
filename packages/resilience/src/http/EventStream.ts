/**
 * Replies that come as server-sent events, event by event, and stay open while nothing happens.
 *
 * A handler that answers with a stream of events (`HttpApiSchema.StreamSse`, or any body that is a stream of whole events) runs
 * {@link passOn} first. Proxies and caches are then told to keep and gather nothing, and the reply gets a comment (a line that
 * begins with a colon, which every reader of events ignores) whenever the schedule says so. Without it a proxy that knows of nothing
 * but silence cuts a quiet stream off, after a minute as a rule.
 *
 * It does not resume streams: there are no ids of events, and who comes back begins anew.
 *
 * **Example** (A stream that is open before there is an event)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { EventStream } from "effect-resilience"
 * import { HttpEffect, HttpServerResponse } from "effect/http"
 *
 * const quiet = Effect.as(
 *   EventStream.passOn({ openAtOnce: true }),
 *   HttpServerResponse.stream(Stream.never, { contentType: "text/event-stream" })
 * )
 * const reply = await HttpEffect.toWebHandler(quiet)(new Request("http://app.test/events"))
 * const reader = reply.body!.getReader()
 * const first = new TextDecoder().decode((await reader.read()).value)
 * await reader.cancel()
 * first // => ":\n\n"
 * reply.headers.get("cache-control") // => "no-store"
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"

/**
 * Options of {@link passOn}.
 *
 * - `keepAlive`: when a comment is sent, counted from the beginning of the stream. Every 15 seconds by default, as the HTML
 *   standard advises. `false` sends none, which is for streams that are never silent for long.
 * - `openAtOnce`: sends a comment before anything else. Servers send the head of a reply with the first bytes of its body, so without
 *   it a client waits for the first event to learn that there is a stream. `false` by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly keepAlive?: Schedule.Schedule<unknown> | false | undefined
  readonly openAtOnce?: boolean | undefined
}

/**
 * Whether a request's `Accept` header asks for events: `text/event-stream` does, with `q=0` it refuses them. No header and wildcards
 * ask for none.
 *
 * @category predicates
 * @since 0.1.0
 */
export const accepts = (accept: string | undefined): boolean =>
  accept !== undefined &&
  accept.toLowerCase().split(",").some((range) =>
    /^\s*text\/event-stream\s*(;|$)/.test(range) && !/;\s*q=0(\.0+)?\s*(;|$)/.test(range)
  )

/** Each event must be seen when it happens: nothing between us and the client may keep or gather them. */
const headers = { "cache-control": "no-store", "x-accel-buffering": "no" }

/** A block of its own, so that it can stand between any two events. */
const comment = new TextEncoder().encode(":\n\n")

const every15Seconds = Schedule.spaced("15 seconds")

/**
 * Makes the reply that the handler is about to give one whose events are seen when they happen. See the module. A reply without a
 * stream, a problem say, is told to caches and otherwise left as it is.
 *
 * The body's chunks have to be whole events: comments come between chunks.
 *
 * @category combinators
 * @since 0.1.0
 */
export const passOn = (
  { keepAlive = every15Seconds, openAtOnce = false }: Options = {}
): Effect.Effect<void, never, HttpServerRequest.HttpServerRequest> => {
  const comments = keepAlive === false ? undefined : Stream.map(Stream.fromSchedule(keepAlive), () => comment)
  return HttpEffect.appendPreResponseHandler((_, response) => {
    const told = HttpServerResponse.setHeaders(response, headers)
    const { body } = response
    if (body._tag !== "Stream") return Effect.succeed(told)
    const kept = comments === undefined
      ? body.stream
      : Stream.merge(body.stream, comments, { haltStrategy: "left" })
    const stream = openAtOnce ? Stream.prepend(kept, [comment]) : kept
    return Effect.succeed(HttpServerResponse.setBody(told, HttpBody.stream(stream, body.contentType)))
  })
}
