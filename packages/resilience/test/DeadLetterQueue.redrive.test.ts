import { assert, describe, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Signal from "effect-resilience/Signal"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type * as Tracer from "effect/Tracer"
import { offerMany, type Order, orders, outcomes } from "./support/deadLetters.ts"

const test = Effect.provide(DeadLetterQueue.layerStoreMemory)

const drain = <E, R>(progress: Stream.Stream<DeadLetterQueue.Progress, E, R>) => Stream.runDrain(progress)

/** A store whose next operations of a name fail. */
const failingStore = (broken: Set<string>) =>
  Layer.effect(
    DeadLetterQueue.DeadLetterStore,
    Effect.map(DeadLetterQueue.DeadLetterStore, (store) => {
      const guard = <A>(operation: string, self: Effect.Effect<A, DeadLetterQueue.DeadLetterStoreError>) =>
        Effect.suspend(() =>
          broken.has(operation)
            ? Effect.fail(new DeadLetterQueue.DeadLetterStoreError({ operation, cause: "the disk is gone" }))
            : self
        )
      return DeadLetterQueue.DeadLetterStore.of({
        ...store,
        replace: (row, expected) => guard("replace", store.replace(row, expected)),
        get: (queue, id) => guard("get", store.get(queue, id))
      })
    })
  ).pipe(Layer.provide(DeadLetterQueue.layerStoreMemory))

describe("redriving", () => {
  it.effect("hands over the payload, its headers, the attempt and a key that stays until it was answered", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const id = yield* queue.offer({ order: 1 }, { error: "down", headers: { tenant: "t1" } })
      const seen: Array<unknown> = []
      const handler: Parameters<typeof queue.redrive<string, never>>[1] = (
        payload,
        { attempt, headers, idempotencyKey }
      ) => {
        seen.push([payload, headers, attempt, idempotencyKey])
        return attempt < 3 ? Effect.fail("down") : Effect.void
      }
      for (let i = 0; i < 3; i++) yield* drain(queue.redrive([id], handler))
      assert.deepStrictEqual(seen, [
        [{ order: 1 }, { tenant: "t1" }, 1, `${id}-0`],
        [{ order: 1 }, { tenant: "t1" }, 2, `${id}-1`],
        [{ order: 1 }, { tenant: "t1" }, 3, `${id}-2`]
      ])
      const letter = yield* queue.get(id)
      assert.deepInclude(letter, { state: "Archived", reason: { _tag: "Redriven" } })
      assert.isUndefined(letter.lease)
    }).pipe(test))

  it.effect("hands over to anything with offer, under that key", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const [id] = yield* offerMany(queue, 1)
      const taken: Array<unknown> = []
      const destination = { offer: (order: unknown, options: unknown) => Effect.sync(() => taken.push(order, options)) }
      assert.deepStrictEqual(yield* outcomes(queue.redrive({}, destination)), ["redriven"])
      assert.deepStrictEqual(taken, [{ order: 1 }, { id: `${id}-0` }])
    }).pipe(test))

  it.effect("DL-2 a letter that fails again is dead again, its history extended; at last it is quarantined", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ maxRedrives: 2 })
      const [id = ""] = yield* offerMany(queue, 1)
      const fail = () => Effect.fail({ message: "still no stock" })
      yield* drain(queue.redrive({}, fail))
      const again = yield* queue.get(id)
      assert.deepInclude(again, { state: "Dead", attempts: { delivered: 1, interrupted: 0, crashed: 0 }, failedAt: 0 })
      assert.deepStrictEqual(again.history.map(({ event }) => event), ["Offered", "Claimed", "Failed"])
      assert.strictEqual(again.history[2]?.failure?.message, "still no stock")
      yield* drain(queue.redrive({}, fail))
      const spent = yield* queue.get(id)
      assert.deepInclude(spent, { state: "Quarantined", reason: { _tag: "MaxRedrives", budget: "delivered" } })
      assert.deepStrictEqual(spent.history.slice(3).map(({ event }) => event), ["Claimed", "Failed", "Quarantined"])
      assert.deepStrictEqual(yield* outcomes(queue.redrive({ state: ["Dead", "Quarantined"] }, fail)), [])
      assert.deepStrictEqual(yield* outcomes(queue.redrive([id], fail)), ["skipped"])
      assert.strictEqual(yield* queue.release([id]), 1)
      assert.deepStrictEqual(yield* outcomes(queue.redrive({}, () => Effect.void)), ["redriven"])
    }).pipe(test))

  it.effect("DL-3 means the letters that were there at the selection", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 150)
      const handled: Array<number> = []
      const handler = ({ order }: { readonly order: number }) =>
        Effect.andThen(
          Effect.sync(() => handled.push(order)),
          queue.offer({ order: 1_000 + order }, { error: "arrived meanwhile" })
        )
      const progress = yield* Stream.runCollect(queue.redrive({}, handler))
      assert.deepStrictEqual(handled, Array.from({ length: 150 }, (_, i) => i + 1))
      assert.deepInclude(progress.at(-1), { done: 150, total: 150 })
      assert.strictEqual(yield* queue.count({ state: "Dead" }), 150)
    }).pipe(test))

  it.effect("DL-3 a letter that fails again is not taken a second time by the same redrive", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 120)
      const result = yield* outcomes(queue.redrive({}, () => Effect.fail("no"), { concurrency: 7 }))
      assert.deepStrictEqual(result, Array.from({ length: 120 }, () => "failed"))
      assert.strictEqual(yield* queue.count({ state: "Dead" }), 120)
    }).pipe(test))

  it.effect("DL-3 an interrupted redrive goes on where it stopped, in another process if need be", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 300)
      const selection = yield* queue.select({ kind: "Permanent" })
      const sent = yield* Effect.flatMap(
        Schema.encodeEffect(Schema.fromJsonString(DeadLetterQueue.Selection))(selection),
        Schema.decodeEffect(Schema.fromJsonString(DeadLetterQueue.Selection))
      )
      const handled = new Map<number, number>()
      const handler = ({ order }: { readonly order: number }) =>
        Effect.gen(function*() {
          yield* Effect.sleep("1 second")
          handled.set(order, (handled.get(order) ?? 0) + 1)
          if (order % 3 === 0) return yield* Effect.fail("no")
        })
      for (let i = 0; i < 40; i++) {
        const fiber = yield* Effect.forkChild(
          drain(queue.redrive(i === 0 ? selection : sent, handler, { concurrency: 10 }))
        )
        yield* TestClock.adjust(`${900 + i * 100} millis`)
        yield* Fiber.interrupt(fiber)
        if (i === 0) yield* offerMany(queue, 5)
      }
      assert.strictEqual(handled.size, 300)
      assert.deepStrictEqual([...new Set(handled.values())], [1])
      assert.strictEqual(yield* queue.count({ state: "Archived" }), 200)
      assert.strictEqual(yield* queue.count({ state: "Dead" }), 105)
    }).pipe(test))

  it.effect("DL-11 a dry run counts what a redrive then does, and changes nothing", () =>
    Effect.gen(function*() {
      const old = yield* DeadLetterQueue.make({ name: "orders", schema: Schema.String })
      for (let i = 0; i < 40; i++) yield* old.offer(`order ${i}`, { error: "down" })
      const queue = yield* orders()
      const ids = yield* offerMany(queue, 130)
      yield* queue.discard(ids.slice(0, 5), "no")
      const handler = ({ order }: { readonly order: number }) => order % 2 === 0 ? Effect.fail("no") : Effect.void
      const last = (dryRun: boolean) =>
        Effect.map(Stream.runCollect(queue.redrive({}, handler, { dryRun })), (all) => all.at(-1)!)
      const before = yield* queue.report
      const forecast = yield* last(true)
      assert.deepStrictEqual(yield* queue.report, before)
      const done = yield* last(false)
      assert.deepInclude(forecast.counts, { due: 125, quarantined: 40 })
      assert.strictEqual(done.counts.redriven + done.counts.failed, forecast.counts.due)
      assert.strictEqual(done.counts.quarantined, forecast.counts.quarantined)
      assert.deepStrictEqual([done.done, done.total], [forecast.done, forecast.total])
    }).pipe(test))

  it.effect("runs no more than `concurrency` at once, and starts no more than `rate` in any window", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 60)
      const starts: Array<number> = []
      let running = 0
      let most = 0
      const handler = () =>
        Effect.gen(function*() {
          starts.push(yield* Clock.currentTimeMillis)
          most = Math.max(most, ++running)
          yield* Effect.sleep("350 millis")
          running--
        })
      const fiber = yield* Effect.forkChild(
        drain(queue.redrive({}, handler, { concurrency: 3, rate: { limit: 10, window: "1 second" } }))
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.strictEqual(starts.length, 60)
      assert.strictEqual(most, 3)
      for (const start of starts) {
        assert.isTrue(starts.filter((other) => other >= start && other < start + 1_000).length <= 10)
      }
    }).pipe(test))

  it.effect("a handler that throws has failed; a selection of another queue is a defect", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const [id = ""] = yield* offerMany(queue, 1)
      const throwing = (): Effect.Effect<void> => {
        throw new Error("bug")
      }
      assert.deepStrictEqual(yield* outcomes(queue.redrive([id], throwing)), ["failed"])
      assert.deepInclude((yield* queue.get(id)).failure, { message: "bug", code: "Defect" })
      const other = yield* orders({ name: "others" })
      const exit = yield* Effect.exit(drain(other.redrive(yield* queue.select(), () => Effect.void)))
      assert.match(
        String(Exit.isFailure(exit) && exit.cause),
        /selection must be of queue "others", got one of "orders"/
      )
    }).pipe(test))

  it.effect("a rate that is a number is for each second; one out of range is refused", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 10)
      const fiber = yield* Effect.forkChild(drain(queue.redrive({}, () => Effect.void, { rate: 2 })))
      yield* TestClock.adjust("4499 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
      assert.throws(() => queue.redrive({}, () => Effect.void, { rate: 0 }), RangeError, /^rate.limit must be/)
      assert.throws(() => queue.redrive({}, () => Effect.void, { concurrency: 0 }), RangeError, /^concurrency must be/)
    }).pipe(test))

  it.effect("two redrives at once share the letters, none is handed over twice", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 500)
      const handled: Array<number> = []
      const handler = ({ order }: { readonly order: number }) =>
        Effect.andThen(Effect.yieldNow, Effect.sync(() => handled.push(order)))
      const all = yield* Effect.forkChild(Effect.all(
        Array.from({ length: 16 }, () => drain(queue.redrive({}, handler, { concurrency: 4 }))),
        { concurrency: "unbounded" }
      ))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(all)
      assert.strictEqual(handled.length, 500)
      assert.strictEqual(new Set(handled).size, 500)
    }).pipe(test))
})

