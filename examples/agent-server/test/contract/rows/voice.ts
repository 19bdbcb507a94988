/** `POST /v1/speech_to_speech`. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Wav from "../../../src/audio/wav.ts"
import { json } from "../../support/client.ts"
import { until } from "../../support/until.ts"
import { recordingOf, silence } from "../../support/wav.ts"
import { ask, exactly, refused, replied, say, type Sending, streamed } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { broken, setFaults } from "../broken.ts"
import { operator, type Section } from "../kit.ts"

const speak = (body: Uint8Array | string, headers: Sending["headers"] = {}, query = "") =>
  ask(`POST /v1/speech_to_speech${query}`, { body, headers: { "content-type": "audio/wav", ...headers } })

const events = { accept: "text/event-stream" }

const both = (name: "stt" | "tts", faults: object) => ({ [`${name}-primary`]: faults, [`${name}-backup`]: faults })

export const voice: Section = {
  "answers with transcript, reply, sound and how long each stage took": Effect.gen(function*() {
    const reply = yield* speak(recordingOf("Two days in Porto"))
    const body = replied(reply, 200, Bodies.VoiceReply)
    expect([body.transcript, body.speech_error, body.served.degraded]).toEqual(["Two days in Porto", null, false])
    expect(body.served.stages).toMatchObject({ asr: { route: "stt-primary" }, tts: { route: "tts-primary" } })
    expect(reply.headers.get("x-degraded")).toBe(null)
    const sound = new Uint8Array(Buffer.from(body.audio_base64 ?? "", "base64"))
    expect(Wav.read(sound)).toMatchObject({ wav: { comment: body.reply } })
    const { messages } = exactly(Bodies.Session, json(yield* ask(`GET /v1/sessions/${body.session_id}`)))
    expect(messages.map(({ content }) => content)).toEqual(["Two days in Porto", body.reply])
  }),

  "streams Transcribing, Thinking, Speaking, and at the end the same body": Effect.gen(function*() {
    const all = streamed(yield* speak(recordingOf("Lisbon"), events), Bodies.voiceEvents)
    expect(all.map(({ data, event }) => event === "step" ? data.step : event)).toEqual([
      "Transcribing",
      "Thinking",
      "Speaking",
      "done"
    ])
    expect(all[2]?.data.reply).toBe(all.at(-1)?.data.reply)
  }),

  "goes on with a session that was written, and takes session and agent as query or header": Effect.gen(function*() {
    const { session_id } = json(yield* say({ message: "Graphs" }, {}, "viva_examiner"))
    const asHeader = yield* speak(recordingOf("A tree"), { "x-session-id": session_id, "x-agent": "viva_examiner" })
    const asQuery = yield* speak(recordingOf("A tree"), {}, `?session_id=${session_id}`)
    for (const reply of [asHeader, asQuery]) {
      expect(replied(reply, 200, Bodies.VoiceReply)).toMatchObject({ session_id, agent: "viva_examiner" })
    }
  }),

  "says who stood in for what was down": broken(
    { "stt-primary": { down: true }, "tts-primary": { down: true } },
    Effect.gen(function*() {
      const reply = yield* speak(recordingOf("Lisbon"))
      const { served } = replied(reply, 200, Bodies.VoiceReply)
      expect(served).toMatchObject({ route: "stt-backup, gpt-4o, tts-backup", degraded: true })
      expect([reply.headers.get("x-degraded"), reply.headers.get("x-served-by")]).toEqual(["true", served.route])
    })
  ),

  "answers in text, with the reason, where no service speaks": broken(
    both("tts", { down: true }),
    Effect.gen(function*() {
      const reply = yield* speak(recordingOf("Lisbon"))
      const body = replied(reply, 200, Bodies.VoiceReply)
      expect([body.audio_base64, body.speech_error?.code, body.latency_ms.tts]).toEqual([null, "bad_upstream", null])
      expect(reply.headers.get("x-degraded")).toBe("true")
    })
  ),

  "answers 502 where no service understands, and ends a stream with that": broken(
    both("stt", { down: true }),
    Effect.gen(function*() {
      refused(yield* speak(recordingOf("Lisbon")), 502, "bad_upstream")
      const all = streamed(yield* speak(recordingOf("Lisbon"), events), Bodies.voiceEvents)
      expect(all.at(-1)).toMatchObject({ event: "error", data: { code: "bad_upstream" } })
    })
  ),

  "answers 503 with the provider's Retry-After where all of them have too much to do": broken(
    both("stt", { error_rate: 1, status: 503, retry_after: 7 }),
    Effect.gen(function*() {
      const reply = yield* speak(recordingOf("Lisbon"))
      expect(refused(reply, 503, "upstream_unavailable").retry_after).toBe(7)
      expect(reply.headers.get("retry-after")).toBe("7")
    })
  ),

  "answers 429 in the words and with the members of every 429 where the provider does": broken(
    both("stt", { rate_limit_rate: 1, retry_after: 42 }),
    Effect.gen(function*() {
      const reply = yield* speak(recordingOf("Lisbon"))
      const body = refused(reply, 429, "provider_rate_limited")
      expect(body).toMatchObject({
        error: "rate_limit_exceeded",
        message: "Rate limit exceeded. Try again in 42 seconds.",
        retry_after: 42,
        limit: null,
        remaining: 0,
        reset: 42
      })
      expect(reply.headers.get("retry-after")).toBe("42")
    })
  ),

  "answers 409 to a turn that a newer one of its session interrupts": Effect.gen(function*() {
    const { session_id } = json(yield* say({ message: "Lisbon" }))
    yield* broken(
      { "stt-primary": { hang: true } },
      Effect.gen(function*() {
        const calls = Effect.map(
          ask("GET /sim/ledger", { headers: operator }),
          (reply) => json(reply)["stt-primary"].calls
        )
        const before = yield* calls
        const older = yield* Effect.forkChild(speak(recordingOf("Well"), { "x-session-id": session_id }))
        yield* until(calls, (now) => now > before)
        yield* setFaults({ "stt-primary": { hang: false } })
        const newer = yield* speak(recordingOf("By train"), { "x-session-id": session_id })
        expect(replied(newer, 200, Bodies.VoiceReply).transcript).toBe("By train")
        refused(yield* Fiber.join(older), 409, "turn_interrupted")
      })
    )
  }),

  "answers 415, 413 and 422 before it asks anybody": Effect.gen(function*() {
    refused(yield* speak(recordingOf("hi"), { "content-type": "audio/mpeg" }), 415, "unsupported_media_type")
    refused(yield* speak(recordingOf("hi"), { "content-type": "application/json" }), 415, "unsupported_media_type")
    expect(refused(yield* speak(new Uint8Array(10_000_001)), 413, "body_too_large").limit).toBe(10_000_000)
    refused(yield* speak("RIFF, or something like it"), 422, "invalid_audio")
    refused(yield* speak(new Uint8Array()), 422, "invalid_audio")
    refused(yield* speak(silence()), 422, "no_speech")
  }),

  "answers 400, 401 and 404 as a chat does": Effect.gen(function*() {
    const { errors } = refused(
      yield* speak(recordingOf("hi"), {}, "?session_id=no%20id"),
      400,
      "invalid_request"
    )
    expect(errors.map((each: { in: string; path: string }) => [each.in, each.path])).toEqual([["query", "session_id"]])
    refused(yield* speak(recordingOf("hi"), { "x-api-key": "nobodys" }), 401, "unauthorized")
    refused(yield* speak(recordingOf("hi"), {}, "?agent=poet"), 404, "agent_not_found")
    refused(yield* speak(recordingOf("hi"), {}, "?session_id=unknown"), 404, "session_not_found")
  })
}
