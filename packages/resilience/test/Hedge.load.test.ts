/** When hedges start and how many there are: latencies, quantiles, the budget, and what both are good for. */
import * as Dependency from "@effect-resilience/testing/Dependency"
import * as Faults from "@effect-resilience/testing/Faults"
import { assert, describe, it } from "@effect/vitest"
import * as Hedge from "effect-resilience/Hedge"
import * as Signal from "effect-resilience/Signal"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { Latencies } from "../src/internal/hedge/latencies.ts"
import * as Load from "../src/internal/hedge/load.ts"
import { finish } from "./support/faults.ts"

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const between = (minimum: number, maximum: number) => Schema.Finite.check(Schema.isBetween({ minimum, maximum }))

const after = (millis: number) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.delay(self, millis)

const delayOf = (hedge: Hedge.Hedge["Service"]) =>
  Effect.map(hedge.state, ({ delay }) => Option.getOrUndefined(Option.map(delay, Duration.toMillis)))

const availableOf = (hedge: Hedge.Hedge["Service"]) => Effect.map(hedge.state, ({ available }) => available)

describe("the latencies", () => {
  it.prop(
    "give the exact quantile of the latest, whatever came before",
    {
      capacity: integerBetween(1, 20),
      millis: Schema.Array(Schema.Union([integerBetween(0, 5), between(0, 1e6)])).check(Schema.isMaxLength(100)),
      p: between(0.01, 0.9999)
    },
    ({ capacity, millis, p }) => {
      const latencies = new Latencies(capacity)
      assert.isNaN(latencies.quantile(p))
      millis.forEach((one, index) => {
        latencies.record(one)
        const latest = millis.slice(Math.max(0, index + 1 - capacity), index + 1).toSorted((a, b) => a - b)
        assert.strictEqual(latencies.size, latest.length)
        assert.strictEqual(latencies.quantile(p), latest[Math.ceil(p * latest.length) - 1])
      })
    },
    { arbitrary: { runs: 1_000 } }
  )
})

describe("the load", () => {
  it.prop(
    "RT-9 hedges never exceed maxExtraLoad x calls, and in no stretch that plus what was saved up",
    {
      maxExtraLoad: between(0, 3),
      events: Schema.Array(Schema.Literals(["call", "hedge", "hedge"])).check(Schema.isMaxLength(300))
    },
    ({ events, maxExtraLoad }) => {
      const options = Load.options(maxExtraLoad, 10)
      let state = Load.initial
      const calls = [0]
      const hedges = [0]
      for (const event of events) {
        const next = event === "call" ? Load.call(options, state) : Load.take(state)
        if (next === undefined) assert.strictEqual(Load.available(state), 0)
        else state = next
        calls.push(calls.at(-1)! + (event === "call" ? 1 : 0))
        hedges.push(hedges.at(-1)! + (event === "hedge" && next !== undefined ? 1 : 0))
        assert.isTrue(hedges.at(-1)! <= maxExtraLoad * calls.at(-1)! + 1e-9)
        const from = Math.floor(calls.length / 2)
        const inStretch = hedges.at(-1)! - hedges[from]!
        assert.isTrue(inStretch <= maxExtraLoad * (calls.at(-1)! - calls[from]!) + 10 + 1e-9)
      }
    },
    { arbitrary: { runs: 500 } }
  )

  it("counts fractions exactly: ten tenths are one, 0.75 is none and 100 x 0.29 are 29", () => {
    for (
      const [ratio, calls, hedges] of [[0.1, 10, 1], [0.1, 9, 0], [0.75, 1, 0], [0.75, 4, 3], [0.29, 100, 29]] as const
    ) {
      const options = Load.options(ratio, 100)
      let state = Load.initial
      for (let i = 0; i < calls; i++) state = Load.call(options, state)
      assert.strictEqual(Load.available(state), hedges, `${calls} x ${ratio}`)
    }
  })
})

