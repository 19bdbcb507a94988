import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as Failure from "effect-resilience/Failure"
import * as Signal from "effect-resilience/Signal"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"

const rejected = (reason: "Full" | "WaitTimeout", limit: number, queue: number) =>
  Exit.fail(new Bulkhead.BulkheadRejected({ name: "test", reason, limit, queue }))

const make = (options: Bulkhead.UnnamedOptions) => Bulkhead.make({ name: "test", ...options })

/** Work that says when it runs, and counts how many run with it. */
const gauge = () => {
  let running = 0
  let most = 0
  const started: Array<number> = []
  const work = (id: number, millis: number) =>
    Effect.acquireUseRelease(
      Effect.sync(() => {
        running++
        most = Math.max(most, running)
        started.push(id)
      }),
      () => Effect.sleep(millis),
      () => Effect.sync(() => running--)
    )
  return { work, started, running: () => running, most: () => most }
}

const forkNow = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** With fewer operations between two yields a fiber makes no progress. */
const opsPerTurn = 3

const idle = (limit: number, queue: number): Bulkhead.State => ({ limit, inFlight: 0, queue, queued: 0 })

/** As many calls as there are permits can run at once, and one more cannot. */
const isWhole = (bulkhead: Bulkhead.Bulkhead["Service"], limit: number, queue: number) =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* bulkhead.state, idle(limit, queue))
    const fibers = yield* Effect.forEach(
      Array.from({ length: limit + queue }),
      () => forkNow(bulkhead.run(Effect.never))
    )
    assert.deepStrictEqual(yield* bulkhead.state, { limit, inFlight: limit, queue, queued: queue })
    assert.deepStrictEqual(yield* Effect.exit(bulkhead.run(Effect.void)), rejected("Full", limit, queue))
    yield* Fiber.interruptAll(fibers)
    assert.deepStrictEqual(yield* bulkhead.state, idle(limit, queue))
  })