describe("several redrives at once", () => {
  it.effect("DL-3 a letter that failed under one is not taken by the others that had listed it, too", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 300)
      yield* TestClock.adjust("1 second")
      let handled = 0
      // Some take longer than others, so that workers meet letters which failed under another one a moment ago.
      const handler = ({ order }: typeof Order.Type) =>
        Effect.andThen(
          Effect.sleep((order * 7) % 50),
          Effect.suspend(() => {
            handled++
            return Effect.fail("no")
          })
        )
      const all = yield* Effect.forkChild(Effect.all(
        Array.from({ length: 8 }, () => drain(queue.redrive({}, handler, { concurrency: 3 }))),
        { concurrency: "unbounded" }
      ))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(all)
      assert.strictEqual(handled, 300)
    }).pipe(test))
})

describe("leases", () => {
  it.effect("DL-4 a worker that renews keeps its letter, however long it takes", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ lease: "30 seconds" })
      const [id = ""] = yield* offerMany(queue, 1)
      const slow = yield* Effect.forkChild(outcomes(queue.redrive([id], () => Effect.sleep("1 hour"))))
      for (let i = 0; i < 59; i++) {
        yield* TestClock.adjust("1 minute")
        yield* queue.sweep
        assert.deepStrictEqual(yield* outcomes(queue.redrive([id], () => Effect.void)), ["taken"])
      }
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(slow), ["redriven"])
      assert.strictEqual((yield* queue.get(id)).claims, 1)
    }).pipe(test))

  it.effect("DL-4 a worker that waits for its transaction keeps its letter, too", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ lease: "30 seconds" })
      const [id = ""] = yield* offerMany(queue, 1)
      const atomically = <A, E, R>(self: Effect.Effect<A, E, R>) =>
        Effect.andThen(Effect.sleep("10 minutes"), Effect.tap(self, Effect.sleep("10 minutes")))
      const slow = yield* Effect.forkChild(
        outcomes(queue.redrive([id], () => Effect.sleep("10 minutes"), { atomically }))
      )
      for (let i = 0; i < 19; i++) {
        yield* TestClock.adjust("1 minute")
        yield* queue.sweep
        assert.deepStrictEqual(yield* outcomes(queue.redrive([id], () => Effect.void)), ["taken"])
      }
      yield* TestClock.adjust("11 minutes")
      assert.deepStrictEqual(yield* Fiber.join(slow), ["redriven"])
      assert.strictEqual((yield* queue.get(id)).claims, 1)
    }).pipe(test))

  it.effect("DL-4 a worker that cannot renew is interrupted before anybody else gets the letter, its answer refused typed", () => {
    const broken = new Set<string>()
    return Effect.gen(function*() {
      const queue = yield* orders({ lease: "30 seconds" })
      const [id = ""] = yield* offerMany(queue, 1)
      const interruptedAt = yield* Ref.make(-1)
      const never = () =>
        Effect.onInterrupt(
          Effect.never,
          () => Effect.flatMap(Clock.currentTimeMillis, (now) => Ref.set(interruptedAt, now))
        )
      const fiber = yield* Effect.forkChild(Stream.runCollect(queue.redrive([id], never)))
      yield* TestClock.adjust("15 seconds")
      broken.add("replace")
      yield* TestClock.adjust("24 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const [progress] = yield* Fiber.join(fiber)
      // Renewed last at 10 s: the lease ended at 40 s.
      assert.strictEqual(yield* Ref.get(interruptedAt), 40_000)
      assert.strictEqual(progress?.outcome, "leaseLost")
      assert.deepInclude(progress?.error, { _tag: "LeaseLost", id, fence: 1 })
      broken.clear()
      yield* queue.sweep
      const letter = yield* queue.get(id)
      assert.deepInclude(letter, { state: "Dead", attempts: { delivered: 0, interrupted: 0, crashed: 1 } })
    }).pipe(Effect.provide(failingStore(broken)))
  })

  it.effect("DL-4 a worker that slept through its lease cannot settle", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ lease: "30 seconds" })
      const [id = ""] = yield* offerMany(queue, 1)
      // It cannot be interrupted, so its lease ends before it does.
      const stubborn = () => Effect.uninterruptible(Effect.sleep("5 minutes"))
      const store = yield* DeadLetterQueue.DeadLetterStore
      const frozen = yield* orders({ lease: "30 seconds" }).pipe(
        Effect.provideService(DeadLetterQueue.DeadLetterStore, {
          ...store,
          // Renewals never arrive.
          replace: (row, expected) =>
            row.meta.includes(`"expiresAt":30000`) || row.state !== "Redriving"
              ? store.replace(row, expected)
              : Effect.never
        })
      )
      const fiber = yield* Effect.forkChild(Stream.runCollect(frozen.redrive([id], stubborn)))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* outcomes(queue.redrive([id], () => Effect.void)), ["redriven"])
      yield* TestClock.adjust("10 minutes")
      const [progress] = yield* Fiber.join(fiber)
      assert.strictEqual(progress?.error?._tag, "LeaseLost")
      const letter = yield* queue.get(id)
      assert.deepStrictEqual(letter.history.map(({ event }) => event), [
        "Offered",
        "Claimed",
        "Crashed",
        "Claimed",
        "Succeeded"
      ])
    }).pipe(test))

  it.effect("a success is noted though the store was away for a moment", () => {
    const broken = new Set<string>()
    return Effect.gen(function*() {
      const queue = yield* orders()
      const [id = ""] = yield* offerMany(queue, 1)
      const handler = () => Effect.sync(() => broken.add("get"))
      const fiber = yield* Effect.forkChild(outcomes(queue.redrive([id], handler)))
      yield* TestClock.adjust("5 seconds")
      broken.clear()
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["redriven"])
    }).pipe(Effect.provide(failingStore(broken)))
  })

  it.effect("DL-5 interrupted, crashed and delivered redrives have budgets of their own, and all count as attempts", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ maxRedrives: { delivered: 2, interrupted: 3, crashed: 2 } })
      const seen: Array<number> = []
      const interrupt = Effect.fnUntraced(function*(id: string) {
        const fiber = yield* Effect.forkChild(drain(queue.redrive([id], (_, { attempt }) => {
          seen.push(attempt)
          return Effect.never
        })))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      })
      const [a = ""] = yield* offerMany(queue, 1)
      yield* interrupt(a)
      yield* drain(queue.redrive([a], (_, { attempt }) => {
        seen.push(attempt)
        return Effect.fail("no")
      }))
      yield* interrupt(a)
      assert.deepInclude(yield* queue.get(a), { state: "Dead", attempts: { delivered: 1, interrupted: 2, crashed: 0 } })
      yield* interrupt(a)
      assert.deepStrictEqual(seen, [1, 2, 3, 4])
      assert.deepInclude(yield* queue.get(a), {
        state: "Quarantined",
        reason: { _tag: "MaxRedrives", budget: "interrupted" }
      })
    }).pipe(test))

  it.effect("DL-5 a letter whose workers crash is quarantined when that budget is used up", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ maxRedrives: { crashed: 2 } })
      const [id = ""] = yield* offerMany(queue, 1)
      const store = yield* DeadLetterQueue.DeadLetterStore
      // What a process that was killed leaves behind: its claim.
      const leave = Effect.gen(function*() {
        const claims = yield* Ref.make(0)
        const doomed = yield* orders({ lease: "10 seconds" }).pipe(
          Effect.provideService(DeadLetterQueue.DeadLetterStore, {
            ...store,
            replace: (row, expected) =>
              Effect.flatMap(
                Ref.getAndUpdate(claims, (n) => n + 1),
                (n) => n === 0 ? store.replace(row, expected) : Effect.never
              )
          })
        )
        yield* Effect.forkDetach(drain(doomed.redrive([id], () => Effect.never)))
        yield* TestClock.adjust("20 seconds")
      })
      yield* leave
      const heard: Array<Signal.Signal> = []
      yield* queue.sweep.pipe(Effect.provide(Signal.layer((signal) => heard.push(signal))))
      assert.deepStrictEqual(heard, [
        { _tag: "LetterRedriven", queue: "orders", id, attempt: 1, outcome: "crashed" }
      ])
      assert.deepInclude(yield* queue.get(id), {
        state: "Dead",
        attempts: { delivered: 0, interrupted: 0, crashed: 1 }
      })
      yield* leave
      // Nobody swept: the redrive itself finds the lease ended.
      assert.deepStrictEqual(yield* outcomes(queue.redrive({}, () => Effect.void)), ["quarantined"])
      assert.deepInclude(yield* queue.get(id), { reason: { _tag: "MaxRedrives", budget: "crashed" } })
    }).pipe(test))
})

