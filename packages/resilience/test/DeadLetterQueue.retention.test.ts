import { assert, describe, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Signal from "effect-resilience/Signal"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { offerMany, orders, outcomes } from "./support/deadLetters.ts"

const test = Effect.provide(DeadLetterQueue.layerStoreMemory)

const idsOf = (queue: DeadLetterQueue.DeadLetterQueue<{ readonly order: number }>) =>
  Effect.map(queue.list({}, { order: "oldest" }), ({ letters }) => letters.map(({ id }) => id))

describe("retention", () => {
  it.effect("DL-7 size N means N, the oldest go, and it is told", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const queue = yield* orders({ retention: { size: 10 } })
      const ids = yield* offerMany(queue, 25).pipe(Effect.provide(Signal.layer((signal) => heard.push(signal))))
      assert.strictEqual(yield* queue.count(), 10)
      assert.deepStrictEqual(yield* idsOf(queue), ids.slice(15))
      assert.deepStrictEqual(
        heard.flatMap((signal) => signal._tag === "LetterEvicted" ? [[signal.id, signal.reason]] : []),
        ids.slice(0, 15).map((id) => [id, "size"])
      )
    }).pipe(test))

  it.effect("DL-7 offers at the same time leave N, too", () =>
    Effect.gen(function*() {
      const a = yield* orders({ retention: { size: 10 } })
      const b = yield* orders({ retention: { size: 10 } })
      yield* Effect.all([offerMany(a, 50), offerMany(b, 50)], { concurrency: 2 })
      assert.strictEqual(yield* a.count(), 10)
    }).pipe(test))

  it.effect("DL-7 what is done goes first", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ retention: { size: 3 } })
      const [a = "", b = "", c = ""] = yield* offerMany(queue, 3)
      yield* queue.archive([c])
      const [d = ""] = yield* offerMany(queue, 1)
      assert.deepStrictEqual(yield* idsOf(queue), [a, b, d])
    }).pipe(test))

  it.effect("DL-7 a letter that is being redriven is never evicted", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ retention: { size: 2, age: "1 minute" } })
      const [first = ""] = yield* offerMany(queue, 2)
      const fiber = yield* Effect.forkChild(outcomes(queue.redrive([first], () => Effect.sleep("1 hour"))))
      yield* TestClock.adjust("10 seconds")
      const later = yield* offerMany(queue, 5)
      assert.deepStrictEqual(yield* idsOf(queue), [first, later[4]])
      yield* TestClock.adjust("30 minutes")
      assert.deepStrictEqual(yield* idsOf(queue), [first])
      yield* TestClock.adjust("31 minutes")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["redriven"])
      assert.deepStrictEqual(yield* idsOf(queue), [])
    }).pipe(test))

  it.effect("DL-7 the age counts from the original failure, whatever was done since", () => {
    const heard: Array<string> = []
    return Effect.gen(function*() {
      const queue = yield* orders({ retention: { age: "1 hour", schedule: Schedule.fixed("1 second") } })
      const [id = ""] = yield* offerMany(queue, 1)
      yield* TestClock.adjust("50 minutes")
      yield* outcomes(queue.redrive([id], () => Effect.fail("no")))
      yield* queue.edit(id, (order) => order)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* queue.count(), 0)
      assert.deepStrictEqual(heard, ["age"])
    }).pipe(
      test,
      Effect.provide(Signal.layer((signal) => signal._tag === "LetterEvicted" && heard.push(signal.reason)))
    )
  })

  it.effect("DL-7 not a moment before", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ retention: { age: "1 hour", schedule: Schedule.fixed("1 second") } })
      yield* queue.offer({ order: 1 }, { error: "down", failedAt: -60_000 })
      yield* TestClock.adjust("3539 seconds")
      assert.strictEqual(yield* queue.count(), 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* queue.count(), 0)
    }).pipe(test))

  it.effect("DL-7 what is evicted can be archived as a line that import takes; where that fails it stays", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      let full = true
      const queue = yield* orders({
        retention: {
          size: 1,
          onEvict: ({ letter, line }) =>
            full ? Effect.fail("disk full") : Effect.sync(() => lines.push(`${letter.state} ${line}`))
        }
      })
      const [first = ""] = yield* offerMany(queue, 3)
      assert.strictEqual(yield* queue.count(), 3)
      full = false
      yield* queue.sweep
      assert.strictEqual(yield* queue.count(), 1)
      assert.isTrue(lines[0]?.startsWith("Dead {"))
      const other = yield* orders({ name: "archive" })
      assert.deepInclude(yield* other.import(Stream.make(lines[0]!.slice(5))), { imported: 1 })
      assert.strictEqual((yield* other.get(first)).raw, `{"order":1}`)
    }).pipe(test))

  it.effect("sweeps until its scope closes", () =>
    Effect.gen(function*() {
      const store = yield* DeadLetterQueue.DeadLetterStore
      let asked = 0
      const counting = Layer.succeed(DeadLetterQueue.DeadLetterStore, {
        ...store,
        page: (queue, query, options) => {
          asked++
          return store.page(queue, query, options)
        }
      })
      yield* Effect.scoped(Effect.andThen(orders(), TestClock.adjust("5 minutes"))).pipe(Effect.provide(counting))
      assert.strictEqual(asked, 5)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(asked, 5)
    }).pipe(test))
})
