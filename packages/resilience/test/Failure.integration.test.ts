/** Errors as they really come: from sockets, name servers and aborted requests, not made to look like it. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Failure from "effect-resilience/Failure"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Http from "node:http"
import * as Net from "node:net"

/** A server on a free port of the loopback interface, for the length of the scope. */
const listening = <S extends Net.Server>(server: S) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
    }),
    () =>
      Effect.callback<void>((resume) => {
        if (server instanceof Http.Server) server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )

const serving = (handler: Http.RequestListener) =>
  Effect.map(listening(Http.createServer(handler)), (port) => `http://127.0.0.1:${port}/`)

/** A port that was free a moment ago, and so refuses. */
const refusing = Effect.scoped(listening(Net.createServer()))

const read = (url: string) =>
  Effect.flatMap(HttpClient.get(url), HttpClientResponse.filterStatusOk).pipe(Effect.flatMap((reply) => reply.json))

const verdict = <A, E>(self: Effect.Effect<A, E, HttpClient.HttpClient>) =>
  Effect.map(Effect.flatMap(Effect.flip(self), Failure.classify), ({ code, kind, scope }) => `${kind}/${scope}/${code}`)

const clients: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
  ["undici", NodeHttpClient.layerUndici],
  ["node:http", NodeHttpClient.layerNodeHttp],
  ["fetch", FetchHttpClient.layer]
]

for (const [name, layer] of clients) {
  describe(`Failure: real errors of Effect's HTTP client over ${name}`, () => {
    it.live("a port that refuses", () =>
      Effect.gen(function*() {
        const port = yield* refusing
        assert.strictEqual(yield* verdict(read(`http://127.0.0.1:${port}/`)), "Transient/dependency/ECONNREFUSED")
      }).pipe(Effect.provide(layer)))

    it.live("a name that does not resolve", () =>
      Effect.gen(function*() {
        // A resolver that is out of reach says EAI_AGAIN, one that answers says ENOTFOUND.
        assert.match(
          yield* verdict(read("http://no-such-host.invalid/")),
          /^Transient\/dependency\/(ENOTFOUND|EAI_AGAIN)$/
        )
      }).pipe(Effect.provide(layer)))

    it.live("a connection that is reset before the reply", () =>
      Effect.gen(function*() {
        const url = yield* serving((request) => request.socket.resetAndDestroy())
        assert.match(yield* verdict(read(url)), /^Transient\/dependency\/(ECONNRESET|UND_ERR_SOCKET)$/)
      }).pipe(Effect.provide(layer)))

    it.live("a body that is cut short", () =>
      Effect.gen(function*() {
        const url = yield* serving((request, response) => {
          response.writeHead(200, { "content-type": "application/json", "content-length": "1000" })
          response.write("{\"half\":")
          setTimeout(() => request.socket.destroy(), 20)
        })
        assert.match(yield* verdict(read(url)), /^Transient\/dependency\//)
      }).pipe(Effect.provide(layer)))

    it.live("a body that is no JSON", () =>
      Effect.gen(function*() {
        const url = yield* serving((_, response) => response.end("<html>Bad gateway</html>"))
        assert.strictEqual(yield* verdict(read(url)), "Transient/dependency/DecodeError")
      }).pipe(Effect.provide(layer)))

    it.live("statuses, with the wait that they ask for", () =>
      Effect.gen(function*() {
        const url = yield* serving((request, response) => {
          const status = Number(request.url?.slice(1))
          response.writeHead(status, {
            "retry-after": new Date(Math.floor(Date.now() / 1000) * 1000 + 30_000).toUTCString(),
            date: new Date(Math.floor(Date.now() / 1000) * 1000).toUTCString()
          })
          response.end()
        })
        for (
          const [status, expected] of [[429, "RateLimited"], [503, "Overloaded"], [500, "Transient"], [
            404,
            "Permanent"
          ]]
        ) {
          const info = yield* Effect.flatMap(Effect.flip(read(`${url}${status}`)), Failure.classify)
          assert.strictEqual(info.kind, expected)
          assert.deepStrictEqual(info.retryAfter, Duration.seconds(30))
        }
      }).pipe(Effect.provide(layer)))

    it.live("a reply that does not fit its schema counts against the request until mapped", () =>
      Effect.gen(function*() {
        const url = yield* serving((_, response) => response.end("{\"price\":\"free\"}"))
        const decoded = HttpClient.get(url).pipe(
          Effect.flatMap(HttpClientResponse.schemaBodyJson(Schema.Struct({ price: Schema.Finite })))
        )
        assert.strictEqual(yield* verdict(decoded), "Permanent/request/SchemaError")
      }).pipe(Effect.provide(layer)))

    it.live("a call that was cut by Effect's own timeout", () =>
      Effect.gen(function*() {
        const url = yield* serving(() => {})
        assert.strictEqual(
          yield* verdict(Effect.timeout(read(url), "50 millis")),
          "Timeout/dependency/TimeoutError"
        )
      }).pipe(Effect.provide(layer)))
  })
}

describe("Failure: real errors of Node", () => {
  const failure = (f: () => Promise<unknown>) =>
    Effect.promise(() => f().then(() => Promise.reject(new Error("it did not fail")), (error: unknown) => error))

  it.live("fetch that was aborted, and fetch that timed out", () =>
    Effect.gen(function*() {
      const url = yield* serving(() => {})
      const aborted = yield* failure(() => fetch(url, { signal: AbortSignal.abort() }))
      assert.strictEqual((yield* Failure.classify(aborted)).kind, "Cancelled")
      const late = yield* failure(() => fetch(url, { signal: AbortSignal.timeout(30) }))
      assert.strictEqual((yield* Failure.classify(late)).kind, "Timeout")
    }))

  it.live("a socket that was refused on every address of localhost", () =>
    Effect.gen(function*() {
      const port = yield* refusing
      const error = yield* failure(() =>
        new Promise((_, reject) => Net.connect({ host: "localhost", port }).on("error", reject))
      )
      assert.strictEqual((yield* Failure.classify(error)).code, "ECONNREFUSED")
    }))

  it.live("a write to a socket that the other side has closed", () =>
    Effect.gen(function*() {
      const port = yield* listening(Net.createServer((socket) => socket.resetAndDestroy()))
      const error = yield* failure(() =>
        new Promise((_, reject) => {
          const socket = Net.connect(port, "127.0.0.1")
          socket.on("error", reject)
          socket.write("x".repeat(1_000_000))
        })
      )
      assert.match((yield* Failure.classify(error)).code ?? "", /^(EPIPE|ECONNRESET)$/)
    }))
})
