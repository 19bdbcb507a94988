/**
 * A provider that speaks Anthropic's Messages API, as JSON and as server-sent events, over real HTTP.
 *
 * It wants what the real one wants: a key, any will do, the version of the API, and `max_tokens`. It tells usage figures
 * that add up and limits that nobody reaches, and fails as its faults say. The same conversation gets the same reply as
 * from the other simulated models.
 */
import * as Effect from "effect/Effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schema from "effect/Schema"
import {
  atOnce,
  type Call,
  encode,
  meet,
  meetFree,
  type Provider,
  type Refusal,
  refuse,
  type Reply,
  streamed
} from "./provider.ts"
import { countPromptTokens, countTokens, cutToTokens, piecesOf, replyTo } from "./replies.ts"

/** The largest prompt that the simulated models take, in tokens. */
const contextWindow = 200_000

/** Content may come as text or as a list of blocks, of which the simulated models understand text. */
const Content = Schema.Union([
  Schema.NonEmptyString,
  Schema.NonEmptyArray(Schema.Struct({ type: Schema.Literal("text"), text: Schema.NonEmptyString }))
])

const Request = Schema.Struct({
  model: Schema.NonEmptyString,
  max_tokens: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)),
  messages: Schema.NonEmptyArray(Schema.Struct({ role: Schema.Literals(["user", "assistant"]), content: Content })),
  system: Schema.optional(Content),
  stream: Schema.optional(Schema.Boolean)
})

const decodeRequest = Schema.decodeUnknownResult(Schema.fromJsonString(Request))

const textOf = (content: typeof Content.Type): string =>
  typeof content === "string" ? content : content.map(({ text }) => text).join("\n")

/** The types of errors. Other statuses have the type of the nearest of their class. */
const errorTypes: Readonly<Record<number, string>> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error"
}

