/** What Anthropic's API does, and what the caller of the language model sees of it. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { ServerResponse } from "node:http"
import * as AnthropicLanguageModel from "../../src/providers/AnthropicLanguageModel.ts"
import * as Simulator from "../../src/sim/Simulator.ts"
import { failureWith, leaveEach } from "../support/providerCalls.ts"
import { replyInPieces, replyJson, type Upstream, upstream } from "../support/upstream.ts"

const key = "sk-ant-test-77c0"

const modelAt = (baseUrl: string) =>
  AnthropicLanguageModel.layer({ baseUrl, apiKey: Redacted.make(key), model: "claude-haiku-4-5" }).pipe(
    Layer.provide(NodeHttpClient.layerUndici)
  )

/** Clients of this API are given its address without the version. */
const rootOf = (server: Upstream) => server.baseUrl.replace(/\/v1$/, "/")

const prompt = [
  { role: "system", content: "Be short." },
  { role: "user", content: "Hello" },
  { role: "assistant", content: "Hi!" },
  { role: "user", content: "And now?" }
] as const

const generate = (server: Upstream) =>
  Effect.provide(LanguageModel.generateText({ prompt: [...prompt] }), modelAt(rootOf(server)))

const stream = (server: Upstream) =>
  Effect.provide(Stream.runCollect(LanguageModel.streamText({ prompt: [...prompt] })), modelAt(rootOf(server)))

const message = (more: object = {}) =>
  JSON.stringify({
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-haiku-4-5-20251001",
    content: [{ type: "text", text: "Hi!" }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 12, output_tokens: 3 },
    ...more
  })

type Event = { readonly type: string; readonly [member: string]: unknown }

