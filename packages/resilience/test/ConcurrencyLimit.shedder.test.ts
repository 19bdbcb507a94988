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
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { rejectProbability, Tally } from "../src/internal/concurrencyLimit/shedder.ts"
import { fault } from "./support/faults.ts"

const make = (options: Omit<ConcurrencyLimit.ShedderOptions, "name"> = {}) =>
  ConcurrencyLimit.shedder({ name: "test", ...options })

const criticalities = ["CriticalPlus", "Critical", "SheddablePlus", "Sheddable"] as const

const refused = Effect.fail(fault("Overloaded"))

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("the machine of the shedder", () => {
  it.each([
    [2, 0, 0, 0],
    [2, 100, 100, 0],
    [2, 100, 50, 0],
    [2, 100, 25, 50 / 101],
    [2, 100, 0, 100 / 101],
    [1.1, 100, 90, 1 / 101],
    [1, 9, 0, 0.9]
  ])("RT-11 with k %d, %d requests and %d accepts the probability is %d", (k, requests, accepts, expected) => {
    assert.closeTo(rejectProbability(k, requests, accepts), expected, 1e-12)
  })

  it.prop(
    "counts the calls of the window, to a tenth of it",
    { steps: Schema.Array(Schema.Tuple([integerBetween(0, 700), Schema.Boolean])).check(Schema.isMaxLength(200)) },
    ({ steps }) => {
      const tally = new Tally(1_000)
      const calls: Array<{ readonly at: number; readonly accepted: boolean }> = []
      let now = 12_345
      for (const [millis, accepted] of steps) {
        now += millis
        tally.count(now, accepted)
        calls.push({ at: now, accepted })
        const within = calls.filter(({ at }) => Math.floor(now / 100) - Math.floor(at / 100) < 10)
        assert.strictEqual(tally.requests, within.length)
        assert.strictEqual(tally.accepts, within.filter(({ accepted }) => accepted).length)
      }
    }
  )
})

