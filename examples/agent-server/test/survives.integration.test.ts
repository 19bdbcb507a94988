/** The main job: it answers while its provider fails, and what it has answered is kept. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chat, events, json, request, setAllFaults, setFaults, unlimited } from "./support/client.ts"
import { type RunningServer, start, startFresh, temporaryFolder } from "./support/server.ts"

const storm = { error_rate: 0.3, rate_limit_rate: 0.05, retry_after: 1 }

/** What a chat is answered while the providers of all models have these faults, which are mended after it. */
const answerUnder = (server: RunningServer) => (faults: object, stream: boolean) =>
  Effect.gen(function*() {
    yield* setAllFaults(server, faults)
    const reply = yield* chat(server, { message: "still there?", stream })
    yield* setAllFaults(server, { down: false, garbage: false, hang: false, truncate_stream_at: null })
    return stream ? events(reply).at(-1)?.data : json(reply)
  })

describe("while the provider fails", () => {
  it.live(
    "1,000 chats with 30 % errors and 5 % rate limits get at least 99 % answers, plain and streamed",
    () =>
      Effect.gen(function*() {
        const server = yield* startFresh({ LOG_LEVEL: "error", SIM_SEED: "7" })
        yield* setAllFaults(server, storm)
        const outcomes = yield* Effect.forEach(
          Array.from({ length: 1000 }, (_, index) => index),
          (index) =>
            Effect.map(chat(server, { message: `trip ${index}`, stream: index % 2 === 0 }, unlimited), (reply) => {
              if (reply.status !== 200) return false
              // An apology is no answer here.
              const answer = index % 2 === 0 ? events(reply).at(-1)?.data : json(reply)
              return answer.reply?.includes(`trip ${index}`) === true
            }),
          { concurrency: 100 }
        )
        expect(outcomes.filter(Boolean).length).toBeGreaterThanOrEqual(990)
      }).pipe(Effect.scoped),
    120_000
  )

  it.live("1,000 chats in flight at once are fine", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      yield* setFaults(server, { latency_ms: 500 })
      const replies = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, index) => index),
        (index) => chat(server, { message: `trip ${index}` }, unlimited),
        { concurrency: "unbounded" }
      )
      expect(replies.filter(({ status }) => status === 200).length).toBe(1000)
      expect(new Set(replies.map((reply) => json(reply).session_id)).size).toBe(1000)
    }).pipe(Effect.scoped), 120_000)

  it.live("a reply says how many attempts it took", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error", SIM_SEED: "3" })
      yield* setFaults(server, { error_rate: 0.6 })
      const replies = yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) => index),
        (index) => chat(server, { message: `trip ${index}` }, unlimited),
        { concurrency: "unbounded" }
      )
      const attempts = replies.filter(({ status }) => status === 200).map((reply) => json(reply).served.attempts)
      expect(attempts.length).toBe(20)
      expect(Math.max(...attempts)).toBeGreaterThan(1)
    }).pipe(Effect.scoped))

  it.live(
    "an outage, garbage and half a reply each get an apology at the worst, and then it goes on",
    () =>
      Effect.gen(function*() {
        const server = yield* startFresh({ LOG_LEVEL: "error" })
        const under = answerUnder(server)
        for (const stream of [false, true]) {
          for (const faults of [{ down: true }, { garbage: true }]) {
            expect((yield* under(faults, stream)).served).toMatchObject({ route: "static", degraded: true })
          }
          const half = yield* under({ truncate_stream_at: 3 }, stream)
          // What a client has seen the beginning of cannot be said anew by somebody else.
          if (stream) expect(half).toMatchObject({ status: 502, code: "bad_upstream" })
          else expect(half.served.route).toBe("static")
          const after = yield* chat(server, { message: "and now?", stream })
          expect(stream ? events(after).at(-1)?.event : after.status).toBe(stream ? "done" : 200)
        }
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("a hang is cut in time, and then it goes on", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error", MAX_RUN_SECONDS: "1.5" })
      const under = answerUnder(server)
      for (const stream of [false, true]) {
        expect((yield* under({ hang: true }, stream)).served).toEqual({
          route: "static",
          degraded: true,
          attempts: 3
        })
        expect((yield* chat(server, { message: "and now?", stream })).status).toBe(200)
      }
    }).pipe(Effect.scoped))

  it.live("a stream that goes on for too long is cut, with a problem that says so", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error", MAX_RUN_SECONDS: "3" })
      yield* setFaults(server, { chunk_ms: 400 })
      const all = events(yield* chat(server, { message: "slowly", stream: true }))
      expect(all.filter(({ event }) => event === "delta").length).toBeGreaterThan(0)
      expect(all.at(-1)).toMatchObject({ event: "error", data: { status: 504, code: "deadline_exceeded" } })
    }).pipe(Effect.scoped))

  it.live("a turn that failed leaves nothing behind", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ MAX_RUN_SECONDS: "1.5" })
      const { session_id } = json(yield* chat(server, { message: "begin" }))
      yield* setFaults(server, { truncate_stream_at: 3 })
      for (let time = 0; time < 2; time++) {
        const lost = yield* chat(server, { message: "lost", session_id, stream: true })
        expect(events(lost).at(-1)?.event).toBe("error")
      }
      yield* setFaults(server, { truncate_stream_at: null })
      const after = json(yield* chat(server, { message: "go on", session_id }))
      expect(after.reply).toContain("2nd")
      const { messages } = json(yield* request(server, `/v1/sessions/${session_id}`))
      expect(messages.map(({ content }: { content: string }) => content)).toEqual([
        "begin",
        expect.any(String),
        "go on",
        after.reply
      ])
    }).pipe(Effect.scoped))
})