describe("Bulkhead.run", () => {
  it.effect("lets as many run as there are permits, and passes on what they come to", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 3, queue: 20 })
      const { most, work } = gauge()
      const fiber = yield* forkNow(
        Effect.forEach(
          Array.from({ length: 20 }, (_, id) => id),
          (id) => bulkhead.run(Effect.as(work(id, 100), id)),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), Array.from({ length: 20 }, (_, id) => id))
      assert.strictEqual(most(), 3)
      assert.deepStrictEqual(yield* Effect.exit(bulkhead.run(Effect.fail("no"))), Exit.fail("no"))
      assert.deepStrictEqual(yield* Effect.exit(bulkhead.run(Effect.die("bad"))), Exit.die("bad"))
      yield* isWhole(bulkhead, 3, 20)
    }))

  it.effect("RT-8 tells a full bulkhead from a wait that took too long", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1, queue: 1, maxWait: "1 second" })
      yield* forkNow(bulkhead.run(Effect.never))
      const waiting = yield* forkNow(bulkhead.run(Effect.void))
      assert.deepStrictEqual(yield* Effect.exit(bulkhead.run(Effect.void)), rejected("Full", 1, 1))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(waiting.pollUnsafe(), rejected("WaitTimeout", 1, 1))
      assert.deepStrictEqual(yield* bulkhead.state, { limit: 1, inFlight: 1, queue: 1, queued: 0 })
    }))

  it.effect("RT-8 without a queue nobody waits", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1, maxWait: "1 second" })
      yield* forkNow(bulkhead.run(Effect.never))
      assert.deepStrictEqual(yield* Effect.exit(bulkhead.run(Effect.void)), rejected("Full", 1, 0))
    }))

  it.effect("RT-8 a permit that comes in the last moment counts: nobody is rejected who has one", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1, queue: 1, maxWait: "1 second" })
      yield* forkNow(bulkhead.run(Effect.sleep("1 second")))
      const waiting = yield* forkNow(bulkhead.run(Effect.succeed("served")))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.await(waiting), Exit.succeed("served"))
      yield* isWhole(bulkhead, 1, 1)
    }))

  it.effect("RT-8 a wait ends in time where it cannot be interrupted, too", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1, queue: 1, maxWait: "1 second" })
      yield* forkNow(bulkhead.run(Effect.never))
      const waiting = yield* forkNow(Effect.uninterruptible(bulkhead.run(Effect.void)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(waiting.pollUnsafe(), rejected("WaitTimeout", 1, 1))
    }))

  it.effect("RT-8 in the order of arrival nobody overtakes, not even who arrives as a permit comes back", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 2, queue: 1_000 })
      const { started, work } = gauge()
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      let arrived = 0
      const arrive = Effect.suspend(() => {
        const id = arrived++
        // Who ends lets another one arrive in the same turn, before those who wait have been woken.
        const call = bulkhead.run(work(id, 1 + (id * 7) % 5))
        return Effect.map(forkNow(call), (fiber) => fibers.push(fiber))
      })
      yield* Effect.replicateEffect(arrive, 50)
      for (let round = 0; round < 200; round++) {
        yield* TestClock.adjust("1 millis")
        yield* arrive
        if (round % 3 === 0) yield* Fiber.interrupt(fibers[Math.floor(arrived / 2)]!)
      }
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(started, started.toSorted((a, b) => a - b))
      assert.isAbove(started.length, 150)
    }))

  it.effect("serves the newest first where it is told to", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1, queue: 10, order: "lifo" })
      const { started, work } = gauge()
      for (const id of [0, 1, 2, 3]) yield* forkNow(bulkhead.run(work(id, 10)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(started, [0, 3, 2, 1])
    }))

  it.effect("serves the most important first, and gives it the place of the least important", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1, queue: 3, order: "priority" })
      const { started, work } = gauge()
      const call = (priority: number, id: number) => forkNow(bulkhead.run(work(id, 10), { priority }))
      yield* call(0, 0)
      const low = yield* call(-1, 1)
      yield* call(0, 2)
      const late = yield* call(0, 3)
      // The line is full: an equal finds no place, a more important one takes that of the least.
      const equal = yield* call(-1, 4)
      assert.deepStrictEqual(yield* Fiber.await(equal), rejected("Full", 1, 3))
      yield* call(5, 5)
      assert.deepStrictEqual(yield* Fiber.await(low), rejected("Full", 1, 3))
      yield* call(5, 6)
      assert.deepStrictEqual(yield* Fiber.await(late), rejected("Full", 1, 3))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(started, [0, 5, 6, 2])
      yield* isWhole(bulkhead, 1, 3)
    }))

  it.effect("RT-6 a timeout that frees a permit has stopped the work", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1 })
      const { most, running, work } = gauge()
      for (let id = 0; id < 5; id++) {
        const fiber = yield* forkNow(Effect.timeout(bulkhead.run(work(id, 10_000)), "1 second"))
        yield* TestClock.adjust("1 second")
        assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
        assert.strictEqual(running(), 0)
      }
      assert.strictEqual(most(), 1)
    }))

  it.effect("RT-6 work that cannot be stopped keeps its permit until it ends", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1 })
      const fiber = yield* forkNow(bulkhead.run(Effect.uninterruptible(Effect.sleep("10 seconds"))))
      yield* forkNow(Fiber.interrupt(fiber))
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* Effect.exit(bulkhead.run(Effect.void)), rejected("Full", 1, 0))
      yield* TestClock.adjust("1 second")
      yield* isWhole(bulkhead, 1, 0)
    }))

  it.effect("RT-5 interrupting after each single step loses nothing", () =>
    Effect.gen(function*() {
      let started = 0
      let stoppedBefore = 0
      for (let step = 0; step < 60; step++) {
        for (const busy of [false, true]) {
          const bulkhead = yield* make({ limit: 1, queue: 1, maxWait: "1 second" })
          const gate = yield* Deferred.make<void>()
          if (busy) yield* forkNow(bulkhead.run(Deferred.await(gate)))
          let ran = false
          const call = bulkhead.run(Effect.andThen(
            Effect.sync(() => {
              ran = true
            }),
            Effect.yieldNow
          ))
          const fiber = yield* Effect.forkChild(
            Effect.provideService(call, Scheduler.MaxOpsBeforeYield, opsPerTurn)
          )
          for (let turn = 0; turn < step; turn++) {
            if (busy && turn === 20) yield* Deferred.succeed(gate, undefined)
            yield* Effect.yieldNow
          }
          yield* Fiber.interrupt(fiber)
          yield* Deferred.succeed(gate, undefined)
          yield* Effect.yieldNow
          if (ran) started++
          else stoppedBefore++
          assert.deepStrictEqual(yield* bulkhead.state, idle(1, 1), `after ${step} steps`)
        }
      }
      // The steps before the work and those within it were all among them.
      assert.isAbove(started, 20)
      assert.isAbove(stoppedBefore, 20)
    }))

  it.effect("RT-5 10,000 interruptions at random moments leave all permits and all places", () =>
    Effect.gen(function*() {
      for (const order of ["fifo", "lifo", "priority"] as const) {
        const bulkhead = yield* make({ limit: 7, queue: 30, maxWait: "20 millis", order })
        const { most, running, work } = gauge()
        let interrupted = 0
        while (interrupted < 3_400) {
          const fibers = yield* Effect.forEach(Array.from({ length: 60 }), () =>
            Effect.gen(function*() {
              const priority = yield* Random.nextIntBetween(0, 5)
              const millis = yield* Random.nextIntBetween(0, 30)
              const ops = yield* Random.nextIntBetween(opsPerTurn, 15)
              return yield* Effect.forkChild(
                Effect.provideService(bulkhead.run(work(0, millis), { priority }), Scheduler.MaxOpsBeforeYield, ops)
              )
            }))
          for (const fiber of fibers) {
            // Some turns, in which fibers are between two operations, or some time, in which they end.
            for (let turn = yield* Random.nextIntBetween(0, 4); turn > 0; turn--) yield* Effect.yieldNow
            if (yield* Random.nextBoolean) yield* TestClock.adjust(yield* Random.nextIntBetween(0, 3))
            yield* Fiber.interrupt(fiber)
            if (Exit.hasInterrupts(yield* Fiber.await(fiber))) interrupted++
          }
          assert.deepStrictEqual(yield* bulkhead.state, idle(7, 30))
          assert.strictEqual(running(), 0)
        }
        assert.strictEqual(most(), 7)
        yield* isWhole(bulkhead, 7, 30)
      }
    }).pipe(Random.withSeed("bulkhead")))

  it.effect("RT-5 a listener that interrupts the call as it is admitted loses no permit", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1 })
      const listener = Signal.layer((signal, fiber) => {
        if (signal._tag === "ConcurrencyDecided") fiber.interruptUnsafe()
      })
      const fiber = yield* forkNow(Effect.provide(bulkhead.run(Effect.never), listener))
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      yield* isWhole(bulkhead, 1, 0)
    }))

  it.effect("serves a line of 100,000 whose work ends at once", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1, queue: 100_000 })
      const gate = yield* Deferred.make<void>()
      yield* forkNow(bulkhead.run(Deferred.await(gate)))
      let served = 0
      const call = bulkhead.run(Effect.sync(() => {
        served++
      }))
      const fibers = yield* Effect.forEach(Array.from({ length: 100_000 }), () => forkNow(call))
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.awaitAll(fibers)
      assert.strictEqual(served, 100_000)
      assert.deepStrictEqual(yield* bulkhead.state, idle(1, 100_000))
    }))

  it.effect("tells what it decided, how long a call waited, and how things stand", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const bulkhead = yield* make({ limit: 1, queue: 1, maxWait: "1 second" })
      const base = { name: "test", policy: "bulkhead", limit: 1 } as const
      const decided = { _tag: "ConcurrencyDecided", ...base } as const
      const released = { _tag: "ConcurrencyReleased", ...base } as const
      yield* Effect.gen(function*() {
        yield* forkNow(bulkhead.run(Effect.sleep("300 millis")))
        yield* forkNow(bulkhead.run(Effect.sleep("5 seconds")))
        yield* Effect.exit(bulkhead.run(Effect.void))
        yield* TestClock.adjust("300 millis")
        yield* forkNow(bulkhead.run(Effect.void))
        yield* TestClock.adjust("1 second")
        const givesUp = yield* forkNow(bulkhead.run(Effect.void))
        yield* Fiber.interrupt(givesUp)
      }).pipe(Effect.provide(Signal.layer((signal) => heard.push(signal))))
      assert.deepStrictEqual(heard, [
        { ...decided, decision: "admitted", reason: undefined, waited: Duration.zero, inFlight: 1, queued: 0 },
        { ...decided, decision: "rejected", reason: "Full", waited: Duration.zero, inFlight: 1, queued: 1 },
        { ...released, inFlight: 1, queued: 0 },
        { ...decided, decision: "admitted", reason: undefined, waited: Duration.millis(300), inFlight: 1, queued: 0 },
        {
          ...decided,
          decision: "rejected",
          reason: "WaitTimeout",
          waited: Duration.seconds(1),
          inFlight: 1,
          queued: 0
        },
        { ...released, inFlight: 1, queued: 0 }
      ])
    }))

  it.effect("can be used data first and data last", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1 })
      const one = Effect.succeed(1)
      assert.strictEqual(yield* bulkhead.run(one), 1)
      assert.strictEqual(yield* one.pipe(bulkhead.run), 1)
      assert.strictEqual(yield* bulkhead.run(one, { priority: 1 }), 1)
      const layer = Bulkhead.layer({ name: "test", limit: 1 })
      assert.strictEqual(yield* Effect.provide(Bulkhead.run(one), layer), 1)
      assert.strictEqual(yield* one.pipe(Bulkhead.run(), Effect.provide(layer)), 1)
      assert.strictEqual(yield* one.pipe(Bulkhead.run({ priority: 1 }), Effect.provide(layer)), 1)
      assert.isTrue(Bulkhead.isBulkhead(bulkhead))
      assert.isFalse(Bulkhead.isBulkhead({}))
    }))
})

