import { assert, describe, it } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Failure from "effect-resilience/Failure"
import * as Signal from "effect-resilience/Signal"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { offerMany, orders, outcomes } from "./support/deadLetters.ts"

const test = Effect.provide(DeadLetterQueue.layerStoreMemory)

class Rejected extends Schema.TaggedError<Rejected>()("Rejected", { why: Schema.String }) {
  [Failure.symbol](): Failure.Info {
    return {
      kind: "Overloaded",
      scope: "dependency",
      code: "Rejected",
      message: this.why,
      retryAfter: Duration.seconds(7)
    }
  }
}

describe("offering a letter", () => {
  it.effect("records the failure, its causes, the attempts, headers, versions and the trace", () =>
    Effect.gen(function*() {
      const queue = yield* orders({ version: 3, applicationVersion: "1.4.0" })
      yield* TestClock.setTime(1_000)
      const root = new Error("socket closed")
      const error = new Error("no answer", { cause: root })
      const [id, span] = yield* Effect.gen(function*() {
        const span = yield* Effect.currentSpan
        const id = yield* queue.offer({ order: 1 }, {
          error: Object.assign(error, { code: "ECONNRESET" }),
          attempts: [{ error: new Rejected({ why: "busy" }), at: 400, duration: "20 millis" }],
          headers: { "request-id": "r1" }
        })
        return [id, span] as const
      }).pipe(Effect.withSpan("handler"))
      const letter = yield* queue.get(id)
      assert.deepStrictEqual(letter.payload, Result.succeed({ order: 1 }))
      assert.strictEqual(letter.raw, `{"order":1}`)
      assert.deepInclude(letter.failure, { kind: "Transient", code: "ECONNRESET", message: "no answer" })
      assert.deepStrictEqual(letter.causes, ["Error: no answer", "Error: socket closed"])
      assert.match(letter.stack ?? "", /DeadLetterQueue\.test/)
      assert.deepStrictEqual(letter.headers, { "request-id": "r1" })
      assert.deepInclude(letter, {
        state: "Dead",
        payloadVersion: 3,
        applicationVersion: "1.4.0",
        failedAt: 1_000,
        offeredAt: 1_000,
        trace: { traceId: span.traceId, spanId: span.spanId, sampled: true }
      })
      assert.deepStrictEqual(letter.sourceAttempts, [{
        at: 400,
        duration: Duration.millis(20),
        failure: {
          kind: "Overloaded",
          scope: "dependency",
          code: "Rejected",
          message: "busy",
          retryAfter: Duration.seconds(7)
        }
      }])
      assert.deepStrictEqual(letter.history.map(({ event }) => event), ["Offered"])
    }).pipe(test))

  it.effect("tells whoever listens", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const queue = yield* orders()
      const id = yield* queue.offer({ order: 1 }, { cause: Cause.die("bug") }).pipe(
        Effect.provide(Signal.layer((signal) => heard.push(signal)))
      )
      assert.deepStrictEqual(heard, [{ _tag: "DeadLettered", queue: "orders", id, kind: "Permanent" }])
    }).pipe(test))

  it.effect("the same work is one letter until it is closed", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const offer = queue.offer({ order: 1 }, { error: "down", dedupeKey: "order-1" })
      const first = yield* offer
      assert.strictEqual(yield* offer, first)
      assert.strictEqual((yield* queue.get(first)).occurrences, 2)
      yield* queue.archive([first])
      const second = yield* offer
      assert.notStrictEqual(second, first)
      assert.strictEqual(yield* queue.release([first]), 1)
      assert.strictEqual(yield* offer, second)
      assert.strictEqual(yield* queue.count({ state: "Dead" }), 2)
    }).pipe(test))

  it.effect("a second offer of work that is being redriven does not take the letter from its worker", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const offer = queue.offer({ order: 1 }, { error: "down", dedupeKey: "order-1" })
      const id = yield* offer
      const again = () => Effect.map(offer, (merged) => assert.strictEqual(merged, id))
      assert.deepStrictEqual(yield* outcomes(queue.redrive([id], again)), ["redriven"])
    }).pipe(test))

  it.effect("any dedupe key will do", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const keys = ["", "a", "\u0000", "{}*:", "k".repeat(10_000), `${"k".repeat(10_000)}l`, "日本"]
      const offer = (dedupeKey: string) => queue.offer({ order: 1 }, { error: "down", dedupeKey })
      const ids = yield* Effect.forEach(keys, offer)
      assert.strictEqual(new Set(ids).size, keys.length)
      assert.deepStrictEqual(yield* Effect.forEach(keys, offer), ids)
    }).pipe(test))

  it.effect("work whose letter is corrupt is merged into it, and the record stays as it is", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const store = yield* DeadLetterQueue.DeadLetterStore
      const offer = queue.offer({ order: 1 }, { error: "down", dedupeKey: "k" })
      const id = yield* offer
      yield* store.replace({ ...(yield* store.get("orders", id))!, meta: "{broken" }, 1)
      assert.strictEqual(yield* offer, id)
      assert.strictEqual((yield* store.get("orders", id))?.meta, "{broken")
    }).pipe(test))

  it.effect("JSON from elsewhere is kept, in quarantine where it does not fit", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const good = yield* queue.get(yield* queue.offerJson({ order: 1 }, { error: "down" }))
      assert.deepStrictEqual([good.state, good.payload], ["Dead", Result.succeed({ order: 1 })])
      const bad = yield* queue.get(yield* queue.offerJson({ odd: [1.5, "x"] }, { error: "down" }))
      assert.deepStrictEqual([bad.state, bad.raw, bad.reason?._tag], [
        "Quarantined",
        `{"odd":[1.5,"x"]}`,
        "Undecodable"
      ])
    }).pipe(test))

  it.effect("a time that is none is refused by name", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const exit = yield* Effect.exit(queue.offer({ order: 1 }, { error: "down", failedAt: NaN }))
      assert.match(String(Exit.isFailure(exit) && exit.cause), /failedAt must be a finite number, got NaN/)
      const id = yield* queue.offer({ order: 1 }, { error: "down", failedAt: 1.5 })
      assert.strictEqual((yield* queue.get(id)).failedAt, 2)
    }).pipe(test))

  it.effect("a payload that does not fit the schema is refused, without showing it", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const error = yield* Effect.flip(queue.offer({ order: 0.5 }, { error: "down" }))
      assert.strictEqual(error._tag, "PayloadUnencodable")
      assert.notInclude(error.message, "0.5")
      assert.strictEqual(yield* queue.count(), 0)
    }).pipe(test))
})

