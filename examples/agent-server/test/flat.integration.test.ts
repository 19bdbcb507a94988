/** A server that has answered many requests of every kind holds no more than one that has answered a few. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { chat, json, type Reply, request, setAllFaults, unlimited } from "./support/client.ts"
import { samplesOf } from "./support/metrics.ts"
import { type RunningServer, startFresh } from "./support/server.ts"
import { say } from "./support/voice.ts"
import { recordingOf } from "./support/wav.ts"

const socketSeries = "nodejs_active_resources{type=TCPSocketWrap}"

/** What the server holds now. */
const held = (server: RunningServer) =>
  Effect.map(samplesOf(server), (samples) => {
    const resources = [...samples].filter(([series]) => series.startsWith("nodejs_active_resources{"))
    return {
      sockets: samples.get(socketSeries) ?? 0,
      others: Object.fromEntries(resources.filter(([series, count]) => count > 0 && series !== socketSeries)),
      series: samples.get("metrics_series{}")!,
      requests: samples.get("http_server_active_requests{}")!
    }
  })

type Held = Effect.Success<ReturnType<typeof held>>

const settled = (server: RunningServer, isSettled: (held: Held) => boolean) =>
  Effect.repeat(held(server), {
    until: isSettled,
    schedule: Schedule.spaced("250 millis").pipe(Schedule.upTo({ times: 80 }))
  })

const message = (turn: number) => ({ message: `Lisbon, the ${turn}th time` })

/** A client that goes away in the middle. */
const leave = (server: RunningServer, turn: number) =>
  Effect.ignore(Effect.timeout(chat(server, { ...message(turn), stream: true }, unlimited), 10))

/** One after the other, each in its own share of the requests. Bad ones differ in what a server might remember of them. */
const kinds: ReadonlyArray<(server: RunningServer, turn: number) => Effect.Effect<Reply | void>> = [
  (server, turn) => chat(server, message(turn), unlimited),
  (server, turn) => chat(server, { ...message(turn), stream: true }, unlimited),
  leave,
  (server, turn) => chat(server, message(turn), { headers: { ...unlimited.headers, "idempotency-key": `k${turn}` } }),
  (server, turn) => chat(server, message(turn), { ...unlimited, agent: `nobody-${turn}` }),
  (server, turn) => chat(server, message(turn), { headers: { "x-api-key": `nobody-${turn}` } }),
  (server, turn) => chat(server, { ...message(turn), session_id: `none-${turn}` }, unlimited),
  (server) => chat(server, "{", unlimited),
  (server, turn) => request(server, `/nothing/at/${turn}`),
  (server, turn) => request(server, `/v1/sessions/none-${turn}`, unlimited),
  (server, turn) => request(server, "/health/live", { method: "HEAD", headers: { "x-request-id": `r${turn}` } }),
  (server) => say(server, "not a recording", unlimited),
  (server, turn) => turn % 10 === 0 ? say(server, recordingOf(), unlimited) : request(server, "/v1/agents", unlimited),
  (server, turn) => request(server, turn % 10 === 0 ? "/metrics" : "/health/ready"),
  ...Array.from({ length: 6 }, () => (server: RunningServer) => request(server, "/v1/agents", unlimited))
]

/** What a busy client has under way at once. */
const atOnce = 32

const mixed = (server: RunningServer, from: number, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, index) => from + index),
    (turn) => kinds[turn % kinds.length]!(server, turn),
    { concurrency: atOnce, discard: true }
  )

/**
 * Connections stay open for a minute after they were used: those of the client, and of each provider that was asked, which is
 * at the other end in the same process.
 */
const mostSockets = atOnce * (1 + 7 * 2)

describe("a server", () => {
  it.live(
    "has the handles, timers and series after 10,000 mixed requests that it had after a few",
    () =>
      Effect.gen(function*() {
        const server = yield* startFresh({ LOG_LEVEL: "error" })
        // What makes no difference to what is held, and takes time.
        yield* setAllFaults(server, { latency_ms: 1, jitter_ms: 1, chunk_ms: 0 })
        yield* mixed(server, 0, 400)
        // What was under way ends within moments.
        yield* settled(server, ({ requests }) => requests === 1)
        yield* Effect.sleep("1 second")
        const before = yield* held(server)
        yield* mixed(server, 400, 10_000)
        const isFlat = ({ others, requests }: Held) =>
          requests === 1 && Object.keys(others).every((type) => others[type]! <= (before.others[type] ?? 0))
        const after = yield* settled(server, isFlat)
        expect(isFlat(after), JSON.stringify({ before, after })).toBe(true)
        expect(after.sockets).toBeLessThanOrEqual(mostSockets)
        expect(after.series).toBe(before.series)
        expect(json(yield* chat(server, message(0), unlimited)).served.route).toBe("gpt-4o")
      }).pipe(Effect.scoped),
    180_000
  )
})
