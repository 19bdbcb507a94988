/** What an endpoint does, and what the caller of the language model sees of it. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type { ServerResponse } from "node:http"
import * as OpenAiLanguageModel from "../../src/providers/OpenAiLanguageModel.ts"
import { failureWith, leaveEach } from "../support/providerCalls.ts"
import { completion, replyInPieces, replyJson, upstream } from "../support/upstream.ts"

const key = "sk-test-3b1f"

const modelAt = (server: { readonly baseUrl: string }) =>
  OpenAiLanguageModel.layer({ baseUrl: server.baseUrl, apiKey: Redacted.make(key), model: "gpt-4o" }).pipe(
    Layer.provide(NodeHttpClient.layerUndici)
  )

const prompt = [{ role: "system", content: "Be short." }, { role: "user", content: "Hello" }] as const

const generate = (server: { readonly baseUrl: string }) =>
  Effect.provide(LanguageModel.generateText({ prompt: [...prompt] }), modelAt(server))

const stream = (server: { readonly baseUrl: string }) =>
  Effect.provide(Stream.runCollect(LanguageModel.streamText({ prompt: [...prompt] })), modelAt(server))

const sse = (response: ServerResponse, ...events: ReadonlyArray<unknown>): ServerResponse => {
  if (!response.headersSent) response.writeHead(200, { "content-type": "text/event-stream" })
  for (const event of events) response.write(`data: ${typeof event === "string" ? event : JSON.stringify(event)}\n\n`)
  return response
}

const delta = (content: string) => ({ id: "1", model: "m", choices: [{ index: 0, delta: { content } }] })
const finish = { id: "1", model: "m", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] }
const usage = { id: "1", model: "m", choices: [], usage: { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 } }

const failureOf = failureWith(key)

describe("a reply", () => {
  it.live("is the text, with the model and the usage; the request is what the API wants", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response) => replyJson(response, completion("Hi!")))
      const reply = yield* generate(server)
      expect(reply.text).toBe("Hi!")
      expect(reply.usage.inputTokens.total).toBe(12)
      expect(reply.usage.outputTokens.total).toBe(3)
      expect(reply.finishReason).toBe("stop")
      const [call] = server.calls
      expect(call?.url).toBe("/v1/chat/completions")
      expect(call?.headers.authorization).toBe(`Bearer ${key}`)
      expect(call?.body).toEqual({ model: "gpt-4o", messages: prompt })
    }).pipe(Effect.scoped))

  it.live("of a compatible server may lack what is not needed", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response) =>
        replyJson(response, "{\"choices\":[{\"message\":{\"content\":\"Hi!\"}}]}")
      )
      const reply = yield* generate(server)
      expect([reply.text, reply.finishReason, reply.usage.inputTokens.total]).toEqual(["Hi!", "unknown", undefined])
    }).pipe(Effect.scoped))

  it.live("that is streamed comes in its pieces, however the bytes are cut", () =>
    Effect.gen(function*() {
      const bytes = Buffer.from(
        [delta("Grüß "), delta("😀"), delta(""), finish, usage].map((event) => `data: ${JSON.stringify(event)}\n\n`)
          .join("")
          + ": a comment\n\ndata: [DONE]\n\n"
      )
      for (const size of [1, 3, 50, 100_000]) {
        const server = yield* upstream((response) => replyInPieces(response, bytes, size))
        const parts = yield* stream(server)
        const texts = parts.flatMap((part) => part.type === "text-delta" ? [part.delta] : [])
        expect(texts).toEqual(["Grüß ", "😀"])
        const last = parts.at(-1)
        expect(last?.type === "finish" && [last.usage.inputTokens.total, last.usage.outputTokens.total]).toEqual([7, 2])
        expect(server.calls[0]?.body).toMatchObject({ stream: true, stream_options: { include_usage: true } })
      }
    }).pipe(Effect.scoped))
})

describe("a failure", () => {
  const error = (message: string, code: string | null, type = "t") => JSON.stringify({ error: { message, type, code } })

  it.live("of each status and code has the reason that fits, and the kind that follows from it", () =>
    Effect.gen(function*() {
      for (
        const [status, body, reason, kind, scope] of [
          [400, error("bad", null), "InvalidRequestError", "Permanent", "request"],
          [400, error("long", "context_length_exceeded"), "InvalidRequestError", "Permanent", "request"],
          [400, error("no", "content_policy_violation"), "ContentPolicyError", "Permanent", "request"],
          [
            401,
            error(`Incorrect API key provided: ${key}`, "invalid_api_key"),
            "AuthenticationError",
            "Permanent",
            "dependency"
          ],
          [402, error("pay", null), "QuotaExhaustedError", "Permanent", "dependency"],
          [403, error("no", null), "AuthenticationError", "Permanent", "dependency"],
          [404, error("no model", "model_not_found"), "InvalidRequestError", "Permanent", "request"],
          [429, error("slow", "rate_limit_exceeded"), "RateLimitError", "RateLimited", "dependency"],
          [429, error("pay", "insufficient_quota"), "QuotaExhaustedError", "Permanent", "dependency"],
          [500, error("oops", null), "InternalProviderError", "Transient", "dependency"],
          [502, "<html>Bad Gateway</html>", "InternalProviderError", "Transient", "dependency"],
          [503, "", "InternalProviderError", "Overloaded", "dependency"],
          [529, error("overloaded", null), "InternalProviderError", "Overloaded", "dependency"]
        ] as const
      ) {
        const server = yield* upstream((response) => replyJson(response, body, status))
        for (const call of [failureOf(generate(server)), failureOf(stream(server))]) {
          const failure = yield* call
          expect([status, failure.reason, failure.kind, failure.scope]).toEqual([status, reason, kind, scope])
        }
      }
    }).pipe(Effect.scoped))

  it.live("says when to come back, where the provider does", () =>
    Effect.gen(function*() {
      for (const [status, headers] of [[429, { "retry-after": "7" }], [503, { "retry-after-ms": "7000" }]] as const) {
        const server = yield* upstream((response) => replyJson(response, "{}", status, headers))
        const { retryAfter } = yield* failureOf(generate(server))
        expect(retryAfter === undefined ? undefined : Duration.toSeconds(retryAfter)).toBe(7)
      }
    }).pipe(Effect.scoped))

  it.live("is what garbage is, whole or in a stream", () =>
    Effect.gen(function*() {
      for (const body of ["", "<html>", "[]", "{\"choices\":[]}", "{\"choices\":[{\"message\":{\"content\":5}}]}"]) {
        const server = yield* upstream((response) => replyJson(response, body))
        expect((yield* failureOf(generate(server))).reason).toBe("InvalidResponseError")
        expect((yield* failureOf(stream(server))).reason).toBe("InvalidResponseError")
      }
      for (const event of ["nonsense", "{}", "[1]", "{\"choices\": 5}"]) {
        const server = yield* upstream((response) => sse(response, delta("a"), event, finish, "[DONE]").end())
        expect((yield* failureOf(stream(server))).reason).toBe("InvalidResponseError")
      }
    }).pipe(Effect.scoped))

  it.live("comes after what came before it, also in one packet", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.end(`data: ${JSON.stringify(delta("a"))}\n\ndata: ${JSON.stringify(delta("b"))}\n\ndata: nonsense\n\n`)
      })
      const heard: Array<string> = []
      const listening = LanguageModel.streamText({ prompt: [...prompt] }).pipe(
        Stream.runForEach((part) => Effect.sync(() => part.type === "text-delta" && heard.push(part.delta))),
        Effect.provide(modelAt(server))
      )
      expect((yield* failureOf(listening)).reason).toBe("InvalidResponseError")
      expect(heard).toEqual(["a", "b"])
    }).pipe(Effect.scoped))

  it.live("is what half a reply is: half an answer never looks like one", () =>
    Effect.gen(function*() {
      const ended = yield* upstream((response) => sse(response, delta("a"), delta("b")).end())
      expect((yield* failureOf(stream(ended))).reason).toBe("InvalidResponseError")
      const doneTooSoon = yield* upstream((response) => sse(response, delta("a"), "[DONE]").end())
      expect((yield* failureOf(stream(doneTooSoon))).reason).toBe("InvalidResponseError")
      const cut = yield* upstream((response) => {
        sse(response, delta("a"))
        setTimeout(() => response.destroy(), 20)
      })
      expect(yield* failureOf(stream(cut))).toMatchObject({ reason: "NetworkError", kind: "Transient" })
      const halfBody = yield* upstream((response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "1000" }).write("{\"choices\"")
        setTimeout(() => response.destroy(), 20)
      })
      expect(yield* failureOf(generate(halfBody))).toMatchObject({ reason: "NetworkError", kind: "Transient" })
      const told = yield* upstream((response) => sse(response, delta("a"), error("overloaded", "server_error")).end())
      expect((yield* failureOf(stream(told))).reason).toBe("InternalProviderError")
    }).pipe(Effect.scoped))

  it.live("is what no connection is", () =>
    Effect.gen(function*() {
      const reset = yield* upstream((response) => void response.socket?.destroy())
      expect(yield* failureOf(generate(reset))).toMatchObject({ reason: "NetworkError", kind: "Transient" })
      const nobody = { baseUrl: "http://127.0.0.1:1/v1" }
      expect(yield* failureOf(generate(nobody))).toMatchObject({
        reason: "NetworkError",
        kind: "Transient",
        code: "ECONNREFUSED"
      })
    }).pipe(Effect.scoped))

  it.live("before anything is sent is what the endpoint cannot be given", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response) => replyJson(response, completion("Hi!")))
      const image = LanguageModel.generateText({
        prompt: [{ role: "user", content: [{ type: "file", mediaType: "image/png", data: new Uint8Array(1) }] }]
      })
      expect((yield* failureOf(Effect.provide(image, modelAt(server)))).reason).toBe("InvalidUserInputError")
      expect(server.calls.length).toBe(0)
    }).pipe(Effect.scoped))
})

describe("a caller that goes away", () => {
  it.live("ends the call at the endpoint, also in the middle of a stream", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response, call) => {
        if (call.body.stream === true) sse(response, delta("a"), delta("b"))
      })
      yield* leaveEach(server, [generate(server), stream(server)])
    }).pipe(Effect.scoped))
})