describe("deadLetterOnFailure", () => {
  const failing = (n: number, calls: Array<number>) => ({ order }: { readonly order: number }) =>
    Effect.suspend(() => {
      calls.push(order)
      return calls.length <= n ? Effect.fail(new Rejected({ why: `busy ${calls.length}` })) : Effect.succeed("done")
    })

  it.effect("says what came of it when it succeeds in the end", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const calls: Array<number> = []
      const run = queue.deadLetterOnFailure(failing(2, calls), { retry: Schedule.recurs(2) })
      assert.deepStrictEqual(yield* run({ order: 1 }), { _tag: "Done", value: "done" })
      assert.strictEqual(calls.length, 3)
      assert.strictEqual(yield* queue.count(), 0)
    }).pipe(test))

  it.effect("offers after the last attempt, with each attempt, and succeeds", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const run = queue.deadLetterOnFailure(failing(9, []), {
        retry: Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 2 })),
        headers: ({ order }) => ({ order: `${order}` })
      })
      const fiber = yield* Effect.forkChild(run({ order: 5 }))
      yield* TestClock.adjust("1 minute")
      const kept = yield* Fiber.join(fiber)
      assert.strictEqual(kept._tag, "DeadLettered")
      const letter = yield* queue.get(kept._tag === "DeadLettered" ? kept.id : "")
      assert.deepStrictEqual(letter.sourceAttempts.map(({ at, failure }) => [at, failure.message]), [
        [0, "busy 1"],
        [1_000, "busy 2"],
        [2_000, "busy 3"]
      ])
      assert.deepStrictEqual(letter.headers, { order: "5" })
      assert.strictEqual(letter.failure.message, "busy 3")
    }).pipe(test))

  it.effect("or fails with the last error, as told", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const run = queue.deadLetterOnFailure(failing(9, []), { afterwards: "fail" })
      assert.deepStrictEqual(yield* Effect.exit(run({ order: 1 })), Exit.fail(new Rejected({ why: "busy 1" })))
      assert.strictEqual(yield* queue.count(), 1)
    }).pipe(test))

  it.effect("keeps what dies of a bug, too", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const run = queue.deadLetterOnFailure(() => Effect.die(new Error("bug")))
      assert.strictEqual((yield* run({ order: 1 }))._tag, "DeadLettered")
    }).pipe(test))

  it.effect("passes interruption on and keeps nothing", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const fiber = yield* Effect.forkChild(queue.deadLetterOnFailure(() => Effect.never)({ order: 1 }))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      const inside = yield* Effect.exit(queue.deadLetterOnFailure(() => Effect.interrupt)({ order: 1 }))
      assert.isTrue(Exit.hasInterrupts(inside))
      assert.strictEqual(yield* queue.count(), 0)
    }).pipe(test))

  const broken = Layer.effect(
    DeadLetterQueue.DeadLetterStore,
    Effect.map(DeadLetterQueue.DeadLetterStore, (store) => ({
      ...store,
      insert: () => Effect.fail(new DeadLetterQueue.DeadLetterStoreError({ operation: "insert", cause: "disk full" }))
    }))
  ).pipe(Layer.provide(DeadLetterQueue.layerStoreMemory))

  it.effect("DL-8 where the letter cannot be written it fails, so the source is not acknowledged", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const acknowledged: Array<number> = []
      const consume = <A, E>(run: (order: { readonly order: number }) => Effect.Effect<A, E>) =>
        Effect.exit(Effect.tap(run({ order: 1 }), () => Effect.sync(() => acknowledged.push(1))))
      const exit = yield* consume(queue.deadLetterOnFailure(failing(9, [])))
      assert.isTrue(
        Exit.isFailure(exit) &&
          exit.cause.reasons.some((reason) =>
            Cause.isFailReason(reason) && reason.error._tag === "DeadLetterStoreError"
          )
      )
      const both = yield* consume(queue.deadLetterOnFailure(failing(9, []), { afterwards: "fail" }))
      assert.sameMembers(
        Exit.isFailure(both) ? both.cause.reasons.filter(Cause.isFailReason).map(({ error }) => error._tag) : [],
        ["DeadLetterStoreError", "Rejected"]
      )
      assert.deepStrictEqual(acknowledged, [])
    }).pipe(Effect.provide(broken)))
})

