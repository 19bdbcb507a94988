import { assert, describe, it } from "@effect/vitest"
import * as ConcurrencyLimit from "effect-resilience/ConcurrencyLimit"
import * as Failure from "effect-resilience/Failure"
import * as Signal from "effect-resilience/Signal"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as TestClock from "effect/testing/TestClock"
import { fault } from "./support/faults.ts"

const make = (options: Omit<ConcurrencyLimit.Options, "name"> = {}) =>
  ConcurrencyLimit.make({ name: "test", ...options })

const forkNow = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

const limited = (limit: number) => Exit.fail(new ConcurrencyLimit.ConcurrencyLimited({ name: "test", limit }))

/** As many calls as the limit says can run at once, and one more cannot. */
const isWhole = (limit: ConcurrencyLimit.ConcurrencyLimit["Service"], expected: number) =>
  Effect.gen(function*() {
    assert.deepStrictEqual(yield* limit.state, { limit: expected, inFlight: 0 })
    const fibers = yield* Effect.replicateEffect(forkNow(limit.run(Effect.never)), expected)
    assert.deepStrictEqual(yield* Effect.exit(limit.run(Effect.void)), limited(expected))
    yield* Fiber.interruptAll(fibers)
    assert.deepStrictEqual(yield* limit.state, { limit: expected, inFlight: 0 })
  })

/** One window: as many calls at once as there may be, ten at least, each ending so after this time. */
const windowOf = <E>(
  limit: ConcurrencyLimit.ConcurrencyLimit["Service"],
  millis: number,
  end: Effect.Effect<unknown, E> = Effect.void
) =>
  Effect.gen(function*() {
    const { limit: atOnce } = yield* limit.state
    const call = Effect.ignore(limit.run(Effect.delay(end, millis)))
    for (let time = 0; time <= 1_000; time += millis) {
      const fibers = yield* Effect.replicateEffect(forkNow(call), atOnce)
      yield* TestClock.adjust(millis)
      yield* Fiber.awaitAll(fibers)
    }
    return (yield* limit.state).limit
  })

