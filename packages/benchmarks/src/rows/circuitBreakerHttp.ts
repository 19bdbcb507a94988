/** Effect's own `HttpClient.withCircuitBreaker` on our engine, over real sockets. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as CoreCircuitBreaker from "effect/persistence/CircuitBreaker"
import { createServer, type Server } from "node:http"
import { percentile, type Scenario, type Seen } from "../harness/scenario.ts"

const failingServer = Effect.acquireRelease(
  Effect.promise(() =>
    new Promise<{ readonly url: string; readonly server: Server; readonly requests: () => number }>((resolve) => {
      let requests = 0
      const server = createServer((_, response) => {
        requests++
        response.writeHead(500).end()
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" ? address?.port : 0
        resolve({ server, url: `http://127.0.0.1:${port}`, requests: () => requests })
      })
    })
  ),
  ({ server }) => Effect.sync(() => server.close().closeAllConnections())
)

const millis = (value: number): string => `${value.toFixed(2)} ms`

const play: Effect.Effect<ReadonlyArray<Seen>> = Effect.gen(function*() {
  const { requests, url } = yield* failingServer
  const breaker = yield* CoreCircuitBreaker.CircuitBreaker
  const client = HttpClient.withCircuitBreaker(yield* HttpClient.HttpClient, { breaker })
  const call = Effect.gen(function*() {
    const started = performance.now()
    const refused = yield* client.get(url).pipe(
      Effect.as(false),
      Effect.catch((error) => Effect.succeed(error instanceof CoreCircuitBreaker.CircuitBreakerError))
    )
    return { refused, took: performance.now() - started }
  })
  const thousand = Effect.replicateEffect(call, 1000)
  for (let failures = 0; failures < 5; failures++) yield* call
  const tripped = requests()
  const oneByOne = yield* thousand
  const atOnce = yield* Effect.all(Array.from({ length: 1000 }, () => call), { concurrency: "unbounded" })
  const refusedAll = [...oneByOne, ...atOnce].every(({ refused }) => refused)
  const p99 = percentile(oneByOne.map(({ took }) => took), 0.99)
  const p99AtOnce = percentile(atOnce.map(({ took }) => took), 0.99)
  return [
    { what: "requests until the circuit opened", value: String(tripped) },
    {
      what: "refused afterwards, of 2,000",
      value: refusedAll ? "all" : "not all",
      wanted: { value: "all", reached: refusedAll }
    },
    { what: "requests that reached the server afterwards", value: String(requests() - tripped) },
    { what: "one after the other, p50", value: millis(percentile(oneByOne.map(({ took }) => took), 0.5)) },
    { what: "one after the other, p99", value: millis(p99), wanted: { value: "below 5 ms", reached: p99 < 5 } },
    { what: "1,000 at once, p50", value: millis(percentile(atOnce.map(({ took }) => took), 0.5)) },
    { what: "1,000 at once, p99", value: millis(p99AtOnce), wanted: { value: "below 5 ms", reached: p99AtOnce < 5 } }
  ]
}).pipe(
  Effect.scoped,
  Effect.provide(
    CircuitBreaker.layerCore({ name: "http", trip: CircuitBreaker.consecutive(5), openFor: "1 hour" }).pipe(
      Layer.provide(CircuitBreaker.layerStoreMemory),
      Layer.merge(NodeHttpClient.layerUndici)
    )
  )
)

/** Over real sockets. */
export const scenarios: ReadonlyArray<Scenario> = [{
  title: "Refusing requests over HTTP",
  story: "A server that answers 500; a client with a breaker that trips after five failures.",
  play: () => Effect.runPromise(play)
}]
