/** What speech services do, and what their callers see of it. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import type * as AiError from "effect/ai/AiError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Wav from "../../src/audio/wav.ts"
import * as SpeechToText from "../../src/providers/SpeechToText.ts"
import * as TextToSpeech from "../../src/providers/TextToSpeech.ts"
import * as Simulator from "../../src/sim/Simulator.ts"
import { failureWith, leaveEach } from "../support/providerCalls.ts"
import { replyJson, type Upstream, upstream } from "../support/upstream.ts"
import { recordingOf } from "../support/wav.ts"

const key = "sk-speech-2f60"

const transcribe = (baseUrl: string, recording = recordingOf("hi")) =>
  Effect.provide(
    SpeechToText.SpeechToText.use((stt) => stt.transcribe(recording)),
    SpeechToText.layer({ baseUrl, apiKey: Redacted.make(key), model: "whisper-1" }).pipe(
      Layer.provide(NodeHttpClient.layerUndici)
    )
  )

const speak = (baseUrl: string, text = "hi") =>
  Effect.provide(
    TextToSpeech.TextToSpeech.use((tts) => Stream.runCollect(tts.speak(text))),
    TextToSpeech.layer({ baseUrl, apiKey: Redacted.make(key), model: "tts-1", voice: "alloy" }).pipe(
      Layer.provide(NodeHttpClient.layerUndici)
    )
  )

const failureOf = failureWith(key)

const both = (server: Pick<Upstream, "baseUrl">): ReadonlyArray<Effect.Effect<unknown, AiError.AiError>> => [
  transcribe(server.baseUrl),
  speak(server.baseUrl)
]

describe("a recording", () => {
  it.live("is sent as a form with a file, and its text comes back", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response) => replyJson(response, "{\"text\":\"Grüße\"}"))
      const recording = recordingOf("Grüße")
      expect(yield* transcribe(server.baseUrl, recording)).toBe("Grüße")
      const [call] = server.calls
      expect([call?.url, call?.headers.authorization]).toEqual(["/v1/audio/transcriptions", `Bearer ${key}`])
      const form = yield* Effect.promise(() =>
        new Response(call?.body, { headers: { "content-type": call?.headers["content-type"] ?? "" } }).formData()
      )
      expect([form.get("model"), form.get("response_format")]).toEqual(["whisper-1", "json"])
      const file = form.get("file")
      expect(file instanceof File && [file.name, file.type]).toEqual(["speech.wav", "audio/wav"])
      const sent = yield* Effect.promise(() => (file as File).arrayBuffer())
      expect(new Uint8Array(sent)).toEqual(recording)
    }).pipe(Effect.scoped))
})

describe("a text", () => {
  it.live("is spoken by the model and the voice that are asked for, and comes as it is spoken", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response) => {
        response.writeHead(200, { "content-type": "audio/wav" }).write("RIFF")
        setTimeout(() => response.end("more"), 20)
      })
      const chunks = yield* speak(server.baseUrl, "Two days.")
      expect(Buffer.concat(chunks).toString()).toBe("RIFFmore")
      expect(chunks.length).toBe(2)
      const [call] = server.calls
      expect([call?.url, call?.headers.authorization]).toEqual(["/v1/audio/speech", `Bearer ${key}`])
      expect(call?.body).toEqual({
        model: "tts-1",
        voice: "alloy",
        input: "Two days.",
        response_format: "wav"
      })
    }).pipe(Effect.scoped))
})

describe("the simulated services", () => {
  it.live("understand what they say", () =>
    Effect.gen(function*() {
      const simulator = yield* Simulator.Simulator
      const spoken = Buffer.concat(yield* speak(simulator.baseUrl("tts-primary"), "See you in Porto!"))
      expect(Wav.read(spoken)._tag).toBe("Wav")
      expect(yield* transcribe(simulator.baseUrl("stt-primary"), spoken)).toBe("See you in Porto!")
    }).pipe(Effect.provide(Simulator.layer({ seed: 1 }))))
})

describe("a failure", () => {
  it.live("of each status has the reason that fits, and the kind that follows from it", () =>
    Effect.gen(function*() {
      for (
        const [status, reason, kind, scope] of [
          [400, "InvalidRequestError", "Permanent", "request"],
          [401, "AuthenticationError", "Permanent", "dependency"],
          [413, "InvalidRequestError", "Permanent", "request"],
          [429, "RateLimitError", "RateLimited", "dependency"],
          [500, "InternalProviderError", "Transient", "dependency"],
          [503, "InternalProviderError", "Overloaded", "dependency"]
        ] as const
      ) {
        const body = JSON.stringify({ error: { message: `no, ${key}`, type: "t" } })
        const server = yield* upstream((response) => replyJson(response, body, status, { "retry-after": "7" }))
        for (const call of both(server)) {
          const failure = yield* failureOf(call)
          expect([status, failure.reason, failure.kind, failure.scope]).toEqual([status, reason, kind, scope])
          if (status === 429 || status === 503) {
            expect(failure.retryAfter === undefined ? undefined : Duration.toSeconds(failure.retryAfter)).toBe(7)
          }
        }
      }
    }).pipe(Effect.scoped))

  it.live("is what garbage is", () =>
    Effect.gen(function*() {
      for (const body of ["", "<html>", "[]", "{\"text\":5}"]) {
        const server = yield* upstream((response) => replyJson(response, body))
        for (const call of both(server)) expect((yield* failureOf(call)).reason).toBe("InvalidResponseError")
      }
    }).pipe(Effect.scoped))

  it.live("is what half a reply is, and no connection", () =>
    Effect.gen(function*() {
      const half = yield* upstream((response, { url }) => {
        const type = url.endsWith("/speech") ? "audio/wav" : "application/json"
        response.writeHead(200, { "content-type": type, "content-length": "1000" }).write("{\"text\"")
        setTimeout(() => response.destroy(), 20)
      })
      const reset = yield* upstream((response) => void response.socket?.destroy())
      const nobody = { baseUrl: "http://127.0.0.1:1/v1" }
      for (const server of [half, reset, nobody]) {
        for (const call of both(server)) {
          expect(yield* failureOf(call)).toMatchObject({ reason: "NetworkError", kind: "Transient" })
        }
      }
    }).pipe(Effect.scoped))
})

describe("a caller that goes away", () => {
  it.live("ends the call, also in the middle of speech", () =>
    Effect.gen(function*() {
      const server = yield* upstream((response, { url }) => {
        if (url.endsWith("/speech")) response.writeHead(200, { "content-type": "audio/wav" }).write("RIFF")
      })
      yield* leaveEach(server, both(server))
    }).pipe(Effect.scoped))
})
