/** Speaking over an answer, and what is kept of how long turns took. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { chat, events, json, request, setFaultsOf } from "./support/client.ts"
import { type RunningServer, runToEnd, start, startFresh, temporaryFolder } from "./support/server.ts"
import { say } from "./support/voice.ts"
import { recordingOf } from "./support/wav.ts"

/** The turns that were kept, the oldest first. They are `any`: the tests say what must be in them. */
const kept = (folder: string): ReadonlyArray<any> => {
  const path = join(folder, "logs", "metrics.jsonl")
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line)) : []
}

/** Begins a turn in a stream and waits until it is at this step. Hands out the session and the end of it. */
const beginTurn = (server: RunningServer, step: string, query: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function*() {
    const controller = new AbortController()
    const response = yield* Effect.promise(() =>
      fetch(`${server.origin}/v1/speech_to_speech?${new URLSearchParams(query)}`, {
        method: "POST",
        signal: controller.signal,
        headers: { "content-type": "audio/wav", accept: "text/event-stream" },
        body: recordingOf("Lisbon").slice()
      })
    )
    let text = ""
    const reading = yield* Effect.forkChild(Effect.promise(async () => {
      const decoder = new TextDecoder()
      try {
        for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true })
      } catch {
        // It was aborted, by the test.
      }
    }))
    const read = () => events({ status: response.status, headers: response.headers, text })
    yield* Eventually.met(() => text.includes(`"${step}"`) && text.endsWith("\n\n"))
    const sessionId: string = read()[0]?.data.session_id
    return {
      sessionId,
      abort: () => controller.abort(),
      end: Effect.map(Fiber.join(reading), () => read().at(-1))
    }
  })

describe("a newer turn of a session", () => {
  for (const [step, provider] of [["Transcribing", "stt"], ["Thinking", "llm"], ["Speaking", "tts"]] as const) {
    it.live(`interrupts one that is ${step}, whose client is told so`, () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const server = yield* start(folder, { LOG_LEVEL: "error" })
        const { session_id } = json(yield* say(server, recordingOf("begin")))
        yield* setFaultsOf(server, { [`${provider}-primary`]: { hang: true } })
        const older = yield* beginTurn(server, step, { session_id })
        yield* setFaultsOf(server, { [`${provider}-primary`]: { hang: false } })
        const newer = yield* say(server, recordingOf("Porto"), { query: { session_id } })
        expect([newer.status, json(newer).transcript]).toEqual([200, "Porto"])
        const last = yield* older.end
        expect([last?.event, last?.data.code, last?.data.status]).toEqual(["error", "turn_interrupted", 409])
        // What was thought about was stored, and what was not, was not.
        const { messages } = json(yield* request(server, `/v1/sessions/${session_id}`))
        const said = messages.filter(({ role }: { role: string }) => role === "user")
        expect(said.map(({ content }: { content: string }) => content)).toEqual(
          step === "Speaking" ? ["begin", "Lisbon", "Porto"] : ["begin", "Porto"]
        )
        expect(kept(folder).map(({ barge_ins, outcome }) => [outcome, barge_ins])).toEqual([
          ["completed", 0],
          ["interrupted", 1],
          ["completed", 0]
        ])
      }).pipe(Effect.scoped))
  }

  it.live("interrupts also the first one, before there is anything of the session", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      yield* setFaultsOf(server, { "llm-primary": { hang: true } })
      const older = yield* beginTurn(server, "Thinking")
      yield* setFaultsOf(server, { "llm-primary": { hang: false } })
      const newer = yield* say(server, recordingOf("Porto"), { query: { session_id: older.sessionId } })
      expect([newer.status, json(newer).session_id]).toEqual([200, older.sessionId])
      expect(json(newer).reply).toContain("A good place to begin.")
      expect((yield* older.end)?.data.code).toBe("turn_interrupted")
    }).pipe(Effect.scoped))

  it.live("is a problem with its status where no stream was asked for", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      const { session_id } = json(yield* chat(server, { message: "begin" }))
      yield* setFaultsOf(server, { "llm-primary": { hang: true } })
      const older = yield* Effect.forkChild(say(server, recordingOf("Lisbon"), { query: { session_id } }))
      yield* Effect.sleep("500 millis")
      yield* setFaultsOf(server, { "llm-primary": { hang: false } })
      expect((yield* say(server, recordingOf("Porto"), { query: { session_id } })).status).toBe(200)
      const interrupted = yield* Fiber.join(older)
      expect([interrupted.status, json(interrupted).code]).toEqual([409, "turn_interrupted"])
    }).pipe(Effect.scoped))

  it.live("that is a bad one interrupts nothing", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      yield* setFaultsOf(server, { "llm-primary": { latency_ms: 1500 } })
      const older = yield* beginTurn(server, "Thinking")
      const bad = yield* say(server, "no recording", { query: { session_id: older.sessionId } })
      expect(bad.status).toBe(422)
      expect((yield* older.end)?.event).toBe("done")
    }).pipe(Effect.scoped))
})

