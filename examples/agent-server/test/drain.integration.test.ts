/** Leaving: what the server does when it is told to stop, and that no client notices where none has to. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as HaProxyServer from "@effect-resilience/testing/HaProxyServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { chat, events, json, request, setFaults } from "./support/client.ts"
import { adminKey, type RunningServer, runToEnd, start, startFresh, temporaryFolder } from "./support/server.ts"
import { until } from "./support/until.ts"
import { connect, keepAlive } from "./support/wire.ts"

/** The server says it in its log, so nobody has to guess how long it takes. */
const untilSaid = (server: RunningServer, text: string) =>
  Eventually.met(() => server.output().includes(text), { within: "1 minute" })

const stopping = (server: RunningServer, signal: "SIGTERM" | "SIGINT" = "SIGTERM") =>
  Effect.forkChild(Effect.promise(() => server.stop(signal)), { startImmediately: true })

describe("told to stop", () => {
  it.live("SD1 it is not ready at once, lives, and serves on until load balancers know", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ PRE_STOP_DELAY: "2" })
      const client = yield* keepAlive(1)
      const get = (path: string) => Effect.promise(() => client.send(`${server.origin}${path}`))
      const before = yield* until(get("/readyz"), ({ status }) => status === 200)
      expect(before.headers.connection).toBe("keep-alive")

      const ending = yield* stopping(server)
      yield* untilSaid(server, "The server is draining")
      for (const path of ["/health/ready", "/readyz", "/ready"]) {
        const ready = yield* get(path)
        expect([ready.status, ready.headers.connection]).toEqual([503, "close"])
        expect(JSON.parse(ready.text)).toMatchObject({ status: "unhealthy", draining: true })
      }
      for (const path of ["/health/live", "/livez", "/healthz"]) {
        const live = yield* get(path)
        expect([live.status, live.headers.connection]).toEqual([200, "close"])
      }
      expect((yield* chat(server, { message: "still there?" })).status).toBe(200)

      const { code, signal } = yield* Fiber.join(ending)
      expect([code, signal]).toEqual([0, null])
      expect(yield* Effect.exit(get("/livez")).pipe(Effect.map(Exit.isFailure))).toBe(true)
    }).pipe(Effect.scoped))

  it.live("SD1 what comes too late on an open connection is a problem with its id, and says when to come back", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      yield* setFaults(server, { latency_ms: 2000 })
      const talking = yield* Effect.forkChild(chat(server, { message: "a last word" }), { startImmediately: true })
      const unused = yield* connect(server)
      yield* Effect.sleep("500 millis")
      const ending = yield* stopping(server)
      yield* untilSaid(server, "The server is draining")
      unused.send("GET /v1/agents HTTP/1.1\r\nHost: a\r\nX-Request-ID: late-1\r\n\r\n")
      const refused = yield* Effect.promise(() => unused.closed)
      expect(refused).toMatch(/^HTTP\/1.1 503 /)
      expect(refused.toLowerCase()).toContain("\r\nx-request-id: late-1\r\n")
      expect(refused.toLowerCase()).toContain("\r\nretry-after: 1\r\n")
      expect(JSON.parse(refused.slice(refused.indexOf("\r\n\r\n")))).toMatchObject({
        type: "/problems/shutting_down",
        code: "shutting_down",
        request_id: "late-1",
        retry_after: 1
      })
      expect((yield* Fiber.join(talking)).status).toBe(200)
      expect((yield* Fiber.join(ending)).code).toBe(0)
    }).pipe(Effect.scoped))

  it.live("SD2 a stream that is under way finishes, and its turn is stored", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const server = yield* start(folder)
      yield* setFaults(server, { chunk_ms: 60 })
      const talking = yield* Effect.forkChild(chat(server, { message: "tell me all", stream: true }), {
        startImmediately: true
      })
      yield* Effect.sleep("300 millis")
      const ending = yield* stopping(server)
      const last = events(yield* Fiber.join(talking)).at(-1)
      expect(last?.event).toBe("done")
      expect((yield* Fiber.join(ending)).code).toBe(0)

      const again = yield* start(folder)
      const { messages } = json(yield* request(again, `/v1/sessions/${last?.data.session_id}`))
      expect(messages[1].content).toBe(last?.data.reply)
    }).pipe(Effect.scoped))

  it.live("SD2 at the deadline a stream ends with an error event of its own, and nothing of the turn is kept", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ DRAIN_TIMEOUT: "500 millis" })
      yield* setFaults(server, { chunk_ms: 2000 })
      const talking = yield* Effect.forkChild(
        chat(server, { message: "tell me all", stream: true }, { headers: { "x-request-id": "cut-1" } }),
        { startImmediately: true }
      )
      yield* Effect.sleep("500 millis")
      const ending = yield* stopping(server)
      const reply = yield* Fiber.join(talking)
      expect(reply.text.endsWith("\n\n")).toBe(true)
      expect(events(reply).at(-1)).toMatchObject({
        event: "error",
        data: { code: "shutting_down", status: 503, request_id: "cut-1", retry_after: 1 }
      })
      expect(events(reply).map(({ event }) => event)).not.toContain("done")
      expect((yield* Fiber.join(ending)).code).toBe(0)
    }).pipe(Effect.scoped))

  it.live("SD2 at the deadline a plain request is answered with 503 and Retry-After", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ DRAIN_TIMEOUT: "300 millis" })
      yield* setFaults(server, { hang: true })
      const talking = yield* Effect.forkChild(chat(server, { message: "hello?" }), { startImmediately: true })
      yield* Effect.sleep("500 millis")
      const ending = yield* stopping(server)
      const reply = yield* Fiber.join(talking)
      expect([reply.status, json(reply).code, reply.headers.get("retry-after")]).toEqual([503, "shutting_down", "1"])
      expect((yield* Fiber.join(ending)).code).toBe(0)
    }).pipe(Effect.scoped))

  it.live("SD4 half-open sockets and slow senders do not hold it up", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ DRAIN_TIMEOUT: "10" })
      const silent = yield* Effect.forEach(Array.from({ length: 20 }), () => connect(server))
      for (const [index, wire] of silent.entries()) {
        if (index % 2 === 0) wire.send("POST /v1/agents/travel_planner/chat HTTP/1.1\r\nHost: a\r\nX-Slow: ")
      }
      expect((yield* request(server, "/livez")).status).toBe(200)
      const { code, stdout } = yield* Fiber.join(yield* stopping(server))
      expect(code).toBe(0)
      expect(stdout).toMatch(/"msg":"The server has closed".*"inFlight":0/)
      yield* Effect.promise(() => Promise.all(silent.map(({ closed }) => closed)))
    }).pipe(Effect.scoped))

  it.live("SD5 a person at a terminal waits for no load balancer, and a second signal ends it at once", () =>
    Effect.gen(function*() {
      const patient = yield* startFresh({ PRE_STOP_DELAY: "20", TERMINATION_GRACE_PERIOD_SECONDS: "60" })
      // Within the time of a test: the delay alone would be as long as that.
      expect((yield* Effect.promise(() => patient.stop("SIGINT"))).code).toBe(0)

      const server = yield* startFresh({ PRE_STOP_DELAY: "20", TERMINATION_GRACE_PERIOD_SECONDS: "60" })
      const ending = yield* stopping(server)
      yield* untilSaid(server, "The server is draining")
      yield* Effect.promise(() => server.stop("SIGTERM"))
      const { code, signal } = yield* Fiber.join(ending)
      expect([code, signal]).toEqual([143, null])
    }).pipe(Effect.scoped))

  it.live("a shutdown that does not fit into its time is refused at the start", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runToEnd({ PORT: "0", PRE_STOP_DELAY: "10", DRAIN_TIMEOUT: "30 seconds" })
      expect(code).toBe(1)
      expect(stderr).toMatch(
        /^agent-server cannot start: PRE_STOP_DELAY \(10s\), DRAIN_TIMEOUT \(30s\) and 3s for closing do not fit into TERMINATION_GRACE_PERIOD_SECONDS \(30s\)/
      )
      const bad = yield* runToEnd({ PORT: "0", PRE_STOP_DELAY: "soon", DRAIN_TIMEOUT: "-1", MAX_IN_FLIGHT: "0" })
      expect(bad.stderr.split("\n").filter((line) => line !== "").map((line) => line.split(" ")[3])).toEqual([
        "PRE_STOP_DELAY",
        "DRAIN_TIMEOUT",
        "MAX_IN_FLIGHT"
      ])
    }))
})

