/** Says in the headers of a reply, or of a problem, which dead letter its turn has become. */
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Predicate from "effect/Predicate"

/** For replies that are not streamed: a stream says it in its last event only. Without a `letter_id` there is nothing to say. */
export const sayLetter = (body: object): Effect.Effect<void, never, HttpServerRequest.HttpServerRequest> => {
  const id = Predicate.hasProperty(body, "letter_id") ? body.letter_id : undefined
  return typeof id === "string"
    ? HttpEffect.appendPreResponseHandler((_, response) =>
      Effect.succeed(HttpServerResponse.setHeader(response, "x-dead-letter", id))
    )
    : Effect.void
}
