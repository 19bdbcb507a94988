/** Chains of real HTTP streams, broken off at every place where one can break. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Deadline from "effect-resilience/Deadline"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"

class Words extends Context.Service<Words, {
  readonly from: (first: number) => Stream.Stream<string, HttpClientError.HttpClientError>
}>()("test/Words") {}

const count = 6
const words = (from: number, first = 0) => Array.from({ length: count - first }, (_, n) => `${from}:${n + first}`)

/** How a server fails: with a status, by cutting the connection after so many words, or by never coming to an end. */
type Fault = { readonly status: number } | { readonly cutAt: number } | { readonly endless: true } | undefined

/** A server that says its words one by one, each in a chunk of its own, and counts what it sent. */
const serving = (id: number, fault: () => Fault) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly url: string
      readonly sent: () => number
      readonly closed: () => number
      readonly server: Http.Server
    }>((resume) => {
      let sent = 0
      let closed = 0
      const server = Http.createServer((request, response) => {
        const current = fault()
        if (current !== undefined && "status" in current) {
          response.writeHead(current.status, { "retry-after": "0" }).end()
          return
        }
        const first = Number(new URL(request.url!, "http://localhost").searchParams.get("first"))
        response.writeHead(200, { "content-type": "text/plain" })
        response.flushHeaders()
        const all = words(id, first)
        response.on("close", () => closed++)
        const next = (index: number): void => {
          if (response.destroyed) return
          if (current !== undefined && "cutAt" in current && index >= current.cutAt) {
            response.destroy()
            return
          }
          const word = all[current !== undefined && "endless" in current ? index % count : index]
          if (word === undefined) {
            response.end()
            return
          }
          sent++
          response.write(`${word}\n`, () => setImmediate(() => next(index + 1)))
        }
        next(0)
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}/`, sent: () => sent, closed: () => closed, server }))
      })
    }),
    ({ server }) =>
      Effect.callback<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )

const routeTo = (id: number, url: string, options?: FallbackChain.RouteOptions<Deadline.DeadlineExceeded>) =>
  Effect.map(HttpClient.HttpClient, (client) =>
    FallbackChain.route(
      `r${id}`,
      Context.make(Words, {
        from: (first) =>
          HttpClientResponse.stream(
            Effect.flatMap(client.get(url, { urlParams: { first } }), HttpClientResponse.filterStatusOk)
          ).pipe(
            Stream.decodeText,
            Stream.splitLines,
            // A line that the cut made short is no word.
            Stream.filter((line) => /^\d:\d$/.test(line))
          )
      }),
      options
    ))

const say = Stream.unwrap(Effect.map(Words, (words) => words.from(0)))

const heard = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.gen(function*() {
    const elements: Array<A> = []
    const exit = yield* Effect.exit(Stream.runForEach(stream, (element) => Effect.sync(() => elements.push(element))))
    return { elements, exit }
  })

const chainOf = Effect.fnUntraced(function*(fault: () => Fault) {
  const a = yield* serving(1, fault)
  const b = yield* serving(2, () => undefined)
  const chain = yield* FallbackChain.make("words", [yield* routeTo(1, a.url), yield* routeTo(2, b.url)], {
    cooldown: Schedule.spaced(0)
  })
  return { a, b, chain }
})

const faults: ReadonlyArray<Fault> = [
  { status: 503 },
  { status: 429 },
  ...Array.from({ length: count + 1 }, (_, cutAt) => ({ cutAt }))
]

/** What the first route's part of an answer must be: its words from the first one on, none left out. */
const isBeginningOf = (whole: ReadonlyArray<string>, part: ReadonlyArray<string>) =>
  assert.deepStrictEqual(part, whole.slice(0, part.length))

describe("FallbackChain over real HTTP streams", () => {
  it.live("FB-2 by default, a fault at any chunk gives no word twice and no two routes in one answer", () =>
    Effect.gen(function*() {
      let switched = 0
      for (const fault of faults) {
        const { chain } = yield* chainOf(() => fault)
        const { elements, exit } = yield* heard(chain.stream(say))
        if (elements[0]?.startsWith("2")) {
          switched++
          assert.deepStrictEqual([elements, exit], [words(2), Exit.void])
        } else {
          isBeginningOf(words(1), elements)
          assert.isAbove(elements.length, 0)
          assert.isTrue(Exit.isFailure(exit), "half an answer does not look like a whole one")
        }
      }
      // The two statuses and the cut before the first word, at least.
      assert.isAtLeast(switched, 3)
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)))

  it.live("FB-2 restarted, what follows the mark is one whole answer", () =>
    Effect.gen(function*() {
      for (const fault of faults) {
        const { chain } = yield* chainOf(() => fault)
        const { elements, exit } = yield* heard(
          chain.stream(say, { midStream: "restart", restarted: () => "mark" })
        )
        assert.deepStrictEqual(exit, Exit.void)
        const mark = elements.indexOf("mark")
        isBeginningOf(words(1), elements.slice(0, Math.max(0, mark)))
        assert.deepStrictEqual(elements.slice(mark + 1), words(2))
      }
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)))

  it.live("FB-2 continued, every place is said once and in order", () =>
    Effect.gen(function*() {
      const resume = (emitted: ReadonlyArray<string>) =>
        Stream.unwrap(Effect.map(Words, (words) => words.from(emitted.length)))
      for (const fault of faults) {
        const { chain } = yield* chainOf(() => fault)
        const { elements, exit } = yield* heard(chain.stream(say, { midStream: "continue", resume }))
        assert.deepStrictEqual(exit, Exit.void)
        assert.deepStrictEqual(elements.map((word) => word.split(":")[1]), ["0", "1", "2", "3", "4", "5"])
      }
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)))

  it.live("FB-2 what the first route spent is accounted although another one answered", () =>
    Effect.gen(function*() {
      const { a, b, chain } = yield* chainOf(() => ({ cutAt: 3 }))
      const charged = Stream.tap(say, () => FallbackChain.charge({ output: 1 }))
      const { elements } = yield* heard(chain.stream(charged, { midStream: "restart", restarted: () => "mark" }))
      const { routes } = yield* chain.ledger
      assert.strictEqual(routes["r1"]!.output, elements.indexOf("mark"))
      assert.isAtMost(routes["r1"]!.output, a.sent())
      assert.deepStrictEqual([routes["r2"]!.output, b.sent()], [count, count])
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)))

  it.live("a guard is around the time until the first word, and the rest is said outside of it", () =>
    Effect.gen(function*() {
      let refusals = 0
      const { url } = yield* serving(1, () => ++refusals <= 2 ? { status: 503 } : undefined)
      const guarded = yield* routeTo(1, url, { retry: Schedule.recurs(2), guard: Deadline.attempt("10 seconds") })
      const chain = yield* FallbackChain.make("words", [guarded])
      assert.deepStrictEqual(yield* heard(chain.stream(say)), { elements: words(1), exit: Exit.void })
      assert.strictEqual(refusals, 3)
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)))

  it.live("a reader who leaves closes the connection", () =>
    Effect.gen(function*() {
      const { a, chain } = yield* chainOf(() => ({ endless: true }))
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(chain.stream(say), 2)), ["1:0", "1:1"])
      assert.strictEqual(yield* Eventually.answers(Effect.sync(a.closed), (count) => count > 0), 1)
    }).pipe(Effect.scoped, Effect.provide(NodeHttpClient.layerUndici)))
})
