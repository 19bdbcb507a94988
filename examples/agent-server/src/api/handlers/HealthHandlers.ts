/** Serves `GET /health/live` and its other names. A process that can answer at all is alive. */
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Api } from "../Api.ts"

const alive = Effect.as(
  HttpEffect.appendPreResponseHandler((_, response) =>
    Effect.succeed(HttpServerResponse.setHeader(response, "cache-control", "no-store"))
  ),
  { status: "ok" as const, checks: {} }
)

/** The handlers. */
export const layer = HttpApiBuilder.group(
  Api,
  "health",
  (handlers) => handlers.handleAll({ live: () => alive, livez: () => alive, healthz: () => alive })
)
