/** Says in the headers of a reply that it is a lesser one. */
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** For replies that are not streamed: a stream's headers are gone before this is known, there it is in the `done` event only. */
export const sayWhoServed = ({ degraded, route }: { readonly degraded: boolean; readonly route: string }) =>
  degraded
    ? HttpEffect.appendPreResponseHandler((_, response) =>
      Effect.succeed(HttpServerResponse.setHeaders(response, { "x-degraded": "true", "x-served-by": route }))
    )
    : Effect.void
