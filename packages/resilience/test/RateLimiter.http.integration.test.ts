/** Effect's `HttpClient.withRateLimiter` on this engine, against a real server on a real socket. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as CoreRateLimiter from "effect/persistence/RateLimiter"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

const serving = (answer: (response: ServerResponse, request: number) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: ReturnType<typeof createServer>; readonly arrivals: Array<number> }>(
        (resume) => {
          const arrivals: Array<number> = []
          const server = createServer((_, response) => answer(response, arrivals.push(performance.now())))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, arrivals })))
        }
      ),
      ({ server }) => Effect.sync(() => server.close().closeAllConnections())
    ),
    ({ arrivals, server }) => ({ arrivals, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  )

const limited = (options: Omit<HttpClient.WithRateLimiter.Options, "limiter">) =>
  Effect.gen(function*() {
    const limiter = yield* CoreRateLimiter.RateLimiter
    return HttpClient.withRateLimiter(yield* HttpClient.HttpClient, { limiter, ...options })
  })

const layer = Layer.merge(
  Layer.provide(RateLimiter.layerCore, RateLimiter.layerStoreMemory()),
  NodeHttpClient.layerUndici
)

describe("HttpClient.withRateLimiter on RateLimiter.layerCore", () => {
  it.live("RL-19 lets the limit through at once and makes the rest wait for the next window", () =>
    Effect.gen(function*() {
      const { arrivals, url } = yield* serving((response) => response.end("ok"))
      const client = yield* limited({ key: "api", limit: 5, window: "2 seconds" })
      const replies = yield* Effect.all(Array.from({ length: 12 }, () => client.get(url)), { concurrency: "unbounded" })
      assert.isTrue(replies.every(({ status }) => status === 200))
      assert.strictEqual(arrivals.length, 12)
      // A window begins with its first request: of any six in a row, the last is in a later one than the first. On a busy machine
      // some are longer on their way than others.
      for (let at = 5; at < arrivals.length; at++) assert.isAtLeast(arrivals[at]! - arrivals[at - 5]!, 1000)
    }).pipe(Effect.scoped, Effect.provide(layer)))

  it.live("RL-19 tries again after a 429 when the server said, through the limiter", () =>
    Effect.gen(function*() {
      const { arrivals, url } = yield* serving((response, request) =>
        request === 1
          ? response.writeHead(429, { "retry-after": "1" }).end()
          : response.end("ok")
      )
      const client = yield* limited({ key: "api", limit: 100, window: "1 second", times: 3 })
      const reply = yield* client.get(url)
      assert.strictEqual(reply.status, 200)
      assert.strictEqual(arrivals.length, 2)
      assert.isAtLeast(arrivals[1]! - arrivals[0]! + 50, 1_000)
    }).pipe(Effect.scoped, Effect.provide(layer)))
})