describe("ConcurrencyLimit.shedder", () => {
  it.effect("leaves nothing out while the dependency accepts, and passes on what calls come to", () =>
    Effect.gen(function*() {
      const shedder = yield* make()
      for (let call = 0; call < 1_000; call++) {
        assert.strictEqual(yield* shedder.run(Effect.succeed(call), { criticality: "Sheddable" }), call)
      }
      assert.deepStrictEqual(yield* Effect.exit(shedder.run(Effect.fail("no"))), Exit.fail("no"))
      const { Critical, Sheddable } = yield* shedder.state
      assert.deepStrictEqual(Sheddable, { requests: 1_000, accepts: 1_000, probability: 0 })
      // It failed, but not for overload: the dependency took it.
      assert.deepStrictEqual(Critical, { requests: 1, accepts: 1, probability: 0 })
    }))

  it.effect("leaves out what exceeds k times what is accepted", () =>
    Effect.gen(function*() {
      const shedder = yield* make()
      let sent = 0
      let accepted = 0
      // The dependency takes one in eight, whoever asks.
      const call = Effect.suspend(() => {
        const accepts = sent++ % 8 === 0
        if (accepts) accepted++
        return accepts ? Effect.void : refused
      })
      yield* Effect.replicateEffect(Effect.ignore(shedder.run(call)), 20_000)
      // In the long run the dependency gets k calls for each that it accepts, where that is less than all.
      assert.isTrue(sent < 20_000 * 0.5, `${sent} sent`)
      assert.isTrue(sent >= accepted * 2, `${sent} sent, ${accepted} accepted`)
      const { Critical } = yield* shedder.state
      assert.deepStrictEqual(Critical.requests, 20_000)
      assert.deepStrictEqual(Critical.accepts, accepted)
      assert.strictEqual(Critical.probability, rejectProbability(2, 20_000, accepted))
    }).pipe(Random.withSeed("shedder")))

  it.effect("leaves out the less important first", () =>
    Effect.gen(function*() {
      const shedder = yield* make()
      const sent = { CriticalPlus: 0, Critical: 0, SheddablePlus: 0, Sheddable: 0 }
      let calls = 0
      // It takes five of seven.
      const call = (criticality: ConcurrencyLimit.Criticality) =>
        shedder.run(
          Effect.suspend(() => {
            sent[criticality]++
            return calls++ % 7 < 2 ? refused : Effect.void
          }),
          { criticality }
        )
      for (let round = 0; round < 2_000; round++) {
        for (const criticality of criticalities) yield* Effect.ignore(call(criticality))
      }
      assert.deepInclude(sent, { CriticalPlus: 2_000, Critical: 2_000, SheddablePlus: 2_000 })
      assert.isBelow(sent.Sheddable, 1_950)
      assert.isAbove(sent.Sheddable, 500)
    }).pipe(Random.withSeed("criticality")))

  it.effect("finds out that the dependency is well again", () =>
    Effect.gen(function*() {
      const shedder = yield* make({ window: "1 minute" })
      let well = false
      let served = 0
      const call = Effect.suspend(() => {
        if (well) served++
        return well ? Effect.void : refused
      })
      const second = Effect.andThen(
        Effect.replicateEffect(Effect.ignore(shedder.run(call)), 10),
        TestClock.adjust("1 second")
      )
      yield* Effect.replicateEffect(second, 120)
      assert.isAbove((yield* shedder.state).Critical.probability, 0.99)
      well = true
      yield* Effect.replicateEffect(second, 600)
      assert.isAbove(served, 0)
      assert.strictEqual((yield* shedder.state).Critical.probability, 0)
    }).pipe(Random.withSeed("well again")))

  it.effect("slow calls in flight do not look refused", () =>
    Effect.gen(function*() {
      const shedder = yield* make()
      const fibers = yield* Effect.replicateEffect(
        Effect.forkChild(shedder.run(Effect.sleep("10 seconds")), { startImmediately: true }),
        1_000
      )
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual((yield* shedder.state).Critical, { requests: 1_000, accepts: 1_000, probability: 0 })
    }))

  it.effect("a few refusals are no trend", () =>
    Effect.gen(function*() {
      const shedder = yield* make({ minimumCalls: 10 })
      for (let call = 0; call < 9; call++) yield* Effect.ignore(shedder.run(refused))
      assert.strictEqual((yield* shedder.state).Critical.probability, 0)
      yield* Effect.ignore(shedder.run(refused))
      assert.strictEqual((yield* shedder.state).Critical.probability, 10 / 11)
    }))

  it.effect("interrupted calls and what we refuse ourselves do not count", () =>
    Effect.gen(function*() {
      const shedder = yield* make()
      const fiber = yield* Effect.forkChild(shedder.run(Effect.never), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      const ours = new ConcurrencyLimit.ConcurrencyLimited({ name: "inner", limit: 1 })
      yield* Effect.ignore(shedder.run(Effect.fail(ours)))
      assert.deepStrictEqual((yield* shedder.state).Critical, { requests: 0, accepts: 0, probability: 0 })
    }))

  it.effect("takes the criticality of the running work where the call does not say it", () =>
    Effect.gen(function*() {
      const shedder = yield* make()
      yield* shedder.run(Effect.void)
      yield* Effect.provideService(shedder.run(Effect.void), ConcurrencyLimit.CurrentCriticality, "Sheddable")
      yield* Effect.provideService(
        shedder.run(Effect.void, { criticality: "CriticalPlus" }),
        ConcurrencyLimit.CurrentCriticality,
        "Sheddable"
      )
      const { Critical, CriticalPlus, Sheddable, SheddablePlus } = yield* shedder.state
      assert.deepStrictEqual(
        [CriticalPlus.requests, Critical.requests, SheddablePlus.requests, Sheddable.requests],
        [1, 1, 0, 1]
      )
    }))

  it.effect("asks the classifier that it is given", () =>
    Effect.gen(function*() {
      const shedder = yield* make({ classify: () => "dropped", minimumCalls: 0 })
      yield* shedder.run(Effect.void)
      assert.deepStrictEqual((yield* shedder.state).Critical, { requests: 1, accepts: 0, probability: 1 / 2 })
    }))

  it.effect("tells what it decided", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const shedder = yield* make({ multipliers: { Critical: 1 }, minimumCalls: 0 })
      yield* Effect.replicateEffect(Effect.ignore(shedder.run(refused)), 50).pipe(
        Effect.provide(Signal.layer((signal) => heard.push(signal)))
      )
      const base = { name: "test", policy: "shedder", limit: Infinity, queued: 0 } as const
      const decided = { _tag: "ConcurrencyDecided", ...base, waited: Duration.zero } as const
      assert.deepStrictEqual(heard.slice(0, 2), [
        { ...decided, decision: "admitted", reason: undefined, inFlight: 1 },
        { _tag: "ConcurrencyReleased", ...base, inFlight: 0 }
      ])
      assert.deepStrictEqual(heard.at(-1), { ...decided, decision: "rejected", reason: "Shed", inFlight: 0 })
    }).pipe(Random.withSeed("signals")))

  it.each([
    [() => make({ multipliers: { Sheddable: 0.9 } }), /^multipliers.Sheddable must be a finite number of at least 1/],
    [() => make({ window: 0 }), /^window must be a finite duration above zero, got 0$/],
    [() => make({ minimumCalls: -1 }), /^minimumCalls must be an integer of at least 0, got -1$/]
  ])("refuses options out of their range: %s", (make, message) => {
    assert.throws(make, RangeError, message)
  })
})

