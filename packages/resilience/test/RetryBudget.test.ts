import { assert, describe, it } from "@effect/vitest"
import * as Retry from "effect-resilience/Retry"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as Signal from "effect-resilience/Signal"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as InFlight from "../src/internal/retryBudget/inFlight.ts"
import * as Ratio from "../src/internal/retryBudget/ratio.ts"
import { failing, fault, finish } from "./support/faults.ts"

const available = Effect.flatMap(RetryBudget.RetryBudget, (budget) => budget.available)

const threeTries = Retry.backoff({ base: "100 millis", jitter: "none", times: 2 })

const call = <E>(...errors: ReadonlyArray<E>) => {
  const { effect, starts } = failing(...errors)
  return { starts, run: Retry.retry(effect, Retry.withBudget(threeTries)) }
}

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** What a random history does next: time passes, a call comes, a retry is wanted, a wait is interrupted. */
const Event = Schema.Union([
  Schema.TaggedStruct("advance", { millis: integerBetween(0, 4_000) }),
  Schema.TaggedStruct("call", {}),
  Schema.TaggedStruct("reserve", {}),
  Schema.TaggedStruct("cancel", {})
])

describe("RetryBudget.layer", () => {
  it.prop(
    "RT-2 in any window, retries stay within ratio x calls plus the floor",
    {
      ratio: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
      floor: integerBetween(0, 5),
      events: Schema.Array(Event).check(Schema.isMaxLength(300))
    },
    ({ events, floor, ratio }) => {
      const options: Ratio.Options = { ratio, floor, windowMillis: 10_000 }
      const calls: Array<number> = []
      const retries: Array<{ at: number; slot: number }> = []
      let state = Ratio.initial
      let now = 0
      const inWindow = (at: number) => now - at < options.windowMillis
      for (const event of events) {
        const slot = Ratio.slotAt(options, now)
        switch (event._tag) {
          case "advance":
            now += event.millis
            break
          case "call":
            calls.push(now)
            state = Ratio.call(state, slot)
            break
          case "reserve": {
            const next = Ratio.reserve(options, state, slot)
            const taken = retries.filter(({ at }) => inWindow(at)).length
            const earned = calls.filter(inWindow).length * ratio + floor
            if (next !== undefined) {
              assert.isTrue(taken + 1 <= earned + 1e-9, `admitted ${taken + 1} of ${earned}`)
              state = next
              retries.push({ at: now, slot })
            }
            break
          }
          case "cancel": {
            const last = retries.pop()
            if (last !== undefined) state = Ratio.cancel(state, last.slot)
            break
          }
        }
      }
      assert.isTrue(state.older.length <= 11, "the state stays small")
    },
    { arbitrary: { runs: 500 } }
  )

  it.effect("RT-2 at 100 % failure, attempts per call stay within 1 + ratio + floor", () =>
    Effect.gen(function*() {
      let attempts = 0
      const down = Effect.suspend(() => {
        attempts++
        return Effect.fail("down")
      })
      const policy = Retry.withBudget(Retry.backoff({ base: "10 millis", times: 5 }))
      yield* finish(Effect.replicateEffect(Effect.ignore(Retry.retry(down, policy)), 1_000, { concurrency: 50 }))
      assert.isTrue(attempts <= 1_000 * (1 + 0.2) + 10 * 10, `${attempts} attempts`)
      assert.isTrue(attempts >= 1_000 * 1.2, `${attempts} attempts: the budget was there to be used`)
    }).pipe(Effect.provide(RetryBudget.layer())))

  it.effect("RT-2 a fraction is not rounded up to a retry", () =>
    Effect.gen(function*() {
      const first = call("no")
      yield* finish(first.run)
      assert.strictEqual(first.starts.length, 1)
      yield* finish(Effect.replicateEffect(call().run, 2))
      const fourth = call("no", "no", "no")
      yield* finish(fourth.run)
      assert.strictEqual(fourth.starts.length, 3)
    }).pipe(Effect.provide(RetryBudget.layer({ ratio: 0.75, floor: 0, window: "1000 days" }))))

  it.effect("RT-2 an interrupted wait gives its retry back", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 50; i++) {
        const { run, starts } = call("no", "no")
        const fiber = yield* Effect.forkChild(run)
        yield* TestClock.adjust("50 millis")
        assert.strictEqual(yield* available, 0)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* available, 1)
        assert.strictEqual(starts.length, 1)
      }
    }).pipe(Effect.provide(RetryBudget.layer({ ratio: 0, floor: 1 / 100, window: "100 seconds" }))))

  it.effect("RT-2 a retry that another part of the policy refuses is given back", () =>
    Effect.gen(function*() {
      const policy = Retry.withBudget(threeTries).pipe(Retry.respectRetryAfter({ cap: "1 second" }))
      yield* finish(Retry.retry(Effect.fail(fault("RateLimited", "1 minute")), policy))
      assert.strictEqual(yield* available, 1)
    }).pipe(Effect.provide(RetryBudget.layer({ ratio: 0, floor: 1 / 10 }))))

  it.effect("forgets calls and retries after the window", () =>
    Effect.gen(function*() {
      yield* finish(Effect.ignore(call("no", "no", "no").run))
      assert.strictEqual(yield* available, 2)
    }).pipe(Effect.provide(RetryBudget.layer({ ratio: 5, floor: 0.2, window: "10 seconds" }))))

  it.effect("says when it refuses, with the failure that wanted the retry", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      yield* Effect.ignore(call(fault("Timeout")).run).pipe(
        Effect.provide(Signal.layer((signal) => heard.push(signal)))
      )
      assert.deepInclude(heard[0], { _tag: "BudgetExhausted", budget: "ratio" })
      assert.strictEqual(heard[0]?._tag === "BudgetExhausted" && heard[0].failure.kind, "Timeout")
    }).pipe(Effect.provide(RetryBudget.layer({ ratio: 0, floor: 0 }))))

  it.effect("works under Effect.retry, too", () =>
    Effect.gen(function*() {
      const { effect, starts } = failing("no", "no", "no")
      const exit = yield* finish(Effect.retry(effect, Retry.withBudget(threeTries)))
      assert.deepStrictEqual(exit, Exit.fail("no"))
      assert.strictEqual(starts.length, 2)
    }).pipe(Effect.provide(RetryBudget.layer({ ratio: 1, floor: 0 }))))

  it.effect("counts a call once, however many parts of its policy draw on the budget", () =>
    Effect.gen(function*() {
      const policy = Retry.byKind({
        Transient: Retry.withBudget(Schedule.recurs(9)),
        Timeout: Retry.withBudget(Schedule.recurs(9))
      })
      yield* finish(Retry.retry(Effect.succeed("done"), policy))
      assert.strictEqual(yield* available, 1)
    }).pipe(Effect.provide(RetryBudget.layer({ ratio: 1, floor: 0, window: "1000 days" }))))

  it.effect("takes its options from Config", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* available, 30)
    }).pipe(
      Effect.provide(
        RetryBudget.layerConfig({ ratio: Config.Number("RATIO"), floor: Config.Number("FLOOR") }).pipe(
          Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ RATIO: "0.5", FLOOR: "3" })))
        )
      )
    ))

  it.effect("a value from Config that is out of range is a ConfigError that names it", () =>
    Effect.gen(function*() {
      const layer = RetryBudget.layerConfig({ ratio: Config.Number("RATIO") })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.strictEqual(error._tag, "ConfigError")
      assert.match(error.message, /ratio must be a number from 0 to 1000, got -2/)
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ RATIO: "-2" })))))

  it.each([
    [() => RetryBudget.layer({ ratio: -1 }), /^ratio must be a number from 0 to 1000, got -1$/],
    [() => RetryBudget.layer({ ratio: NaN }), /^ratio must be/],
    [() => RetryBudget.layer({ floor: -0.1 }), /^floor must be a finite number of at least 0, got -0.1$/],
    [() => RetryBudget.layer({ window: 0 }), /^window must be/],
    [() => RetryBudget.layerTokens({ capacity: 0 }), /^capacity must be a positive integer, got 0$/],
    [() => RetryBudget.layerTokens({ retryCost: 1.5 }), /^retryCost must be/],
    [() => RetryBudget.layerInFlight({ minimum: -3 }), /^minimum must be/]
  ])("refuses options out of range: %s", (make, message) => {
    assert.throws(make, RangeError, message)
  })
})