describe("maxExtraLoad", () => {
  it.effect("RT-9 an exhausted budget never kills a primary", () =>
    Effect.gen(function*() {
      const slow = Dependency.scripted([after(1_000)(Effect.succeed("done"))])
      const hedge = yield* Hedge.make({ delay: "50 millis", maxExtraLoad: 0.1 })
      for (let i = 1; i <= 30; i++) {
        assert.deepStrictEqual(yield* finish(hedge.run(slow.call)), Exit.succeed("done"))
        assert.strictEqual(slow.calls.filter(({ outcome }) => outcome === "success").length, i)
      }
      // All are slow and want a hedge; one in ten gets it, and loses to its primary.
      assert.strictEqual(slow.calls.length, 33)
    }))

  it.effect("of 0 allows none", () =>
    Effect.gen(function*() {
      const slow = Dependency.scripted([after(1_000)(Effect.succeed("done"))])
      const hedge = yield* Hedge.make({ delay: "50 millis", maxExtraLoad: 0 })
      for (let i = 0; i < 30; i++) yield* finish(hedge.run(slow.call))
      assert.strictEqual(slow.calls.length, 30)
    }))

  it.effect("of 2 lets each call have two hedges from the first call on", () =>
    Effect.gen(function*() {
      const slow = Dependency.scripted([after(1_000)(Effect.succeed("done"))])
      const hedge = yield* Hedge.make({ delay: "50 millis", max: 5, maxExtraLoad: 2 })
      for (let i = 0; i < 10; i++) yield* finish(hedge.run(slow.call))
      assert.strictEqual(slow.calls.length, 30)
    }))

  it.effect("saves up ten hedges and no more", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make({ delay: "50 millis", maxExtraLoad: 0.1 })
      for (let i = 0; i < 1_000; i++) yield* hedge.run(Effect.void)
      assert.strictEqual(yield* availableOf(hedge), 10)
    }))
})

describe("Hedge.quantile", () => {
  const recorded = (hedge: Hedge.Hedge["Service"], millis: ReadonlyArray<number>) =>
    Effect.forEach(millis, (one) => finish(hedge.run(Effect.sleep(one))))

  it.effect("has no hedge until enough latencies are known, then the quantile", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make({ delay: Hedge.quantile(0.9), maxExtraLoad: 100 })
      yield* recorded(hedge, [1, 2, 3, 4, 5, 6, 7, 8, 9])
      assert.isUndefined(yield* delayOf(hedge))
      yield* recorded(hedge, [10])
      assert.strictEqual(yield* delayOf(hedge), 9)
      const search = Dependency.scripted([Effect.never, Effect.succeed("hedge")])
      assert.deepStrictEqual(yield* finish(hedge.run(search.call)), Exit.succeed("hedge"))
      assert.strictEqual(search.calls[1]!.startedAt - search.calls[0]!.startedAt, 9)
    }))

  it.effect("waits for initial until then", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make({
        delay: Hedge.quantile(0.5, { initial: "70 millis", minimumCalls: 2 }),
        maxExtraLoad: 100
      })
      assert.strictEqual(yield* delayOf(hedge), 70)
      yield* recorded(hedge, [10])
      assert.strictEqual(yield* delayOf(hedge), 70)
      yield* recorded(hedge, [20])
      assert.strictEqual(yield* delayOf(hedge), 10)
    }))

  it.effect("forgets what is older than its window", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make({ delay: Hedge.quantile(0.5, { window: 3, minimumCalls: 1 }), maxExtraLoad: 0 })
      yield* recorded(hedge, [100, 100, 100, 5, 6])
      assert.strictEqual(yield* delayOf(hedge), 6)
      yield* recorded(hedge, [7])
      assert.strictEqual(yield* delayOf(hedge), 6)
    }))

  it.effect("failures before the delay do not count, those after it do", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make({
        delay: Hedge.quantile(0.5, { initial: "50 millis", minimumCalls: 2 }),
        maxExtraLoad: 0
      })
      yield* finish(hedge.run(after(1)(Effect.fail("no"))))
      yield* finish(hedge.run(after(1)(Effect.fail("no"))))
      assert.strictEqual(yield* delayOf(hedge), 50)
      yield* finish(hedge.run(after(80)(Effect.fail("no"))))
      yield* finish(hedge.run(after(90)(Effect.fail("no"))))
      assert.strictEqual(yield* delayOf(hedge), 80)
    }))

  it.effect("losing primaries count with the time they ran, so the estimate does not sink call by call", () =>
    Effect.gen(function*() {
      // 20 % take a second, the hedge answers at once: recording winners only would end at the fast latency.
      const slow = Faults.flaky({ rate: 0.2, seed: 11, fault: Faults.delay("1 second") })
      const hedge = yield* Hedge.make({ delay: Hedge.quantile(0.9, { window: 200 }), maxExtraLoad: 100 })
      for (let i = 0; i < 600; i++) {
        let attempts = 0
        yield* finish(hedge.run(Effect.suspend(() => attempts++ === 0 ? slow(Effect.sleep(10)) : Effect.void)))
      }
      const delay = yield* delayOf(hedge)
      assert.isTrue(delay !== undefined && delay > 10, `${delay} ms`)
    }))

  it.effect("a call that is interrupted counts only if it outlived the delay", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make({
        delay: Hedge.quantile(0.5, { initial: "50 millis", minimumCalls: 2 }),
        maxExtraLoad: 0
      })
      for (const millis of [20, 30, 400, 500]) {
        const fiber = yield* Effect.forkChild(hedge.run(Effect.never))
        yield* TestClock.adjust(millis)
        yield* Fiber.interrupt(fiber)
      }
      assert.strictEqual(yield* delayOf(hedge), 400)
    }))

  it.effect("a step of the wall clock changes nothing", () =>
    Effect.gen(function*() {
      const testClock = yield* Clock.Clock
      let step = 0
      const clock: Clock.Clock = {
        ...testClock,
        currentTimeMillisUnsafe: () => testClock.currentTimeMillisUnsafe() + step
      }
      const hedge = yield* Hedge.make({ delay: Hedge.quantile(0.5, { minimumCalls: 1 }), maxExtraLoad: 0 })
      yield* finish(
        hedge.run(Effect.tap(Effect.sleep(40), () => Effect.sync(() => step -= 3_600_000))).pipe(
          Effect.provideService(Clock.Clock, clock)
        )
      )
      assert.strictEqual(yield* delayOf(hedge), 40)
    }))
})

