/** Tells that a request was refused because of its credentials. */
import * as Effect from "effect/Effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Signal from "../../Signal.ts"

/** An `HttpApi` asks each of its schemes in turn whether a request may pass, and each says no. */
const told = new WeakSet<object>()

/** Once a request. */
export const authenticationFailed = (
  request: HttpServerRequest.HttpServerRequest,
  reason: Signal.AuthenticationFailed["reason"]
): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (told.has(request.source)) return Effect.void
    told.add(request.source)
    return Signal.emit({ _tag: "AuthenticationFailed", reason })
  })
