/** Turns that failed for good: kept, told, and completed once. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { chat, events, json, request } from "./support/client.ts"
import { admin, breakModels, failing, redrive, redriveEvents, saidIn, statesOf } from "./support/letters.ts"
import { type RunningServer, start, startFresh, temporaryFolder, unlimitedKey } from "./support/server.ts"
import { until } from "./support/until.ts"
import { replyJson, upstream } from "./support/upstream.ts"
import { say } from "./support/voice.ts"
import { recordingOf } from "./support/wav.ts"

const down = { down: true }
const mended = { down: false, latency_ms: 5, jitter_ms: 5 }

/** The user's message and one reply to it, which is not an apology. */
const expectOneTurn = (said: ReadonlyArray<readonly [string, string]>, message: string) => {
  expect(said.map(([role]) => role)).toEqual(["user", "assistant"])
  expect(said[0]?.[1]).toBe(message)
  expect(said[1]?.[1]).toContain(message)
}

const quiet = { LOG_LEVEL: "error" }

describe("a turn that fails for good", () => {
  it.live(
    "is a letter that has all it takes to do it again, before its client hears of it",
    () =>
      Effect.gen(function*() {
        const server = yield* startFresh(quiet)
        const { session_id } = json(yield* chat(server, { message: "Lisbon" }))
        yield* breakModels(server, down)
        const { letterId, sessionId } = yield* failing(server, { message: "By train", session_id }, {
          headers: { "x-request-id": "order-7", "idempotency-key": "k-7", "x-api-key": unlimitedKey }
        })
        expect(sessionId).toBe(session_id)
        const { letters } = json(yield* admin(server, "/admin/dlq?state=Dead"))
        expect(letters.map(({ id }: { id: string }) => id)).toEqual([letterId])
        const letter = yield* admin(server, `/admin/dlq/${letterId}`)
        expect(letter.text).not.toContain(unlimitedKey)
        const { causes, failure, history, payload, payload_version, trace } = json(letter)
        expect(payload).toMatchObject({
          agent: "travel_planner",
          session_id,
          first: false,
          after: 2,
          message: "By train",
          request_id: "order-7",
          idempotency_key: "k-7"
        })
        expect(new Date(payload.asked_at).toISOString()).toBe(payload.asked_at)
        expect(payload_version).toBe(1)
        expect(failure.kind).toMatch(/^(Transient|Overloaded)$/)
        expect(causes.length).toBeGreaterThan(0)
        expect(history.map(({ event }: { event: string }) => event)).toEqual(["Offered"])
        expect(trace.trace_id).toMatch(/^[0-9a-f]{32}$/)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("is told as an event where it is streamed", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      yield* breakModels(server, { truncate_stream_at: 3 })
      const reply = yield* chat(server, { message: "Lisbon", stream: true })
      const last = events(reply).at(-1)
      expect(last).toMatchObject({ event: "error", data: { code: "bad_upstream" } })
      expect(yield* statesOf(server)).toEqual({ [last?.data.letter_id]: "Dead" })
      yield* breakModels(server, { truncate_stream_at: null })
      expect((yield* redrive(server, { ids: [last?.data.letter_id] })).counts.redriven).toBe(1)
      expectOneTurn(yield* saidIn(server, last?.data.session_id), "Lisbon")
    }).pipe(Effect.scoped), 60_000)

  it.live("that was spoken is one from its transcript on", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      yield* breakModels(server, down)
      const spoken = yield* say(server, recordingOf("Lisbon"))
      const { letter_id, session_id } = json(spoken)
      expect([spoken.status, spoken.headers.get("x-dead-letter")]).toEqual([200, letter_id])
      expect(json(yield* admin(server, `/admin/dlq/${letter_id}`)).payload.message).toBe("Lisbon")
      yield* breakModels(server, mended)
      expect((yield* redrive(server, { ids: [letter_id] })).counts.redriven).toBe(1)
      expectOneTurn(yield* saidIn(server, session_id), "Lisbon")
    }).pipe(Effect.scoped), 60_000)

  it.live("is none where the request is to blame, or the client goes away", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response, { body }) => {
        const message: string = body.messages.at(-1).content
        if (message === "hang") return
        replyJson(
          response,
          JSON.stringify({
            error: message === "long"
              ? { message: "too long", type: "invalid_request_error", code: "context_length_exceeded" }
              : { message: "refused", type: "invalid_request_error", code: "content_policy_violation" }
          }),
          400
        )
      })
      const server = yield* startFresh({ ...quiet, OPENAI_BASE_URL: provider.baseUrl, OPENAI_API_KEY: "key" })
      const statuses = yield* Effect.forEach(
        [
          chat(server, { message: "" }),
          chat(server, { message: "x" }, { agent: "nobody" }),
          chat(server, { message: "x", session_id: "unknown" }),
          chat(server, { message: "long" }),
          chat(server, { message: "refused" })
        ],
        Effect.map(({ headers, status }) => [status, headers.get("x-dead-letter")])
      )
      expect(statuses).toEqual([400, 404, 404, 422, 422].map((status) => [status, null]))
      const left = yield* Effect.forkChild(chat(server, { message: "hang" }))
      yield* Eventually.met(() => provider.calls.some(({ body }) => body.messages.at(-1).content === "hang"))
      yield* Fiber.interrupt(left)
      yield* Eventually.met(() => provider.calls.at(-1)?.aborted() === true)
      expect(yield* statesOf(server)).toEqual({})
    }).pipe(Effect.scoped), 60_000)

  it.live("DL-8 is not acknowledged as kept where it cannot be kept", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const server = yield* start(folder, quiet)
      yield* breakModels(server, down)
      const other = new DatabaseSync(join(folder, "agent.sqlite"))
      try {
        other.exec("BEGIN IMMEDIATE")
        const reply = yield* chat(server, { message: "Lisbon" })
        expect([reply.status, json(reply).code]).toEqual([503, "storage_unavailable"])
        expect([reply.headers.get("x-dead-letter"), json(reply).letter_id]).toEqual([null, undefined])
      } finally {
        other.close()
      }
      expect(yield* statesOf(server)).toEqual({})
      const { letterId } = yield* failing(server, { message: "Lisbon" })
      expect(yield* statesOf(server)).toEqual({ [letterId]: "Dead" })
    }).pipe(Effect.scoped), 60_000)
})

