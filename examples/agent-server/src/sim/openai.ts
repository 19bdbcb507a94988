/**
 * A provider that speaks OpenAI's chat completions, as JSON and as server-sent events, over real HTTP.
 *
 * It checks requests as the real one does, tells usage figures that add up, and fails as its faults say. Without faults
 * it always answers; the same conversation gets the same reply.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Message } from "../providers/openai/wire.ts"
import { invalid, refusal } from "./openaiErrors.ts"
import { atOnce, type Call, encode, meet, type Provider, refuse, type Reply, streamed } from "./provider.ts"
import { countPromptTokens, countTokens, cutToTokens, piecesOf, replyTo } from "./replies.ts"

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

/** `POST /chat/completions`. */
export const chatCompletions = (provider: Provider): Reply =>
  meet(provider, refusal, (call) => Effect.suspend(() => answer(provider, call)))

const answer = (provider: Provider, { body, truncateAt }: Call): Reply => {
  const decoded = decodeRequest(new TextDecoder().decode(body))
  if (decoded._tag === "Failure") {
    return refuse(
      provider,
      invalid(`We could not parse or accept the body of your request: ${decoded.failure.message}`)
    )
  }
  const request = decoded.success
  const messages = request.messages.map(({ content, role }): Message => ({
    role,
    content: typeof content === "string" ? content : content.map(({ text }) => text).join("\n")
  }))
  const promptTokens = countPromptTokens(messages)
  if (promptTokens > contextWindow) {
    return refuse(
      provider,
      invalid(`This model's maximum context length is ${contextWindow} tokens; your messages have ${promptTokens}.`, {
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
    ? streamedReply(provider, draft, request.stream_options?.include_usage === true, truncateAt)
    : wholeReply(provider, draft, truncateAt)
}

const usageOf = (draft: Draft) => {
  const completionTokens = countTokens(draft.text)
  return {
    prompt_tokens: draft.promptTokens,
    completion_tokens: completionTokens,
    total_tokens: draft.promptTokens + completionTokens
  }
}

const wholeReply = (provider: Provider, draft: Draft, truncateAt: number | undefined): Reply => {
  const usage = usageOf(draft)
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
  return atOnce(provider, {
    bytes: encode(JSON.stringify(completion)),
    contentType: "application/json",
    truncateAt,
    bill: (page) => {
      page.promptTokens += usage.prompt_tokens
      page.completionTokens += usage.completion_tokens
    }
  })
}

const streamedReply = (
  provider: Provider,
  draft: Draft,
  includeUsage: boolean,
  truncateAt: number | undefined
): Reply => {
  const chunk = (choices: ReadonlyArray<unknown>, more: object = {}) =>
    encode(`data: ${
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
  const pieces = piecesOf(draft.text)
  return streamed(provider, {
    head: chunk([choice({ role: "assistant", content: "" })]),
    pieces: pieces.map((piece) => chunk([choice({ content: piece })])),
    ending: [
      chunk([choice({}, draft.finishReason)]),
      ...(includeUsage ? [chunk([], { usage: usageOf(draft) })] : []),
      encode("data: [DONE]\n\n")
    ],
    contentType: "text/event-stream",
    headers: { "cache-control": "no-cache" },
    truncateAt,
    bill: (page, sent) => {
      page.promptTokens += draft.promptTokens
      page.completionTokens += countTokens(pieces.slice(0, sent).join(""))
    }
  })
}
