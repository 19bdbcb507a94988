/** Refusals that say how to be let in (RFC 9110, 11.6.1). */
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Fails with a problem whose reply has a challenge. */
export const challenged = <P extends object>(
  problem: P,
  challenge: string
): Effect.Effect<never, P, HttpServerRequest.HttpServerRequest> =>
  Effect.andThen(
    HttpEffect.appendPreResponseHandler((_, response) =>
      Effect.succeed(HttpServerResponse.setHeader(response, "www-authenticate", challenge))
    ),
    Effect.fail(problem)
  )
