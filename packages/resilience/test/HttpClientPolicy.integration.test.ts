/** A policy around Effect's client, over real sockets on the loopback interface. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Deadline from "effect-resilience/Deadline"
import * as RequestId from "effect-resilience/http/RequestId"
import * as HttpClientPolicy from "effect-resilience/HttpClientPolicy"
import * as Policy from "effect-resilience/Policy"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Retry from "effect-resilience/Retry"
import * as Signal from "effect-resilience/Signal"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import type * as Net from "node:net"

const services = Layer.merge(
  CircuitBreaker.layerStoreMemory,
  Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory())
)

/** A server that answers its requests with these, one after the other, the last one again and again. */
const serving = (...answers: ReadonlyArray<(response: Http.ServerResponse, request: Http.IncomingMessage) => void>) =>
  Effect.gen(function*() {
    const requests: Array<Http.IncomingMessage> = []
    const server = Http.createServer((request, response) => {
      requests.push(request)
      answers[Math.min(requests.length, answers.length) - 1]!(response, request)
    })
    const port = yield* Effect.acquireRelease(
      Effect.callback<number>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as Net.AddressInfo).port)))
      }),
      () =>
        Effect.callback<void>((resume) => {
          server.closeAllConnections()
          server.close(() => resume(Effect.void))
        })
    )
    return { url: `http://127.0.0.1:${port}`, requests }
  })

const ok = (response: Http.ServerResponse) => response.end("hello")
const status = (code: number, headers: Readonly<Record<string, string>> = {}) => (response: Http.ServerResponse) =>
  response.writeHead(code, headers).end(`status ${code}`)
const reset = (response: Http.ServerResponse) => response.socket?.destroy()
/** Headers and half of the body, and then nothing more. */
const hangInBody = (response: Http.ServerResponse) => {
  response.writeHead(200, { "content-length": "10" })
  response.write("hel")
}
const hang = () => {}
const slowly = (response: Http.ServerResponse) => {
  const parts = ["a", "b", "c"]
  const next = () => {
    const part = parts.shift()
    if (part === undefined) return void response.end()
    response.write(part)
    setTimeout(next, 20)
  }
  next()
}

const soon = Retry.backoff({ base: "5 millis", jitter: "none", times: 2 })

const clients: ReadonlyArray<readonly [string, Layer.Layer<HttpClient.HttpClient>]> = [
  ["undici", NodeHttpClient.layerUndici],
  ["node:http", NodeHttpClient.layerNodeHttp],
  ["fetch", FetchHttpClient.layer]
]

