import { assert, describe, it } from "@effect/vitest"
import * as HttpMetrics from "effect-resilience/http/HttpMetrics"
import * as Metrics from "effect-resilience/Metrics"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { parse } from "../support/exposition.ts"

/** In a registry of its own. */
const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const samples = Effect.map(Metrics.format(), (text) => parse(text).samples)

const samplesOf = (text: string) =>
  Effect.map(samples, (all) => Object.fromEntries([...all].filter(([series]) => series.includes(text))))

/** A reader is told of the end before the stream is closed. */
const untilClosed = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

type Served = HttpServerRequest.HttpServerRequest | Scope.Scope

/** Sends a request to an app, and reads the reply to its end. */
const send = <E>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, Served>,
  path = "/",
  init?: RequestInit
) =>
  Effect.flatMap(Effect.context<never>(), (context) =>
    Effect.promise(async () => {
      const reply = await HttpEffect.toWebHandlerWith<never, Served>(context)(app)(
        new Request(`http://app.test${path}`, init)
      )
      return { status: reply.status, text: await reply.text() }
    }))

const route = ({ url }: HttpServerRequest.HttpServerRequest) => url.startsWith("/things/") ? "/things/:id" : undefined
const measured = HttpMetrics.middleware({ route })
const replying = (status: number) => Effect.succeed(HttpServerResponse.text("hello", { status }))

describe("HttpMetrics.middleware", () => {
  it.effect("names a request by its route, its method and its status", () =>
    Effect.gen(function*() {
      yield* send(measured(replying(200)), "/things/7")
      yield* send(measured(replying(200)), "/things/8?a=b")
      yield* send(measured(replying(503)), "/things/9", { method: "POST" })
      assert.deepStrictEqual(yield* samplesOf("http_requests_total"), {
        "http_requests_total{endpoint=/things/:id,method=GET,status=200}": 2,
        "http_requests_total{endpoint=/things/:id,method=POST,status=503}": 1
      })
      const all = yield* samples
      const count = (labels: string) => all.get(`http_server_request_duration_seconds_count{${labels}}`)
      const at = (method: string) => `http_request_method=${method},http_response_status_code`
      assert.strictEqual(count(`${at("GET")}=200,http_route=/things/:id`), 2)
      assert.strictEqual(count(`error_type=503,${at("POST")}=503,http_route=/things/:id`), 1)
    }).pipe(apart))

  it.effect("MT2: a hundred thousand paths and methods of any script make one series each", () =>
    Effect.gen(function*() {
      const app = measured(replying(404))
      for (let index = 0; index < 2_000; index++) {
        yield* send(app, `/путь-${index}/${"🙂".repeat(index % 5)}`, { method: `M${index}` })
      }
      assert.deepStrictEqual(yield* samplesOf("http_requests_total"), {
        "http_requests_total{endpoint=_unmatched,method=_OTHER,status=404}": 2_000
      })
    }).pipe(apart))

  it.effect("a route that somebody names badly is bounded by the guard of cardinality", () =>
    Effect.gen(function*() {
      const app = HttpMetrics.middleware({ route: ({ url }) => url })(replying(200))
      for (let index = 0; index < 1_200; index++) yield* send(app, `/${index}`)
      const all = yield* samples
      assert.strictEqual([...all.keys()].filter((key) => key.startsWith("http_requests_total")).length, 1_001)
      assert.strictEqual(all.get("metrics_cardinality_overflow_total{metric=http_requests_total}"), 200)
    }).pipe(apart))

  it.effect("times the first byte and the whole, and counts what goes out of a stream", () =>
    Effect.gen(function*() {
      const bytes = new TextEncoder().encode("hello")
      const streaming = Effect.delay(
        Effect.sync(() =>
          HttpServerResponse.stream(Stream.fromIterable([bytes, bytes, bytes]), {
            headers: { "content-type": "text/event-stream" }
          })
        ),
        "2 seconds"
      )
      const reply = yield* Effect.forkChild(send(measured(streaming), "/things/7"), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(reply)).text, "hellohellohello")
      yield* untilClosed
      const all = yield* samples
      const at = "{http_request_method=GET,http_route=/things/:id}"
      assert.strictEqual(all.get(`http_server_time_to_first_byte_seconds_sum${at}`), 2)
      assert.strictEqual(all.get(`http_server_response_body_size_bytes_sum${at}`), 15)
      assert.strictEqual(all.get(`http_server_response_body_size_bytes_count${at}`), 1)
    }).pipe(apart))

  it.effect("a streamed reply keeps its content type", () =>
    Effect.gen(function*() {
      const app = measured(Effect.succeed(
        HttpServerResponse.stream(Stream.empty, { headers: { "content-type": "text/event-stream" } })
      ))
      const context = yield* Effect.context<never>()
      const reply = yield* Effect.promise(() =>
        HttpEffect.toWebHandlerWith<never, Served>(context)(app)(new Request("http://app.test/"))
      )
      assert.strictEqual(reply.headers.get("content-type"), "text/event-stream")
    }).pipe(apart))

  it.effect("reads the size of a body from its length, and takes no nonsense for one", () =>
    Effect.gen(function*() {
      for (const length of ["5", "NaN", "-3", "many"]) {
        yield* send(measured(replying(200)), "/things/7", { method: "POST", headers: { "content-length": length } })
      }
      const all = yield* samplesOf("request_body_size_bytes_count")
      assert.deepStrictEqual(Object.values(all), [1])
      assert.deepStrictEqual(yield* samplesOf("metrics_invalid"), {})
    }).pipe(apart))

  it.effect("MT3: counts equal what happened in a storm, nothing is active after it, and who leaves is no error", () =>
    Effect.gen(function*() {
      const truth = { "200": 0, "404": 0, "500": 0, "499": 0 }
      const handler = HttpEffect.toWebHandlerWith<never, Served>(yield* Effect.context<never>())
      const one = Effect.gen(function*() {
        const kind = (["200", "404", "500", "499"] as const)[yield* Random.nextIntBetween(0, 3)]!
        truth[kind]++
        if (kind === "499") {
          const begun = yield* Deferred.make<void>()
          const controller = new AbortController()
          const app = measured(Effect.interruptible(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)))
          void handler(app)(new Request("http://app.test/things/7", { signal: controller.signal }))
          yield* Deferred.await(begun)
          controller.abort()
          return
        }
        const app = kind === "500" ? measured(Effect.die(new Error("a defect"))) : measured(replying(Number(kind)))
        assert.strictEqual((yield* send(app, "/things/7")).status, Number(kind))
      })
      yield* Effect.forEach(Array.from({ length: 400 }), () => one, { concurrency: 20, discard: true })
      const all = yield* samples
      for (const [status, count] of Object.entries(truth)) {
        assert.isAbove(count, 0)
        assert.strictEqual(all.get(`http_requests_total{endpoint=/things/:id,method=GET,status=${status}}`), count)
      }
      assert.strictEqual(all.get("http_server_active_requests{}"), 0)
      assert.strictEqual(all.get("http_server_client_aborts_total{http_route=/things/:id}"), truth["499"])
      const errors = [...all].filter(([key]) => /^http_server_request_duration_seconds_count.*error_type/.test(key))
      assert.deepStrictEqual(errors.map(([, count]) => count), [truth["500"]])
    }).pipe(apart))

  it.effect("MT5: what can be named is there at 0 before the first request", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* samplesOf("http_server_active"), { "http_server_active_requests{}": 0 })
    }).pipe(Effect.provide(HttpMetrics.layer), apart))
})

