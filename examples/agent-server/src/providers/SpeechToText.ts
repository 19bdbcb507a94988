/**
 * Speech becomes text, over any endpoint that speaks OpenAI's transcriptions.
 *
 * It sends one request for each recording: time limits, retries and breakers belong to the caller, who sees each failure as an
 * `AiError` with its reason, as those of language models are.
 */
import * as AiError from "effect/ai/AiError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { reasonOf } from "./openai/errors.ts"
import { readReply, redacting, send, urlOf } from "./send.ts"

/** What understands speech. */
export class SpeechToText extends Context.Service<SpeechToText, {
  /** What is said in a recording, which is a WAV file. Empty where nothing is. */
  readonly transcribe: (recording: Uint8Array) => Effect.Effect<string, AiError.AiError>
}>()("agent-server/providers/SpeechToText") {}

/**
 * - `baseUrl`: up to and including the version, such as `https://api.openai.com/v1`.
 * - `apiKey`: sent as a bearer token; left out for servers that want none.
 */
export interface Options {
  readonly baseUrl: string
  readonly apiKey?: Redacted.Redacted | undefined
  readonly model: string
}

const make = Effect.fnUntraced(function*(options: Options) {
  const client = yield* HttpClient.HttpClient
  const withoutKey = redacting(options.apiKey)
  return SpeechToText.of({
    transcribe: (recording) =>
      send(client, requestFor(options, recording), reasonOf, withoutKey).pipe(
        Effect.flatMap(readTranscript),
        Effect.map(({ text }) => text),
        Effect.mapError((reason) => AiError.make({ module: "SpeechToText", method: "transcribe", reason }))
      )
  })
})

/** Provides what one endpoint understands. */
export const layer = (options: Options): Layer.Layer<SpeechToText, never, HttpClient.HttpClient> =>
  Layer.effect(SpeechToText, make(options))

const requestFor = (
  { apiKey, baseUrl, model }: Options,
  recording: Uint8Array
): HttpClientRequest.HttpClientRequest => {
  const form = new FormData()
  form.append("model", model)
  form.append("response_format", "json")
  // `slice` makes it bytes of an ArrayBuffer, which is what a blob may be made of.
  form.append("file", new Blob([recording.slice()], { type: "audio/wav" }), "speech.wav")
  return HttpClientRequest.post(urlOf(baseUrl, "/audio/transcriptions")).pipe(
    HttpClientRequest.acceptJson,
    apiKey === undefined ? identity : HttpClientRequest.bearerToken(apiKey),
    HttpClientRequest.bodyFormData(form)
  )
}

const Transcript = Schema.Struct({ text: Schema.String })

const readTranscript = readReply(Schema.decodeUnknownOption(Schema.fromJsonString(Transcript)), "a transcription")
