/**
 * A provider that speaks OpenAI's chat completions, as JSON and as server-sent events, over real HTTP.
 *
 * It checks requests as the real one does, tells usage figures that add up, and fails as its faults say. Without faults
 * it always answers; the same conversation gets the same reply.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Message } from "../providers/openai/wire.ts"
import * as Faults from "./faults.ts"
import type * as Ledger from "./ledger.ts"
import { countPromptTokens, countTokens, cutToTokens, piecesOf, replyTo } from "./replies.ts"

/** What a simulated provider is made of. Its faults may be replaced at any time. */
export interface Provider {
  readonly name: string
  readonly random: Random.Random
  readonly page: Ledger.Page
  faults: Faults.Faults
}

/** The largest prompt that the simulated models take, in tokens. */
const contextWindow = 128_000

/** Content may come as text or as a list of parts, of which the simulated models understand text. */
const Content = Schema.Union([
  Schema.String,
  Schema.Array(Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }))
])

const Request = Schema.Struct({
  model: Schema.NonEmptyString,
  messages: Schema.NonEmptyArray(Schema.Struct({ role: Message.fields.role, content: Content })),
  stream: Schema.optional(Schema.NullOr(Schema.Boolean)),
  stream_options: Schema.optional(
    Schema.NullOr(Schema.Struct({ include_usage: Schema.optional(Schema.Boolean) }))
  ),
  max_tokens: Schema.optional(Schema.NullOr(Schema.Int)),
  max_completion_tokens: Schema.optional(Schema.NullOr(Schema.Int))
})

const decodeRequest = Schema.decodeUnknownResult(Schema.fromJsonString(Request))

/** The reply to a request, before anything is sent. */
interface Draft {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly text: string
  readonly finishReason: "stop" | "length"
  readonly promptTokens: number
}

type Reply = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>

/** `POST /chat/completions`. */
export const chatCompletions = (provider: Provider): Reply =>
  Effect.gen(function*() {
    const { page } = provider
    page.calls++
    const request = yield* HttpServerRequest.HttpServerRequest
    const body = yield* Effect.orElseSucceed(request.text, () => "")
    const { delayMillis, outcome } = Faults.draw(provider.faults, provider.random)
    yield* Effect.sleep(delayMillis)
    switch (outcome._tag) {
      case "Drop":
        page.brokenOff++
        return yield* drop
      case "Hang":
        return yield* Effect.never
      case "Garbage":
        page.refused++
        return HttpServerResponse.html("<!doctype html><title>Welcome to nginx!</title>")
      case "Refuse":
        page.refused++
        return refusal(outcome.status, outcome.retryAfter)
      case "Reply":
        return yield* answer(provider, body, outcome.truncateAt)
    }
  }).pipe(Effect.onInterrupt(() => Effect.sync(() => provider.page.brokenOff++)))

/** `GET /models`. */
export const models: Reply = Effect.succeed(
  HttpServerResponse.jsonUnsafe({
    object: "list",
    data: ["gpt-4o", "gpt-4o-mini"].map((id) => ({
      id,
      object: "model",
      created: 1_715_367_049,
      owned_by: "simulator"
    }))
  })
)

/** What does not exist. */
export const notFound: Reply = Effect.succeed(
  errorReply(404, { message: "Unknown request URL.", type: "invalid_request_error", code: "unknown_url" })
)

/** Cuts the connection without a word. */
const drop: Reply = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
  NodeHttpServerRequest.toServerResponse(request).destroy()
  return HttpServerResponse.empty()
})

