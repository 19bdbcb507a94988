import * as NodeServer from "@effect-resilience/node/NodeServer"
import * as Eventually from "@effect-resilience/testing/Eventually"
import { assert, describe, it } from "@effect/vitest"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { startApp } from "./support/shutdownApp.ts"
import { chunkedBody, connect, get, keepAliveClient } from "./support/wire.ts"

/** So short that every test comes to the end of it. */
const short = { drainTimeout: "50 millis" } as const

/** So long that a test which comes to the end of it has failed. */
const long = { drainTimeout: "1 minute", terminationGracePeriod: "2 minutes" } as const

/** Waits until there are so many, or more. */
const until = (
  server: NodeServer.NodeServer["Service"],
  expected: { readonly open: number; readonly inFlight: number }
) =>
  Eventually.answers(
    server.connections,
    ({ inFlight, open }) => open >= expected.open && inFlight >= expected.inFlight
  )

const begin = <A>(effect: Effect.Effect<A>) => Effect.forkChild(effect, { startImmediately: true })

describe("NodeServer, while it drains", () => {
  // The delay is virtual time here: as long as nobody moves the clock, it is not over.
  it.effect(
    "SD1 readiness is down at once, all is served as before, and each reply asks the client to leave",
    () =>
      Effect.gen(function*() {
        const { close, port, server, app } = yield* startApp({ ...long, preStopDelay: "20 seconds" })
        const client = yield* keepAliveClient(port)
        const before = yield* Effect.promise(() => client.get("/ready"))
        assert.deepStrictEqual([before.status, before.headers.connection], [200, "keep-alive"])
        const slow = yield* begin(Effect.promise(() => client.get("/slow")))
        yield* app.has(1)

        const closing = yield* begin(close)
        yield* server.until("Draining")
        for (const [path, status] of [["/ready", 503], ["/live", 200], ["/ready", 503]] as const) {
          // A connection each: the listener is still there.
          const other = yield* keepAliveClient(port)
          const reply = yield* Effect.promise(() => other.get(path))
          assert.deepStrictEqual([path, reply.status, reply.text, reply.headers.connection], [
            path,
            status,
            "",
            "close"
          ])
        }
        yield* app.letGo
        const reply = yield* Fiber.join(slow)
        assert.deepStrictEqual(
          [reply.text, reply.headers.connection],
          ["done", "close"],
          "begun before, answered after"
        )
        yield* TestClock.adjust("19999 millis")
        assert.strictEqual(yield* server.phase, "Draining")
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(closing)
        assert.strictEqual(yield* server.phase, "Closed")
      }).pipe(Effect.scoped)
  )

  it.live("SD1 after the delay the listener and idle connections are closed", () =>
    Effect.gen(function*() {
      const { app, close, port, server } = yield* startApp({ ...long, preStopDelay: "50 millis" })
      const idle = yield* connect(port)
      idle.send(get("/live"))
      yield* Effect.promise(() => idle.until((received) => received.includes("200 OK")))
      const busy = yield* connect(port)
      busy.send(get("/slow"))
      yield* app.has(1)
      const closing = yield* begin(close)
      yield* Effect.promise(() => idle.closed)
      assert.strictEqual(yield* server.phase, "Closing")
      const refused = yield* Effect.flip(Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/live`)))
      assert.include(String((refused.cause as Error).cause), "ECONNREFUSED")
      yield* app.letGo
      yield* Fiber.join(closing)
      assert.match(yield* Effect.promise(() => busy.closed), /^HTTP\/1.1 200 OK[^]*Connection: close[^]*done/)
      assert.strictEqual(yield* server.phase, "Closed")
    }).pipe(Effect.scoped), 10_000)

  it.live(
    "SD1 a request that comes too late gets 503 with Retry-After, and is not begun",
    () =>
      Effect.gen(function*() {
        const { app, close, port, server } = yield* startApp({ ...long, retryAfter: "1500 millis" })
        const late = yield* connect(port)
        late.send("GET /slow HTTP/1.1\r\n")
        const fresh = yield* connect(port)
        const busy = yield* connect(port)
        busy.send(get("/slow"))
        yield* app.has(1)
        const closing = yield* begin(close)
        yield* server.until("Closing")
        late.send("Host: test\r\n\r\n")
        const reply = yield* Effect.promise(() => late.closed)
        assert.match(reply, /^HTTP\/1.1 503 Service Unavailable\r\n/)
        assert.match(reply, /\r\nretry-after: 2\r\n/i)
        assert.match(reply, /\r\nconnection: close\r\n/i)
        assert.match(reply, /\r\ncontent-type: application\/problem\+json\r\n/i)
        assert.include(reply, "\"code\":\"shutting_down\"")
        fresh.send(get("/slow"))
        assert.match(yield* Effect.promise(() => fresh.closed), /^HTTP\/1.1 503 [^]*"code":"shutting_down"/)
        assert.strictEqual(app.started, 1)
        yield* app.letGo
        yield* Fiber.join(closing)
        assert.deepStrictEqual(yield* server.shutdown, { inFlight: 1, cut: 0, refused: 2 })
      }).pipe(Effect.scoped),
    10_000
  )
})

describe("NodeServer, with requests under way", () => {
  it.live("SD2 finite requests and streams are finished, and not held against the clock", () =>
    Effect.gen(function*() {
      const { app, close, port, server } = yield* startApp(long)
      const slow = yield* connect(port)
      slow.send(get("/slow"))
      const words = yield* connect(port)
      words.send(get("/words"))
      yield* app.has(2)
      const closing = yield* begin(close)
      yield* server.until("Closing")
      yield* app.letGo
      yield* Fiber.join(closing)
      assert.include(yield* Effect.promise(() => slow.closed), "done")
      assert.deepStrictEqual(chunkedBody(yield* Effect.promise(() => words.closed)), {
        text: "data: one\n\ndata: two\n\ndata: three\n\n",
        complete: true
      })
      assert.deepStrictEqual(yield* server.shutdown, { inFlight: 2, cut: 0, refused: 0 })
      assert.strictEqual(app.interrupted, 0)
    }).pipe(Effect.scoped), 10_000)

  it.live(
    "SD2 a subscription gets its final event and a clean end as soon as the server closes",
    () =>
      Effect.gen(function*() {
        const { app, close, port, server } = yield* startApp(long)
        const updates = yield* connect(port)
        updates.send(get("/updates"))
        const slow = yield* connect(port)
        slow.send(get("/slow"))
        yield* app.has(2)
        const closing = yield* begin(close)
        // It waits for nobody else, and neither does its connection.
        assert.deepStrictEqual(chunkedBody(yield* Effect.promise(() => updates.closed)), {
          text: "data: now\n\nevent: bye\ndata: 1\n\n",
          complete: true
        })
        yield* app.letGo
        yield* Fiber.join(closing)
        assert.deepStrictEqual(yield* server.shutdown, { inFlight: 2, cut: 0, refused: 0 })
      }).pipe(Effect.scoped),
    10_000
  )

  it.live("SD2 at the deadline a stream ends with the last words it was given", () =>
    Effect.gen(function*() {
      const { app, close, port, server } = yield* startApp(short)
      const polite = yield* connect(port)
      polite.send(get("/polite"))
      const slow = yield* connect(port)
      slow.send(get("/slow"))
      yield* app.has(2)
      const closing = yield* begin(close)
      assert.deepStrictEqual(chunkedBody(yield* Effect.promise(() => polite.closed)), {
        text: "data: one\n\nevent: ours\ndata: 1\n\n",
        complete: true
      })
      assert.strictEqual(yield* server.phase, "Deadline", "its connection has waited for nobody")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(yield* server.shutdown, { inFlight: 2, cut: 1, refused: 0 })
    }).pipe(Effect.scoped))

  it.live("SD2 an event stream without any gets a terminal event, and never a torn one", () =>
    Effect.gen(function*() {
      const { app, close, port, server } = yield* startApp(short)
      const streams = yield* Effect.forEach(["/words", "/pieces", "/pieces"], (path) =>
        Effect.tap(connect(port), (wire) => Effect.sync(() => wire.send(get(path)))))
      yield* app.has(3)
      yield* close
      for (const wire of streams) {
        const { complete, text } = chunkedBody(
          yield* Effect.promise(() =>
            wire.closed
          )
        )
        assert.isTrue(complete, text)
        const events = text.split("\n\n")
        assert.strictEqual(events.pop(), "", "the last one is whole")
        const [last, data] = events.pop()?.split("\n") ?? []
        assert.strictEqual(last, "event: error")
        assert.deepStrictEqual(JSON.parse(data?.slice("data: ".length) ?? ""), {
          code: "shutting_down",
          message: "This instance is shutting down. Send the request again.",
          retry_after: 1
        })
        for (const event of events) assert.include(["data: one", "data: two", "data: ab"], event)
      }
      assert.deepStrictEqual(yield* server.shutdown, { inFlight: 3, cut: 3, refused: 0 })
    }).pipe(Effect.scoped))

  it.live("SD2 a request that is not done at the deadline is interrupted, and answered with 503 and Retry-After", () =>
    Effect.gen(function*() {
      const { app, close, port, server } = yield* startApp(short)
      const slow = yield* connect(port)
      slow.send(get("/slow"))
      yield* app.has(1)
      yield* close
      const reply = yield* Effect.promise(() => slow.closed)
      assert.match(reply, /^HTTP\/1.1 503 Service Unavailable\r\n[^]*retry-after: 1\r\n[^]*"code":"shutting_down"/i)
      assert.strictEqual(app.interrupted, 1)
      assert.deepStrictEqual(yield* server.shutdown, { inFlight: 1, cut: 1, refused: 0 })
    }).pipe(Effect.scoped))

  it.live("SD2 in the words of the program", () =>
    Effect.gen(function*() {
      const { app, close, port } = yield* startApp(short, {
        refusal: ({ url }) => HttpServerResponse.text(`${url} later`, { status: 503 }),
        terminalEvent: "event: later\ndata: 1\n\n"
      })
      const slow = yield* connect(port)
      slow.send(get("/slow"))
      const words = yield* connect(port)
      words.send(get("/words"))
      yield* app.has(2)
      yield* close
      assert.match(
        yield* Effect.promise(() => slow.closed),
        /^HTTP\/1.1 503 [^]*retry-after: 1\r\n[^]*\r\n\r\n\/slow later$/
      )
      assert.deepStrictEqual(chunkedBody(yield* Effect.promise(() => words.closed)), {
        text: "data: one\n\ndata: two\n\nevent: later\ndata: 1\n\n",
        complete: true
      })
    }).pipe(Effect.scoped))

  it.live("SD2 what cannot say that it is not whole is not ended as if it were", () =>
    Effect.gen(function*() {
      const { app, close, port } = yield* startApp(short)
      const file = yield* connect(port)
      file.send(get("/file"))
      yield* app.has(1)
      yield* close
      assert.deepStrictEqual(chunkedBody(yield* Effect.promise(() => file.closed)), { text: "half", complete: false })
    }).pipe(Effect.scoped))

  it.live("SD2 a WebSocket is closed with 1001 at the deadline", () =>
    Effect.gen(function*() {
      const { app, close, port } = yield* startApp(short)
      const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`)
      const code = new Promise<number>((resolve) => socket.addEventListener("close", (event) => resolve(event.code)))
      const echo = new Promise<string>((resolve) => socket.addEventListener("message", (event) => resolve(event.data)))
      socket.addEventListener("open", () => socket.send("hello"))
      assert.strictEqual(yield* Effect.promise(() => echo), "hello")
      yield* close
      assert.strictEqual(yield* Effect.promise(() => code), 1001)
      assert.strictEqual(app.interrupted, 1)
    }).pipe(Effect.scoped))

  it.live("SD2 a WebSocket client that does not answer the end holds up nothing", () =>
    Effect.gen(function*() {
      const { app, close, port } = yield* startApp(short)
      const deaf = yield* connect(port)
      deaf.send(
        "GET /socket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
      )
      yield* app.has(1)
      yield* close
      const received = yield* Effect.promise(() => deaf.closed)
      assert.match(received, /^HTTP\/1.1 101 /)
      assert.isTrue(received.endsWith("\x88\x02\x03\xe9"), "a close frame of 1001")
    }).pipe(Effect.scoped), 10_000)

  it.live("SD4 clients that take their time over their headers cannot extend the drain", () =>
    Effect.gen(function*() {
      const { close, port, server } = yield* startApp(long)
      const slow = yield* Effect.forEach(Array.from({ length: 20 }), () => connect(port))
      for (const wire of slow) wire.send("GET /live HTTP/1.1\r\n")
      yield* Effect.forever(Effect.andThen(
        Effect.sync(() => {
          for (const wire of slow) wire.send("X-Slow: yes\r\n")
        }),
        Effect.sleep(20)
      )).pipe(Effect.forkChild)
      yield* until(server, { open: 20, inFlight: 0 })
      yield* close
      yield* Effect.promise(() => Promise.all(slow.map((wire) => wire.closed)))
      assert.deepStrictEqual(yield* server.shutdown, { inFlight: 0, cut: 0, refused: 0 })
    }).pipe(Effect.scoped), 10_000)

  it.live(
    "SD4 neither can a body that never ends, nor a reply that nobody reads, beyond the deadline",
    () =>
      Effect.gen(function*() {
        const { close, port, server } = yield* startApp(short)
        const body = yield* connect(port)
        body.send("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nabc")
        // The second is done with each of its replies, but for the one that does not fit on the wire any more.
        for (const requests of [get("/pieces"), get("/large").repeat(30)]) {
          const unread = yield* connect(port)
          unread.socket.pause()
          unread.send(requests)
        }
        yield* until(server, { open: 3, inFlight: 3 })
        yield* close
        assert.strictEqual(yield* Effect.promise(() => body.closed), "", "half a request gets no reply")
        assert.deepStrictEqual(yield* server.connections, { open: 0, inFlight: 0 })
      }).pipe(Effect.scoped),
    10_000
  )

  it.live("a shutdown happens once, however often it is asked for", () =>
    Effect.gen(function*() {
      const { app, close, port, server } = yield* startApp({ ...long, preStopDelay: "10 millis" })
      const slow = yield* connect(port)
      slow.send(get("/slow"))
      yield* app.has(1)
      const interrupted = yield* begin(server.shutdown)
      const both = yield* begin(Effect.all([server.shutdown, server.shutdown, Effect.as(close, "closed")], {
        concurrency: "unbounded"
      }))
      yield* server.until("Closing")
      yield* Fiber.interrupt(interrupted)
      yield* app.letGo
      const summary = { inFlight: 1, cut: 0, refused: 0 }
      assert.deepStrictEqual(yield* Fiber.join(both), [summary, summary, "closed"])
    }).pipe(Effect.scoped))

  it.live("a hook that fails or hangs stops no shutdown", () =>
    Effect.gen(function*() {
      for (const onDrain of [Effect.die("broken"), Effect.never]) {
        const { close, server } = yield* startApp({}, { onDrain })
        yield* close
        assert.strictEqual(yield* server.phase, "Closed")
      }
    }).pipe(Effect.scoped))
})