const encode = (event: Event | string) =>
  typeof event === "string" ? event : `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

const sse = (response: ServerResponse, ...events: ReadonlyArray<Event | string>): ServerResponse => {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" })
  for (const event of events) response.write(encode(event))
  return response
}

const start: Event = {
  type: "message_start",
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-haiku-4-5",
    content: [],
    stop_reason: null,
    usage: { input_tokens: 7, cache_read_input_tokens: 2, cache_creation_input_tokens: 1, output_tokens: 1 }
  }
}
const delta = (text: string): Event => ({
  type: "content_block_delta",
  index: 0,
  delta: { type: "text_delta", text }
})
const last: Event = {
  type: "message_delta",
  delta: { stop_reason: "end_turn", stop_sequence: null },
  usage: { output_tokens: 5 }
}
const stop: Event = { type: "message_stop" }
const errorEvent = (type: string): Event => ({ type: "error", error: { type, message: `no, ${key}` } })

const failureOf = failureWith(key)

describe("a reply", () => {
  it.live("is the text, with the model and the usage; the request is what the API wants", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response) => replyJson(response, message()))
      const reply = yield* generate(server)
      expect([reply.text, reply.finishReason]).toEqual(["Hi!", "stop"])
      expect([reply.usage.inputTokens.total, reply.usage.outputTokens.total]).toEqual([12, 3])
      expect(reply.content.find(({ type }) => type === "response-metadata")).toMatchObject({
        id: "msg_1",
        modelId: "claude-haiku-4-5-20251001"
      })
      const [call] = server.calls
      expect(call?.url).toBe("/v1/messages")
      expect(call?.headers).toMatchObject({ "x-api-key": key, "anthropic-version": "2023-06-01" })
      expect(call?.headers.authorization).toBeUndefined()
      expect(call?.body).toEqual({
        model: "claude-haiku-4-5",
        max_tokens: 4096,
        system: "Be short.",
        messages: prompt.slice(1)
      })
    }).pipe(Effect.scoped))

  it.live("of several blocks is their texts, and says why it ended", () =>
    Effect.gen(function*() {
      for (
        const [reason, expected] of [
          ["max_tokens", "length"],
          ["refusal", "content-filter"],
          ["stop_sequence", "stop"],
          ["pause_turn", "pause"],
          ["something_new", "other"],
          [null, "unknown"]
        ] as const
      ) {
        const content = [{ type: "text", text: "a" }, { type: "thinking", thinking: "…" }, { type: "text", text: "b" }]
        const server = yield* upstream((response) => replyJson(response, message({ stop_reason: reason, content })))
        const reply = yield* generate(server)
        expect([reply.text, reply.finishReason]).toEqual(["ab", expected])
      }
    }).pipe(Effect.scoped))

  it.live("that is streamed comes in its pieces, however the bytes are cut", () =>
    Effect.gen(function*() {
      const events: ReadonlyArray<Event | string> = [
        start,
        { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
        { type: "ping" },
        { type: "an_event_of_tomorrow", more: [1] },
        delta("Grüß "),
        delta("😀"),
        { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "x" } },
        delta(""),
        { type: "content_block_stop", index: 0 },
        last,
        stop
      ]
      const bytes = Buffer.from(events.map(encode).join(""))
      for (const size of [1, 3, 50, 100_000]) {
        const server = yield* upstream((response) => replyInPieces(response, bytes, size))
        const parts = yield* stream(server)
        expect(parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : [])).toEqual(["Grüß ", "😀"])
        const finish = parts.at(-1)
        expect(finish?.type === "finish" && [finish.reason, finish.usage.inputTokens, finish.usage.outputTokens.total])
          .toEqual(["stop", { total: 10, uncached: 7, cacheRead: 2, cacheWrite: 1 }, 5])
        expect(server.calls[0]?.body).toMatchObject({ stream: true })
      }
    }).pipe(Effect.scoped))

  it.live("of the simulated provider has the usage of its ledger, whole and streamed", () =>
    Effect.gen(function*() {
      const simulator = yield* Simulator.Simulator
      const model = modelAt(simulator.baseUrl("llm-anthropic"))
      const whole = yield* Effect.provide(LanguageModel.generateText({ prompt: [...prompt] }), model)
      const parts = yield* Effect.provide(Stream.runCollect(LanguageModel.streamText({ prompt: [...prompt] })), model)
      expect(parts.map((part) => part.type === "text-delta" ? part.delta : "").join("")).toBe(whole.text)
      const { inputTokens, outputTokens } = whole.usage
      expect(yield* simulator.ledger("llm-anthropic")).toMatchObject({
        answered: 2,
        promptTokens: 2 * (inputTokens.total ?? 0),
        completionTokens: 2 * (outputTokens.total ?? 0)
      })
    }).pipe(Effect.provide(Simulator.layer({ seed: 1 }))))
})

describe("a failure", () => {
  const error = (type: string, text: string) => JSON.stringify({ type: "error", error: { type, message: text } })

  it.live("of each status and type has the reason that fits, and the kind that follows from it", () =>
    Effect.gen(function*() {
      for (
        const [status, body, reason, kind, scope, code] of [
          [400, error("invalid_request_error", "bad"), "InvalidRequestError", "Permanent", "request", undefined],
          [
            400,
            error("invalid_request_error", "prompt is too long: 200001 tokens > 200000 maximum"),
            "InvalidRequestError",
            "Permanent",
            "request",
            "ContextTooLong"
          ],
          [
            400,
            error("invalid_request_error", "Your credit balance is too low to access the API."),
            "QuotaExhaustedError",
            "Permanent",
            "dependency",
            undefined
          ],
          [
            401,
            error("authentication_error", `invalid x-api-key ${key}`),
            "AuthenticationError",
            "Permanent",
            "dependency",
            undefined
          ],
          [402, error("billing_error", "pay"), "QuotaExhaustedError", "Permanent", "dependency", undefined],
          [403, error("permission_error", "no"), "AuthenticationError", "Permanent", "dependency", undefined],
          [404, error("not_found_error", "model"), "InvalidRequestError", "Permanent", "request", undefined],
          [413, error("request_too_large", "big"), "InvalidRequestError", "Permanent", "request", undefined],
          [429, error("rate_limit_error", "slow"), "RateLimitError", "RateLimited", "dependency", undefined],
          [500, error("api_error", "oops"), "InternalProviderError", "Transient", "dependency", undefined],
          [502, "<html>Bad Gateway</html>", "InternalProviderError", "Transient", "dependency", undefined],
          [529, error("overloaded_error", "Overloaded"), "InternalProviderError", "Overloaded", "dependency", undefined]
        ] as const
      ) {
        const server = yield* upstream((response) => replyJson(response, body, status))
        for (const call of [failureOf(generate(server)), failureOf(stream(server))]) {
          const failed = yield* call
          expect([status, failed.reason, failed.kind, failed.scope]).toEqual([status, reason, kind, scope])
          if (code !== undefined) expect(failed.code).toBe(code)
        }
      }
    }).pipe(Effect.scoped))

  it.live("says when to come back, where the provider does", () =>
    Effect.gen(function*() {
      for (const status of [429, 529]) {
        const server = yield* upstream((response) => replyJson(response, "{}", status, { "retry-after": "7" }))
        const { retryAfter } = yield* failureOf(generate(server))
        expect(retryAfter === undefined ? undefined : Duration.toSeconds(retryAfter)).toBe(7)
      }
    }).pipe(Effect.scoped))

  it.live("told in the middle of a stream is what it says", () =>
    Effect.gen(function*() {
      for (
        const [type, reason, kind] of [
          ["overloaded_error", "InternalProviderError", "Overloaded"],
          ["rate_limit_error", "RateLimitError", "RateLimited"],
          ["invalid_request_error", "InvalidRequestError", "Permanent"],
          ["billing_error", "QuotaExhaustedError", "Permanent"],
          ["api_error", "InternalProviderError", "Transient"]
        ] as const
      ) {
        const server = yield* upstream((response) => sse(response, start, delta("a"), errorEvent(type)).end())
        expect(yield* failureOf(stream(server))).toMatchObject({ reason, kind })
      }
    }).pipe(Effect.scoped))

  it.live("is what garbage is, whole or in a stream", () =>
    Effect.gen(function*() {
      for (const body of ["", "<html>", "[]", "{}", message({ content: 5 }), message({ usage: undefined })]) {
        const server = yield* upstream((response) => replyJson(response, body))
        expect((yield* failureOf(generate(server))).reason).toBe("InvalidResponseError")
        expect((yield* failureOf(stream(server))).reason).toBe("InvalidResponseError")
      }
      for (
        const events of [
          [start, "event: content_block_delta\ndata: nonsense\n\n", last, stop],
          [start, { type: "message_delta", delta: 5 }, stop],
          [delta("a"), last, stop]
        ]
      ) {
        const server = yield* upstream((response) => sse(response, ...events).end())
        expect((yield* failureOf(stream(server))).reason).toBe("InvalidResponseError")
      }
    }).pipe(Effect.scoped))

  it.live("is what half a reply is: half an answer never looks like one", () =>
    Effect.gen(function*() {
      for (const events of [[start, delta("a")], [start, delta("a"), last], [stop]]) {
        const ended = yield* upstream((response) => sse(response, ...events).end())
        expect((yield* failureOf(stream(ended))).reason).toBe("InvalidResponseError")
      }
      const cut = yield* upstream((response) => {
        sse(response, start, delta("a"))
        setTimeout(() => response.destroy(), 20)
      })
      expect(yield* failureOf(stream(cut))).toMatchObject({ reason: "NetworkError", kind: "Transient" })
      const reset = yield* upstream((response) => void response.socket?.destroy())
      expect(yield* failureOf(generate(reset))).toMatchObject({ reason: "NetworkError", kind: "Transient" })
    }).pipe(Effect.scoped))

  it.live("before anything is sent is what the API cannot be given", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response) => replyJson(response, message()))
      const image = LanguageModel.generateText({
        prompt: [{ role: "user", content: [{ type: "file", mediaType: "image/png", data: new Uint8Array(1) }] }]
      })
      const nothing = LanguageModel.generateText({ prompt: [{ role: "system", content: "Be short." }] })
      const object = LanguageModel.generateObject({ prompt: "hi", schema: Schema.Struct({ a: Schema.String }) })
      for (const call of [Effect.asVoid(image), Effect.asVoid(nothing), Effect.asVoid(object)]) {
        const failed = yield* failureOf(Effect.provide(call, modelAt(rootOf(server))))
        expect(failed.reason).toBe("InvalidUserInputError")
      }
      expect(server.calls.length).toBe(0)
    }).pipe(Effect.scoped))
})

describe("a caller that goes away", () => {
  it.live("ends the call, also in the middle of a stream", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response, call) => {
        if (call.body.stream === true) sse(response, start, delta("a"))
      })
      yield* leaveEach(server, [generate(server), stream(server)])
    }).pipe(Effect.scoped))
})