describe("interruption", () => {
  it.effect("DL-5 at any point leaves no letter with a worker, and none handled without a note", () =>
    Effect.gen(function*() {
      const store = yield* DeadLetterQueue.DeadLetterStore
      const slow = <A, E>(self: Effect.Effect<A, E>) =>
        Effect.andThen(Effect.yieldNow, Effect.tap(self, Effect.yieldNow))
      const queue = yield* orders({ maxRedrives: { interrupted: 1_000 } }).pipe(
        Effect.provideService(DeadLetterQueue.DeadLetterStore, {
          ...store,
          get: (name, id) => slow(store.get(name, id)),
          replace: (row, expected) => slow(store.replace(row, expected))
        })
      )
      yield* offerMany(queue, 3)
      let handled = 0
      const handler = () => Effect.andThen(Effect.yieldNow, Effect.sync(() => handled++))
      for (let point = 0; (yield* queue.count({ state: "Dead" })) > 0; point++) {
        const fiber = yield* Effect.forkChild(drain(queue.redrive({}, handler)))
        for (let i = 0; i < point; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* queue.count({ state: "Redriving" }), 0, `at point ${point}`)
        assert.strictEqual(yield* queue.count({ state: "Archived" }), handled)
      }
      assert.strictEqual(handled, 3)
    }).pipe(test))

  it.effect("of something in a handler ends that redrive, not the others", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 3)
      const handler = ({ order }: typeof Order.Type) => order === 2 ? Effect.interrupt : Effect.void
      assert.deepStrictEqual(yield* outcomes(queue.redrive({}, handler)), ["redriven", "failed", "redriven"])
      const [letter] = (yield* queue.list({ state: "Dead" })).letters
      assert.deepStrictEqual(letter?.attempts, { delivered: 0, interrupted: 1, crashed: 0 })
    }).pipe(test))
})