describe("NodeServer, the listening socket", () => {
  it.live("answers what is not HTTP with problem details", () =>
    Effect.gen(function*() {
      const { port } = yield* startApp({ headersTimeout: "100 millis", requestTimeout: "200 millis" })
      const cases = [
        ["hello\r\n\r\n", 400, "malformed_request"],
        ["GET / HTTP/1.1\r\nHost: te", 408, "request_timeout"],
        [`GET / HTTP/1.1\r\nHost: test\r\nX-Large: ${"x".repeat(100_000)}\r\n\r\n`, 431, "headers_too_large"]
      ] as const
      for (const [sent, status, code] of cases) {
        const wire = yield* connect(port)
        wire.send(sent)
        const reply = yield* Effect.promise(() => wire.closed)
        assert.match(reply, new RegExp(`^HTTP/1.1 ${status} [^]*application/problem\\+json[^]*"code":"${code}"`))
      }
    }).pipe(Effect.scoped))

  it.live("answers it as the program likes", () =>
    Effect.gen(function*() {
      const { port } = yield* startApp({}, {
        unreadable: (what) => ({ contentType: "text/plain", body: what, headers: { "X-Request-ID": "1" } })
      })
      const wire = yield* connect(port)
      wire.send("hello\r\n\r\n")
      const reply = yield* Effect.promise(() => wire.closed)
      assert.match(reply, /^HTTP\/1.1 400 Bad Request\r\nX-Request-ID: 1\r\n[^]*\r\n\r\nMalformedRequest$/)
    }).pipe(Effect.scoped))

  it.live("fails when it cannot listen", () =>
    Effect.gen(function*() {
      const { port } = yield* startApp()
      const error = yield* Effect.flip(startApp({ port }))
      assert.strictEqual(error._tag, "ServeError")
      assert.include(String(error.cause), "EADDRINUSE")
    }).pipe(Effect.scoped))

  it.live("closes when it never served", () =>
    Effect.gen(function*() {
      const layer = NodeServer.layer({ port: 0, host: "127.0.0.1", preStopDelay: 0 })
      const server = yield* Effect.provide(NodeServer.NodeServer, layer)
      assert.strictEqual(yield* server.phase, "Closed")
    }))

  it.effect("refuses options out of their range by name, and a budget that is not one", () =>
    Effect.gen(function*() {
      const refuses = (options: Partial<NodeServer.Options>, message: string) =>
        assert.throws(() => NodeServer.layer({ port: 0, ...options }), RangeError, message)
      refuses({ port: 65_536 }, "port must be an integer from 0 to 65535, got 65536")
      refuses({ preStopDelay: -1 }, "preStopDelay must be a finite duration of at least zero")
      refuses({ drainTimeout: "soon" as never }, "drainTimeout must be a duration, got \"soon\"")
      refuses(
        { preStopDelay: "10 seconds" },
        "preStopDelay and drainTimeout must leave 3s of terminationGracePeriod (30s), got 10s and 20s"
      )
      NodeServer.layer({ port: 0, preStopDelay: "10 seconds", terminationGracePeriod: "33 seconds" })

      const built = (env: Record<string, string>) =>
        NodeServer.layerConfig({
          port: Config.Int("PORT"),
          host: Config.String("HOST"),
          preStopDelay: Config.Duration("PRE_STOP_DELAY")
        }).pipe(
          Layer.build,
          Effect.scoped,
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env))),
          Effect.exit
        )
      const wrong = yield* built({ PORT: "0", HOST: "127.0.0.1", PRE_STOP_DELAY: "28 seconds" })
      assert.include(String(Exit.isFailure(wrong) && wrong.cause), "preStopDelay and drainTimeout must leave 3s")
      assert.isTrue(Exit.isSuccess(yield* built({ PORT: "0", HOST: "127.0.0.1", PRE_STOP_DELAY: "0 seconds" })))
    }))
})
