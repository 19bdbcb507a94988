/** Effect's own `PersistedQueue` with our store around its store. */
import { assert, describe, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as PersistedQueue from "effect/persistence/PersistedQueue"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { Order } from "./support/deadLetters.ts"

class Failed extends DeadLetterQueue.Service<Failed>()("test/Failed", { name: "failed-orders", schema: Order }) {}

const layer = Layer.unwrap(
  Effect.map(Failed, (failed) => DeadLetterQueue.fromPersistedQueue(failed, { queue: "orders" }))
).pipe(
  (store) => Layer.provide(PersistedQueue.layer, store),
  Layer.provide(PersistedQueue.layerStoreMemory),
  Layer.provideMerge(Failed.layer)
)

const broken = Layer.effect(
  DeadLetterQueue.DeadLetterStore,
  Effect.map(DeadLetterQueue.DeadLetterStore, (store) => ({
    ...store,
    insert: () => Effect.fail(new DeadLetterQueue.DeadLetterStoreError({ operation: "insert", cause: "disk full" }))
  }))
).pipe(Layer.provide(DeadLetterQueue.layerStoreMemory))

const test = Effect.provide(layer.pipe(Layer.provide(DeadLetterQueue.layerStoreMemory)))

// `any`: a queue is invariant in its elements, and these are for queues of all kinds.
const make = (name = "orders", schema: Schema.Codec<any, any> = Order) =>
  PersistedQueue.make({ name, schema, maxAttempts: 3, retrySchedule: Schedule.spaced("1 second") })

const failTimes = (queue: PersistedQueue.PersistedQueue<any>, n: number) =>
  Effect.gen(function*() {
    for (let i = 0; i < n; i++) {
      yield* Effect.ignore(queue.take((_, { attempts }) => Effect.fail(`no stock, attempt ${attempts}`)))
      yield* TestClock.adjust("1 second")
    }
  })

describe("fromPersistedQueue", () => {
  it.effect("keeps an element after its last attempt, not before", () =>
    Effect.gen(function*() {
      const [queue, failed] = [yield* make(), yield* Failed]
      yield* queue.offer({ order: 17 }, { id: "o17" })
      yield* failTimes(queue, 2)
      assert.strictEqual(yield* failed.count(), 0)
      yield* failTimes(queue, 1)
      const [head] = (yield* failed.list()).letters
      const letter = yield* failed.get(head!.id)
      assert.deepStrictEqual(letter.payload, Result.succeed({ order: 17 }))
      assert.deepInclude(letter, { state: "Dead", dedupeKey: "orders/o17" })
      assert.strictEqual(letter.failure.message, "no stock, attempt 3")
      assert.deepInclude(letter.headers, { "persisted-queue-id": "o17", attempts: "3" })
    }).pipe(test))

  it.effect("changes nothing for elements that succeed, and for other queues", () =>
    Effect.gen(function*() {
      const [queue, other, failed] = [yield* make(), yield* make("others"), yield* Failed]
      yield* queue.offer({ order: 1 })
      assert.strictEqual(yield* queue.take(({ order }) => Effect.succeed(order)), 1)
      yield* other.offer({ order: 2 })
      yield* failTimes(other, 3)
      assert.strictEqual(yield* failed.count(), 0)
    }).pipe(test))

  it.effect("an interrupted attempt stays in the queue", () =>
    Effect.gen(function*() {
      const [queue, failed] = [yield* make(), yield* Failed]
      yield* queue.offer({ order: 1 })
      for (let i = 0; i < 5; i++) {
        const fiber = yield* Effect.forkChild(queue.take(() => Effect.never))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
      }
      assert.strictEqual(yield* failed.count(), 0)
      assert.strictEqual(yield* queue.take(({ order }) => Effect.succeed(order)), 1)
    }).pipe(test))

  it.effect("DL-6 an element that core cannot decode is quarantined byte for byte, and the next one is taken", () =>
    Effect.gen(function*() {
      const old = yield* make("orders", Schema.Struct({ id: Schema.String }))
      const [queue, failed] = [yield* make(), yield* Failed]
      yield* old.offer({ id: "seventeen" })
      yield* queue.offer({ order: 18 })
      assert.strictEqual(yield* queue.take(({ order }) => Effect.succeed(order)), 18)
      const [head] = (yield* failed.list()).letters
      assert.deepInclude(yield* failed.get(head!.id), { state: "Quarantined", raw: `{"id":"seventeen"}` })
    }).pipe(test))

  it.effect("DL-8 where the letter cannot be stored the element stays in the queue", () =>
    Effect.gen(function*() {
      const queue = yield* make()
      yield* queue.offer({ order: 1 })
      yield* failTimes(queue, 5)
      assert.strictEqual(yield* queue.take(({ order }) => Effect.succeed(order)), 1)
    }).pipe(Effect.provide(layer.pipe(Layer.provide(broken)))))

  it.effect("a redriven letter can go back into the queue", () =>
    Effect.gen(function*() {
      const [queue, failed] = [yield* make(), yield* Failed]
      yield* queue.offer({ order: 1 })
      yield* failTimes(queue, 3)
      yield* Stream.runDrain(failed.redrive({}, queue))
      assert.strictEqual(yield* queue.take(({ order }) => Effect.succeed(order)), 1)
      assert.strictEqual(yield* failed.count({ state: "Archived" }), 1)
    }).pipe(test))
})