describe("a client that goes away", () => {
  it.live("ends its turn, of which nothing is stored", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const server = yield* start(folder, { LOG_LEVEL: "error" })
      yield* setFaultsOf(server, { "llm-primary": { hang: true } })
      const left = yield* beginTurn(server, "Thinking")
      left.abort()
      yield* Eventually.met(() => kept(folder).length === 1)
      expect(kept(folder)).toMatchObject([{
        session_id: left.sessionId,
        outcome: "interrupted",
        barge_ins: 0,
        errors: 0
      }])
      expect((yield* request(server, `/v1/sessions/${left.sessionId}`)).status).toBe(404)
    }).pipe(Effect.scoped))
})

describe("how long turns took", () => {
  it.live("is kept for each of them, voice and text", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const server = yield* start(folder, { LOG_LEVEL: "error" })
      const voice = json(yield* say(server, recordingOf("Lisbon")))
      const text = json(yield* chat(server, { message: "Porto" }))
      yield* chat(server, { message: "Faro", stream: true })
      yield* setFaultsOf(server, { "tts-primary": { down: true }, "tts-backup": { down: true } })
      yield* say(server, recordingOf("Lisbon"))
      const [first, second, third, fourth] = kept(folder)
      expect(first).toMatchObject({ session_id: voice.session_id, outcome: "completed", errors: 0 })
      for (const stage of ["asr", "llm", "tts", "tts_ttfb", "e2e"]) expect(first[stage].measurements).toBe(1)
      expect(first.e2e.avg_latency_ms).toBeCloseTo(voice.latency_ms.e2e, 1)
      expect(first.llm.tokens).toBe(voice.usage.completion_tokens)
      for (const line of [second, third]) {
        expect([line.asr.measurements, line.llm.measurements, line.e2e.measurements]).toEqual([0, 1, 0])
      }
      expect(second.session_id).toBe(text.session_id)
      // A reply that could not be spoken: an error of that stage, and not a measurement.
      expect([fourth.llm.measurements, fourth.tts.measurements, fourth.e2e.measurements, fourth.errors]).toEqual([
        1,
        0,
        0,
        1
      ])
    }).pipe(Effect.scoped))

  it.live("survives kill -9: the averages are the same afterwards", () =>
    Effect.gen(function*() {
      const averages = (server: RunningServer) =>
        Effect.map(request(server, "/api/v1/monitoring/metrics"), (reply) => json(reply).avg_latencies_ms)
      const folder = yield* temporaryFolder
      const first = yield* start(folder, { LOG_LEVEL: "error" })
      for (let turn = 0; turn < 5; turn++) yield* say(first, recordingOf("Lisbon"))
      yield* chat(first, { message: "Porto" })
      const before = yield* averages(first)
      for (const stage of ["asr", "llm", "tts", "e2e", "pipeline"]) expect(before[stage]).toBeGreaterThan(0)
      yield* setFaultsOf(first, { "llm-primary": { hang: true } })
      yield* beginTurn(first, "Thinking")
      yield* Effect.promise(() => first.stop("SIGKILL"))

      const lines = kept(folder)
      expect(lines.length).toBe(6)
      const second = yield* start(folder, { LOG_LEVEL: "error" })
      expect(yield* averages(second)).toEqual(before)
      yield* say(second, recordingOf("Faro"))
      yield* Effect.promise(() => second.stop("SIGKILL"))
      expect(kept(folder).slice(0, 6)).toEqual(lines)
      expect(kept(folder).length).toBe(7)
    }).pipe(Effect.scoped))

  it.live("is kept where the environment says, and a place that cannot be had stops the start", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const path = join(folder, "elsewhere", "deep", "turns.jsonl")
      const server = yield* startFresh({ METRICS_SAVE_PATH: path })
      yield* say(server, recordingOf("Lisbon"))
      expect(readFileSync(path, "utf8").trim().split("\n").length).toBe(1)
      mkdirSync(join(folder, "directory"))
      for (const bad of [join(folder, "directory"), "/proc/nowhere/turns.jsonl"]) {
        const ended = yield* runToEnd({ PORT: "0", DATA_DIR: folder, METRICS_SAVE_PATH: bad })
        expect([ended.code, ended.stderr]).toEqual([1, expect.stringContaining("METRICS_SAVE_PATH: cannot")])
      }
    }).pipe(Effect.scoped))
})