describe("BulkheadRejected", () => {
  const error = new Bulkhead.BulkheadRejected({ name: "test", reason: "Full", limit: 3, queue: 4 })

  it.effect("is our own refusal, and no failure of the dependency", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Failure.classify(error), {
        kind: "Overloaded",
        scope: "request",
        code: "BulkheadRejected",
        message: "Bulkhead \"test\" is full: 3 in flight, 4 may wait"
      })
      assert.isTrue(Bulkhead.isBulkheadRejected(error))
      assert.isFalse(Bulkhead.isBulkheadRejected(new Error("full")))
    }))

  it.effect("carries no stack when the bulkhead makes it", () =>
    Effect.gen(function*() {
      const bulkhead = yield* make({ limit: 1 })
      yield* forkNow(bulkhead.run(Effect.never))
      const { stack } = yield* Effect.flip(bulkhead.run(Effect.void))
      assert.notMatch(stack ?? "", /\n\s+at /)
      assert.match(new Error("another").stack ?? "", /\n\s+at /)
    }))

  it.effect("crosses a wire", () =>
    Effect.gen(function*() {
      const json = yield* Schema.encodeEffect(Bulkhead.BulkheadRejected)(error)
      assert.deepStrictEqual(json, { _tag: "BulkheadRejected", name: "test", reason: "Full", limit: 3, queue: 4 })
      assert.deepStrictEqual(yield* Schema.decodeEffect(Bulkhead.BulkheadRejected)(json), error)
    }))
})

