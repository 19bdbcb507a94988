/** One id through two services, over real sockets. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as RequestId from "effect-resilience/http/RequestId"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Http from "node:http"

/** Serves an application under the request's id; where. */
const serving = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  Effect.gen(function*() {
    const server = Layer.provideMerge(
      HttpServer.serve(app, RequestId.middleware),
      NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1" })
    )
    const { address } = yield* Effect.provide(HttpServer.HttpServer, yield* Layer.build(server))
    return HttpServer.formatAddress(address)
  })

describe("RequestId over real sockets", () => {
  it.live("follows the work from one service to the next, and comes back", () =>
    Effect.gen(function*() {
      const second = yield* serving(
        Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
          HttpServerResponse.text(`${headers["x-request-id"]}`))
      )
      const first = yield* serving(
        Effect.flatMap(HttpClient.get(second), (reply) =>
          Effect.map(reply.text, (text) => HttpServerResponse.text(text)))
          .pipe(Effect.provide(Layer.provide(RequestId.layerClient, FetchHttpClient.layer)))
      )
      const ask = (headers: Readonly<Record<string, string>>) =>
        Effect.gen(function*() {
          const client = yield* HttpClient.HttpClient
          const reply = yield* client.execute(HttpClientRequest.setHeaders(HttpClientRequest.get(first), headers))
          return [reply.headers["x-request-id"], yield* reply.text] as const
        }).pipe(Effect.provide(FetchHttpClient.layer))

      assert.deepStrictEqual(yield* ask({ "x-request-id": "order-7" }), ["order-7", "order-7"])
      const [replied, seen] = yield* ask({ "x-request-id": "order 7; DROP" })
      assert.match(replied ?? "", /^[0-9a-f-]{36}$/)
      assert.strictEqual(seen, replied)
    }).pipe(Effect.scoped))

  it.live("is in the reply of a middleware that answers instead of the application", () =>
    Effect.gen(function*() {
      const closed = yield* Layer.build(Layer.provideMerge(
        HttpServer.serve(
          Effect.never,
          (app) => RequestId.middleware(Effect.raceFirst(app, Effect.succeed(HttpServerResponse.text("instead"))))
        ),
        NodeHttpServer.layer(() => Http.createServer(), { port: 0, host: "127.0.0.1" })
      ))
      const { address } = yield* Effect.provide(HttpServer.HttpServer, closed)
      const reply = yield* Effect.provide(
        HttpClient.get(HttpServer.formatAddress(address), { headers: { "x-request-id": "seven" } }),
        FetchHttpClient.layer
      )
      assert.deepStrictEqual([yield* reply.text, reply.headers["x-request-id"]], ["instead", "seven"])
    }).pipe(Effect.scoped))
})