describe("ConcurrencyLimit.run", () => {
  it.effect("admits calls up to the limit, rejects the others, and passes on what they come to", () =>
    Effect.gen(function*() {
      const limit = yield* make({ initial: 3 })
      yield* isWhole(limit, 3)
      assert.deepStrictEqual(yield* Effect.exit(limit.run(Effect.succeed(1))), Exit.succeed(1))
      assert.deepStrictEqual(yield* Effect.exit(limit.run(Effect.fail("no"))), Exit.fail("no"))
      assert.deepStrictEqual(yield* Effect.exit(limit.run(Effect.die("bad"))), Exit.die("bad"))
      yield* isWhole(limit, 3)
    }))

  it.effect("RT-10 grows while calls take no longer, up to the maximum", () =>
    Effect.gen(function*() {
      const limit = yield* make({ initial: 10, max: 40 })
      const limits: Array<number> = []
      for (let window = 0; window < 6; window++) limits.push(yield* windowOf(limit, 100))
      assert.deepStrictEqual(limits.slice(0, 3), [15, 22, 33])
      assert.strictEqual(limits.at(-1), 40)
    }))

  it.effect("RT-10 shrinks when calls take longer, down to the minimum", () =>
    Effect.gen(function*() {
      const limit = yield* make({ initial: 40, min: 5, algorithm: ConcurrencyLimit.vegas({ probeEvery: Infinity }) })
      yield* windowOf(limit, 100)
      for (let window = 0; window < 40; window++) yield* windowOf(limit, 900)
      // Six calls may wait, which is where Vegas rests.
      assert.strictEqual((yield* limit.state).limit, 6)
      const drops = yield* make({ initial: 40, min: 5, algorithm: "aimd" })
      for (let window = 0; window < 40; window++) yield* windowOf(drops, 100, Effect.fail(fault("Overloaded")))
      assert.strictEqual((yield* drops.state).limit, 5)
    }))

  it.effect("RT-10 settles within 20 % of what a dependency can do at once, in 30 windows", () =>
    Effect.gen(function*() {
      for (const algorithm of ["gradient2", "vegas"] as const) {
        const limit = yield* make({ algorithm, initial: 10 })
        const dependency = yield* Semaphore.make(40)
        const call = Effect.ignore(limit.run(dependency.withPermit(Effect.sleep("100 millis"))))
        const limits: Array<number> = []
        // Six hundred calls a second, of which it can do four hundred.
        for (let tick = 0; tick < 4_500; tick++) {
          yield* Effect.replicateEffect(forkNow(call), 6)
          yield* TestClock.adjust("10 millis")
          if (tick >= 3_000) limits.push((yield* limit.state).limit)
        }
        for (const found of limits) assert.isTrue(found >= 32 && found <= 48, `${algorithm}: ${found}`)
      }
    }))

  it.effect("RT-10 takes overload for a drop, and learns nothing from other failures and interruptions", () =>
    Effect.gen(function*() {
      const after = (end: Effect.Effect<unknown, unknown>) =>
        Effect.gen(function*() {
          const limit = yield* make({ initial: 30, algorithm: "aimd" })
          return yield* windowOf(limit, 100, end)
        })
      for (const kind of ["Overloaded", "RateLimited", "Timeout"] as const) {
        assert.strictEqual(yield* after(Effect.fail(fault(kind))), 27, kind)
      }
      for (const kind of ["Transient", "Permanent", "Critical", "Cancelled"] as const) {
        assert.strictEqual(yield* after(Effect.fail(fault(kind))), 30, kind)
      }
      assert.strictEqual(yield* after(Effect.interrupt), 30)
      assert.strictEqual(yield* after(Effect.void), 31)
      // What another limit of ours refuses has not reached the dependency.
      const refused = new ConcurrencyLimit.ConcurrencyLimited({ name: "inner", limit: 1 })
      assert.strictEqual(yield* after(Effect.fail(refused)), 30)
    }))

  it.effect("RT-10 a call that is cut from outside does not shrink it", () =>
    Effect.gen(function*() {
      const limit = yield* make({ initial: 10, algorithm: "aimd" })
      for (let round = 0; round < 50; round++) {
        const fibers = yield* Effect.replicateEffect(
          forkNow(Effect.ignore(Effect.timeout(limit.run(Effect.never), "1 second"))),
          10
        )
        yield* TestClock.adjust("1 second")
        yield* Fiber.awaitAll(fibers)
      }
      yield* isWhole(limit, 10)
    }))

  it.effect("asks the classifier that it is given", () =>
    Effect.gen(function*() {
      const limit = yield* make({ initial: 30, algorithm: "aimd", classify: () => "dropped" })
      assert.strictEqual(yield* windowOf(limit, 100), 27)
    }))

  it.effect("a classifier that throws surfaces its error and loses no place", () =>
    Effect.gen(function*() {
      const limit = yield* make({
        initial: 1,
        classify: () => {
          throw new Error("confused")
        }
      })
      const exit = yield* Effect.exit(limit.run(Effect.void))
      assert.match(String(Exit.isFailure(exit) && exit.cause), /confused/)
      assert.isTrue(Exit.hasDies(exit))
      assert.deepStrictEqual(yield* limit.state, { limit: 1, inFlight: 0 })
    }))

  it.effect("RT-5 interrupting after each single step loses nothing", () =>
    Effect.gen(function*() {
      let started = 0
      for (let step = 0; step < 60; step++) {
        const limit = yield* make({ initial: 1 })
        const work = Effect.andThen(
          Effect.sync(() => {
            started++
          }),
          Effect.yieldNow
        )
        const fiber = yield* Effect.forkChild(Effect.provideService(limit.run(work), Scheduler.MaxOpsBeforeYield, 3))
        for (let turn = 0; turn < step; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* limit.state, { limit: 1, inFlight: 0 }, `after ${step} steps`)
      }
      assert.isAbove(started, 20)
      assert.isBelow(started, 60)
    }))

  it.effect("RT-5 10,000 interruptions at random moments leave all places", () =>
    Effect.gen(function*() {
      const limit = yield* make({ initial: 7, min: 7, max: 7 })
      let interrupted = 0
      while (interrupted < 10_000) {
        const fibers = yield* Effect.forEach(Array.from({ length: 60 }), () =>
          Effect.gen(function*() {
            const millis = yield* Random.nextIntBetween(0, 30)
            const ops = yield* Random.nextIntBetween(3, 15)
            const call = limit.run(Effect.sleep(millis))
            return yield* Effect.forkChild(Effect.provideService(call, Scheduler.MaxOpsBeforeYield, ops))
          }))
        for (const fiber of fibers) {
          for (let turn = yield* Random.nextIntBetween(0, 4); turn > 0; turn--) yield* Effect.yieldNow
          if (yield* Random.nextBoolean) yield* TestClock.adjust(yield* Random.nextIntBetween(0, 3))
          yield* Fiber.interrupt(fiber)
          if (Exit.hasInterrupts(yield* Fiber.await(fiber))) interrupted++
        }
        assert.deepStrictEqual(yield* limit.state, { limit: 7, inFlight: 0 })
      }
      yield* isWhole(limit, 7)
    }).pipe(Random.withSeed("concurrency limit")))

  it.effect("tells what it decided, and how things stand", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const limit = yield* make({ initial: 1 })
      const base = { name: "test", policy: "concurrencyLimit", limit: 1, queued: 0 } as const
      const decided = { _tag: "ConcurrencyDecided", ...base, waited: Duration.zero } as const
      yield* limit.run(Effect.ignore(limit.run(Effect.void))).pipe(
        Effect.provide(Signal.layer((signal) => heard.push(signal)))
      )
      assert.deepStrictEqual(heard, [
        { ...decided, decision: "admitted", reason: undefined, inFlight: 1 },
        { ...decided, decision: "rejected", reason: "Limit", inFlight: 1 },
        { _tag: "ConcurrencyReleased", ...base, inFlight: 0 }
      ])
    }))
})