describe("payloads that cannot be read", () => {
  it.effect("DL-6 are quarantined byte for byte, and a new upcaster redrives them", () =>
    Effect.gen(function*() {
      const V1 = Schema.Struct({ id: Schema.String })
      const old = yield* DeadLetterQueue.make({ name: "orders", schema: V1 })
      const id = yield* old.offer({ id: "order 17" }, { error: "down" })
      const raw = (yield* old.get(id)).raw
      const queue = yield* orders({ version: 2 })
      assert.deepStrictEqual(yield* outcomes(queue.redrive({}, () => Effect.void)), ["quarantined"])
      const letter = yield* queue.get(id)
      assert.deepInclude(letter, { state: "Quarantined", raw, payloadVersion: 1 })
      assert.strictEqual(letter.reason?._tag, "Undecodable")
      assert.isTrue(Result.isFailure(letter.payload))
      assert.deepStrictEqual(letter.attempts, { delivered: 0, interrupted: 0, crashed: 0 })

      const versions: Array<number> = []
      const fixed = yield* orders({
        version: 2,
        upcast: (payload, version) => {
          versions.push(version)
          return { order: Number(Schema.decodeUnknownSync(V1)(payload).id.slice(6)) }
        }
      })
      const handled: Array<unknown> = []
      const handler = (order: unknown) => Effect.sync(() => handled.push(order))
      assert.deepStrictEqual(yield* outcomes(fixed.redrive({ state: "Quarantined" }, handler)), ["redriven"])
      assert.deepStrictEqual([handled, versions], [[{ order: 17 }], [1]])
    }).pipe(test))

  it.effect("DL-6 an upcaster that throws makes them undecodable, no more", () =>
    Effect.gen(function*() {
      const old = yield* orders()
      yield* offerMany(old, 1)
      const queue = yield* orders({
        version: 2,
        upcast: () => {
          throw new Error("bug")
        }
      })
      assert.deepStrictEqual(yield* outcomes(queue.redrive({}, () => Effect.void)), ["quarantined"])
    }).pipe(test))

  it.effect("DL-9 one corrupt record never blocks the rest", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const ids = yield* offerMany(queue, 5)
      const store = yield* DeadLetterQueue.DeadLetterStore
      const corrupt = Effect.fnUntraced(function*(id: string, change: Partial<DeadLetterQueue.Row>) {
        const row = (yield* store.get("orders", id))!
        yield* store.replace({ ...row, ...change }, row.version)
      })
      yield* corrupt(ids[0]!, { meta: `{"state":"Dead"` })
      yield* corrupt(ids[2]!, { body: "\u0000\u0001 not JSON" })
      const { letters } = yield* queue.list()
      assert.strictEqual(letters.length, 5)
      const handled: Array<number> = []
      const result = yield* outcomes(queue.redrive({}, ({ order }) => Effect.sync(() => handled.push(order))))
      assert.deepStrictEqual(result, ["quarantined", "redriven", "quarantined", "redriven", "redriven"])
      assert.deepStrictEqual(handled, [2, 4, 5])
      assert.deepInclude(yield* queue.get(ids[0]!), { state: "Quarantined" })
      assert.strictEqual((yield* store.get("orders", ids[0]!))?.meta, `{"state":"Dead"`)
      assert.deepInclude(yield* queue.get(ids[2]!), { state: "Quarantined", raw: "\u0000\u0001 not JSON" })
      assert.strictEqual(yield* queue.count({ state: "Quarantined" }), 2)
      assert.strictEqual(yield* queue.discard({ state: "Quarantined" }, "corrupt"), 2)
    }).pipe(test))
})