describe("CallShed", () => {
  it.effect("is our own refusal, carries no stack, and crosses a wire", () =>
    Effect.gen(function*() {
      const shedder = yield* make({ minimumCalls: 0 })
      const shed = yield* Effect.eventually(Effect.flip(
        Effect.flip(shedder.run(refused)).pipe(
          Effect.filterOrFail(ConcurrencyLimit.isCallShed),
          Effect.flip
        )
      ))
      assert.isTrue(ConcurrencyLimit.isCallShed(shed))
      assert.isFalse(ConcurrencyLimit.isCallShed(new Error("shed")))
      assert.deepInclude(yield* Failure.classify(shed), { kind: "Overloaded", scope: "request", code: "CallShed" })
      assert.notMatch(shed.stack ?? "", /\n\s+at /)
      const json = yield* Schema.encodeEffect(ConcurrencyLimit.CallShed)(shed)
      assert.deepInclude(json, { _tag: "CallShed", name: "test", criticality: "Critical" })
      assert.deepStrictEqual(yield* Schema.decodeEffect(ConcurrencyLimit.CallShed)(json), shed)
    }).pipe(Random.withSeed("shed")))
})

const requests = Effect.flatMap(
  ConcurrencyLimit.Shedder,
  (shedder) => Effect.map(shedder.state, ({ Critical, Sheddable }) => [Critical.requests, Sheddable.requests])
)

describe("the layers of the shedder", () => {
  it.effect("share one shedder among those who use the layer", () =>
    Effect.gen(function*() {
      yield* ConcurrencyLimit.shed(Effect.void)
      yield* Effect.void.pipe(ConcurrencyLimit.shed())
      yield* Effect.void.pipe(ConcurrencyLimit.shed({ criticality: "Sheddable" }))
      assert.deepStrictEqual(yield* requests, [2, 1])
    }).pipe(Effect.provide(ConcurrencyLimit.layerShedder({ name: "test" }))))

  it.effect("take their options from Config", () =>
    Effect.gen(function*() {
      yield* Effect.ignore(ConcurrencyLimit.shed(refused))
      const { state } = yield* ConcurrencyLimit.Shedder
      assert.strictEqual((yield* state).Critical.probability, 1 / 2)
    }).pipe(
      Effect.provide(
        ConcurrencyLimit.layerShedderConfig({ name: Config.succeed("test"), minimumCalls: Config.Number("MINIMUM") })
          .pipe(
            Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ MINIMUM: "1" })))
          )
      )
    ))

  it.effect("leave nothing out where there is none", () =>
    Effect.gen(function*() {
      for (let call = 0; call < 100; call++) yield* Effect.ignore(ConcurrencyLimit.shed(refused))
      assert.strictEqual(yield* ConcurrencyLimit.shed(Effect.succeed(1)), 1)
      assert.deepStrictEqual(yield* requests, [0, 0])
    }).pipe(Effect.provide(ConcurrencyLimit.layerShedderNoop)))
})