describe("redriving", () => {
  it.live("completes turns in their sessions, each once, with progress", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      const { session_id } = json(yield* chat(server, { message: "Lisbon" }))
      yield* breakModels(server, down)
      const later = yield* failing(server, { message: "By train", session_id })
      const fresh = yield* failing(server, { message: "Graphs" }, { agent: "viva_examiner" })
      yield* breakModels(server, mended)
      const between = json(yield* chat(server, { message: "By bus", session_id }))

      const dry = yield* redrive(server, { filter: { state: ["Dead"] }, dry_run: true })
      expect([dry.counts.due, dry.total]).toEqual([2, 2])
      const told = yield* redriveEvents(server, { filter: { state: ["Dead"] } })
      expect(told.map(({ event }) => event)).toEqual(["start", "progress", "progress", "done"])
      expect(told.slice(1, 3).map(({ data }) => [data.id, data.outcome, data.done, data.total])).toEqual([
        [later.letterId, "redriven", 1, 2],
        [fresh.letterId, "redriven", 2, 2]
      ])
      expect(told.at(-1)?.data.counts.redriven).toBe(dry.counts.due)
      expectOneTurn(yield* saidIn(server, fresh.sessionId), "Graphs")
      const said = (yield* saidIn(server, session_id)).map(([, content]) => content)
      expect(said.filter((content) => content === "By train").length).toBe(1)
      // It was asked with the history of then: it is the session's second turn, and knows nothing of the bus.
      const reply = said.find((content) => content.includes("By train") && content !== "By train")
      expect(reply).toContain("2nd")
      expect(reply).not.toContain("bus")
      expect(said).toContain(between.reply)

      expect(yield* statesOf(server)).toEqual({ [later.letterId]: "Archived", [fresh.letterId]: "Archived" })
      expect((yield* redrive(server, { ids: [fresh.letterId] })).counts.skipped).toBe(1)
      expectOneTurn(yield* saidIn(server, fresh.sessionId), "Graphs")
    }).pipe(Effect.scoped), 60_000)

  it.live("leaves what fails again as it is, until it is set aside", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      yield* breakModels(server, down)
      const { letterId } = yield* failing(server, { message: "Lisbon" })
      for (let round = 1; round <= 5; round++) {
        const { counts } = yield* redrive(server, { ids: [letterId] })
        expect([round, counts.failed]).toEqual([round, 1])
      }
      expect(yield* statesOf(server)).toEqual({ [letterId]: "Quarantined" })
      const { attempts, reason } = json(yield* admin(server, `/admin/dlq/${letterId}`))
      expect([attempts.delivered, reason.tag]).toEqual([5, "MaxRedrives"])
    }).pipe(Effect.scoped), 60_000)

  it.live("by two operators at once does each turn once", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      yield* breakModels(server, down)
      const dead = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, index) => `trip ${index}`),
        (message) => failing(server, { message }),
        { concurrency: 4 }
      )
      yield* resetCircuits(server)
      yield* breakModels(server, mended)
      const asked = { filter: { state: ["Dead"] }, concurrency: 4 }
      const [one, other] = yield* Effect.all([redrive(server, asked), redrive(server, asked)], { concurrency: 2 })
      expect(one.counts.redriven + other.counts.redriven).toBe(12)
      for (const { sessionId } of dead) expect((yield* saidIn(server, sessionId)).length).toBe(2)
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "goes on after the process was killed in the middle, and no turn is there twice",
    () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const first = yield* start(folder, quiet)
        yield* breakModels(first, down)
        const dead = yield* Effect.forEach(
          Array.from({ length: 40 }, (_, index) => `trip ${index}`),
          (message) => failing(first, { message }),
          { concurrency: 4 }
        )
        yield* resetCircuits(first)
        yield* breakModels(first, { down: false, latency_ms: 20, jitter_ms: 80 })
        yield* Effect.forkChild(Effect.exit(redrive(first, { filter: { state: ["Dead"] }, concurrency: 6 })))
        const archived = (states: Readonly<Record<string, string>>) =>
          Object.values(states).filter((state) => state === "Archived").length
        yield* until(statesOf(first), (states) => archived(states) >= 8)
        yield* Effect.promise(() => first.stop("SIGKILL"))

        const second = yield* start(folder, quiet)
        const states = yield* statesOf(second)
        expect(Object.keys(states).length).toBe(40)
        expect(archived(states)).toBeGreaterThanOrEqual(8)
        expect(archived(states)).toBeLessThan(40)
        // What the dead process had in hand is free when its lease has ended.
        yield* until(
          Effect.andThen(redrive(second, { filter: { state: ["Dead"] }, concurrency: 6 }), statesOf(second)),
          (states) => archived(states) === 40,
          { every: "250 millis" }
        )
        for (const [index, { sessionId }] of dead.entries()) {
          expectOneTurn(yield* saidIn(second, sessionId), `trip ${index}`)
        }
      }).pipe(Effect.scoped),
    90_000
  )

  it.live(
    "of a turn that its client has asked for again finds it done, and the client gets the reply of a redrive",
    () =>
      Effect.gen(function*() {
        const server = yield* startFresh(quiet)
        yield* breakModels(server, { truncate_stream_at: 2 })
        const key = (name: string) => ({ headers: { "idempotency-key": name } })
        const dead = (name: string) =>
          Effect.map(
            chat(server, { message: "Lisbon", stream: true }, key(name)),
            (reply) => events(reply).at(-1)?.data
          )
        const [one, other] = [yield* dead("one"), yield* dead("other")]
        // The same work that fails again is the same letter.
        expect((yield* dead("one")).letter_id).toBe(one.letter_id)
        expect(json(yield* admin(server, `/admin/dlq/${one.letter_id}`)).occurrences).toBe(2)
        yield* breakModels(server, { truncate_stream_at: null })

        const answered = json(yield* chat(server, { message: "Lisbon" }, key("one")))
        expect(answered.session_id).toBe(one.session_id)
        expect((yield* statesOf(server))[one.letter_id]).toBe("Archived")
        expect((yield* saidIn(server, one.session_id)).length).toBe(2)

        yield* redrive(server, { ids: [other.letter_id] })
        const replayed = yield* chat(server, { message: "Lisbon" }, key("other"))
        expect(replayed.headers.get("idempotency-replayed")).toBe("true")
        expect(json(replayed).session_id).toBe(other.session_id)
        expect(yield* saidIn(server, other.session_id)).toEqual([["user", "Lisbon"], [
          "assistant",
          json(replayed).reply
        ]])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("of a session that was deleted fails, and brings nothing back", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      const { session_id } = json(yield* chat(server, { message: "Lisbon" }))
      yield* breakModels(server, down)
      const { letterId } = yield* failing(server, { message: "By train", session_id })
      yield* breakModels(server, mended)
      yield* request(server, `/v1/sessions/${session_id}`, { method: "DELETE" })
      const { counts, letters } = yield* redrive(server, { ids: [letterId] })
      expect([counts.failed, letters[0].failure.message]).toEqual([1, "The session was deleted, or never was"])
      expect((yield* request(server, `/v1/sessions/${session_id}`)).status).toBe(404)

      // Nor does one whose first turn got an apology.
      yield* breakModels(server, down)
      const first = yield* failing(server, { message: "Porto" })
      yield* breakModels(server, mended)
      yield* request(server, `/v1/sessions/${first.sessionId}`, { method: "DELETE" })
      expect((yield* redrive(server, { ids: [first.letterId] })).counts.failed).toBe(1)
      expect((yield* request(server, `/v1/sessions/${first.sessionId}`)).status).toBe(404)
    }).pipe(Effect.scoped), 60_000)
})

