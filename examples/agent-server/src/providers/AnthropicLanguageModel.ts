/**
 * Effect's `LanguageModel` over Anthropic's Messages API, or the simulated provider of this example.
 *
 * It carries text, plain and streamed, with usage figures. It sends one request for each call: time limits, retries and
 * breakers belong to the caller, who sees each failure as an `AiError` with its reason. A stream that ends before the
 * message does fails, so half an answer never looks like one.
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import { identity } from "effect/Function"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { reasonOf, reasonOfEvent } from "./anthropic/errors.ts"
import { conversationOf } from "./anthropic/messages.ts"
import {
  knownEvents,
  MessageReply,
  type MessagesRequest,
  StreamEvent,
  type Usage,
  type UsageDelta
} from "./anthropic/wire.ts"
import { invalid, readReply, reasonOfClientError, reasonOfSseError, redacting, send, urlOf } from "./send.ts"

/**
 * - `baseUrl`: without the version, as Anthropic's own clients are given it. Default `https://api.anthropic.com`.
 * - `apiKey`: sent as `x-api-key`; left out for servers that want none.
 * - `maxTokens`: how long a reply may become; longer ones are cut. The API wants it said. Default 4,096.
 */
export interface Options {
  readonly baseUrl?: string | undefined
  readonly apiKey?: Redacted.Redacted | undefined
  readonly model: string
  readonly maxTokens?: number | undefined
}

/** The version of the API that this is written for. */
const apiVersion = "2023-06-01"

const make = Effect.fnUntraced(function*(options: Options) {
  const client = yield* HttpClient.HttpClient
  const withoutKey = redacting(options.apiKey)
  return yield* LanguageModel.make({
    generateText: (provided) =>
      requestFor(options, provided, false).pipe(
        Effect.flatMap((request) => send(client, request, reasonOf, withoutKey)),
        Effect.flatMap(readMessage),
        Effect.map(messageParts),
        Effect.mapError((reason) => failure("generateText", reason))
      ),
    streamText: (provided) =>
      requestFor(options, provided, true).pipe(
        Effect.flatMap((request) => send(client, request, reasonOf, withoutKey)),
        Effect.map((response) => readEvents(response, withoutKey)),
        Stream.unwrap,
        Stream.mapError((reason) => failure("streamText", reason))
      )
  })
})

/** Provides the `LanguageModel` of one model at one endpoint. */
export const layer = (options: Options): Layer.Layer<LanguageModel.LanguageModel, never, HttpClient.HttpClient> =>
  Layer.effect(LanguageModel.LanguageModel, make(options))

const failure = (method: string, reason: AiError.AiErrorReason): AiError.AiError =>
  AiError.make({ module: "AnthropicLanguageModel", method, reason })

const requestFor = Effect.fnUntraced(function*(
  { apiKey, baseUrl = "https://api.anthropic.com", maxTokens = 4_096, model }: Options,
  provided: LanguageModel.ProviderOptions,
  stream: boolean
) {
  if (provided.tools.length > 0) {
    return yield* new AiError.InvalidUserInputError({ description: "this provider takes no tools" })
  }
  if (provided.responseFormat.type === "json") {
    return yield* new AiError.InvalidUserInputError({ description: "this provider replies with text only" })
  }
  const { messages, system } = yield* conversationOf(provided.prompt)
  const body: MessagesRequest = {
    model,
    max_tokens: maxTokens,
    messages,
    ...(system === undefined ? {} : { system }),
    ...(stream ? { stream } : {})
  }
  return HttpClientRequest.post(urlOf(baseUrl, "/v1/messages")).pipe(
    HttpClientRequest.accept(stream ? "text/event-stream" : "application/json"),
    HttpClientRequest.setHeader("anthropic-version", apiVersion),
    apiKey === undefined ? identity : HttpClientRequest.setHeader("x-api-key", Redacted.value(apiKey)),
    HttpClientRequest.bodyJsonUnsafe(body)
  )
})

const readMessage = readReply(Schema.decodeUnknownOption(Schema.fromJsonString(MessageReply)), "a message")

const messageParts = (message: MessageReply): Array<Response.PartEncoded> => [
  metadataPart(message),
  { type: "text", text: message.content.map(({ text, type }) => type === "text" ? text ?? "" : "").join("") },
  finishPart(message.stop_reason, message.usage)
]