const state = Effect.flatMap(Bulkhead.Bulkhead, (bulkhead) => bulkhead.state)

describe("the layers of Bulkhead", () => {
  it.effect("share one bulkhead among those who use the layer", () =>
    Effect.gen(function*() {
      yield* forkNow(Bulkhead.run(Effect.never))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Bulkhead.run(Effect.void))))
      assert.deepStrictEqual(yield* state, { limit: 1, inFlight: 1, queue: 0, queued: 0 })
    }).pipe(Effect.provide(Bulkhead.layer({ name: "test", limit: 1 }))))

  it.effect("take their options from Config", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* state, idle(12, 3))
    }).pipe(
      Effect.provide(
        Bulkhead.layerConfig({
          name: Config.succeed("test"),
          limit: Config.Number("LIMIT"),
          queue: Config.Number("QUEUE"),
          maxWait: Config.Duration("MAX_WAIT")
        }).pipe(
          Layer.provide(
            ConfigProvider.layer(ConfigProvider.fromUnknown({ LIMIT: "12", QUEUE: "3", MAX_WAIT: "2 seconds" }))
          )
        )
      )
    ))

  it.effect("make a value from Config that is out of range a ConfigError that names it", () =>
    Effect.gen(function*() {
      const layer = Bulkhead.layerConfig({ name: Config.succeed("test"), limit: Config.Number("LIMIT") })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.strictEqual(error._tag, "ConfigError")
      assert.match(error.message, /limit must be a positive integer, got 0/)
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ LIMIT: "0" })))))

  it.effect("admit all where there is none", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(Array.from({ length: 100 }), () => forkNow(Bulkhead.run(Effect.never)))
      assert.strictEqual(yield* Effect.succeed("served").pipe(Bulkhead.run({ priority: 1 })), "served")
      assert.deepStrictEqual(yield* state, { limit: Infinity, inFlight: 0, queue: 0, queued: 0 })
    }).pipe(Effect.provide(Bulkhead.layerNoop)))
})

