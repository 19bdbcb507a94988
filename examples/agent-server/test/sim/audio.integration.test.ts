/** The simulated speech providers, as the official client of the real ones sees them, and as they bill. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import OpenAI, { toFile } from "openai"
import * as Wav from "../../src/audio/wav.ts"
import * as Faults from "../../src/sim/faults.ts"
import * as Simulator from "../../src/sim/Simulator.ts"
import { providers, quick, simulated } from "../support/simulated.ts"
import { recordingOf, silence } from "../support/wav.ts"

const setUp = Effect.gen(function*() {
  const simulator = yield* Simulator.Simulator
  yield* simulator.change({ "stt-backup": quick, "tts-backup": quick })
  const clientOf = (name: Simulator.Name) =>
    new OpenAI({ baseURL: simulator.baseUrl(name), apiKey: "any", maxRetries: 0, timeout: 1000 })
  const stt = clientOf("stt-backup")
  const tts = clientOf("tts-backup")
  return {
    simulator,
    transcribe: (bytes: Uint8Array) =>
      Effect.promise(async () =>
        stt.audio.transcriptions.create({ model: "whisper-1", file: await toFile(bytes, "speech.wav") })
      ),
    speak: (input: string) =>
      Effect.promise(async () => {
        const response = await tts.audio.speech.create({
          model: "tts-1",
          voice: "alloy",
          input,
          response_format: "wav"
        })
        return { response, bytes: new Uint8Array(await response.arrayBuffer()) }
      })
  }
})

const failureOf = (call: Promise<unknown>) => Effect.promise(() => call.then(() => undefined, (e: unknown) => e))

describe("a transcription", () => {
  it.live("is what the recording's comment says, and the same for the same recording without one", () =>
    simulated(Effect.gen(function*() {
      const { simulator, transcribe } = yield* setUp
      expect((yield* transcribe(recordingOf("Grüße aus Lisbon"))).text).toBe("Grüße aus Lisbon")
      const { text } = yield* transcribe(recordingOf())
      expect(text).not.toBe("")
      expect((yield* transcribe(recordingOf())).text).toBe(text)
      expect((yield* transcribe(recordingOf(undefined, 0.6))).text).not.toBe(text)
      expect((yield* transcribe(silence())).text).toBe("")
      expect(yield* simulator.ledger("stt-backup")).toMatchObject({ calls: 5, answered: 5, audioMillis: 2600 })
    })))

  it.live("of what is no recording, or of no file, is refused", () =>
    simulated(Effect.gen(function*() {
      const { simulator } = yield* setUp
      const url = `${simulator.baseUrl("stt-backup")}/audio/transcriptions`
      const form = (entries: Readonly<Record<string, string | Blob>>) => {
        const data = new FormData()
        for (const [name, value] of Object.entries(entries)) data.append(name, value)
        return data
      }
      const file = new Blob([recordingOf("hi").slice()])
      const status = (body: BodyInit) => Effect.promise(async () => (await fetch(url, { method: "POST", body })).status)
      expect(yield* status(form({ model: "whisper-1", file }))).toBe(200)
      expect(yield* status(form({ model: "whisper-1", file: new Blob(["not a recording"]) }))).toBe(400)
      expect(yield* status(form({ model: "whisper-1", file: "a text" }))).toBe(400)
      expect(yield* status(form({ model: "whisper-1" }))).toBe(400)
      expect(yield* status(form({ file }))).toBe(400)
      expect(yield* status(form({ model: "whisper-1", file, response_format: "vtt" }))).toBe(400)
      expect(yield* status("{}")).toBe(400)
      expect(yield* simulator.ledger("stt-backup")).toMatchObject({ calls: 7, answered: 1, refused: 6 })
    })))
})

describe("speech", () => {
  it.live("is a real WAV file, as long as its text, and is understood by the transcription", () =>
    simulated(Effect.gen(function*() {
      const { simulator, speak, transcribe } = yield* setUp
      const short = yield* speak("Two days.")
      expect(short.response.headers.get("content-type")).toBe("audio/wav")
      const read = Wav.read(short.bytes)
      expect(read).toMatchObject({ _tag: "Wav", wav: { channels: 1, sampleRate: 16_000, bitsPerSample: 16 } })
      const duration = read._tag === "Wav" ? read.wav.durationMillis : 0
      expect(duration).toBeCloseTo("Two days.".length * 1000 / 15, 0)
      expect(read._tag === "Wav" && read.wav.peak).toBeGreaterThan(0.2)
      expect((yield* transcribe(short.bytes)).text).toBe("Two days.")
      const twice = Wav.read((yield* speak("Two days. Two days.")).bytes)
      expect(twice._tag === "Wav" && twice.wav.durationMillis).toBeGreaterThan(duration * 2)
      expect(yield* simulator.ledger("tts-backup")).toMatchObject({ calls: 2, answered: 2, characters: 9 + 19 })
    })))

  it.live("of nothing, of too much, or of a kind that there is not is refused", () =>
    simulated(Effect.gen(function*() {
      const { simulator } = yield* setUp
      const tts = new OpenAI({ baseURL: simulator.baseUrl("tts-backup"), apiKey: "any", maxRetries: 0 })
      const speech = { model: "tts-1", voice: "alloy", input: "hi", response_format: "wav" as const }
      for (const wrong of [{ input: "" }, { input: "a".repeat(4097) }, { response_format: "mp3" as const }]) {
        expect(yield* failureOf(tts.audio.speech.create({ ...speech, ...wrong }))).toBeInstanceOf(
          OpenAI.BadRequestError
        )
      }
    })))
})

describe("the faults", () => {
  it.live("fall on one provider and on no other", () =>
    simulated(Effect.gen(function*() {
      const simulator = yield* Simulator.Simulator
      const { transcribe, speak } = yield* setUp
      yield* simulator.change({
        "stt-primary": { down: true },
        "tts-primary": { ...quick, error_rate: 1, status: 503 }
      })
      const primary = (name: Simulator.Name) =>
        new OpenAI({ baseURL: simulator.baseUrl(name), apiKey: "any", maxRetries: 0, timeout: 1000 })
      const file = yield* Effect.promise(() => toFile(recordingOf("hi"), "speech.wav"))
      expect(
        yield* failureOf(primary("stt-primary").audio.transcriptions.create({ model: "whisper-1", file }))
      ).toBeInstanceOf(OpenAI.APIConnectionError)
      expect(
        yield* failureOf(primary("tts-primary").audio.speech.create({ model: "tts-1", voice: "alloy", input: "hi" }))
      ).toBeInstanceOf(OpenAI.InternalServerError)
      expect((yield* transcribe(recordingOf("hi"))).text).toBe("hi")
      expect((yield* speak("hi")).bytes.length).toBeGreaterThan(44)
    })))

  it.live("that fall on every call fall on the list of models too, which moves nothing else", () =>
    simulated(Effect.gen(function*() {
      const simulator = yield* Simulator.Simulator
      const list = (name: Simulator.Name) =>
        Effect.promise(async () => {
          const root = simulator.baseUrl(name).replace(/\/v1$/, "")
          const response = await fetch(`${root}/v1/models`)
          return [response.status, (await response.json())?.data?.[0]?.id] as const
        })
      expect(yield* list("llm-secondary")).toEqual([200, "gpt-4o"])
      expect(yield* list("llm-anthropic")).toEqual([200, "claude-haiku-4-5"])
      expect(yield* list("stt-primary")).toEqual([200, "whisper-1"])
      expect(yield* list("tts-backup")).toEqual([200, "tts-1"])
      yield* simulator.change({ "stt-primary": { error_rate: 1, status: 503 }, "tts-backup": { error_rate: 0.9 } })
      expect((yield* list("stt-primary"))[0]).toBe(503)
      for (let time = 0; time < 5; time++) expect((yield* list("tts-backup"))[0]).toBe(200)
      yield* simulator.change({ "stt-primary": { down: true } })
      expect(yield* Effect.exit(list("stt-primary"))).toMatchObject({ _tag: "Failure" })
      expect(yield* simulator.ledger("stt-primary")).toMatchObject({ calls: 0 })
    })))

  it.live("break speech after so many words", () =>
    simulated(Effect.gen(function*() {
      const simulator = yield* Simulator.Simulator
      yield* simulator.change({ "tts-primary": { ...quick, chunk_ms: 5, truncate_stream_at: 2 } })
      const broken = yield* Effect.promise(async () => {
        const response = await fetch(`${simulator.baseUrl("tts-primary")}/audio/speech`, {
          method: "POST",
          body: JSON.stringify({ model: "tts-1", voice: "alloy", input: "one two three", response_format: "wav" })
        })
        return [response.status, await response.arrayBuffer().then(() => "whole", () => "broken")]
      })
      expect(broken).toEqual([200, "broken"])
      expect(yield* simulator.ledger("tts-primary")).toMatchObject({ brokenOff: 1, answered: 0, characters: 8 })
    })))

  it.live("are listed for all seven, and changed for those that are given", () =>
    simulated(Effect.gen(function*() {
      const simulator = yield* Simulator.Simulator
      expect(Object.keys(yield* simulator.faults)).toEqual(providers)
      const changed = yield* simulator.change({ "stt-backup": { hang: true }, "tts-backup": { down: true } })
      expect(changed).toEqual({
        ...Object.fromEntries(Object.keys(changed).map((name) => [name, Faults.none])),
        "stt-backup": { ...Faults.none, hang: true },
        "tts-backup": { ...Faults.none, down: true }
      })
    })))
})