const metadataPart = ({ id, model }: { readonly id: string; readonly model: string }) =>
  ({ type: "response-metadata", id, modelId: model }) satisfies Response.ResponseMetadataPartEncoded

const textId = "0"

type Parts = ReadonlyArray<Response.StreamPartEncoded>

/** The parts of a streamed reply, in the order in which its events come. */
const readEvents = (
  response: HttpClientResponse.HttpClientResponse,
  withoutKey: (text: string) => string
): Stream.Stream<Response.StreamPartEncoded, AiError.AiErrorReason> =>
  Stream.suspend(() => {
    let usage: Usage | undefined
    let stopReason: string | null = null
    let stopped = false
    const partsOf = (event: StreamEvent): Effect.Effect<Parts, AiError.AiErrorReason> => {
      switch (event.type) {
        case "message_start":
          usage = event.message.usage
          return Effect.succeed<Parts>([metadataPart(event.message), { type: "text-start", id: textId }])
        case "content_block_delta": {
          if (usage === undefined) return Effect.fail(invalid("the stream does not begin with the message's start"))
          const { text, type } = event.delta
          return Effect.succeed<Parts>(
            type === "text_delta" && text ? [{ type: "text-delta", id: textId, delta: text }] : []
          )
        }
        case "message_delta":
          stopReason = event.delta.stop_reason ?? stopReason
          usage = later(usage, event.usage)
          return Effect.succeed<Parts>([])
        case "message_stop":
          stopped = true
          return Effect.succeed<Parts>([])
        case "error":
          return Effect.fail(
            reasonOfEvent({ ...event, error: { ...event.error, message: withoutKey(event.error.message) } })
          )
      }
    }
    const end = Stream.suspend((): Stream.Stream<Response.StreamPartEncoded, AiError.AiErrorReason> =>
      stopped && usage !== undefined
        ? Stream.make({ type: "text-end", id: textId }, finishPart(stopReason, usage))
        : Stream.fail(invalid("the stream ended before the reply did"))
    )
    return response.stream.pipe(
      Stream.mapError(reasonOfClientError),
      Stream.decodeText,
      Stream.pipeThroughChannel(Sse.decode<AiError.AiErrorReason, unknown>()),
      Stream.mapError(reasonOfSseError),
      Stream.filter(({ event }) => knownEvents.has(event)),
      Stream.mapEffect(({ data }) => decodeEvent(data)),
      Stream.takeUntil(({ type }) => type === "message_stop"),
      Stream.mapEffect(partsOf),
      Stream.flatMap(Stream.fromIterable),
      Stream.concat(end)
    )
  })

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(StreamEvent))

const decodeEvent = (data: string): Effect.Effect<StreamEvent, AiError.AiErrorReason> =>
  Option.match(decode(data), {
    onNone: () => Effect.fail(invalid("an event of the stream is not one of a message")),
    onSome: Effect.succeed
  })

/** Figures that are told later replace those of before. */
const later = (usage: Usage | undefined, delta: UsageDelta | undefined): Usage | undefined => {
  if (usage === undefined || delta === undefined) return usage
  return {
    input_tokens: delta.input_tokens ?? usage.input_tokens,
    output_tokens: delta.output_tokens,
    cache_read_input_tokens: delta.cache_read_input_tokens ?? usage.cache_read_input_tokens,
    cache_creation_input_tokens: delta.cache_creation_input_tokens ?? usage.cache_creation_input_tokens
  }
}

const finishReasons: Readonly<Record<string, Response.FinishReason>> = {
  end_turn: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  pause_turn: "pause",
  refusal: "content-filter",
  stop_sequence: "stop",
  tool_use: "tool-calls"
}

const finishPart = (reason: string | null, usage: Usage): Response.FinishPartEncoded => {
  const cacheRead = usage.cache_read_input_tokens ?? 0
  const cacheWrite = usage.cache_creation_input_tokens ?? 0
  return {
    type: "finish",
    reason: reason === null ? "unknown" : finishReasons[reason] ?? "other",
    usage: {
      inputTokens: {
        total: usage.input_tokens + cacheRead + cacheWrite,
        uncached: usage.input_tokens,
        cacheRead,
        cacheWrite
      },
      outputTokens: { total: usage.output_tokens, text: undefined, reasoning: undefined }
    }
  }
}