describe("letters that nobody has to ask for", () => {
  it.live("DL-13 are redriven by themselves, but not while the circuits are open", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ ...quiet, DLQ_AUTO_REDRIVE_SECONDS: "0.2" })
      const names = yield* circuits(server)
      yield* breakModels(server, down)
      const { letterId, sessionId } = yield* failing(server, { message: "Lisbon" })
      yield* Effect.forEach(names, (name) => admin(server, `/admin/circuit-breakers/${name}/open`, {}))
      const attempts = Effect.map(admin(server, `/admin/dlq/${letterId}`), (reply) => json(reply).claims)
      yield* Effect.sleep("500 millis")
      const before = yield* attempts
      yield* breakModels(server, mended)
      yield* Effect.sleep("1 second")
      expect(yield* attempts).toBe(before)
      yield* Effect.forEach(names, (name) => admin(server, `/admin/circuit-breakers/${name}/reset`, {}))
      yield* until(statesOf(server), (states) => states[letterId] === "Archived")
      expectOneTurn(yield* saidIn(server, sessionId), "Lisbon")
    }).pipe(Effect.scoped), 60_000)

  it.live("DL-10 are sealed with the keys of the environment, and old keys open them", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const [old, current] = [`2026:${"0a".repeat(32)}`, `2027:${"0b".repeat(32)}`]
      const first = yield* start(folder, { ...quiet, DLQ_ENCRYPTION_KEYS: old })
      yield* breakModels(first, { truncate_stream_at: 2 })
      const last = events(yield* chat(first, { message: "canary-5b1e", stream: true })).at(-1)
      const { letter_id, session_id } = last?.data ?? {}
      yield* Effect.promise(() => first.stop("SIGTERM"))
      for (const file of ["agent.sqlite"]) expect(readFileSync(join(folder, file)).includes("canary-5b1e")).toBe(false)

      const second = yield* start(folder, { ...quiet, DLQ_ENCRYPTION_KEYS: `${current},${old}` })
      expect(json(yield* admin(second, `/admin/dlq/${letter_id}`)).payload.message).toBe("canary-5b1e")
      expect((yield* redrive(second, { ids: [letter_id] })).counts.redriven).toBe(1)
      expectOneTurn(yield* saidIn(second, session_id), "canary-5b1e")
    }).pipe(Effect.scoped), 60_000)
})

const circuits = (server: RunningServer): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(admin(server, "/admin/circuit-breakers"), (reply) =>
    json(reply).circuit_breakers
      .map(({ name }: { readonly name: string }) => name)
      .filter((name: string) => name.startsWith("llm-")))

/** As if the providers had been well for a while. */
const resetCircuits = (server: RunningServer) =>
  Effect.flatMap(
    circuits(server),
    (names) => Effect.forEach(names, (name) => admin(server, `/admin/circuit-breakers/${name}/reset`, {}))
  )