RealServer.describe("haproxy", "two servers behind a load balancer", () => {
  it.live("SD3 are restarted one after the other under load, and no request fails", () =>
    Effect.gen(function*() {
      const ports = { one: yield* RealServer.freePort, two: yield* RealServer.freePort }
      const folders = { one: yield* temporaryFolder, two: yield* temporaryFolder }
      const launch = Effect.fnUntraced(function*(name: keyof typeof ports) {
        const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        return yield* Scope.provide(
          start(folders[name], { PORT: String(ports[name]), PRE_STOP_DELAY: "2", LOG_LEVEL: "warn" }),
          scope
        )
      })
      const running = { one: yield* launch("one"), two: yield* launch("two") }
      const proxy = yield* HaProxyServer.make({ servers: ports, readiness: "/health/ready" })
      yield* proxy.until("one", "UP")
      yield* proxy.until("two", "UP")

      const client = yield* keepAlive(20)
      const load = { on: true, answered: 0, streamed: 0 }
      const failures: Array<string> = []
      const talk = async (index: number) => {
        while (load.on) {
          const stream = index % 4 === 0
          const reply = await client.send(`http://127.0.0.1:${proxy.port}/v1/agents/travel_planner/chat`, {
            method: "POST",
            headers: { "content-type": "application/json", "x-api-key": adminKey }
          }, JSON.stringify({ message: `trip ${index}`, stream })).catch(String)
          if (typeof reply === "string" || reply.status !== 200) failures.push(JSON.stringify(reply))
          else if (stream && !reply.text.includes("event: done")) failures.push(reply.text)
          else {
            load.answered++
            if (stream) load.streamed++
          }
        }
      }
      const talking = Promise.all(Array.from({ length: 16 }, (_, index) => talk(index)))
      for (const round of [1, 2]) {
        for (const name of ["one", "two"] as const) {
          const { code, stderr } = yield* Effect.promise(() => running[name].stop("SIGTERM"))
          expect([name, round, code, stderr]).toEqual([name, round, 0, ""])
          running[name] = yield* launch(name)
          yield* proxy.until(name, "UP")
        }
      }
      load.on = false
      yield* Effect.promise(() => talking)
      expect(failures).toEqual([])
      expect(load.answered).toBeGreaterThan(300)
      expect(load.streamed).toBeGreaterThan(50)
    }).pipe(Effect.scoped), 120_000)
})