describe("a tail of slow answers", () => {
  const calls = 5_000

  /** 8 to 12 ms, and a share that takes a second more. */
  const bimodal = (slowRate: number) => {
    let attempts = 0
    const late = Effect.void.pipe(
      Faults.delay({ min: "8 millis", max: "12 millis", seed: 1 }),
      Faults.flaky({ rate: slowRate, seed: 2, fault: Faults.delay("1 second") })
    )
    const answer = Effect.suspend(() => {
      attempts++
      return late
    })
    return { answer, attempts: () => attempts }
  }

  /** The 99th percentile over calls that come every 2 ms, whether or not earlier ones have ended. */
  const p99 = (call: Effect.Effect<void>) =>
    Effect.gen(function*() {
      const timed = Effect.gen(function*() {
        const began = yield* Clock.currentTimeMillis
        yield* call
        return (yield* Clock.currentTimeMillis) - began
      })
      const fibers: Array<Fiber.Fiber<number>> = []
      for (let i = 0; i < calls; i++) {
        fibers.push(yield* Effect.forkChild(timed, { startImmediately: true }))
        yield* TestClock.adjust(2)
      }
      yield* TestClock.adjust("1 minute")
      const latencies = (yield* Effect.forEach(fibers, Fiber.join)).toSorted((a, b) => a - b)
      return latencies[Math.ceil(latencies.length * 0.99) - 1]!
    })

  it.effect.each([
    { slowRate: 0.03, delay: Hedge.quantile(0.95), maxExtraLoad: 0.1 },
    { slowRate: 0.08, delay: "50 millis" as const, maxExtraLoad: 0.1 },
    { slowRate: 0.08, delay: Hedge.quantile(0.9), maxExtraLoad: 0.2 }
  ])(
    "RT-9 p99 falls by half and more at no more than 1 + maxExtraLoad attempts a call: %o",
    ({ delay, maxExtraLoad, slowRate }) =>
      Effect.gen(function*() {
        const before = yield* p99(bimodal(slowRate).answer)
        const dependency = bimodal(slowRate)
        const withHedges = yield* p99(dependency.answer.pipe(Hedge.run({ delay, maxExtraLoad })))
        assert.isTrue(before > 1_000, `${before} ms before`)
        assert.isTrue(withHedges <= before / 2, `${before} ms fell to ${withHedges} ms`)
        assert.isTrue(dependency.attempts() > calls, "there were hedges")
        assert.isTrue(dependency.attempts() <= calls * (1 + maxExtraLoad), `${dependency.attempts()} attempts`)
      })
  )

  it.effect("RT-9 where far too many are slow, the load stays within its limit and every call is answered", () =>
    Effect.gen(function*() {
      const dependency = bimodal(0.5)
      const slow = yield* p99(dependency.answer.pipe(Hedge.run({ delay: "50 millis", max: 3, maxExtraLoad: 0.1 })))
      assert.isTrue(slow > 1_000)
      assert.isTrue(dependency.attempts() <= calls * 1.1, `${dependency.attempts()} attempts`)
    }))

  it.effect("RT-9 what stands around a hedged call sees one outcome of it, however many attempts there were", () =>
    Effect.gen(function*() {
      const outcomes: Array<string> = []
      const search = Dependency.scripted([
        after(60)(Effect.fail("primary")),
        after(20)(Effect.fail("hedge")),
        after(100)(Effect.succeed("done"))
      ])
      const seen = <A, E>(self: Effect.Effect<A, E>) =>
        Effect.onExit(self, (exit) => Effect.sync(() => outcomes.push(exit._tag)))
      yield* finish(Hedge.run(search.call, { delay: "50 millis", max: 2, maxExtraLoad: 100 }).pipe(seen))
      assert.strictEqual(search.calls.length, 2)
      assert.deepStrictEqual(outcomes, ["Failure"])
    }))
})

