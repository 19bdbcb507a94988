/** How providers are asked over HTTP, whatever is asked of them, and what it means when that fails. */
import * as AiError from "effect/ai/AiError"
import * as Effect from "effect/Effect"
import type * as Sse from "effect/encoding/Sse"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

/** The URL of a path under a base URL, with or without a slash at its end. */
export const urlOf = (baseUrl: string, path: `/${string}`): string => `${baseUrl.replace(/\/+$/, "")}${path}`

/** Takes the key out of a text: providers are known to repeat the one that they reject. */
export const redacting = (apiKey: Redacted.Redacted | undefined) => (text: string): string =>
  apiKey === undefined ? text : text.replaceAll(Redacted.value(apiKey), "<redacted>")

/** The reason for a reply of status 400 or more. `body` is its text. */
export type ReasonOf = (
  status: number,
  headers: Readonly<Record<string, string | undefined>>,
  body: string
) => AiError.AiErrorReason

/** Sends a request. A reply that is no success becomes its reason, of which `withoutKey` takes the key. */
export const send = (
  client: HttpClient.HttpClient,
  request: HttpClientRequest.HttpClientRequest,
  reasonOf: ReasonOf,
  withoutKey: (text: string) => string
): Effect.Effect<HttpClientResponse.HttpClientResponse, AiError.AiErrorReason> =>
  client.execute(request).pipe(
    Effect.mapError(reasonOfClientError),
    Effect.flatMap((response) =>
      response.status < 400
        ? Effect.succeed(response)
        : Effect.flatMap(
          Effect.orElseSucceed(response.text, () => ""),
          (body) => Effect.fail(reasonOf(response.status, response.headers, withoutKey(body)))
        )
    )
  )

/** Why a request could not be sent, or its reply not be read. */
export const reasonOfClientError = (error: HttpClientError.HttpClientError): AiError.AiErrorReason => {
  switch (error.reason._tag) {
    case "TransportError":
    case "EncodeError":
    case "InvalidUrlError":
      return new AiError.NetworkError({
        reason: error.reason._tag,
        method: error.request.method,
        url: error.request.url,
        cause: error
      })
    // The connection broke while the reply was read, or the reply was cut short.
    default:
      return new AiError.NetworkError({
        reason: "TransportError",
        method: error.request.method,
        url: error.request.url,
        description: "the reply could not be read",
        cause: error
      })
  }
}

/** The reply makes no sense. */
export const invalid = (description: string): AiError.AiErrorReason => new AiError.InvalidResponseError({ description })

/** Reads a whole reply. `decode` says what its text is; where it is nothing, the reply is no `what`, and makes no sense. */
export const readReply =
  <A>(decode: (text: string) => Option.Option<A>, what: string) =>
  (response: HttpClientResponse.HttpClientResponse): Effect.Effect<A, AiError.AiErrorReason> =>
    Effect.flatMap(Effect.mapError(response.text, reasonOfClientError), (text) =>
      Option.match(decode(text), {
        onNone: () => Effect.fail(invalid(`the reply is not ${what}`)),
        onSome: Effect.succeed
      }))

/** Why an event stream could not be read to its end. */
export const reasonOfSseError = (error: AiError.AiErrorReason | Sse.Retry | Sse.SseError): AiError.AiErrorReason =>
  error._tag === "SseError" || error._tag === "Retry" ? invalid("the reply is not an event stream") : error
