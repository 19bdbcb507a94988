import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as ConcurrencyLimit from "effect-resilience/ConcurrencyLimit"
import * as Failure from "effect-resilience/Failure"
import * as Admission from "effect-resilience/http/Admission"
import * as ProblemReplies from "effect-resilience/http/ProblemReplies"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as TestClock from "effect/testing/TestClock"

const hello = Effect.succeed(HttpServerResponse.text("hello"))

const body = Effect.flatMap(
  HttpServerRequest.HttpServerRequest,
  (request) => Effect.map(request.text, (text) => HttpServerResponse.text(text))
)

/** Sends one request to an application behind this door. */
const ask = <E>(
  admission: Admission.Admission["Service"],
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, HttpServerRequest.HttpServerRequest>,
  init?: RequestInit & { readonly path?: string }
) =>
  Effect.gen(function*() {
    const handler = HttpEffect.toWebHandler(admission.admit(ProblemReplies.middleware()(app)))
    const response = yield* Effect.promise(() => handler(new Request(`http://app.test${init?.path ?? "/"}`, init)))
    const text = yield* Effect.promise(() => response.text())
    const code: unknown = text.startsWith("{") ? JSON.parse(text).code : undefined
    const { headers, status } = response
    return { status, code, text, retryAfter: headers.get("retry-after"), connection: headers.get("connection") }
  })

/** A request that is under way until it is told to go on, and has begun. */
const underWay = (admission: Admission.Admission["Service"]) =>
  Effect.gen(function*() {
    const begun = yield* Deferred.make<void>()
    const goOn = yield* Deferred.make<void>()
    const app = Effect.andThen(Deferred.succeed(begun, undefined), Effect.andThen(Deferred.await(goOn), hello))
    const fiber = yield* Effect.forkChild(ask(admission, app))
    yield* Deferred.await(begun)
    return { fiber, finish: Effect.andThen(Deferred.succeed(goOn, undefined), Fiber.join(fiber)) }
  })

const post = (text: string): RequestInit => ({ method: "POST", body: text })

describe("Admission: sizes", () => {
  it.live("refuses a body that says to be too large before it is read, and closes the connection", () =>
    Effect.gen(function*() {
      const admission = yield* Admission.make({ maxBodyBytes: 10 })
      let started = false
      const app = Effect.suspend(() => {
        started = true
        return body
      })
      const init = { ...post("x".repeat(11)), headers: { "content-length": "11" } }
      const { code, connection, status } = yield* ask(admission, app, init)
      assert.deepStrictEqual([status, code, connection], [413, "body_too_large", "close"])
      assert.isFalse(started)
    }))

  it.live("refuses a body that turns out to be too large", () =>
    Effect.gen(function*() {
      const admission = yield* Admission.make({ maxBodyBytes: 10 })
      const { code, status } = yield* ask(admission, body, post("x".repeat(11)))
      assert.deepStrictEqual([status, code], [413, "body_too_large"])
      assert.strictEqual((yield* ask(admission, body, post("x".repeat(10)))).text, "x".repeat(10))
    }))

  it.live("refuses too many headers, and too large ones", () =>
    Effect.gen(function*() {
      const few = yield* Admission.make({ maxHeaders: 2 })
      const headers = { a: "1", b: "2" }
      assert.strictEqual((yield* ask(few, hello, { headers })).status, 200)
      const many = yield* ask(few, hello, { headers: { ...headers, c: "3" } })
      assert.deepStrictEqual([many.status, many.code], [431, "headers_too_large"])
      const small = yield* Admission.make({ maxHeaderBytes: 10 })
      assert.strictEqual((yield* ask(small, hello, { headers: { a: "x".repeat(9) } })).status, 200)
      assert.strictEqual((yield* ask(small, hello, { headers: { a: "x".repeat(10) } })).status, 431)
    }))

  for (const name of ["maxBodyBytes", "maxHeaderBytes", "maxHeaders"] as const) {
    it(`refuses ${name} 0`, () => {
      assert.throws(() => Admission.make({ [name]: 0 }), RangeError, `${name} must be a positive integer, got 0`)
    })
  }
})

