/** The door of a real server: request ids, problems and limits together, on real sockets. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as Admission from "effect-resilience/http/Admission"
import * as ProblemReplies from "effect-resilience/http/ProblemReplies"
import * as RequestId from "effect-resilience/http/RequestId"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { flow } from "effect/Function"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import { connect } from "node:net"

interface Reply {
  readonly status: number | undefined
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
}

/** The port of a server with these routes behind this door. */
const serving = (
  admission: Admission.Admission["Service"],
  routes: Layer.Layer<
    never,
    never,
    HttpRouter.HttpRouter | HttpRouter.Request<"Error", HttpServerError.HttpServerError>
  >
) =>
  Effect.gen(function*() {
    const app = yield* HttpRouter.toHttpEffect(routes)
    const server = Layer.provideMerge(
      HttpServer.serve(ProblemReplies.middleware()(app), flow(admission.admit, RequestId.middleware)),
      NodeHttpServer.layer(() => Http.createServer(), {
        port: 0,
        host: "127.0.0.1",
        gracefulShutdownTimeout: "1 second"
      })
    )
    const { address } = yield* Effect.provide(HttpServer.HttpServer, yield* Layer.build(server))
    return "port" in address ? address.port : assert.fail("no port")
  })

const send = (port: number, path: string, options?: Http.RequestOptions & { readonly body?: string }) =>
  Effect.callback<Reply, Error>((resume) => {
    const request = Http.request({ host: "127.0.0.1", port, path, agent: false, ...options }, (reply) => {
      let text = ""
      reply.setEncoding("utf8").on("data", (chunk) => {
        text += chunk
      }).on("end", () => resume(Effect.succeed({ status: reply.statusCode, headers: reply.headers, text })))
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end(options?.body)
  })

/** Everything that a socket says to these bytes until it closes. */
const sendRaw = (port: number, bytes: string) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes))
    socket.setEncoding("utf8").on("data", (chunk) => {
      answer += chunk
    })
    socket.on("close", () => resume(Effect.succeed(answer)))
    socket.on("error", () => {})
    return Effect.sync(() => socket.destroy())
  })

const echo = HttpRouter.add(
  "POST",
  "/echo",
  Effect.flatMap(
    HttpServerRequest.HttpServerRequest,
    (request) => Effect.map(request.text, (text) => HttpServerResponse.text(text))
  )
)

describe("Admission over real sockets", () => {
  it.live("counts a reply that streams until its last byte is out", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "door", limit: 1 })
      const admission = yield* Admission.make({ limit: bulkhead })
      const begun = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      const chunks = Stream.make("first ").pipe(
        Stream.concat(Stream.fromEffect(
          Effect.andThen(Deferred.succeed(begun, undefined), Effect.as(Deferred.await(goOn), "last"))
        )),
        Stream.encodeText
      )
      const port = yield* serving(
        admission,
        HttpRouter.add("GET", "/stream", Effect.succeed(HttpServerResponse.stream(chunks)))
      )
      const streaming = yield* Effect.forkChild(send(port, "/stream"))
      yield* Deferred.await(begun)
      const refused = yield* send(port, "/stream", { headers: { "x-request-id": "seven" } })
      assert.deepStrictEqual([refused.status, refused.headers["retry-after"]], [503, "1"])
      assert.strictEqual(refused.headers["x-request-id"], "seven")
      assert.deepInclude(JSON.parse(refused.text), { code: "overloaded", request_id: "seven" })

      const drained = yield* Effect.forkChild(admission.drain())
      yield* Effect.yieldNow
      assert.isUndefined(drained.pollUnsafe())
      yield* Deferred.succeed(goOn, undefined)
      assert.strictEqual((yield* Fiber.join(streaming)).text, "first last")
      yield* Fiber.join(drained)
    }).pipe(Effect.scoped))

  it.live("SD1 closes a connection that is kept alive with the reply that refuses it", () =>
    Effect.gen(function*() {
      const admission = yield* Admission.make()
      const port = yield* serving(admission, echo)
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      const post = { method: "POST", body: "hello", agent }
      const first = yield* send(port, "/echo", post)
      assert.deepStrictEqual([first.status, first.headers.connection], [200, "keep-alive"])
      yield* admission.drain()
      const late = yield* send(port, "/echo", post)
      assert.deepStrictEqual([late.status, late.headers.connection, late.headers["retry-after"]], [503, "close", "1"])
      assert.strictEqual(JSON.parse(late.text).code, "shutting_down")
      agent.destroy()
    }).pipe(Effect.scoped))

  it.live("refuses a body that is too large, whether it says so or not", () =>
    Effect.gen(function*() {
      const admission = yield* Admission.make({ maxBodyBytes: 1000 })
      const port = yield* serving(admission, echo)
      assert.strictEqual((yield* send(port, "/echo", { method: "POST", body: "x".repeat(1000) })).status, 200)
      // Only the head is sent: the reply comes without a byte of the body, and the server hangs up.
      const head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n"
      assert.match(yield* sendRaw(port, head), /^HTTP\/1\.1 413 [^]*"code":"body_too_large"/)
      const chunked = { method: "POST", body: "x".repeat(1001), headers: { "transfer-encoding": "chunked" } }
      const { status, text } = yield* send(port, "/echo", chunked)
      assert.deepStrictEqual([status, JSON.parse(text).limit], [413, 1000])
    }).pipe(Effect.scoped))

  it.live("refuses headers that are too large", () =>
    Effect.gen(function*() {
      const admission = yield* Admission.make({ maxHeaderBytes: 1000 })
      const port = yield* serving(admission, echo)
      const { status, text } = yield* send(port, "/echo", { headers: { "x-long": "x".repeat(1000) } })
      assert.deepStrictEqual([status, JSON.parse(text).code], [431, "headers_too_large"])
    }).pipe(Effect.scoped))
})