describe("history", () => {
  it.live("survives a restart, whether the server was asked to stop or killed", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const first = yield* start(folder)
      const { session_id } = json(yield* chat(first, { message: "Lisbon" }))
      const ended = yield* Effect.promise(() => first.stop("SIGTERM"))
      expect([ended.code, ended.signal]).toEqual([0, null])

      const second = yield* start(folder)
      const again = json(yield* chat(second, { message: "by train", session_id }))
      expect(again.reply).toContain("Lisbon")
      yield* Effect.promise(() => second.stop("SIGKILL"))

      const third = yield* start(folder)
      expect(json(yield* request(third, `/v1/sessions/${session_id}`)).messages.length).toBe(4)
    }).pipe(Effect.scoped))

  it.live(
    "has every turn whose reply a client got, when the server is killed in the middle of many",
    () =>
      Effect.gen(function*() {
        const folder = yield* temporaryFolder
        const first = yield* start(folder, { LOG_LEVEL: "error" })
        yield* setFaults(first, { latency_ms: 0, jitter_ms: 30 })
        const acknowledged = new Map<string, string>()
        let replies = 0
        const talking = Effect.forEach(
          Array.from({ length: 400 }, (_, index) => index),
          (index) =>
            Effect.tap(
              Effect.exit(chat(first, { message: `trip ${index}`, stream: index % 2 === 0 }, unlimited)),
              (exit) =>
                Effect.promise(async () => {
                  if (exit._tag === "Failure" || exit.value.status !== 200) {
                    return
                  }
                  const done = index % 2 === 0 ? events(exit.value).at(-1) : { event: "done", data: json(exit.value) }
                  if (done?.event === "done") {
                    acknowledged.set(done.data.session_id, done.data.reply)
                  }
                  if (++replies === 60) {
                    await first.stop("SIGKILL")
                  }
                })
            ),
          { concurrency: 20 }
        )
        yield* talking
        expect(acknowledged.size).toBeGreaterThanOrEqual(50)
        expect(acknowledged.size).toBeLessThan(400)

        const second = yield* start(folder, { LOG_LEVEL: "error" })
        for (const [id, reply] of acknowledged) {
          const session = json(yield* request(second, `/v1/sessions/${id}`, unlimited))
          expect(session.messages.map(({ role }: { role: string }) => role)).toEqual(["user", "assistant"])
          expect(session.messages[1].content).toBe(reply)
        }
      }).pipe(Effect.scoped),
    60_000
  )
})