describe("browsing", () => {
  it.effect("DL-11 pages stay put while letters come and go", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const ids = yield* offerMany(queue, 25)
      for (const order of ["oldest", "newest"] as const) {
        const seen: Array<string> = []
        let cursor: string | undefined
        let round = 0
        do {
          const page: DeadLetterQueue.Page = yield* queue.list({}, cursor ?? { limit: 10, order })
          seen.push(...page.letters.map(({ id }) => id))
          cursor = page.cursor
          if (round++ === 0) {
            yield* queue.offer({ order: 99 }, { error: "late" })
            yield* queue.archive([ids[0]!, ids[24]!])
          }
        } while (cursor !== undefined)
        const wanted = order === "oldest" ? ids : ids.toReversed()
        assert.deepStrictEqual(seen.filter((id) => ids.includes(id)), [...wanted])
        assert.strictEqual(new Set(seen).size, seen.length)
      }
    }).pipe(test))

  it.effect("a cursor that list did not give out fails typed", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const error = yield* Effect.flip(queue.list({}, "nonsense"))
      assert.strictEqual(error._tag, "CursorInvalid")
    }).pipe(test))

  it.effect("filters by state, kind, fingerprint and age", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* queue.offer({ order: 1 }, { error: new Rejected({ why: "busy" }) })
      yield* TestClock.adjust("1 hour")
      const id = yield* queue.offer({ order: 2 }, { error: new Error("no stock for 2") })
      yield* queue.offer({ order: 3 }, { error: new Error("no stock for 3") })
      const { fingerprint } = yield* queue.get(id)
      yield* queue.discard([id], "too old")
      assert.strictEqual(yield* queue.count({ fingerprint }), 2)
      assert.strictEqual(yield* queue.count({ fingerprint, state: "Discarded" }), 1)
      assert.strictEqual(yield* queue.count({ kind: ["Overloaded", "Timeout"] }), 1)
      assert.strictEqual(yield* queue.count({ olderThan: "1 hour" }), 1)
      assert.strictEqual(yield* queue.count({ newerThan: "1 hour" }), 2)
      assert.strictEqual(yield* queue.count({ olderThan: 0 }), 3)
      assert.throws(() => queue.count({ olderThan: -1 }).pipe(Effect.runSync), RangeError, /olderThan/)
    }).pipe(test))

  it.effect("DL-11 the report's numbers are those of the letters", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* queue.offer({ order: 1 }, { error: new Rejected({ why: "busy" }) })
      yield* TestClock.adjust("2 hours")
      const ids = yield* offerMany(queue, 3)
      yield* queue.discard([ids[0]!], "no")
      const report = yield* queue.report
      assert.deepInclude(report, {
        total: 4,
        states: { Dead: 3, Redriving: 0, Quarantined: 0, Archived: 0, Discarded: 1 },
        kinds: { Overloaded: 1, Permanent: 2 },
        oldest: 0
      })
      assert.deepStrictEqual(report.fingerprints.map(({ count, failure }) => [count, failure.message]), [
        [2, "no stock for order 3"],
        [1, "busy"]
      ])
      assert.deepStrictEqual(report.ages.map(({ count }) => count), [2, 0, 0, 1, 0, 0, 0, 0])
    }).pipe(test))

  it.effect("a letter that is not there fails typed", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      assert.strictEqual((yield* Effect.flip(queue.get("nobody")))._tag, "LetterNotFound")
    }).pipe(test))
})