function errorReply(
  status: number,
  error: { readonly message: string; readonly type: string; readonly code: string | null; readonly param?: string },
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse {
  return HttpServerResponse.jsonUnsafe({ error: { param: null, ...error } }, { status, headers })
}

const refusal = (status: number, retryAfter: number | undefined): HttpServerResponse.HttpServerResponse => {
  const headers: Readonly<Record<string, string>> = retryAfter === undefined
    ? {}
    : { "retry-after": String(Math.ceil(retryAfter)), "retry-after-ms": String(Math.round(retryAfter * 1000)) }
  if (status === 429) {
    const error = { message: "Rate limit reached.", type: "requests", code: "rate_limit_exceeded" }
    return errorReply(status, error, headers)
  }
  if (status >= 500) {
    return errorReply(status, { message: "The server had an error.", type: "server_error", code: null }, headers)
  }
  return errorReply(status, { message: "The request was refused.", type: "invalid_request_error", code: null }, headers)
}

const answer = (provider: Provider, body: string, truncateAt: number | undefined): Reply =>
  Effect.suspend(() => {
    const decoded = decodeRequest(body)
    if (decoded._tag === "Failure") {
      provider.page.refused++
      return Effect.succeed(
        errorReply(400, {
          message: `We could not parse or accept the body of your request: ${decoded.failure.message}`,
          type: "invalid_request_error",
          code: null
        })
      )
    }
    const request = decoded.success
    const messages = request.messages.map(({ content, role }): Message => ({
      role,
      content: typeof content === "string" ? content : content.map(({ text }) => text).join("\n")
    }))
    const promptTokens = countPromptTokens(messages)
    if (promptTokens > contextWindow) {
      provider.page.refused++
      return Effect.succeed(
        errorReply(400, {
          message:
            `This model's maximum context length is ${contextWindow} tokens; your messages have ${promptTokens}.`,
          type: "invalid_request_error",
          param: "messages",
          code: "context_length_exceeded"
        })
      )
    }
    const whole = replyTo(messages)
    const limit = request.max_completion_tokens ?? request.max_tokens ?? Infinity
    const isCut = countTokens(whole) > limit
    const draft: Draft = {
      id: `chatcmpl-sim-${provider.name}-${provider.page.calls}`,
      created: Math.floor(Date.now() / 1000),
      model: request.model,
      text: isCut ? cutToTokens(whole, limit) : whole,
      finishReason: isCut ? "length" : "stop",
      promptTokens
    }
    return request.stream === true
      ? Effect.succeed(streamed(provider, draft, request.stream_options?.include_usage === true, truncateAt))
      : Effect.succeed(atOnce(provider, draft, truncateAt !== undefined))
  })

const usageOf = (draft: Draft) => {
  const completionTokens = countTokens(draft.text)
  return {
    prompt_tokens: draft.promptTokens,
    completion_tokens: completionTokens,
    total_tokens: draft.promptTokens + completionTokens
  }
}

const encoder = new TextEncoder()

const broken = new Error("the simulated connection broke")

const atOnce = (provider: Provider, draft: Draft, isTruncated: boolean): HttpServerResponse.HttpServerResponse => {
  const { page } = provider
  const usage = usageOf(draft)
  page.promptTokens += usage.prompt_tokens
  page.completionTokens += usage.completion_tokens
  const completion = {
    id: draft.id,
    object: "chat.completion",
    created: draft.created,
    model: draft.model,
    choices: [{
      index: 0,
      message: { role: "assistant", content: draft.text, refusal: null },
      logprobs: null,
      finish_reason: draft.finishReason
    }],
    usage,
    system_fingerprint: null
  }
  if (!isTruncated) {
    page.answered++
    return HttpServerResponse.jsonUnsafe(completion)
  }
  page.brokenOff++
  const bytes = encoder.encode(JSON.stringify(completion))
  return HttpServerResponse.stream(
    Stream.concat(Stream.make(bytes.subarray(0, bytes.length >> 1)), Stream.fail(broken)),
    { contentType: "application/json" }
  )
}

const streamed = (
  provider: Provider,
  draft: Draft,
  includeUsage: boolean,
  truncateAt: number | undefined
): HttpServerResponse.HttpServerResponse => {
  const { faults, page } = provider
  const chunk = (choices: ReadonlyArray<unknown>, more: object = {}) =>
    encoder.encode(`data: ${
      JSON.stringify({
        id: draft.id,
        object: "chat.completion.chunk",
        created: draft.created,
        model: draft.model,
        system_fingerprint: null,
        choices,
        ...more
      })
    }\n\n`)
  const choice = (delta: object, finishReason: string | null = null) => ({
    index: 0,
    delta,
    logprobs: null,
    finish_reason: finishReason
  })
  let sent = ""
  const pieces = piecesOf(draft.text)
  const content = Stream.fromIterable(pieces.slice(0, truncateAt)).pipe(
    Stream.mapEffect((piece) =>
      Effect.as(
        faults.chunk_ms > 0 ? Effect.sleep(faults.chunk_ms) : Effect.void,
        (sent += piece, chunk([choice({ content: piece })]))
      )
    )
  )
  const ending = Stream.make(
    chunk([choice({}, draft.finishReason)]),
    ...(includeUsage ? [chunk([], { usage: usageOf(draft) })] : []),
    encoder.encode("data: [DONE]\n\n")
  )
  const body = Stream.make(chunk([choice({ role: "assistant", content: "" })])).pipe(
    Stream.concat(content),
    Stream.concat(truncateAt === undefined ? ending : Stream.fail(broken)),
    Stream.onExit((exit) =>
      Effect.sync(() => {
        page.promptTokens += draft.promptTokens
        page.completionTokens += countTokens(sent)
        if (Exit.isSuccess(exit)) page.answered++
        else page.brokenOff++
      })
    )
  )
  return HttpServerResponse.stream(body, {
    contentType: "text/event-stream",
    headers: { "cache-control": "no-cache" }
  })
}