describe("RetryBudget.layerTokens", () => {
  /** Tokens are seen through `available` with a cost of 1 for the asking: here the retry cost divides them. */
  const quota = (layer: Layer.Layer<RetryBudget.RetryBudget>) => Effect.provide(layer)

  it.effect("RT-3 follows AWS standard mode: 500, 500, 200 gives 486, 472, 486", () =>
    Effect.gen(function*() {
      const seen: Array<number> = []
      const outcomes = ["500", "500"]
      const self = Effect.suspend(() => {
        const outcome = outcomes.shift()
        return outcome === undefined ? Effect.succeed("200") : Effect.fail(outcome)
      })
      const budget = yield* RetryBudget.RetryBudget
      const watched = Schedule.tap(
        Retry.withBudget(threeTries),
        () => Effect.map(budget.available, (n) => seen.push(n))
      )
      yield* finish(Retry.retry(self, watched))
      seen.push(yield* budget.available)
      // 486, 472 and 486 tokens are 34, 33 and 34 retries of 14.
      assert.deepStrictEqual(seen, [Math.floor(486 / 14), Math.floor(472 / 14), Math.floor(486 / 14)])
    }).pipe(quota(RetryBudget.layerTokens())))

  it.effect("RT-3 without tokens there is no retry", () =>
    Effect.gen(function*() {
      const first = call("no", "no", "no")
      yield* finish(first.run)
      assert.strictEqual(first.starts.length, 2)
      const second = call("no")
      assert.deepStrictEqual(yield* finish(second.run), Exit.fail("no"))
      assert.strictEqual(second.starts.length, 1)
    }).pipe(quota(RetryBudget.layerTokens({ capacity: 14 }))))

  it.effect("RT-3 a success at once brings back the refund, never beyond the capacity", () =>
    Effect.gen(function*() {
      yield* finish(Effect.ignore(call("no", "no", "no").run))
      assert.strictEqual(yield* available, 0)
      yield* Effect.replicateEffect(call().run, 100)
      assert.strictEqual(yield* available, 2)
    }).pipe(quota(RetryBudget.layerTokens({ capacity: 20, retryCost: 10 }))))

  it.effect("a retry after a timeout may cost more", () =>
    Effect.gen(function*() {
      const { run, starts } = call(fault("Timeout"), fault("Transient"))
      yield* finish(run)
      assert.strictEqual(starts.length, 2)
    }).pipe(quota(RetryBudget.layerTokens({ capacity: 20, retryCost: 5, timeoutCost: 20 }))))

  it.effect("RT-2 an interrupted wait gives its tokens back", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(call("no").run)
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(yield* available, 0)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* available, 1)
    }).pipe(quota(RetryBudget.layerTokens({ capacity: 14 }))))

  it.effect("says that Effect.retry cannot run it", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.retry(Effect.fail("no"), Retry.withBudget(threeTries)))
      assert.isTrue(Exit.hasDies(exit))
      assert.match(String(Exit.isFailure(exit) && exit.cause), /needs Retry\.retry/)
    }).pipe(quota(RetryBudget.layerTokens())))
})