describe("ConcurrencyLimited", () => {
  it.effect("is our own refusal, carries no stack, and crosses a wire", () =>
    Effect.gen(function*() {
      const limit = yield* make({ initial: 1 })
      const error = yield* Effect.flip(limit.run(Effect.andThen(limit.run(Effect.void), Effect.void)))
      assert.deepStrictEqual(yield* Failure.classify(error), {
        kind: "Overloaded",
        scope: "request",
        code: "ConcurrencyLimited",
        message: "Concurrency limit \"test\" is reached: 1 in flight"
      })
      assert.notMatch(error.stack ?? "", /\n\s+at /)
      assert.isTrue(ConcurrencyLimit.isConcurrencyLimited(error))
      assert.isFalse(ConcurrencyLimit.isConcurrencyLimited(new Error("limited")))
      const json = yield* Schema.encodeEffect(ConcurrencyLimit.ConcurrencyLimited)(error)
      assert.deepStrictEqual(json, { _tag: "ConcurrencyLimited", name: "test", limit: 1 })
      assert.deepStrictEqual(yield* Schema.decodeEffect(ConcurrencyLimit.ConcurrencyLimited)(json), error)
    }))
})

const state = Effect.flatMap(ConcurrencyLimit.ConcurrencyLimit, (limit) => limit.state)

describe("the layers of ConcurrencyLimit", () => {
  it.effect("share one limit among those who use the layer", () =>
    Effect.gen(function*() {
      yield* forkNow(ConcurrencyLimit.run(Effect.never))
      assert.deepStrictEqual(yield* Effect.exit(Effect.void.pipe(ConcurrencyLimit.run)), limited(1))
      assert.isTrue(ConcurrencyLimit.isConcurrencyLimit(yield* ConcurrencyLimit.ConcurrencyLimit))
    }).pipe(Effect.provide(ConcurrencyLimit.layer({ name: "test", initial: 1 }))))

  it.effect("take their options from Config, the algorithm by its name", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* state, { limit: 12, inFlight: 0 })
    }).pipe(
      Effect.provide(
        ConcurrencyLimit.layerConfig({
          name: Config.succeed("test"),
          algorithm: Config.Literals(["vegas", "aimd"], "ALGORITHM"),
          initial: Config.Number("INITIAL")
        }).pipe(
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ALGORITHM: "vegas", INITIAL: "12" })))
        )
      )
    ))

  it.effect("make a value from Config that is out of range a ConfigError that names it", () =>
    Effect.gen(function*() {
      const layer = ConcurrencyLimit.layerConfig({ name: Config.succeed("test"), initial: Config.Number("INITIAL") })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.match(error.message, /initial must be a positive integer, got 0/)
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ INITIAL: "0" })))))

  it.effect("admit all where there is none", () =>
    Effect.gen(function*() {
      yield* Effect.replicateEffect(forkNow(ConcurrencyLimit.run(Effect.never)), 100)
      assert.strictEqual(yield* ConcurrencyLimit.run(Effect.succeed("served")), "served")
      assert.deepStrictEqual(yield* state, { limit: Infinity, inFlight: 0 })
    }).pipe(Effect.provide(ConcurrencyLimit.layerNoop)))
})

describe("the options of a concurrency limit", () => {
  it.each([
    [() => make({ min: 0 }), /^min must be a positive integer, got 0$/],
    [() => make({ min: 10, max: 9 }), /^max must be at least min \(10\), got 9$/],
    [() => make({ min: 10, initial: 9 }), /^initial must be a number from 10 to 1000, got 9$/],
    [() => make({ window: 0 }), /^window must be a finite duration above zero, got 0$/],
    [() => make({ windowCalls: 1.5 }), /^windowCalls must be a positive integer, got 1.5$/],
    [() => make({ algorithm: "best" as "aimd" }), /^algorithm must be one of gradient2, vegas, aimd, got best$/],
    [() => ConcurrencyLimit.gradient2({ tolerance: 0.9 }), /^tolerance must be a number from 1 to 10, got 0.9$/],
    [() => ConcurrencyLimit.gradient2({ smoothing: 0 }), /^smoothing must be a number from 0.01 to 1, got 0$/],
    [() => ConcurrencyLimit.gradient2({ probeEvery: 0 }), /^probeEvery must be a positive integer, got 0$/],
    [() => ConcurrencyLimit.vegas({ alpha: 5, beta: 4 }), /^beta must be a finite number of at least 5, got 4$/],
    [() => ConcurrencyLimit.aimd({ backoff: 1 }), /^backoff must be a number from 0.5 to 0.99, got 1$/]
  ])("out of their range are refused: %s", (make, message) => {
    assert.throws(make, RangeError, message)
  })
})
