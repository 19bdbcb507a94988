/**
 * Text becomes speech, over any endpoint that speaks OpenAI's text-to-speech.
 *
 * It sends one request for each text: time limits, retries and breakers belong to the caller, who sees each failure as an
 * `AiError` with its reason, as those of language models are. Speech comes as it is spoken; one that breaks off fails.
 */
import * as AiError from "effect/ai/AiError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { reasonOf } from "./openai/errors.ts"
import { invalid, reasonOfClientError, redacting, send, urlOf } from "./send.ts"

/** What speaks. */
export class TextToSpeech extends Context.Service<TextToSpeech, {
  /** The bytes of a WAV file in which this is said. */
  readonly speak: (text: string) => Stream.Stream<Uint8Array, AiError.AiError>
}>()("agent-server/providers/TextToSpeech") {}

/**
 * - `baseUrl`: up to and including the version, such as `https://api.openai.com/v1`.
 * - `apiKey`: sent as a bearer token; left out for servers that want none.
 * - `voice`: whose, in the words of the endpoint.
 */
export interface Options {
  readonly baseUrl: string
  readonly apiKey?: Redacted.Redacted | undefined
  readonly model: string
  readonly voice: string
}

const make = Effect.fnUntraced(function*(options: Options) {
  const client = yield* HttpClient.HttpClient
  const withoutKey = redacting(options.apiKey)
  return TextToSpeech.of({
    speak: (text) =>
      send(client, requestFor(options, text), reasonOf, withoutKey).pipe(
        Effect.map(readSpeech),
        Stream.unwrap,
        Stream.mapError((reason) => AiError.make({ module: "TextToSpeech", method: "speak", reason }))
      )
  })
})

/** Provides what one endpoint says. */
export const layer = (options: Options): Layer.Layer<TextToSpeech, never, HttpClient.HttpClient> =>
  Layer.effect(TextToSpeech, make(options))

const requestFor = ({ apiKey, baseUrl, model, voice }: Options, input: string): HttpClientRequest.HttpClientRequest =>
  HttpClientRequest.post(urlOf(baseUrl, "/audio/speech")).pipe(
    HttpClientRequest.accept("audio/wav"),
    apiKey === undefined ? identity : HttpClientRequest.bearerToken(apiKey),
    HttpClientRequest.bodyJsonUnsafe({ model, input, voice, response_format: "wav" })
  )

/** Some servers do not say what they send, and none that speaks says that it is something else. */
const isSpeech = (contentType: string | undefined): boolean =>
  contentType === undefined || /^(audio\/|application\/octet-stream)/i.test(contentType)

const readSpeech = (
  response: HttpClientResponse.HttpClientResponse
): Stream.Stream<Uint8Array, AiError.AiErrorReason> =>
  isSpeech(response.headers["content-type"])
    ? Stream.mapError(response.stream, reasonOfClientError)
    : Stream.fail(invalid("the reply is not audio"))
