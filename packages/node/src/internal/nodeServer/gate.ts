/** What stands between the server and the application: lets requests in, and sees to how their replies end. */
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { endAt, wholeEvents } from "./endings.ts"
import type { Phases } from "./phases.ts"

export interface Settings {
  readonly retryAfterSeconds: number
  /** The reply to a request that comes too late, or could not be finished. */
  readonly refusal: (
    request: HttpServerRequest.HttpServerRequest
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse>
  /** What an event stream ends with that could not be finished. */
  readonly terminalEvent: string
}

type App<E, R> = Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>

export class Gate {
  /** Requests that came too late. */
  refused = 0
  private readonly phases: Phases
  private readonly settings: Settings
  private readonly terminalEvent: Uint8Array

  constructor(phases: Phases, settings: Settings) {
    this.phases = phases
    this.settings = settings
    this.terminalEvent = new TextEncoder().encode(settings.terminalEvent)
  }

  guard<E, R>(app: App<E, R>): App<E, R | HttpServerRequest.HttpServerRequest> {
    return Effect.withFiber((fiber): App<E, R | HttpServerRequest.HttpServerRequest> => {
      if (this.phases.has("Closing")) {
        this.refused++
        return Effect.flatMap(HttpServerRequest.HttpServerRequest, this.refusal)
      }
      HttpEffect.appendPreResponseHandlerUnsafe(fiber.context, this.seeOff)
      return app
    })
  }

  private readonly refusal = (
    request: HttpServerRequest.HttpServerRequest
  ): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
    Effect.map(this.settings.refusal(request), (response) =>
      HttpServerResponse.setHeaders(response, {
        connection: "close",
        "retry-after": String(this.settings.retryAfterSeconds)
      }))

  private readonly seeOff = (
    request: HttpServerRequest.HttpServerRequest,
    response: HttpServerResponse.HttpServerResponse
  ): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
    Effect.suspend(() =>
      // This is what Effect makes of a handler that was interrupted because the server stops.
      this.phases.has("Cutting") && response.status === 503 && response.body._tag === "Empty"
        ? this.refusal(request)
        : Effect.succeed(this.withEnding(response))
    )

  private withEnding(response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse {
    const { body, headers } = response
    const contentType = headers["content-type"]
    if (body._tag !== "Stream" || contentType?.startsWith("text/event-stream") !== true) return response
    return HttpServerResponse.setBody(
      response,
      HttpBody.stream(
        endAt(body.stream, this.phases, "Cutting", () => this.terminalEvent, wholeEvents),
        contentType
      )
    )
  }
}
