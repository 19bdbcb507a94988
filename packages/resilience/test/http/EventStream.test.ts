import { assert, describe, it } from "@effect/vitest"
import * as EventStream from "effect-resilience/http/EventStream"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

type Served = HttpServerRequest.HttpServerRequest | Scope.Scope

/** A reply of events that the test sends, and what a client has of it so far. */
interface Followed {
  readonly send: (event: string) => Effect.Effect<unknown>
  readonly end: Effect.Effect<unknown>
  readonly headers: Headers
  readonly received: () => string
  /** Resolves when the reply has come to its end. */
  readonly ended: Promise<void>
  readonly leave: Effect.Effect<void>
  readonly isStopped: () => boolean
}

const follow = (options?: EventStream.Options): Effect.Effect<Followed, never, Scope.Scope> =>
  Effect.gen(function*() {
    const queue = yield* Queue.make<string, Cause.Done>()
    const context = yield* Effect.context<never>()
    let stopped = false
    const events = Stream.fromQueue(queue).pipe(
      Stream.encodeText,
      Stream.ensuring(Effect.sync(() => stopped = true))
    )
    const app = Effect.as(
      EventStream.passOn(options),
      HttpServerResponse.stream(events, { contentType: "text/event-stream" })
    )
    const reply = yield* Effect.promise(() =>
      HttpEffect.toWebHandlerWith<never, Served>(context)(app)(new Request("http://app.test/"))
    )
    assert.isNotNull(reply.body)
    const reader = reply.body.getReader()
    const decoder = new TextDecoder()
    let text = ""
    const read = async () => {
      for (;;) {
        const { done, value } = await reader.read()
        if (done) return
        text += decoder.decode(value, { stream: true })
      }
    }
    return {
      send: (event) => Queue.offer(queue, event),
      end: Queue.end(queue),
      headers: reply.headers,
      received: () => text,
      ended: read(),
      leave: Effect.promise(() => reader.cancel()),
      isStopped: () => stopped
    }
  })

/** Until what was sent at this moment is read. */
const settled = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

const after = (duration: Parameters<typeof TestClock.adjust>[0]) => Effect.andThen(TestClock.adjust(duration), settled)

describe("EventStream.passOn", () => {
  it.effect("tells proxies and caches to keep and to gather nothing", () =>
    Effect.gen(function*() {
      const { headers } = yield* follow()
      assert.strictEqual(headers.get("content-type"), "text/event-stream")
      assert.strictEqual(headers.get("cache-control"), "no-store")
      assert.strictEqual(headers.get("x-accel-buffering"), "no")
      assert.isNull(headers.get("content-length"))
    }))

  it.effect("sends a comment every 15 seconds, between the events", () =>
    Effect.gen(function*() {
      const { ended, received, send, ...stream } = yield* follow()
      yield* send("data: 1\n\n")
      yield* after("14 seconds")
      assert.strictEqual(received(), "data: 1\n\n")
      yield* after("1 second")
      assert.strictEqual(received(), "data: 1\n\n:\n\n")
      yield* send("data: 2\n\n")
      yield* after("15 seconds")
      yield* after("15 seconds")
      assert.strictEqual(received(), "data: 1\n\n:\n\ndata: 2\n\n:\n\n:\n\n")
      yield* stream.end
      yield* Effect.promise(() => ended)
      assert.strictEqual(received(), "data: 1\n\n:\n\ndata: 2\n\n:\n\n:\n\n")
    }))

  it.effect("opens the stream at once when told to", () =>
    Effect.gen(function*() {
      const { received } = yield* follow({ openAtOnce: true })
      yield* settled
      assert.strictEqual(received(), ":\n\n")
    }))

  it.effect("follows the schedule it is given, and goes on when that has ended", () =>
    Effect.gen(function*() {
      const { received, send } = yield* follow({ keepAlive: Schedule.upTo(Schedule.spaced("1 minute"), { times: 1 }) })
      yield* after("5 minutes")
      assert.strictEqual(received(), ":\n\n")
      yield* send("data: 1\n\n")
      yield* settled
      assert.strictEqual(received(), ":\n\ndata: 1\n\n")
    }))

  it.effect("sends no comments when told so", () =>
    Effect.gen(function*() {
      const { received, send } = yield* follow({ keepAlive: false })
      yield* after("5 minutes")
      yield* send("data: 1\n\n")
      yield* settled
      assert.strictEqual(received(), "data: 1\n\n")
    }))

  it.effect("stops the events when the client goes away", () =>
    Effect.gen(function*() {
      const { isStopped, leave } = yield* follow()
      yield* after("20 seconds")
      assert.isFalse(isStopped())
      yield* leave
      yield* settled
      assert.isTrue(isStopped())
    }))

  it.effect("leaves a reply that is no stream as it is", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      const app = Effect.as(EventStream.passOn({ openAtOnce: true }), HttpServerResponse.text("no", { status: 503 }))
      const reply = yield* Effect.promise(() =>
        HttpEffect.toWebHandlerWith<never, Served>(context)(app)(new Request("http://app.test/"))
      )
      assert.strictEqual(reply.status, 503)
      assert.strictEqual(yield* Effect.promise(() => reply.text()), "no")
    }))
})

describe("EventStream.accepts", () => {
  for (
    const [accept, expected] of [
      [undefined, false],
      ["", false],
      ["*/*", false],
      ["text/event-stream", true],
      ["application/json, Text/Event-Stream;q=0.5", true],
      ["text/event-stream;q=0", false],
      ["text/event-stream; q=0.00, application/json", false],
      ["text/event-streams", false]
    ] as const
  ) {
    it(`${String(accept)}: ${expected}`, () => {
      assert.strictEqual(EventStream.accepts(accept), expected)
    })
  }
})
