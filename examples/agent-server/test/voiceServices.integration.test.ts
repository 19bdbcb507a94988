/** With `STT_URL` and `TTS_URL` the server speaks to services that are not its own. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Wav from "../src/audio/wav.ts"
import { json, request } from "./support/client.ts"
import { adminKey, runToEnd, startFresh } from "./support/server.ts"
import { completion, replyJson, upstream } from "./support/upstream.ts"
import { say } from "./support/voice.ts"
import { recordingOf } from "./support/wav.ts"

const key = "sk-voice-51ce"

const audio = upstream((response, { url }) => {
  if (url.endsWith("/audio/transcriptions")) return replyJson(response, "{\"text\":\" How late is it? \"}")
  if (url.endsWith("/audio/speech")) {
    return void response.writeHead(200, { "content-type": "audio/wav" }).end(recordingOf("tick"))
  }
  return replyJson(response, completion("Half past nine."))
})

describe("services of the environment", () => {
  it.live("get their keys, models and voice, and the request's id", () =>
    Effect.gen(function*() {
      const services = yield* audio
      const server = yield* startFresh({
        OPENAI_BASE_URL: services.baseUrl,
        STT_URL: services.baseUrl,
        STT_API_KEY: key,
        STT_MODEL: "ears-2",
        TTS_URL: services.baseUrl,
        TTS_API_KEY: key,
        TTS_VOICE: "echo"
      })
      const reply = yield* say(server, recordingOf("whatever"), { headers: { "x-request-id": "trace-me" } })
      expect(json(reply)).toMatchObject({ transcript: "How late is it?", reply: "Half past nine.", speech_error: null })
      expect(Wav.read(new Uint8Array(Buffer.from(json(reply).audio_base64, "base64")))).toMatchObject({
        wav: { comment: "tick" }
      })
      const call = (path: string) => services.calls.find(({ url }) => url.endsWith(path))
      const [heard, spoken] = [call("/audio/transcriptions"), call("/audio/speech")]
      for (const each of [heard, spoken]) {
        expect(each?.headers).toMatchObject({ authorization: `Bearer ${key}`, "x-request-id": "trace-me" })
      }
      expect(String(heard?.body)).toContain("ears-2")
      expect(spoken?.body).toMatchObject({ model: "tts-1", voice: "echo", input: "Half past nine." })
      expect(server.output()).not.toContain(key)
      const faults = yield* request(server, "/sim/faults", { headers: { "x-api-key": adminKey } })
      expect([faults.status, json(faults).code]).toEqual([404, "not_simulated"])
    }).pipe(Effect.scoped))

  it.live("that fail are not stood in for by simulated ones, and what they said is not told", () =>
    Effect.gen(function*() {
      const services = yield* upstream((response) =>
        replyJson(response, JSON.stringify({ error: { message: `secret words, ${key}`, code: "c" } }), 401)
      )
      const server = yield* startFresh({ STT_URL: services.baseUrl, STT_API_KEY: key })
      const reply = yield* say(server, recordingOf("hi"))
      expect([reply.status, json(reply).code]).toEqual([502, "bad_upstream"])
      expect(reply.text).not.toMatch(/secret words|sk-voice/)
      expect(server.output()).not.toContain(key)
      expect(services.calls.length).toBe(1)
    }).pipe(Effect.scoped))

  it.live("that speak without end are cut off, and the reply comes as text", () =>
    Effect.gen(function*() {
      const endless = yield* upstream((response) => {
        response.writeHead(200, { "content-type": "audio/wav" })
        const write = (): void => {
          if (!response.destroyed) response.write(Buffer.alloc(1_000_000), () => setImmediate(write))
        }
        write()
      })
      const server = yield* startFresh({ LOG_LEVEL: "error", TTS_URL: endless.baseUrl })
      const reply = json(yield* say(server, recordingOf("hi")))
      expect([reply.audio_base64, reply.speech_error.code]).toEqual([null, "bad_upstream"])
      yield* Eventually.met(() => endless.calls.every((call) => call.aborted()))
    }).pipe(Effect.scoped))

  it.live("have the backup of the environment", () =>
    Effect.gen(function*() {
      const down = yield* upstream((response) => void response.socket?.destroy())
      const services = yield* audio
      const server = yield* startFresh({
        LOG_LEVEL: "error",
        STT_URL: down.baseUrl,
        STT_BACKUP_URL: services.baseUrl,
        TTS_URL: down.baseUrl,
        TTS_BACKUP_URL: services.baseUrl
      })
      const reply = yield* say(server, recordingOf("whatever"))
      expect([reply.status, reply.headers.get("x-served-by")]).toEqual([200, "stt-backup, gpt-4o, tts-backup"])
      expect(json(reply).transcript).toBe("How late is it?")
    }).pipe(Effect.scoped))

  it.live("may be simulated beside a real model", () =>
    Effect.gen(function*() {
      const services = yield* audio
      const server = yield* startFresh({ OPENAI_BASE_URL: services.baseUrl })
      const reply = json(yield* say(server, recordingOf("whatever")))
      expect(reply).toMatchObject({ transcript: "whatever", reply: "Half past nine.", served: { degraded: false } })
    }).pipe(Effect.scoped))

  it.live("that are badly described stop the start, all of them named at once", () =>
    Effect.gen(function*() {
      const ended = yield* runToEnd({
        STT_URL: "ftp://ears",
        TTS_BACKUP_URL: "http://127.0.0.1:1/v1",
        TTS_BACKUP_API_KEY: `${key}\u0001`,
        MAX_AUDIO_BYTES: "many"
      })
      expect(ended.code).toBe(1)
      for (
        const name of [
          "STT_URL must be",
          "TTS_BACKUP_URL is the backup",
          "TTS_BACKUP_API_KEY must be",
          "MAX_AUDIO_BYTES must be"
        ]
      ) {
        expect(ended.stderr).toContain(name)
      }
      expect(ended.stderr).not.toContain(key)
    }))
})