describe("Bulkhead.Service", () => {
  class Bulkheads extends Bulkhead.Service<Bulkheads>()("test/Bulkheads", {
    one: { limit: 1 },
    two: { limit: 2, queue: 5, order: "priority" }
  }) {}

  const states = Effect.flatMap(Bulkheads, ({ one, two }) => Effect.all([one.state, two.state]))

  it.effect("keeps them apart, and errors and signals call them by their names", () =>
    Effect.gen(function*() {
      yield* forkNow(Bulkheads.run(Effect.never, "one"))
      const error = yield* Effect.void.pipe(Bulkheads.run("one"), Effect.flip)
      assert.strictEqual(error.name, "one")
      assert.strictEqual(yield* Effect.succeed(2).pipe(Bulkheads.run("two", { priority: 3 })), 2)
      assert.deepStrictEqual(yield* states, [{ limit: 1, inFlight: 1, queue: 0, queued: 0 }, idle(2, 5)])
    }).pipe(Effect.provide(Bulkheads.layer)))

  it.effect("takes its options from Config", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* states, [idle(4, 0), idle(9, 8)])
    }).pipe(
      Effect.provide(
        Bulkheads.layerConfig({
          one: { limit: Config.Number("ONE") },
          two: { limit: Config.succeed(9), queue: Config.succeed(8) }
        }).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ONE: "4" }))))
      )
    ))

  it.effect("has a layer that admits all", () =>
    Effect.gen(function*() {
      yield* forkNow(Bulkheads.run(Effect.never, "one"))
      assert.strictEqual(yield* Bulkheads.run(Effect.succeed(1), "one"), 1)
    }).pipe(Effect.provide(Bulkheads.layerNoop)))

  it("says which of them has an option out of its range", () => {
    assert.throws(
      () => Bulkhead.Service()("test/Wrong", { fine: { limit: 1 }, wrong: { limit: 1.5 } }),
      RangeError,
      /^wrong\.limit must be a positive integer, got 1.5$/
    )
  })
})

describe("the options of a bulkhead", () => {
  it.each([
    [() => Bulkhead.make({ name: "test", limit: 0 }), /^limit must be a positive integer, got 0$/],
    [() => Bulkhead.layer({ name: "test", limit: NaN }), /^limit must be a positive integer, got NaN$/],
    [() => Bulkhead.layer({ name: "test", limit: 1, queue: -1 }), /^queue must be an integer of at least 0, got -1$/],
    [() => Bulkhead.layer({ name: "test", limit: 1, maxWait: 0 }), /^maxWait must be a duration above zero, got 0$/],
    [
      () => Bulkhead.layer({ name: "test", limit: 1, order: "random" as "fifo" }),
      /^order must be one of fifo, lifo, priority, got random$/
    ],
    [() => Bulkhead.run(Effect.void, { priority: NaN }), /^priority must be a finite number, got NaN$/]
  ])("out of their range are refused: %s", (make, message) => {
    assert.throws(make, RangeError, message)
  })
})
