import * as Dependency from "@effect-resilience/testing/Dependency"
import { assert, describe, it } from "@effect/vitest"
import * as Hedge from "effect-resilience/Hedge"
import * as Signal from "effect-resilience/Signal"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { finish } from "./support/faults.ts"

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Planned = Schema.Struct({ millis: integerBetween(0, 60), succeeds: Schema.Boolean })

/** A budget that is never the reason why a hedge is missing. */
const plenty = { maxExtraLoad: 100 } as const

const after = (millis: number) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.delay(self, millis)

const delayOf = (hedge: Hedge.Hedge["Service"]) =>
  Effect.map(hedge.state, ({ delay }) => Option.getOrUndefined(Option.map(delay, Duration.toMillis)))

const startsOf = (dependency: Dependency.Scripted<unknown, unknown, unknown>) =>
  dependency.calls.map(({ startedAt }) => startedAt)

const outcomesOf = (dependency: Dependency.Scripted<unknown, unknown, unknown>) =>
  dependency.calls.map(({ outcome }) => outcome)

describe("Hedge.run", () => {
  it.effect("starts a hedge when the primary outlives the delay; the first success is the result", () =>
    Effect.gen(function*() {
      const search = Dependency.scripted([
        after(2_000)(Effect.succeed("primary")),
        after(30)(Effect.succeed("hedge"))
      ])
      const exit = yield* finish(Hedge.run(search.call, { delay: "50 millis", ...plenty }))
      assert.deepStrictEqual(exit, Exit.succeed("hedge"))
      assert.deepStrictEqual(startsOf(search), [0, 50])
      assert.deepStrictEqual(outcomesOf(search), ["interrupted", "success"])
      assert.deepStrictEqual(search.calls.map(({ endedAt }) => endedAt), [80, 80])
    }))

  it.effect("the primary still wins when it answers before its hedges", () =>
    Effect.gen(function*() {
      const search = Dependency.scripted([after(60)(Effect.succeed("primary")), Effect.never])
      const exit = yield* finish(Hedge.run(search.call, { delay: "50 millis", ...plenty }))
      assert.deepStrictEqual(exit, Exit.succeed("primary"))
      assert.deepStrictEqual(outcomesOf(search), ["success", "interrupted"])
    }))

  it.effect("a primary that ends before the delay has no hedge, and its failure is the call's", () =>
    Effect.gen(function*() {
      for (const answer of [Effect.succeed("done"), after(50)(Effect.succeed("done")), after(49)(Effect.fail("no"))]) {
        const search = Dependency.scripted([answer])
        const exit = yield* finish(Hedge.run(search.call, { delay: "50 millis", ...plenty }))
        assert.deepStrictEqual(exit, yield* finish(answer))
        assert.strictEqual(search.calls.length, 1)
      }
    }))

  it.effect("starts at most max hedges, each a delay after the one before", () =>
    Effect.gen(function*() {
      const search = Dependency.scripted([after(1_000)(Effect.succeed("done"))])
      yield* finish(Hedge.run(search.call, { delay: "50 millis", max: 3, ...plenty }))
      assert.deepStrictEqual(startsOf(search), [0, 50, 100, 150])
      assert.strictEqual(search.mostInFlight, 4)
    }))

  it.effect("starts all at once with a delay of zero, and none with an infinite one", () =>
    Effect.gen(function*() {
      const search = Dependency.scripted([after(1_000)(Effect.succeed("done"))])
      yield* finish(Hedge.run(search.call, { delay: 0, max: 2, ...plenty }))
      assert.deepStrictEqual(startsOf(search), [0, 0, 0])
      yield* finish(Hedge.run(search.call, { delay: Infinity, max: 2, ...plenty }))
      assert.strictEqual(search.calls.length, 4)
    }))

  it.effect("follows a Schedule, which is told the attempts and may end", () =>
    Effect.gen(function*() {
      const told: Array<number> = []
      const delay = Schedule.exponential("10 millis").pipe(
        Schedule.setInputType<number>(),
        Schedule.tap(({ input }) => Effect.sync(() => told.push(input))),
        Schedule.upTo({ times: 3 })
      )
      const search = Dependency.scripted([after(1_000)(Effect.succeed("done"))])
      yield* finish(Hedge.run(search.call, { delay, max: 9, ...plenty }))
      assert.deepStrictEqual(startsOf(search), [0, 10, 30, 70])
      assert.deepStrictEqual(told.slice(0, 3), [1, 2, 3])
    }))

  it.effect("a schedule that breaks costs the hedges and not the call", () =>
    Effect.gen(function*() {
      const delay = Schedule.fromStep(Effect.succeed((_: number, __: number) => Effect.die("a bug")))
      const search = Dependency.scripted([after(1_000)(Effect.succeed("done"))])
      const exit = yield* finish(Hedge.run(search.call, { delay, ...plenty }))
      assert.deepStrictEqual(exit, Exit.succeed("done"))
    }))

  it.effect("when one of several fails, the others may still succeed", () =>
    Effect.gen(function*() {
      const primaryFails = Dependency.scripted([after(60)(Effect.fail("no")), after(100)(Effect.succeed("hedge"))])
      assert.deepStrictEqual(
        yield* finish(Hedge.run(primaryFails.call, { delay: "50 millis", ...plenty })),
        Exit.succeed("hedge")
      )
      const hedgeFails = Dependency.scripted([after(200)(Effect.succeed("primary")), Effect.fail("no")])
      assert.deepStrictEqual(
        yield* finish(Hedge.run(hedgeFails.call, { delay: "50 millis", ...plenty })),
        Exit.succeed("primary")
      )
    }))

  it.effect("when all fail, the call fails as it would have without hedges: with the primary's error", () =>
    Effect.gen(function*() {
      for (const primaryTakes of [60, 1_000]) {
        const search = Dependency.scripted([
          after(primaryTakes)(Effect.fail("primary")),
          after(100)(Effect.fail("hedge"))
        ])
        const exit = yield* finish(Hedge.run(search.call, { delay: "50 millis", ...plenty }))
        assert.deepStrictEqual(exit, Exit.fail("primary"))
        assert.deepStrictEqual(outcomesOf(search), ["failure", "failure"])
      }
    }))

  it.effect("a defect and an attempt that interrupts itself end the call at once", () =>
    Effect.gen(function*() {
      for (const bad of [Effect.die("a bug"), Effect.interrupt]) {
        const search = Dependency.scripted([Effect.never, bad])
        const exit = yield* finish(Hedge.run(search.call, { delay: "50 millis", ...plenty }))
        assert.deepStrictEqual(
          Exit.isFailure(exit) && exit.cause.reasons.map(({ _tag }) => _tag),
          [bad === Effect.interrupt ? "Interrupt" : "Die"]
        )
        assert.strictEqual(outcomesOf(search)[0], "interrupted")
      }
    }))

  it.effect.prop(
    "ends when, and how, a plain simulation of its attempts says",
    {
      delay: integerBetween(1, 20),
      max: integerBetween(1, 3),
      attempts: Schema.Tuple([Planned, Planned, Planned, Planned])
    },
    ({ attempts, delay, max }) =>
      Effect.gen(function*() {
        const search = Dependency.scripted(attempts.map(({ millis, succeeds }, index) =>
          after(millis)(succeeds ? Effect.succeed(index) : Effect.fail(index))
        ))
        const began = yield* Clock.currentTimeMillis
        const fiber = yield* Effect.forkChild(
          Effect.exit(Hedge.run(search.call, { delay, max, ...plenty })).pipe(Effect.zip(Clock.currentTimeMillis))
        )
        yield* TestClock.adjust("1 second")
        const [exit, endedAt] = yield* Fiber.join(fiber)
        assert.deepStrictEqual(
          { exit, endedAt: endedAt - began, launched: search.calls.length },
          simulate(delay, max, attempts)
        )
        assert.strictEqual(search.inFlight, 0)
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect("runs data first and data last", () =>
    Effect.gen(function*() {
      const options = { delay: "1 second" } as const
      assert.strictEqual(yield* Hedge.run(Effect.succeed("done"), options), "done")
      assert.strictEqual(yield* Effect.succeed("done").pipe(Hedge.run(options)), "done")
    }))

  it.effect("one Hedge.run(options) is one budget for all that it is given", () =>
    Effect.gen(function*() {
      const hedged = Hedge.run({ delay: "50 millis", maxExtraLoad: 0.5 })
      const slow = Dependency.scripted([after(100)(Effect.succeed("done"))])
      for (let i = 0; i < 10; i++) yield* finish(hedged(slow.call))
      assert.strictEqual(slow.calls.length, 15)
    }))

  it.effect("attempts see the caller's services", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const listener = Signal.layer(({ _tag }) => heard.push(_tag))
      const telling = Effect.andThen(
        Signal.emit({ _tag: "CacheServed", cache: "a", result: "hit" }),
        after(100)(Effect.succeed("done"))
      )
      yield* finish(Hedge.run(telling, { delay: "50 millis", ...plenty }).pipe(Effect.provide(listener)))
      assert.deepStrictEqual(heard, ["CacheServed", "CacheServed", "Hedged"])
    }))
})

describe("layers of Hedge", () => {
  const slow = () => Dependency.scripted([after(1_000)(Effect.succeed("done"))])

  it.effect("layer provides one hedge, shared by all who ask for it", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.Hedge
      assert.isTrue(Hedge.isHedge(hedge))
      assert.strictEqual(hedge.name, "search")
      const dependency = slow()
      for (let i = 0; i < 4; i++) {
        yield* finish(Effect.flatMap(Hedge.Hedge, (hedge) => hedge.run(dependency.call)))
      }
      assert.strictEqual(dependency.calls.length, 6)
    }).pipe(Effect.provide(Hedge.layer({ name: "search", delay: "50 millis", maxExtraLoad: 0.5 }))))

  it.effect("layerConfig takes the options from Config, a quantile too", () =>
    Effect.gen(function*() {
      const provider = ConfigProvider.layer(ConfigProvider.fromUnknown({ DELAY: "70 millis", P: "0.9", LOAD: "0.5" }))
      const delay = Effect.flatMap(Hedge.Hedge, delayOf)
      const fixed = Hedge.layerConfig({ delay: Config.Duration("DELAY"), maxExtraLoad: Config.Number("LOAD") })
      assert.strictEqual(yield* delay.pipe(Effect.provide(Layer.provide(fixed, provider))), 70)
      const learnt = Hedge.layerConfig({ delay: Config.all({ quantile: Config.Number("P") }) })
      assert.isUndefined(yield* delay.pipe(Effect.provide(Layer.provide(learnt, provider))))
    }))

  it.effect("a value from Config that is out of range is a ConfigError that names it", () =>
    Effect.gen(function*() {
      const layer = Hedge.layerConfig({ delay: Config.all({ quantile: Config.Number("P") }) })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.strictEqual(error._tag, "ConfigError")
      assert.match(error.message, /quantile must be a number from 0.01 to 0.9999, got 1/)
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ P: "1" })))))

  it.effect("layerNoop runs calls as they are", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.Hedge
      const dependency = slow()
      assert.deepStrictEqual(yield* finish(hedge.run(dependency.call)), Exit.succeed("done"))
      assert.strictEqual(dependency.calls.length, 1)
      assert.deepStrictEqual(yield* hedge.state, { delay: Option.none(), available: 0 })
    }).pipe(Effect.provide(Hedge.layerNoop)))

  it.effect("the delay of a Schedule is not known beforehand", () =>
    Effect.gen(function*() {
      const hedge = yield* Hedge.make({ delay: Schedule.spaced("50 millis") })
      assert.isUndefined(yield* delayOf(hedge))
    }))

  it.each([
    [() => Hedge.make({ delay: -1 }), /^delay must be a duration of at least zero, got -1$/],
    [() => Hedge.make({ delay: NaN }), /^delay must be/],
    [() => Hedge.layer({ delay: 1, max: 0 }), /^max must be a positive integer, got 0$/],
    [() => Hedge.run({ delay: 1, max: 1.5 }), /^max must be/],
    [() => Hedge.run(Effect.void, { delay: 1, maxExtraLoad: -0.1 }), /^maxExtraLoad must be a number from 0 to 1000/],
    [() => Hedge.run({ delay: 1, maxExtraLoad: NaN }), /^maxExtraLoad must be/],
    [() => Hedge.make({ delay: { quantile: 0 } }), /^quantile must be a number from 0.01 to 0.9999, got 0$/],
    [() => Hedge.quantile(95), /^quantile must be/],
    [() => Hedge.quantile(0.9, { window: 0 }), /^window must be a positive integer, got 0$/],
    [() => Hedge.quantile(0.9, { window: 100_001 }), /^window must be a number from 1 to 100000, got 100001$/],
    [() => Hedge.quantile(0.9, { window: 5, minimumCalls: 6 }), /^minimumCalls must be a number from 1 to 5, got 6$/],
    [() => Hedge.quantile(0.9, { minimumCalls: 0 }), /^minimumCalls must be a positive integer, got 0$/],
    [() => Hedge.quantile(0.9, { initial: -1 }), /^initial must be/]
  ])("options out of range are refused: %s", (make, message) => {
    assert.throws(make, RangeError, message)
  })
})

/** What must happen to attempts of these lengths. An end comes before a launch of the same moment. */
const simulate = (delay: number, max: number, attempts: ReadonlyArray<typeof Planned.Type>) => {
  const running: Array<{ readonly index: number; readonly endsAt: number }> = [{
    index: 0,
    endsAt: attempts[0]!.millis
  }]
  let launched = 1
  let nextLaunch = delay
  while (true) {
    running.sort((a, b) => a.endsAt - b.endsAt || a.index - b.index)
    const { endsAt, index } = running[0]!
    if (endsAt <= nextLaunch) {
      running.shift()
      if (attempts[index]!.succeeds) return { exit: Exit.succeed(index), endedAt: endsAt, launched }
      if (running.length === 0) return { exit: Exit.fail(0), endedAt: endsAt, launched }
    } else {
      running.push({ index: launched, endsAt: nextLaunch + attempts[launched]!.millis })
      launched++
      nextLaunch = launched <= max ? nextLaunch + delay : Infinity
    }
  }
}