describe("RetryBudget.layerInFlight", () => {
  it.prop(
    "RT-2 retries in flight stay within ratio x calls, or the minimum",
    {
      ratio: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 2 })),
      minimum: integerBetween(0, 4),
      events: Schema.Array(Schema.Literals(["start", "end", "reserve", "release"])).check(Schema.isMaxLength(200))
    },
    ({ events, minimum, ratio }) => {
      let state = InFlight.initial
      for (const event of events) {
        switch (event) {
          case "start":
            state = InFlight.callStarted(state)
            break
          case "end":
            state = InFlight.callEnded(state)
            break
          case "release":
            state = InFlight.release(state)
            break
          case "reserve": {
            const next = InFlight.reserve({ ratio, minimum }, state)
            if (next !== undefined) {
              assert.isTrue(next.retries <= Math.max(minimum, ratio * state.calls))
              state = next
            } else {
              assert.isTrue(state.retries + 1 > Math.max(minimum, ratio * state.calls))
            }
          }
        }
        assert.isTrue(state.calls >= 0 && state.retries >= 0)
      }
    }
  )

  it.effect("RT-2 of many calls that fail at once, only the share retries, and all comes back", () =>
    Effect.gen(function*() {
      let retrying = 0
      let most = 0
      const self = Effect.suspend(() => Effect.fail("down"))
      const policy = Retry.withBudget(threeTries).pipe(
        Schedule.tap(() =>
          Effect.sync(() => {
            retrying++
            most = Math.max(most, retrying)
          })
        )
      )
      const fiber = yield* Effect.forkChild(
        Effect.replicateEffect(Effect.ignore(Retry.retry(self, policy)), 100, { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.isTrue(most >= 3 && most <= 40, `${most} retries`)
      assert.strictEqual(yield* available, 3)
    }).pipe(Effect.provide(RetryBudget.layerInFlight())))

  it.effect("RT-5 10,000 interruptions at random moments leave the whole budget", () =>
    Effect.gen(function*() {
      for (let round = 0; round < 100; round++) {
        const fibers = yield* Effect.forEach(
          Array.from({ length: 100 }),
          () => Effect.forkChild(Effect.ignore(call("no", "no", "no").run))
        )
        yield* TestClock.adjust(`${round * 3} millis`)
        yield* Fiber.interruptAll(fibers)
        assert.strictEqual(yield* available, 3)
      }
    }).pipe(Effect.provide(RetryBudget.layerInFlight())))
})

describe("RetryBudget.layerUnlimited", () => {
  it.effect("allows every retry", () =>
    Effect.gen(function*() {
      const { run, starts } = call("no", "no")
      yield* finish(run)
      assert.strictEqual(starts.length, 3)
      assert.strictEqual(yield* available, Infinity)
    }).pipe(Effect.provide(RetryBudget.layerUnlimited)))
})