describe("autoRedrive", () => {
  it.effect("DL-13 follows its schedule, keeps to its rate in any window, and pauses while it may not", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 100)
      const starts: Array<number> = []
      let open = false
      const handler = ({ order }: { readonly order: number }) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          starts.push(now)
          if (starts.length === 30) open = true
          return order % 2 === 0 ? Effect.fail("no") : Effect.void
        })
      const auto = queue.autoRedrive({
        schedule: Schedule.fixed("1 minute"),
        when: Effect.sync(() => !open),
        rate: { limit: 5, window: "1 second" },
        handler
      })
      yield* Layer.build(auto)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(starts, [])
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual(starts.length, 30, "the breaker is open: no letter is taken")
      const pausedUntil = yield* Clock.currentTimeMillis
      open = false
      yield* TestClock.adjust("3 minutes")
      assert.isTrue(starts.length >= 100)
      assert.isTrue(starts.every((start, i) => i < 30 || start > pausedUntil))
      for (const start of starts) {
        assert.isTrue(starts.filter((other) => other >= start && other < start + 1_000).length <= 5)
      }
      assert.strictEqual(yield* queue.count({ state: "Archived" }), 50)
    }).pipe(Effect.scoped, test))

  it.effect("DL-13 goes on after a round that failed", () => {
    const broken = new Set(["get"])
    return Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 3)
      yield* Layer.build(queue.autoRedrive({ schedule: Schedule.spaced("1 minute"), handler: () => Effect.void }))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* queue.count({ state: "Dead" }), 3)
      broken.clear()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* queue.count({ state: "Dead" }), 0)
    }).pipe(Effect.scoped, Effect.provide(failingStore(broken)))
  })
})

