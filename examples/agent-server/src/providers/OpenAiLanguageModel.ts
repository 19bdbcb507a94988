/**
 * Effect's `LanguageModel` over any endpoint that speaks OpenAI's chat completions: OpenAI itself, a compatible server, or the
 * simulated provider of this example.
 *
 * It carries text, plain and streamed, with usage figures. It sends one request for each call: time limits, retries and
 * breakers belong to the caller, who sees each failure as an `AiError` with its reason. A stream that ends before its
 * finish reason fails, so half an answer never looks like one.
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import type * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { decoding } from "./json.ts"
import { textMessages } from "./messages.ts"
import { reasonOf, reasonOfEvent } from "./openai/errors.ts"
import { ChatChunk, ChatCompletion, type ChatRequest, ErrorBody, type Usage } from "./openai/wire.ts"
import { readParts } from "./replyStream.ts"
import { invalid, readReply, redacting, send, urlOf } from "./send.ts"

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
  return yield* LanguageModel.make({
    generateText: (provided) =>
      requestFor(options, provided, false).pipe(
        Effect.flatMap((request) => send(client, request, reasonOf, withoutKey)),
        Effect.flatMap(readCompletion),
        Effect.map(completionParts),
        failWith("generateText")
      ),
    streamText: (provided) =>
      requestFor(options, provided, true).pipe(
        Effect.flatMap((request) => send(client, request, reasonOf, withoutKey)),
        Effect.map((response) => readChunks(response, withoutKey)),
        Stream.unwrap,
        Stream.mapError((reason) => AiError.make({ module: "OpenAiLanguageModel", method: "streamText", reason }))
      )
  })
})

/** Provides the `LanguageModel` of one model at one endpoint. */
export const layer = (options: Options): Layer.Layer<LanguageModel.LanguageModel, never, HttpClient.HttpClient> =>
  Layer.effect(LanguageModel.LanguageModel, make(options))

const failWith = (method: string) => <A, R>(self: Effect.Effect<A, AiError.AiErrorReason, R>) =>
  Effect.mapError(self, (reason) => AiError.make({ module: "OpenAiLanguageModel", method, reason }))

const requestFor = Effect.fnUntraced(function*(
  { apiKey, baseUrl, model }: Options,
  provided: LanguageModel.ProviderOptions,
  stream: boolean
) {
  if (provided.tools.length > 0) {
    return yield* new AiError.InvalidUserInputError({ description: "this provider takes no tools" })
  }
  const messages = yield* textMessages(provided.prompt)
  const [first, ...rest] = messages
  if (first === undefined) return yield* new AiError.InvalidUserInputError({ description: "the prompt is empty" })
  const body: ChatRequest & { readonly response_format?: unknown } = {
    model,
    messages: [first, ...rest],
    ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
    ...(provided.responseFormat.type === "json" ? { response_format: { type: "json_object" } } : {})
  }
  return HttpClientRequest.post(urlOf(baseUrl, "/chat/completions")).pipe(
    HttpClientRequest.accept(stream ? "text/event-stream" : "application/json"),
    apiKey === undefined ? (request) => request : HttpClientRequest.bearerToken(apiKey),
    HttpClientRequest.bodyJsonUnsafe(body)
  )
})

const readCompletion = readReply(decoding(ChatCompletion), "a chat completion")

const completionParts = (completion: ChatCompletion): Array<Response.PartEncoded> => {
  const [choice] = completion.choices
  return [
    metadataPart(completion),
    { type: "text", text: choice.message.content ?? "" },
    finishPart(choice.finish_reason, completion.usage ?? undefined)
  ]
}

const metadataPart = (
  { id, model }: Pick<ChatCompletion, "id" | "model">
): Response.ResponseMetadataPartEncoded => ({
  type: "response-metadata",
  ...(id === undefined || id === null ? {} : { id }),
  ...(model === undefined || model === null ? {} : { modelId: model })
})

const textId = "0"

/** The parts of a streamed reply, in the order in which its chunks come. */
const readChunks = (
  response: HttpClientResponse.HttpClientResponse,
  withoutKey: (text: string) => string
): Stream.Stream<Response.StreamPartEncoded, AiError.AiErrorReason> =>
  Stream.suspend(() => {
    let started = false
    let finishReason: string | undefined
    let usage: Usage | undefined
    const partsOf = (chunk: ChatChunk): ReadonlyArray<Response.StreamPartEncoded> => {
      const parts: Array<Response.StreamPartEncoded> = []
      if (!started) {
        started = true
        parts.push(metadataPart(chunk), { type: "text-start", id: textId })
      }
      const [choice] = chunk.choices
      if (choice?.delta.content) parts.push({ type: "text-delta", id: textId, delta: choice.delta.content })
      finishReason = choice?.finish_reason ?? finishReason
      usage = chunk.usage ?? usage
      return parts
    }
    const end = Stream.suspend((): Stream.Stream<Response.StreamPartEncoded, AiError.AiErrorReason> =>
      finishReason === undefined
        ? Stream.fail(invalid("the stream ended before the reply did"))
        : Stream.make({ type: "text-end", id: textId }, finishPart(finishReason, usage))
    )
    const taken = ({ data }: Sse.Event) =>
      data === "[DONE]" ? undefined : Result.map(decodeChunk(data, withoutKey), partsOf)
    return Stream.concat(readParts(response, taken), end)
  })

const decodeEvent = decoding(Schema.Union([ChatChunk, ErrorBody]))

const decodeChunk = (
  data: string,
  withoutKey: (text: string) => string
): Result.Result<ChatChunk, AiError.AiErrorReason> =>
  Option.match(decodeEvent(data), {
    onNone: () => Result.fail(invalid("an event of the stream is not a chat completion chunk")),
    onSome: (event) =>
      "error" in event
        ? Result.fail(reasonOfEvent({ error: { ...event.error, message: withoutKey(event.error.message) } }))
        : Result.succeed(event)
  })

const finishReasons: Readonly<Record<string, Response.FinishReason>> = {
  content_filter: "content-filter",
  length: "length",
  stop: "stop",
  tool_calls: "tool-calls"
}

const finishPart = (reason: string | null | undefined, usage: Usage | undefined): Response.FinishPartEncoded => ({
  type: "finish",
  reason: reason === null || reason === undefined ? "unknown" : finishReasons[reason] ?? "other",
  usage: {
    inputTokens: { total: usage?.prompt_tokens, uncached: undefined, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: usage?.completion_tokens, text: undefined, reasoning: undefined }
  }
})