for (const [name, layer] of clients) {
  describe(`HttpClientPolicy over ${name}`, () => {
    const provided = Layer.merge(layer, services)

    it.live("a reply of 503 and a connection that is reset are tried again, and the body is the last reply's", () =>
      Effect.gen(function*() {
        const { requests, url } = yield* serving(status(503), reset, ok)
        const policy = yield* Policy.make({ name: "a", deadline: "20 seconds", retry: soon })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy)
        const reply = yield* client.get(`${url}/x`)
        assert.strictEqual(yield* reply.text, "hello")
        assert.strictEqual(reply.status, 200)
        assert.strictEqual(requests.length, 3)
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("when all attempts are used up the caller has the last reply, with its body", () =>
      Effect.gen(function*() {
        const { requests, url } = yield* serving(status(503, { "x-who": "me" }))
        const policy = yield* Policy.make({ name: "a", retry: soon })
        const reply = yield* HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy).get(url)
        assert.deepStrictEqual([reply.status, yield* reply.text, reply.headers["x-who"]], [503, "status 503", "me"])
        assert.strictEqual(requests.length, 3)
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("a 429 is tried again no sooner than it asks, and not at all where that is past the deadline", () =>
      Effect.gen(function*() {
        const waits: Array<number> = []
        const listening = Signal.layer((signal) => {
          if (signal._tag === "RetryScheduled") waits.push(Duration.toMillis(signal.delay))
        })
        const short = yield* serving(status(429, { "retry-after-ms": "120" }), ok)
        const policy = yield* Policy.make({ name: "a", deadline: "20 seconds", retry: soon })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy)
        assert.strictEqual((yield* Effect.provide(client.get(short.url), listening)).status, 200)
        assert.strictEqual(waits.length, 1)
        assert.isAtLeast(waits[0]!, 120)

        const long = yield* serving(status(429, { "retry-after": "3600" }), ok)
        assert.strictEqual((yield* client.get(long.url)).status, 429)
        assert.strictEqual(long.requests.length, 1)
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("a POST is sent once, and with an Idempotency-Key again", () =>
      Effect.gen(function*() {
        const policy = yield* Policy.make({ name: "a", retry: soon })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy)
        const bare = yield* serving(status(503), ok)
        assert.strictEqual((yield* client.post(bare.url, { body: undefined })).status, 503)
        assert.strictEqual(bare.requests.length, 1)

        const keyed = yield* serving(reset, status(500), ok)
        const request = HttpClientRequest.post(keyed.url).pipe(
          HttpClientRequest.setHeader("idempotency-key", "order-17"),
          HttpClientRequest.bodyText("17")
        )
        assert.strictEqual((yield* client.execute(request)).status, 200)
        assert.strictEqual(keyed.requests.length, 3)
        for (const method of ["put", "del", "head", "options"] as const) {
          const again = yield* serving(status(500), status(204))
          assert.strictEqual((yield* client[method](again.url)).status, 204)
          assert.strictEqual(again.requests.length, 2)
        }
        const patched = yield* serving(status(500), ok)
        assert.strictEqual((yield* client.patch(patched.url)).status, 500)
        assert.strictEqual(patched.requests.length, 1)
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("a body that stops half-way is cut with its attempt, and tried again", () =>
      Effect.gen(function*() {
        const { requests, url } = yield* serving(hangInBody, hang, ok)
        const policy = yield* Policy.make({
          name: "a",
          deadline: { total: "20 seconds", attempt: "300 millis" },
          retry: soon
        })
        const reply = yield* HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy).get(url)
        assert.strictEqual(yield* reply.text, "hello")
        assert.strictEqual(requests.length, 3)
        // The connections of the attempts that were cut are closed.
        yield* Eventually.met(() => requests[0]!.socket.destroyed && requests[1]!.socket.destroyed)
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("a body that is slow but within its time is read to its end", () =>
      Effect.gen(function*() {
        const { url } = yield* serving(slowly)
        const policy = yield* Policy.make({ name: "a", deadline: { total: "20 seconds", attempt: "10 seconds" } })
        const reply = yield* HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy).get(url)
        assert.strictEqual(yield* reply.text, "abc")
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("a body that is larger than is read into memory fails, is not tried again, and is no fault of the server's", () =>
      Effect.gen(function*() {
        const endless = (response: Http.ServerResponse) => {
          const more = () => {
            while (response.write("x".repeat(1000)));
          }
          response.on("drain", more)
          more()
        }
        const told = (response: Http.ServerResponse) => {
          response.writeHead(200, { "content-length": "100000000" })
          response.write("x".repeat(1000))
        }
        const { requests, url } = yield* serving(endless, told, (response) => response.end("x".repeat(5000)), ok)
        const policy = yield* Policy.make({
          name: "a",
          deadline: "20 seconds",
          retry: Retry.byKind({ Transient: soon }),
          breaker: { trip: CircuitBreaker.consecutive(1) },
          bulkhead: { limit: 1 }
        })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy, { maxBodyBytes: 4999 })
        for (const sent of [1, 2, 3]) {
          const error = yield* Effect.flip(client.get(url))
          assert.isTrue(HttpClientError.isHttpClientError(error))
          // What the policy adds has no reason.
          const { reason } = error as HttpClientError.HttpClientError
          assert.deepInclude(reason, { _tag: "DecodeError", description: "The reply's body is larger than 4999 bytes" })
          assert.isTrue(reason.cause instanceof HttpClientPolicy.ReplyTooLarge && reason.cause.limit === 4999)
          assert.strictEqual(requests.length, sent)
          assert.strictEqual((yield* policy.bulkhead(url)!.state).inFlight, 0)
        }
        assert.strictEqual(yield* (yield* client.get(url)).text, "hello")
        // Nobody listens to those that would have gone on.
        yield* Eventually.met(() => requests[0]!.socket.destroyed && requests[1]!.socket.destroyed)
        const exact = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy, { maxBodyBytes: 5 })
        assert.strictEqual(yield* (yield* exact.get(url)).text, "hello")
        assert.strictEqual((yield* exact.head(url)).status, 200)
        assert.throws(
          () => HttpClientPolicy.apply(exact, policy, { maxBodyBytes: 0 }),
          RangeError,
          "maxBodyBytes must be a positive integer, got 0"
        )
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("a body for which there is no more time fails with the deadline, and its place is free", () =>
      Effect.gen(function*() {
        const { url } = yield* serving(hangInBody)
        const policy = yield* Policy.make({ name: "a", deadline: "300 millis", bulkhead: { limit: 1 } })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy)
        assert.isTrue(Deadline.isDeadlineExceeded(yield* Effect.flip(client.get(url))))
        assert.strictEqual((yield* policy.bulkhead(url)!.state).inFlight, 0)
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("each origin has a circuit of its own; what is wrong with a request does not open it", () =>
      Effect.gen(function*() {
        const ill = yield* serving(status(500))
        const well = yield* serving(status(404))
        const policy = yield* Policy.make({ name: "a", breaker: { trip: CircuitBreaker.consecutive(2) } })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy)
        for (let i = 0; i < 4; i++) assert.strictEqual((yield* client.get(`${well.url}/${i}`)).status, 404)
        for (let i = 0; i < 2; i++) assert.strictEqual((yield* client.get(`${ill.url}/${i}`)).status, 500)
        const refused = yield* Effect.flip(client.get(ill.url))
        assert.isTrue(CircuitBreaker.isCircuitOpen(refused) && refused.key === ill.url)
        assert.strictEqual((yield* client.get(well.url)).status, 404)
        assert.strictEqual(ill.requests.length, 2)
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("sends on what is left of the deadline and the request's id, anew with each attempt", () =>
      Effect.gen(function*() {
        const { requests, url } = yield* serving(status(503), ok)
        const policy = yield* Policy.make({ name: "a", deadline: "20 seconds", retry: soon })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy)
        yield* Effect.provideService(client.get(url), RequestId.RequestId, "order-7")
        const left = requests.map(({ headers }) => Number(headers["x-request-timeout-ms"]))
        assert.isTrue(left[0]! > left[1]! && left[0]! <= 20_000 && left[1]! > 0, left.join(" "))
        assert.deepStrictEqual(requests.map(({ headers }) => headers["x-request-id"]), ["order-7", "order-7"])

        const quiet = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy, {
          sendDeadline: false,
          sendRequestId: false
        })
        yield* Effect.provideService(quiet.get(url), RequestId.RequestId, "order-8")
        assert.isUndefined(requests[2]!.headers["x-request-timeout-ms"])
        assert.isUndefined(requests[2]!.headers["x-request-id"])
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("a reply is a reply: json, streams, empty bodies, cookies and its address", () =>
      Effect.gen(function*() {
        const { url } = yield* serving(
          (response) => response.writeHead(200, { "set-cookie": "a=1" }).end("{\"n\":1}"),
          status(204),
          (response) => response.end("not json")
        )
        const policy = yield* Policy.make({ name: "a", deadline: "20 seconds" })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy)
        const first = yield* client.get(`${url}/one`)
        assert.deepStrictEqual(yield* first.json, { n: 1 })
        assert.strictEqual(first.url, `${url}/one`)
        assert.deepStrictEqual(Object.keys(first.cookies.cookies), ["a"])
        assert.strictEqual(yield* (yield* client.get(url)).text, "")
        const bad = yield* Effect.flip((yield* client.get(url)).json)
        assert.strictEqual(bad.reason._tag, "DecodeError")
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("of a reply that is read as it comes only the headers are part of the attempt", () =>
      Effect.gen(function*() {
        const { url } = yield* serving(slowly)
        const policy = yield* Policy.make({ name: "a", bulkhead: { limit: 1 }, deadline: "10 seconds" })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy, { body: "stream" })
        const reply = yield* client.get(url)
        assert.strictEqual((yield* policy.bulkhead(url)!.state).inFlight, 0)
        assert.strictEqual(yield* reply.text, "abc")
      }).pipe(Effect.scoped, Effect.provide(provided)))

    it.live("limits are of an origin, and of whom the caller says", () =>
      Effect.gen(function*() {
        const { requests, url } = yield* serving(ok)
        const policy = yield* Policy.make({ name: "a", limit: RateLimiter.perMinute(1) })
        const client = HttpClientPolicy.apply(yield* HttpClient.HttpClient, policy, {
          call: ({ headers }) => ({ limitKey: headers["x-tenant"] ?? "nobody" })
        })
        const as = (tenant: string) => client.get(url, { headers: { "x-tenant": tenant } })
        yield* as("one")
        yield* as("two")
        assert.isTrue(RateLimiter.isRateLimited(yield* Effect.flip(as("one"))))
        assert.strictEqual(requests.length, 2)
      }).pipe(Effect.scoped, Effect.provide(provided)))
  })
}