describe("traces and signals", () => {
  it.effect("DL-14 the span of a redrive links to the trace of the failure", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const origin = yield* Effect.flatMap(Effect.currentSpan, (span) =>
        Effect.as(queue.offer({ order: 1 }, { error: "down" }), span)).pipe(Effect.withSpan("original"))
      const spans: Array<Tracer.Span> = []
      yield* drain(queue.redrive({}, () =>
        Effect.map(Effect.currentSpan, (span) => spans.push(span))))
      const [span] = spans
      assert.strictEqual(span?.name, "DeadLetterQueue.redrive")
      assert.deepStrictEqual(span?.links.map(({ span }) => [span.traceId, span.spanId]), [[
        origin.traceId,
        origin.spanId
      ]])
      assert.strictEqual(span?.attributes.get("dead_letter.attempt"), 1)
    }).pipe(test))

  it.effect("each redrive says how it ended", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const queue = yield* orders()
      yield* offerMany(queue, 2)
      const handler = ({ order }: typeof Order.Type) => order === 1 ? Effect.fail("no") : Effect.void
      yield* drain(queue.redrive({}, handler)).pipe(Effect.provide(Signal.layer((signal) => heard.push(signal))))
      assert.deepStrictEqual(
        heard.map((signal) => signal._tag === "LetterRedriven" && [signal.outcome, signal.attempt]),
        [["failed", 1], ["redriven", 1]]
      )
    }).pipe(test))
})