describe("Admission: load shedding", () => {
  const limits = {
    Bulkhead: Bulkhead.make({ name: "door", limit: 1 }),
    ConcurrencyLimit: ConcurrencyLimit.make({ name: "door", initial: 1, min: 1, max: 1 })
  }
  for (const [name, make] of Object.entries(limits)) {
    it.live(`refuses what a ${name} refuses, with 503 and Retry-After, and starts nothing of it`, () =>
      Effect.gen(function*() {
        const limit: Admission.Limit = yield* make
        const admission = yield* Admission.make({ limit, retryAfter: "3 seconds" })
        const first = yield* underWay(admission)
        let started = false
        const refused = yield* ask(
          admission,
          Effect.sync(() => {
            started = true
            return HttpServerResponse.empty()
          })
        )
        assert.deepStrictEqual([refused.status, refused.code, refused.retryAfter], [503, "overloaded", "3"])
        assert.isFalse(started)
        assert.isNull(refused.connection)
        assert.strictEqual((yield* first.finish).status, 200)
        assert.strictEqual((yield* ask(admission, hello)).status, 200)
      }))
  }

  it.live("says what the limit says, where it says how long", () =>
    Effect.gen(function*() {
      const refusal: Admission.Refused = {
        [Failure.symbol]: () => ({
          kind: "Overloaded",
          scope: "request",
          message: "",
          retryAfter: Duration.millis(6500)
        })
      }
      const admission = yield* Admission.make({ limit: { run: () => Effect.fail(refusal) }, retryAfter: "1 second" })
      assert.strictEqual((yield* ask(admission, hello)).retryAfter, "7")
    }))

  it.live("does not take an error of the application for a refusal of the limit", () =>
    Effect.gen(function*() {
      const admission = yield* Admission.make({ limit: yield* Bulkhead.make({ name: "door", limit: 1 }) })
      const inner = yield* Bulkhead.make({ name: "inner", limit: 1 })
      const full = Effect.andThen(
        Effect.forkChild(inner.run(Effect.never), { startImmediately: true }),
        inner.run(hello)
      )
      const failed = yield* Effect.flip(
        Effect.scoped(Effect.provideService(
          admission.admit(full),
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request("http://app.test/"))
        ))
      )
      assert.isTrue(Bulkhead.isBulkheadRejected(failed))
    }))

  it.live("gives back its place when a request is interrupted", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "door", limit: 1 })
      const admission = yield* Admission.make({ limit: bulkhead })
      const request = HttpServerRequest.fromWeb(new Request("http://app.test/"))
      const stuck = yield* Effect.forkChild(
        Effect.scoped(
          Effect.provideService(admission.admit(Effect.never), HttpServerRequest.HttpServerRequest, request)
        ),
        { startImmediately: true }
      )
      assert.deepStrictEqual(yield* admission.state, { phase: "Serving", inFlight: 1 })
      yield* Fiber.interrupt(stuck)
      assert.deepStrictEqual(yield* admission.state, { phase: "Serving", inFlight: 0 })
      assert.strictEqual((yield* bulkhead.state).inFlight, 0)
    }))
})

describe("Admission: drain", () => {
  it.effect("closes connections at once, refuses after a while, and is done when the last request is out", () =>
    Effect.gen(function*() {
      const admission = yield* Admission.make({ retryAfter: "2 seconds" })
      assert.isNull((yield* ask(admission, hello)).connection)
      const slow = yield* underWay(admission)
      const drained = yield* Effect.forkChild(admission.drain({ after: "5 seconds" }), { startImmediately: true })
      assert.deepStrictEqual(yield* admission.state, { phase: "Closing", inFlight: 1 })
      const served = yield* ask(admission, hello)
      assert.deepStrictEqual([served.status, served.connection], [200, "close"])

      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* admission.state, { phase: "Draining", inFlight: 1 })
      const late = yield* ask(admission, hello)
      assert.deepStrictEqual([late.status, late.code, late.retryAfter, late.connection], [
        503,
        "shutting_down",
        "2",
        "close"
      ])
      assert.isUndefined(drained.pollUnsafe())

      const finished = yield* slow.finish
      assert.deepStrictEqual([finished.status, finished.connection], [200, "close"])
      yield* Fiber.join(drained)
      assert.deepStrictEqual(yield* admission.state, { phase: "Draining", inFlight: 0 })
    }))

  it.effect("goes on refusing when somebody stops waiting for it", () =>
    Effect.gen(function*() {
      const admission = yield* Admission.make()
      const slow = yield* underWay(admission)
      const waiting = yield* Effect.forkChild(admission.drain(), { startImmediately: true })
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(waiting)
      assert.strictEqual((yield* ask(admission, hello)).status, 503)
      yield* slow.finish
      yield* admission.drain()
    }))

  it.effect("lets probes in all the time, and does not wait for them", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "door", limit: 1 })
      const admission = yield* Admission.make({
        limit: bulkhead,
        exempt: ({ url }) => url.startsWith("/health/")
      })
      const busy = yield* underWay(admission)
      assert.strictEqual((yield* ask(admission, hello, { path: "/health/live" })).status, 200)
      const drained = yield* Effect.forkChild(admission.drain(), { startImmediately: true })
      yield* TestClock.adjust(0)
      assert.strictEqual((yield* ask(admission, hello, { path: "/health/live" })).status, 200)
      assert.strictEqual((yield* ask(admission, hello, { path: "/v1" })).status, 503)
      yield* busy.finish
      yield* Fiber.join(drained)
    }))

  it.effect("is a service of the program", () =>
    Effect.gen(function*() {
      const handler = Effect.provideService(
        Effect.scoped(Admission.middleware(hello)),
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request("http://app.test/"))
      )
      assert.strictEqual((yield* handler).status, 200)
      yield* Admission.drain()
      assert.strictEqual((yield* handler).status, 503)
    }).pipe(Effect.provide(Admission.layer())))

  it("refuses a time that is none", () => {
    const admission = Effect.runSync(Admission.make())
    assert.throws(() => admission.drain({ after: "-1 second" }), RangeError, "after")
    assert.throws(() => Admission.make({ retryAfter: "-1 second" }), RangeError, "retryAfter")
  })
})
