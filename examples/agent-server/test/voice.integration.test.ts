/** Talking to the server aloud: what is understood, replied and spoken, and what becomes of it when services fail. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Wav from "../src/audio/wav.ts"
import { chat, events, json, request, setFaultsOf } from "./support/client.ts"
import { startFresh } from "./support/server.ts"
import { providers } from "./support/simulated.ts"
import { say } from "./support/voice.ts"
import { recordingOf, silence } from "./support/wav.ts"

const audioIn = (reply: { readonly audio_base64: string }) =>
  Wav.read(new Uint8Array(Buffer.from(reply.audio_base64, "base64")))

describe("a voice turn", () => {
  it.live("is transcribed, thought about and spoken, and its session goes on in voice and text", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const first = yield* say(server, recordingOf("Three days in Lisbon?"))
      expect(first.status).toBe(200)
      expect(first.headers.get("x-degraded")).toBe(null)
      const reply = json(first)
      expect(reply).toMatchObject({
        session_id: expect.stringMatching(/^[\w-]{22}$/),
        agent: "travel_planner",
        transcript: "Three days in Lisbon?",
        reply: expect.stringContaining("Three days in Lisbon?"),
        speech_error: null,
        model: "gpt-4o",
        served: {
          route: "stt-primary, gpt-4o, tts-primary",
          degraded: false,
          attempts: 3,
          stages: {
            asr: { route: "stt-primary", degraded: false, attempts: 1 },
            llm: { route: "gpt-4o", degraded: false, attempts: 1 },
            tts: { route: "tts-primary", degraded: false, attempts: 1 }
          }
        }
      })
      expect(reply.usage.total_tokens).toBe(reply.usage.prompt_tokens + reply.usage.completion_tokens)
      expect(audioIn(reply)).toMatchObject({ _tag: "Wav", wav: { comment: reply.reply } })
      const { asr, e2e, llm, tts } = reply.latency_ms
      for (const millis of [asr, llm, tts, e2e]) expect(millis).toBeGreaterThan(0)
      // The first byte of audio comes after both, and before the last one.
      expect(e2e).toBeGreaterThan(asr + llm)

      const { session_id } = reply
      const second = json(yield* say(server, recordingOf("by train"), { query: { session_id } }))
      expect(second.reply).toContain("2nd thing you say; you began with \"Three days in Lisbon?\"")
      const third = json(yield* chat(server, { message: "and back", session_id }))
      expect(third.reply).toContain("3rd")
      const { messages } = json(yield* request(server, `/v1/sessions/${session_id}`))
      expect(messages.map(({ content }: { content: string }) => content)).toEqual([
        "Three days in Lisbon?",
        reply.reply,
        "by train",
        second.reply,
        "and back",
        third.reply
      ])
    }).pipe(Effect.scoped))

  it.live("tells its steps in an event stream, and ends it with the same reply", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const streamed = yield* say(server, recordingOf("Porto"), { stream: true })
      expect(streamed.headers.get("content-type")).toContain("text/event-stream")
      const all = events(streamed)
      expect(all.map(({ data, event }) => event === "step" ? data.step : event)).toEqual([
        "Transcribing",
        "Thinking",
        "Speaking",
        "done"
      ])
      const done = all.at(-1)?.data
      expect(all[0]?.data.session_id).toBe(done.session_id)
      expect([all[1]?.data.transcript, all[2]?.data.reply]).toEqual(["Porto", done.reply])
      expect(audioIn(done)._tag).toBe("Wav")
      expect(done).toMatchObject({ transcript: "Porto", served: { degraded: false } })
    }).pipe(Effect.scoped))

  it.live("is with the agent that is asked for, in the query or in a header, and else with the session's", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const viva = json(yield* say(server, recordingOf("Krebs"), { query: { agent: "viva_examiner" } }))
      expect([viva.agent, viva.reply]).toEqual(["viva_examiner", expect.stringContaining("Why is that so")])
      const header = json(yield* say(server, recordingOf("Krebs"), { headers: { "x-agent": "viva_examiner" } }))
      expect(header.agent).toBe("viva_examiner")
      const same = json(yield* say(server, recordingOf("more"), { headers: { "x-session-id": viva.session_id } }))
      expect([same.agent, same.session_id]).toEqual(["viva_examiner", viva.session_id])

      const nobody = yield* say(server, recordingOf("hi"), { query: { agent: "nobody" } })
      expect([nobody.status, json(nobody).code]).toEqual([404, "agent_not_found"])
      const other = yield* say(server, recordingOf("hi"), {
        query: { agent: "travel_planner", session_id: viva.session_id }
      })
      expect([other.status, json(other).code]).toEqual([409, "wrong_agent"])
      const unknown = yield* say(server, recordingOf("hi"), { query: { session_id: "unknown" } })
      expect([unknown.status, json(unknown).code]).toEqual([404, "session_not_found"])
    }).pipe(Effect.scoped))
})

describe("what cannot be understood", () => {
  it.live("is refused, and says why", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ MAX_AUDIO_BYTES: "400000" })
      const problem = (recording: Uint8Array | string, headers: Readonly<Record<string, string>> = {}) =>
        Effect.map(say(server, recording, { headers }), (reply) => {
          expect(reply.headers.get("content-type")).toContain("application/problem+json")
          expect(json(reply)).toMatchObject({
            status: reply.status,
            message: expect.any(String),
            request_id: expect.any(String)
          })
          return [reply.status, json(reply).code]
        })
      expect(yield* problem("{}", { "content-type": "application/json" })).toEqual([415, "unsupported_media_type"])
      expect(yield* problem("ID3…", { "content-type": "audio/mpeg" })).toEqual([415, "unsupported_media_type"])
      expect(yield* problem("this is not a recording")).toEqual([422, "invalid_audio"])
      expect(yield* problem("")).toEqual([422, "invalid_audio"])
      expect(yield* problem(recordingOf("hi", 0))).toEqual([422, "invalid_audio"])
      expect(yield* problem(silence())).toEqual([422, "no_speech"])
      // What is heard, and nothing understood.
      expect(yield* problem(recordingOf(" "))).toEqual([422, "no_speech"])
      expect(yield* problem(recordingOf("hi", 13))).toEqual([413, "body_too_large"])
      // More than a text may have, and not too much for a recording.
      expect((yield* say(server, recordingOf("hi", 12))).status).toBe(200)
      expect((yield* say(server, recordingOf("hi"), { headers: { "content-type": "audio/x-wav" } })).status).toBe(200)
    }).pipe(Effect.scoped))
})

describe("a service that fails", () => {
  it.live("is replaced by its backup, and the reply says so", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      yield* setFaultsOf(server, { "stt-primary": { down: true } })
      const deaf = yield* say(server, recordingOf("hi"))
      expect([deaf.status, deaf.headers.get("x-degraded"), deaf.headers.get("x-served-by")]).toEqual([
        200,
        "true",
        "stt-backup, gpt-4o, tts-primary"
      ])
      expect(json(deaf)).toMatchObject({
        transcript: "hi",
        served: { degraded: true, stages: { asr: { route: "stt-backup", degraded: true } } }
      })
      expect(json(deaf).served.stages.asr.attempts).toBeGreaterThan(1)

      yield* setFaultsOf(server, { "stt-primary": { down: false }, "tts-primary": { garbage: true } })
      const mute = yield* say(server, recordingOf("hi"))
      expect([mute.status, mute.headers.get("x-served-by")]).toEqual([200, "stt-primary, gpt-4o, tts-backup"])
      expect(audioIn(json(mute))._tag).toBe("Wav")

      yield* setFaultsOf(server, { "tts-primary": { garbage: false, truncate_stream_at: 2 } })
      const cut = json(yield* say(server, recordingOf("hi")))
      expect([cut.served.route, audioIn(cut)._tag]).toEqual(["stt-primary, gpt-4o, tts-backup", "Wav"])
    }).pipe(Effect.scoped))

  it.live("and goes on failing is left alone by its breaker, which the operator sees", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      yield* setFaultsOf(server, { "stt-primary": { error_rate: 1, status: 500 } })
      for (let turn = 0; turn < 6; turn++) expect((yield* say(server, recordingOf("hi"))).status).toBe(200)
      const circuits = json(
        yield* request(server, "/admin/circuit-breakers", { headers: { "x-api-key": "test-admin-key" } })
      )
      const states = Object.fromEntries(
        circuits.circuit_breakers.map(({ name, state }: { name: string; state: string }) => [name, state])
      )
      expect(states).toMatchObject({
        "stt-primary": "Open",
        "stt-backup": "Closed",
        "tts-primary": "Closed",
        "tts-backup": "Closed"
      })
      // Nobody asks it any more.
      expect(json(yield* say(server, recordingOf("hi"))).served.stages.asr.attempts).toBe(1)
    }).pipe(Effect.scoped))

  it.live("with its backup leaves the reply as text, if it is speech that fails, and is a problem if nothing was heard", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      yield* setFaultsOf(server, { "tts-primary": { down: true }, "tts-backup": { error_rate: 1, status: 503 } })
      const text = yield* say(server, recordingOf("Lisbon"))
      expect([text.status, text.headers.get("x-degraded")]).toEqual([200, "true"])
      expect(json(text)).toMatchObject({
        transcript: "Lisbon",
        reply: expect.stringContaining("Lisbon"),
        audio_base64: null,
        speech_error: { code: expect.stringMatching(/bad_upstream|upstream_unavailable/), message: expect.any(String) },
        latency_ms: { tts: null, e2e: null },
        served: { degraded: true, stages: { tts: null } }
      })
      const done = events(yield* say(server, recordingOf("Lisbon"), { stream: true })).at(-1)
      expect([done?.event, done?.data.audio_base64, typeof done?.data.speech_error.code]).toEqual([
        "done",
        null,
        "string"
      ])
      const { session_id } = json(text)
      expect(json(yield* request(server, `/v1/sessions/${session_id}`)).messages.length).toBe(2)

      yield* setFaultsOf(server, { "stt-primary": { down: true }, "stt-backup": { down: true } })
      const deaf = yield* say(server, recordingOf("Lisbon"))
      expect([deaf.status, json(deaf).code]).toEqual([502, "bad_upstream"])
      const last = events(yield* say(server, recordingOf("Lisbon"), { stream: true })).at(-1)
      expect([last?.event, last?.data.code]).toEqual(["error", "bad_upstream"])
    }).pipe(Effect.scoped))

  it.live("by hanging is cut in time for the other one, and both for the text", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error", MAX_RUN_SECONDS: "5" })
      yield* setFaultsOf(server, { "stt-primary": { hang: true }, "tts-primary": { hang: true } })
      const late = yield* say(server, recordingOf("hi"))
      expect([late.status, json(late).served.route]).toEqual([200, "stt-backup, gpt-4o, tts-backup"])
      yield* setFaultsOf(server, { "stt-primary": { hang: false }, "tts-backup": { hang: true } })
      const mute = yield* say(server, recordingOf("hi"))
      expect([mute.status, json(mute).speech_error.code]).toEqual([200, "deadline_exceeded"])
      yield* setFaultsOf(server, { "stt-primary": { hang: true }, "stt-backup": { hang: true } })
      const deaf = yield* say(server, recordingOf("hi"))
      expect([deaf.status, json(deaf).code]).toEqual([504, "deadline_exceeded"])
    }).pipe(Effect.scoped), 60_000)
})

describe("the simulated providers", () => {
  it.live("are listed in their order, take what they are given, and no other names", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const listed = json(yield* request(server, "/sim/faults", { headers: { "x-api-key": "test-admin-key" } }))
      expect(Object.keys(listed)).toEqual(providers)
      const changed = json(
        yield* setFaultsOf(server, { "tts-backup": { latency_ms: 5 }, "llm-anthropic": { down: true } })
      )
      expect(changed).toEqual({
        ...listed,
        "tts-backup": { ...listed["tts-backup"], latency_ms: 5 },
        "llm-anthropic": { ...listed["llm-anthropic"], down: true }
      })
      const unknown = yield* setFaultsOf(server, { "tts-backup": { latency_ms: 7 }, "stt-third": { down: true } })
      expect([unknown.status, json(unknown).code]).toEqual([400, "invalid_request"])
      expect(unknown.text).toContain("stt-third")
      expect(json(yield* setFaultsOf(server, {}))).toEqual(changed)
    }).pipe(Effect.scoped))
})