describe("HttpMetrics.timed", () => {
  it.effect("measures a middleware without what it wraps", () =>
    Effect.gen(function*() {
      const slow = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
        Effect.sleep("20 millis").pipe(Effect.andThen(app), Effect.tap(() => Effect.sleep("30 millis")))
      const app = HttpMetrics.timed("slow", slow)(Effect.delay(replying(200), "5 seconds"))
      const reply = yield* Effect.forkChild(send(app), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(reply)
      const all = yield* samples
      assert.closeTo(all.get("middleware_duration_seconds_sum{middleware=slow}")!, 0.05, 1e-9)
      assert.strictEqual(all.get("middleware_duration_seconds_count{middleware=slow}"), 1)
    }).pipe(apart))
})

describe("HttpMetrics.measure", () => {
  const client = (answers: ReadonlyArray<number | "broken" | "never" | "defect">) => {
    let calls = 0
    return HttpMetrics.measure(HttpClient.make((request) => {
      const answer = answers[calls++] ?? 200
      if (answer === "never") return Effect.never
      if (answer === "defect") return Effect.die("a defect")
      return answer === "broken"
        ? Effect.fail(new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request }) }))
        : Effect.succeed(HttpClientResponse.fromWeb(request, new Response("", { status: answer })))
    }))
  }

  const counts = Effect.map(
    samplesOf("http_client_request_duration_seconds_count"),
    (all) => Object.fromEntries(Object.entries(all).map(([key, value]) => [/\{(.*)\}/.exec(key)![1], value]))
  )

  it.effect("observes each attempt of a request that is repeated", () =>
    Effect.gen(function*() {
      const calls = client([503, "broken", 200])
      const call = Effect.filterOrFail(calls.get("http://api.test:8080/v1?key=1"), ({ status }) => status < 500)
      yield* Effect.retry(call, Schedule.recurs(5))
      assert.deepStrictEqual(yield* counts, {
        "error_type=503,method=GET,server_address=api.test,status=503": 1,
        "error_type=TransportError,method=GET,server_address=api.test": 1,
        "method=GET,server_address=api.test,status=200": 1
      })
    }).pipe(apart))

  it.effect("MT3: an interruption is no error, a defect is one, and both are counted", () =>
    Effect.gen(function*() {
      const calls = client(["never", "defect"])
      yield* Fiber.interrupt(yield* Effect.forkChild(calls.get("http://api.test/"), { startImmediately: true }))
      yield* Effect.exit(calls.get("http://api.test/"))
      assert.deepStrictEqual(yield* counts, {
        "method=GET,server_address=api.test": 1,
        "error_type=_OTHER,method=GET,server_address=api.test": 1
      })
    }).pipe(apart))
})