describe("operating", () => {
  it.effect("archives and discards what is open, by ids, filter or selection, with a reason", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const ids = yield* offerMany(queue, 6)
      assert.strictEqual(yield* queue.archive([ids[0]!, ids[0]!, "nobody"], "seen"), 1)
      const selection = yield* queue.select()
      yield* offerMany(queue, 1)
      assert.strictEqual(yield* queue.discard(selection, "stale"), 5)
      assert.strictEqual(yield* queue.discard({}, "the rest"), 1)
      const archived = yield* queue.get(ids[0]!)
      assert.deepInclude(archived, { state: "Archived", reason: { _tag: "Told", message: "seen" } })
      assert.strictEqual(yield* queue.archive([ids[0]!]), 0)
    }).pipe(test))

  it.effect("edits the payload of a letter that nobody is at", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      const [id = ""] = yield* offerMany(queue, 1)
      const letter = yield* queue.edit(id, ({ order }) => ({ order: order * 10 }))
      assert.strictEqual(letter.history.at(-1)?.event, "Edited")
      assert.deepStrictEqual((yield* queue.get(id)).payload, Result.succeed({ order: 10 }))
      const handler = () =>
        Effect.map(Effect.flip(queue.edit(id, (order) => order)), (error) => {
          assert.deepInclude(error, { _tag: "LetterRefused", reason: "Leased" })
        })
      assert.deepStrictEqual(yield* outcomes(queue.redrive([id], handler)), ["redriven"])
    }).pipe(test))

  it.effect("moves letters to another queue as lines, each once", () =>
    Effect.gen(function*() {
      const queue = yield* orders()
      yield* offerMany(queue, 250)
      yield* outcomes(queue.redrive({}, ({ order }) => order === 7 ? Effect.fail("no") : Effect.void))
      const lines = yield* Stream.mkString(queue.export())
      const other = yield* orders({ name: "orders-2" })
      const report = yield* other.import(Stream.fromIterable([`${lines}garbage\n`, lines.slice(0, 100)]))
      assert.deepInclude(report, { imported: 250, duplicates: 0, rejected: 2 })
      assert.deepStrictEqual(report.rejections.map(({ line }) => line), [251, 252])
      assert.deepInclude(yield* other.import(Stream.make(lines)), { imported: 0, duplicates: 250 })
      const [letter] = (yield* other.list({ state: "Dead" })).letters
      assert.deepStrictEqual(letter?.history.map(({ event }) => event), ["Offered", "Claimed", "Failed", "Imported"])
      assert.strictEqual(letter?.attempts.delivered, 1)
      assert.deepStrictEqual((yield* other.get(letter?.id ?? "")).payload, Result.succeed({ order: 7 }))
    }).pipe(test))
})

describe("options", () => {
  const make = (options: Partial<DeadLetterQueue.Options<{ readonly order: number }>>) => () => orders(options)
  it.each([
    [make({ version: 0 }), /^version must be a positive integer, got 0$/],
    [make({ lease: 0 }), /^lease must be/],
    [make({ maxRedrives: 0 }), /^maxRedrives must be a positive integer, got 0$/],
    [make({ maxRedrives: { crashed: -1 } }), /^maxRedrives.crashed must be/],
    [make({ retention: { size: 1.5 } }), /^retention.size must be/],
    [make({ retention: { age: 0 } }), /^retention.age must be/]
  ])("refuses options out of range: %s", (make, message) => {
    assert.throws(make, RangeError, message)
  })

  class Orders extends DeadLetterQueue.Service<Orders>()("test/Orders", {
    name: "orders",
    schema: Schema.String
  }) {}

  it.effect("come from Config as well", () =>
    Effect.gen(function*() {
      const queue = yield* Orders
      const id = yield* queue.offer("tea", { error: "down" })
      assert.strictEqual((yield* queue.get(id)).applicationVersion, "2.0.0")
      assert.deepStrictEqual(yield* outcomes(queue.redrive({}, () => Effect.fail("again"))), ["failed"])
      assert.strictEqual((yield* queue.get(id)).state, "Quarantined")
    }).pipe(
      Effect.provide(
        Orders.layerConfig({
          maxRedrives: Config.Number("MAX_REDRIVES"),
          applicationVersion: Config.String("VERSION")
        }).pipe(
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ MAX_REDRIVES: "1", VERSION: "2.0.0" }))),
          Layer.provide(DeadLetterQueue.layerStoreMemory)
        )
      )
    ))

  it.effect("is recognised", () =>
    Effect.gen(function*() {
      assert.isTrue(DeadLetterQueue.isDeadLetterQueue(yield* orders()))
      assert.isFalse(DeadLetterQueue.isDeadLetterQueue({}))
    }).pipe(test))
})
