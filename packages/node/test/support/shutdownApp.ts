/** An application with everything in it that a shutdown has to deal with. */
import * as NodeServer from "@effect-resilience/node/NodeServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { setTimeout } from "node:timers/promises"

const sse = (stream: Stream.Stream<string>) =>
  HttpServerResponse.stream(Stream.encodeText(stream), { contentType: "text/event-stream" })

/** What the tests see of the application, and let happen in it. */
class App {
  ready = true
  started = 0
  interrupted = 0
  private readonly gate = Deferred.makeUnsafe<void>()

  /** Waits until it is let go. */
  readonly hold = Effect.suspend(() => {
    this.started++
    return Deferred.await(this.gate)
  }).pipe(Effect.onInterrupt(() => Effect.sync(() => this.interrupted++)))

  readonly letGo = Effect.asVoid(Deferred.succeed(this.gate, undefined))

  /** Waits until so many have come. */
  has(started: number): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.started >= started ? Effect.void : Effect.andThen(Effect.promise(() => setTimeout(5)), this.has(started))
    )
  }
}

const routes = (app: App) =>
  HttpRouter.addAll([
    HttpRouter.route(
      "GET",
      "/ready",
      () => Effect.sync(() => HttpServerResponse.empty({ status: app.ready ? 200 : 503 }))
    ),
    HttpRouter.route("GET", "/live", HttpServerResponse.empty({ status: 200 })),
    HttpRouter.route("GET", "/slow", () => Effect.as(app.hold, HttpServerResponse.text("done"))),
    HttpRouter.route("POST", "/upload", (request) => Effect.map(request.text, (text) => HttpServerResponse.text(text))),
    // A reply of a language model: some words, a pause, the rest.
    HttpRouter.route("GET", "/words", () =>
      Effect.sync(() =>
        sse(Stream.concat(
          Stream.make("data: one\n\n", "data: two\n\n"),
          Stream.fromEffect(Effect.as(app.hold, "data: three\n\n"))
        ))
      )),
    // Events that come in pieces, without end.
    HttpRouter.route("GET", "/pieces", () =>
      Effect.sync(() => {
        app.started++
        return sse(
          Stream.make("data: a", "b\n", "\n").pipe(
            Stream.mapEffect((piece) => Effect.delay(Effect.succeed(piece), 5)),
            Stream.forever
          )
        )
      })),
    HttpRouter.route("GET", "/large", () =>
      Effect.sync(() => {
        app.started++
        return HttpServerResponse.text("x".repeat(900_000))
      })),
    // A subscription that knows how to say goodbye.
    HttpRouter.route("GET", "/updates", () =>
      Effect.map(NodeServer.NodeServer, (server) => {
        app.started++
        return sse(
          server.endAtClosing(
            Stream.concat(Stream.make("data: now\n\n"), Stream.never),
            () => "event: bye\ndata: 1\n\n"
          )
        )
      })),
    // A reply with an error event of its own.
    HttpRouter.route("GET", "/polite", () =>
      Effect.map(NodeServer.NodeServer, (server) => {
        app.started++
        return sse(
          server.endAtDeadline(
            Stream.concat(Stream.make("data: one\n\n"), Stream.never),
            () => "event: ours\ndata: 1\n\n"
          )
        )
      })),
    // Not an event stream: it has no way to say that it is not whole.
    HttpRouter.route("GET", "/file", () =>
      Effect.sync(() => {
        app.started++
        return HttpServerResponse.stream(Stream.encodeText(Stream.concat(Stream.make("half"), Stream.never)))
      })),
    HttpRouter.route("GET", "/socket", (request) =>
      Effect.gen(function*() {
        const socket = yield* request.upgrade
        const reader = yield* socket.reader
        const writer = yield* socket.writer
        app.started++
        while (true) {
          for (const text of yield* reader.pull) yield* writer.write(text)
        }
      }).pipe(
        Effect.onInterrupt(() => Effect.sync(() => app.interrupted++)),
        Effect.scoped,
        Effect.catchTag("SocketError", () => Effect.succeed(HttpServerResponse.empty()))
      ))
  ])

/** A server on a free port of loopback, until the scope closes. `close` closes it before. */
export const startApp = Effect.fnUntraced(
  function*(options: Partial<NodeServer.Options> = {}, custom: NodeServer.Custom = {}) {
    const app = new App()
    const scope = yield* Scope.make()
    const layer = HttpRouter.serve(routes(app), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeServer.layer(
        { port: 0, host: "127.0.0.1", preStopDelay: 0, ...options },
        { onDrain: Effect.sync(() => void (app.ready = false)), ...custom }
      )),
      Layer.provide(Layer.succeed(References.MinimumLogLevel, "None"))
    )
    const context = yield* Layer.buildWithScope(layer, scope)
    const close = yield* Effect.cached(Scope.close(scope, Exit.void))
    yield* Effect.addFinalizer(() => Effect.andThen(app.letGo, close))
    return yield* Effect.gen(function*() {
      const server = yield* NodeServer.NodeServer
      const { address } = yield* HttpServer.HttpServer
      if (address._tag !== "InetAddressV4") return yield* Effect.die("no IPv4 port")
      return { app, server, close, port: address.port }
    }).pipe(Effect.provideContext(context))
  }
)
