/** What outlives a process, and what clients hear of one that is busy, slow or leaving. Each row has a server of its own. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { json, underWay } from "../../support/client.ts"
import { startFresh, temporaryFolder } from "../../support/server.ts"
import { until } from "../../support/until.ts"
import { recordingOf } from "../../support/wav.ts"
import { another } from "../another.ts"
import { askOf, exactly, refused, replied, streamed } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { operator, type Section, Subject } from "../kit.ts"

const allModels = (faults: object) => ({ "llm-primary": faults, "llm-secondary": faults, "llm-anthropic": faults })

export const life: Section = {
  "sessions, replies with a name and dead letters survive a kill and a restart": Effect.gen(function*() {
    const { isShared } = yield* Subject
    const folder = yield* temporaryFolder
    const one = yield* another({}, Effect.succeed(folder))
    const named = { "idempotency-key": `restart-${folder}` }
    const first = yield* one.chat({ message: "Lisbon" }, named)
    const { session_id } = replied(first, 200, Bodies.ChatReply)
    const said = json(yield* one.ask(`GET /v1/sessions/${session_id}`))
    yield* one.setFaults(allModels({ down: true }))
    const { letter_id } = replied(yield* one.chat({ message: "by train" }), 200, Bodies.ChatReply)
    yield* Effect.promise(() => one.server.stop("SIGKILL"))
    // Where the stores are shared, the next one needs nothing of this machine.
    const two = yield* another({}, isShared ? temporaryFolder : Effect.succeed(folder))
    expect(replied(yield* two.ask(`GET /v1/sessions/${session_id}`), 200, Bodies.Session)).toEqual(said)
    const again = yield* two.chat({ message: "Lisbon" }, named)
    expect([again.headers.get("idempotency-replayed"), json(again)]).toEqual(["true", json(first)])
    const letter = yield* two.ask(`GET /admin/dlq/${letter_id}`, { headers: operator })
    expect(replied(letter, 200, Bodies.OpenedLetter).state).toBe("Dead")
  }),

  "a client that goes away is logged with status 499": Effect.gen(function*() {
    const { server, setFaults } = yield* another({})
    yield* setFaults({ "llm-primary": { hang: true } })
    const talking = yield* underWay(
      server,
      Effect.promise((signal) =>
        fetch(`${server.origin}/v1/agents/travel_planner/chat`, {
          method: "POST",
          headers: {
            "content-type": "application/json",
            "x-request-id": "left-early",
            "x-api-key": operator["x-api-key"]
          },
          body: JSON.stringify({ message: "hello?" }),
          signal
        })
      )
    )
    yield* Fiber.interrupt(talking)
    const lines = Effect.sync(() => server.output().split("\n").filter((line) => line.includes("left-early")))
    yield* until(lines, (lines) => lines.some((line) => line.includes("\"status\":499")))
  }),

  "what takes too long is 504, in a stream its last event": Effect.gen(function*() {
    const { ask, chat, setFaults } = yield* another({ MAX_RUN_SECONDS: "5" })
    // The first word is in time, and the last one is not.
    const slow = allModels({ latency_ms: 0, jitter_ms: 0, chunk_ms: 500 })
    yield* setFaults({ ...slow, "stt-primary": { hang: true }, "stt-backup": { hang: true } })
    const [spoken, written] = yield* Effect.all([
      ask("POST /v1/speech_to_speech", { body: recordingOf("hi") }),
      chat({ message: "slowly", stream: true })
    ], { concurrency: 2 })
    refused(spoken, 504, "deadline_exceeded")
    expect(streamed(written, Bodies.chatEvents).at(-1)).toMatchObject({
      event: "error",
      data: { status: 504, code: "deadline_exceeded" }
    })
  }),

  "one request too many is 503 with Retry-After, and probes are let in": Effect.gen(function*() {
    const { ask, chat, setFaults } = yield* another({ MAX_IN_FLIGHT: "1" })
    yield* setFaults(allModels({ hang: true }))
    // One of them is under way when the other one comes, whichever that is.
    const talking = Effect.forkChild(chat({ message: "hello?" }), { startImmediately: true })
    const reply = yield* Effect.raceFirst(Fiber.join(yield* talking), Fiber.join(yield* talking))
    expect(refused(reply, 503, "overloaded").retry_after).toBeGreaterThan(0)
    for (const path of ["/livez", "/health/ready"] as const) expect((yield* ask(`GET ${path}`)).status).toBe(200)
  }),

  "a server that is told to stop says so at once, and serves on": Effect.gen(function*() {
    const { ask, chat, server } = yield* another({ PRE_STOP_DELAY: "300", TERMINATION_GRACE_PERIOD_SECONDS: "600" })
    yield* Effect.forkChild(Effect.promise(() => server.stop("SIGTERM")), { startImmediately: true })
    const ready = yield* until(ask("GET /health/ready"), ({ status }) => status === 503)
    expect(exactly(Bodies.Probe, json(ready))).toMatchObject({ status: "unhealthy", draining: true })
    expect(ready.headers.get("cache-control")).toBe("no-store")
    expect((yield* ask("GET /readyz")).status).toBe(503)
    expect((yield* ask("GET /health/live")).status).toBe(200)
    replied(yield* chat({ message: "still there?" }), 200, Bodies.ChatReply)
  }),

  "what is under way when it has to go is 503 with Retry-After, in a stream its last event": Effect.gen(function*() {
    for (const stream of [false, true]) {
      const { chat, server, setFaults } = yield* another({ DRAIN_TIMEOUT: "300 millis" })
      yield* setFaults(allModels({ hang: true }))
      const talking = yield* underWay(server, chat({ message: "hello?", stream }))
      yield* Effect.forkChild(Effect.promise(() => server.stop("SIGTERM")), { startImmediately: true })
      const reply = yield* Fiber.join(talking)
      if (stream) {
        const last = streamed(reply, Bodies.chatEvents).at(-1)
        expect(last).toMatchObject({ event: "error", data: { code: "shutting_down", retry_after: 1 } })
      } else {expect([refused(reply, 503, "shutting_down").retry_after, reply.headers.get("retry-after")]).toEqual([
          1,
          "1"
        ])}
    }
  }),

  "with real models there are no faults to speak of": Effect.gen(function*() {
    // Nobody listens there, and nobody is asked.
    const server = yield* startFresh({ ...(yield* Subject).environment, OPENAI_BASE_URL: "http://127.0.0.1:9/v1" })
    for (const asked of ["GET /sim/faults", "PUT /sim/faults", "GET /sim/ledger"] as const) {
      const body = asked.startsWith("PUT") ? { body: {} } : {}
      refused(yield* askOf(server, asked, { ...body, headers: operator }), 404, "not_simulated")
    }
  })
}
