/** The variables that say who is asked, and how much. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { json } from "../../support/client.ts"
import { startFresh } from "../../support/server.ts"
import { type Call, completion, replyJson, upstream } from "../../support/upstream.ts"
import { recordingOf } from "../../support/wav.ts"
import { askOf, replied } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { operator } from "../kit.ts"
import { chatOf, type Effects } from "./kit.ts"

/** A model, a transcriber and a speaker, who fail where their path begins with `/v1/first`. */
const services = upstream((response, { url }) => {
  if (url.startsWith("/v1/first")) return replyJson(response, JSON.stringify({ error: { message: "no" } }), 500)
  if (url.endsWith("/audio/transcriptions")) return replyJson(response, "{\"text\":\"How late is it?\"}")
  if (url.endsWith("/audio/speech")) {
    return void response.writeHead(200, { "content-type": "audio/wav" }).end(recordingOf("tick"))
  }
  if (!url.endsWith("/messages")) return replyJson(response, completion("Half past nine."))
  replyJson(
    response,
    JSON.stringify({
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "haiku-x",
      content: [{ type: "text", text: "Half past nine." }],
      stop_reason: "end_turn",
      usage: { input_tokens: 9, output_tokens: 3 }
    })
  )
})

export const effects: Effects = {
  "which models are asked, where, and with which keys": {
    variables: [
      "OPENAI_BASE_URL",
      "OPENAI_API_KEY",
      "OPENAI_MODEL",
      "OPENAI_FALLBACK_MODEL",
      "ANTHROPIC_BASE_URL",
      "ANTHROPIC_API_KEY",
      "ANTHROPIC_MODEL"
    ],
    row: Effect.gen(function*() {
      const { baseUrl, calls } = yield* services
      const server = yield* startFresh({
        OPENAI_BASE_URL: `${baseUrl}/first`,
        OPENAI_API_KEY: "openai-key",
        OPENAI_MODEL: "large-x",
        OPENAI_FALLBACK_MODEL: "small-x",
        ANTHROPIC_BASE_URL: baseUrl.replace(/\/v1$/, ""),
        ANTHROPIC_API_KEY: "anthropic-key",
        ANTHROPIC_MODEL: "haiku-x"
      })
      expect(replied(yield* chatOf(server), 200, Bodies.ChatReply).model).toBe("haiku-x")
      const models = calls.map(({ body }): string => body.model)
      expect([...new Set(models)]).toEqual(["large-x", "small-x", "haiku-x"])
      expect(calls.at(0)?.headers["authorization"]).toBe("Bearer openai-key")
      expect(calls.at(-1)?.headers["x-api-key"]).toBe("anthropic-key")
    })
  },

  "who transcribes and speaks, in whose place, with which keys, models and voice": {
    variables: ["STT", "TTS"].flatMap((kind) =>
      ["URL", "API_KEY", "MODEL"].flatMap((name) => [`${kind}_${name}`, `${kind}_BACKUP_${name}`])
    ).concat("TTS_VOICE"),
    row: Effect.gen(function*() {
      const { baseUrl, calls } = yield* services
      const server = yield* startFresh({
        STT_URL: `${baseUrl}/first`,
        STT_API_KEY: "stt-key",
        STT_MODEL: "ears-1",
        STT_BACKUP_URL: baseUrl,
        STT_BACKUP_API_KEY: "stt-backup-key",
        STT_BACKUP_MODEL: "ears-2",
        TTS_URL: `${baseUrl}/first`,
        TTS_API_KEY: "tts-key",
        TTS_MODEL: "mouth-1",
        TTS_BACKUP_URL: baseUrl,
        TTS_BACKUP_API_KEY: "tts-backup-key",
        TTS_BACKUP_MODEL: "mouth-2",
        TTS_VOICE: "echo"
      })
      const reply = yield* askOf(server, "POST /v1/speech_to_speech", { body: recordingOf("x"), headers: operator })
      expect(replied(reply, 200, Bodies.VoiceReply)).toMatchObject({
        transcript: "How late is it?",
        speech_error: null
      })
      const asked = (path: string, key: string) =>
        calls.filter(({ headers, url }) => url.endsWith(path) && headers["authorization"] === `Bearer ${key}`)
      const saying = (found: ReadonlyArray<Call>) =>
        found.map(({ body }) => Buffer.isBuffer(body) ? String(body) : JSON.stringify(body)).at(-1)
      expect(saying(asked("/first/audio/transcriptions", "stt-key"))).toContain("ears-1")
      expect(saying(asked("/v1/audio/transcriptions", "stt-backup-key"))).toContain("ears-2")
      expect(saying(asked("/first/audio/speech", "tts-key"))).toContain("mouth-1")
      expect(saying(asked("/v1/audio/speech", "tts-backup-key"))).toMatch(/mouth-2.*echo|echo.*mouth-2/)
    })
  },

  "how much a provider is asked for": {
    variables: ["PROVIDER_REQUESTS_PER_MINUTE", "PROVIDER_TOKENS_PER_MINUTE", "PROVIDER_USD_PER_DAY"],
    row: Effect.gen(function*() {
      const server = yield* startFresh({
        PROVIDER_REQUESTS_PER_MINUTE: "11",
        PROVIDER_TOKENS_PER_MINUTE: "2222",
        PROVIDER_USD_PER_DAY: "3.5"
      })
      const reply = yield* askOf(server, "GET /admin/rate-limits?policy=llm-primary&key=llm-primary", {
        headers: operator
      })
      expect(replied(reply, 200, Bodies.Limits).rules.map(({ limit, unit }) => [unit, limit])).toEqual([
        ["requests", 11],
        ["tokens", 2222],
        ["cost", 3.5]
      ])
    })
  },

  "the same seed makes the same calls fail, and another one others": {
    variables: ["SIM_SEED"],
    row: Effect.gen(function*() {
      const attempts = (seed: string) =>
        Effect.gen(function*() {
          const server = yield* startFresh({ SIM_SEED: seed })
          yield* askOf(server, "PUT /sim/faults", { body: { "llm-primary": { error_rate: 0.5 } }, headers: operator })
          return yield* Effect.forEach(
            Array.from({ length: 8 }, (_, index) => `trip ${index}`),
            (message) => Effect.map(chatOf(server, {}, message), (reply) => json(reply).served)
          )
        })
      const seven = yield* attempts("7")
      expect(yield* attempts("7")).toEqual(seven)
      expect(yield* attempts("8")).not.toEqual(seven)
    })
  }
}