describe("the signal of a hedged call", () => {
  const heardOf = (options: Hedge.Options, answers: ReadonlyArray<Effect.Effect<string, string>>) =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const listener = Signal.layer((signal) => heard.push(signal))
      const { call } = Dependency.scripted(answers)
      const fiber = yield* Effect.forkChild(Hedge.run(call, options).pipe(Effect.provide(listener)))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.interrupt(fiber)
      return heard
    })

  const options: Hedge.Options = { name: "search", delay: "50 millis", max: 2, maxExtraLoad: 100 }
  const hedged = { _tag: "Hedged", name: "search", refused: false } as const

  it.effect("says who won and how many hedges there were", () =>
    Effect.gen(function*() {
      const late = after(1_000)(Effect.succeed("late"))
      const lost = after(1_000)(Effect.fail("lost"))
      assert.deepStrictEqual(yield* heardOf(options, [late, Effect.succeed("hedge")]), [
        { ...hedged, winner: 1, launched: 1 }
      ])
      assert.deepStrictEqual(yield* heardOf(options, [late]), [{ ...hedged, winner: 0, launched: 2 }])
      assert.deepStrictEqual(yield* heardOf(options, [lost]), [{ ...hedged, winner: 0, launched: 2 }])
      assert.deepStrictEqual(yield* heardOf(options, [Effect.never]), [{ ...hedged, winner: undefined, launched: 2 }])
    }))

  it.effect("says when the budget refused", () =>
    Effect.gen(function*() {
      const late = after(1_000)(Effect.succeed("late"))
      assert.deepStrictEqual(yield* heardOf({ ...options, maxExtraLoad: 0.5 }, [late]), [
        { ...hedged, winner: 0, launched: 0, refused: true }
      ])
      assert.deepStrictEqual(yield* heardOf({ ...options, maxExtraLoad: 1 }, [late]), [
        { ...hedged, winner: 0, launched: 1, refused: true }
      ])
    }))

  it.effect("is not given for a call that needed no hedge", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* heardOf(options, [Effect.succeed("done")]), [])
      assert.deepStrictEqual(yield* heardOf(options, [Effect.fail("no")]), [])
    }))
})