const errorReply = (
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe({
    type: "error",
    error: { type: errorTypes[status] ?? (status >= 500 ? "api_error" : "invalid_request_error"), message },
    request_id: null
  }, { status, headers })

/** What the provider refuses of itself. */
const refusal: Refusal = (status, retryAfter) => {
  const wait: Readonly<Record<string, string>> = retryAfter === undefined
    ? {}
    : { "retry-after": String(Math.ceil(retryAfter)) }
  switch (status) {
    case 429:
      return errorReply(status, "This request would exceed your account's rate limit.", {
        ...limitHeaders(0, (retryAfter ?? 0) * 1000),
        ...wait
      })
    case 529:
      return errorReply(status, "Overloaded", wait)
    default:
      return errorReply(status, status >= 500 ? "Internal server error" : "The request was refused.", wait)
  }
}

/** What the account may ask for in a minute. It is only told: what refuses calls are the faults. */
const accountLimits = { requests: 4_000, tokens: 400_000 } as const

const limitHeaders = (left: 0 | 1, resetMillis: number): Readonly<Record<string, string>> => {
  const reset = new Date(Date.now() + resetMillis).toISOString().replace(/\.\d+Z$/, "Z")
  const headers: Record<string, string> = {}
  for (const [what, limit] of Object.entries(accountLimits)) {
    headers[`anthropic-ratelimit-${what}-limit`] = String(limit)
    headers[`anthropic-ratelimit-${what}-remaining`] = String(left * limit)
    headers[`anthropic-ratelimit-${what}-reset`] = reset
  }
  return headers
}

/** `POST /messages`. */
export const messages = (provider: Provider): Reply =>
  meet(provider, refusal, (call) => Effect.suspend(() => answer(provider, call)))

/** `GET /models`. */
export const models = (provider: Provider): Reply =>
  meetFree(provider, refusal, {
    data: [{
      id: "claude-haiku-4-5",
      type: "model",
      display_name: "Claude Haiku 4.5",
      created_at: "2025-10-01T00:00:00Z"
    }],
    has_more: false,
    first_id: "claude-haiku-4-5",
    last_id: "claude-haiku-4-5"
  })

/** What does not exist. */
export const notFound: Reply = Effect.succeed(errorReply(404, "Not Found"))

/** The reply to a request, before anything is sent. */
interface Draft {
  readonly id: string
  readonly model: string
  readonly text: string
  readonly stopReason: "end_turn" | "max_tokens"
  readonly promptTokens: number
}

const answer = (provider: Provider, { body, headers, truncateAt }: Call): Reply => {
  // The real one's own client sends the key as a bearer token.
  if (!headers["x-api-key"] && !/^Bearer ./.test(headers["authorization"] ?? "")) {
    return refuse(provider, errorReply(401, "x-api-key header is required"))
  }
  if (!headers["anthropic-version"]) return refuse(provider, errorReply(400, "anthropic-version: header is required"))
  const decoded = decodeRequest(new TextDecoder().decode(body))
  if (decoded._tag === "Failure") return refuse(provider, errorReply(400, decoded.failure.message))
  const request = decoded.success
  const said = [
    ...(request.system === undefined ? [] : [{ role: "system" as const, content: textOf(request.system) }]),
    ...request.messages.map(({ content, role }) => ({ role, content: textOf(content) }))
  ]
  const promptTokens = countPromptTokens(said)
  if (promptTokens > contextWindow) {
    const message = `prompt is too long: ${promptTokens} tokens > ${contextWindow} maximum`
    return refuse(provider, errorReply(400, message))
  }
  const whole = replyTo(said)
  const isCut = countTokens(whole) > request.max_tokens
  const draft: Draft = {
    id: `msg_sim_${provider.name}_${provider.page.calls}`,
    model: request.model,
    text: isCut ? cutToTokens(whole, request.max_tokens) : whole,
    stopReason: isCut ? "max_tokens" : "end_turn",
    promptTokens
  }
  return request.stream === true ? streamedReply(provider, draft, truncateAt) : wholeReply(provider, draft, truncateAt)
}

const messageOf = (draft: Draft, whole: boolean) => ({
  id: draft.id,
  type: "message",
  role: "assistant",
  model: draft.model,
  content: whole ? [{ type: "text", text: draft.text }] : [],
  stop_reason: whole ? draft.stopReason : null,
  stop_sequence: null,
  usage: {
    input_tokens: draft.promptTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: whole ? countTokens(draft.text) : 1
  }
})

const replyHeaders = (draft: Draft) => ({ "request-id": draft.id.replace("msg", "req"), ...limitHeaders(1, 0) })

const wholeReply = (provider: Provider, draft: Draft, truncateAt: number | undefined): Reply =>
  atOnce(provider, {
    bytes: encode(JSON.stringify(messageOf(draft, true))),
    contentType: "application/json",
    headers: replyHeaders(draft),
    truncateAt,
    bill: (page) => {
      page.promptTokens += draft.promptTokens
      page.completionTokens += countTokens(draft.text)
    }
  })

const event = (data: { readonly type: string; readonly [member: string]: unknown }): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`

const streamedReply = (provider: Provider, draft: Draft, truncateAt: number | undefined): Reply => {
  const pieces = piecesOf(draft.text)
  return streamed(provider, {
    head: encode(
      event({ type: "message_start", message: messageOf(draft, false) })
        + event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } })
        + event({ type: "ping" })
    ),
    pieces: pieces.map((text) =>
      encode(event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }))
    ),
    ending: [
      event({ type: "content_block_stop", index: 0 }),
      event({
        type: "message_delta",
        delta: { stop_reason: draft.stopReason, stop_sequence: null },
        usage: { output_tokens: countTokens(draft.text) }
      }),
      event({ type: "message_stop" })
    ].map(encode),
    contentType: "text/event-stream",
    headers: { "cache-control": "no-cache", ...replyHeaders(draft) },
    truncateAt,
    bill: (page, sent) => {
      page.promptTokens += draft.promptTokens
      page.completionTokens += countTokens(pieces.slice(0, sent).join(""))
    }
  })
}
