import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Faults from "../src/Faults.ts"
import * as Phases from "../src/internal/faults/phases.ts"
import { uniformAt } from "../src/internal/faults/seeded.ts"

const numbers = (seed: number, count: number) => Array.from({ length: count }, (_, n) => uniformAt(seed, n))

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** The answer, or the error as if it were one. */
const told = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A | E> => self.pipe(Effect.catch(Effect.succeed))

/** When an effect ended, in whole milliseconds, given all the time it wants. */
const endsAt = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const began = yield* Clock.currentTimeMillis
    const fiber = yield* Effect.forkChild(Effect.andThen(Effect.exit(self), Clock.currentTimeMillis))
    yield* TestClock.adjust("1 hour")
    return Math.round((yield* Fiber.join(fiber)) - began)
  })

describe("the numbers of a seed", () => {
  it.prop(
    "are in [0, 1) for every seed and place",
    { seed: Schema.Int, n: integerBetween(0, Number.MAX_SAFE_INTEGER) },
    ({ n, seed }) => {
      const number = uniformAt(seed, n)
      assert.isTrue(number >= 0 && number < 1, `${number}`)
    },
    { arbitrary: { runs: 1_000 } }
  )

  it("spread evenly", () => {
    // 100 boxes, 1,000 expected in each: Pearson's statistic for 99 degrees of freedom is below 149 but once in 1,000.
    for (const seed of [0, 1, 2, -1, 42, 0x9e3779b9, 2 ** 40]) {
      const boxes = Array.from({ length: 100 }, () => 0)
      for (const number of numbers(seed, 100_000)) boxes[Math.floor(number * 100)]!++
      const statistic = boxes.reduce((sum, count) => sum + (count - 1_000) ** 2 / 1_000, 0)
      assert.isTrue(statistic < 149, `seed ${seed}: ${statistic}`)
    }
  })

  it("have nothing to do with the number before, or with the neighbouring seed", () => {
    const correlation = (xs: ReadonlyArray<number>, ys: ReadonlyArray<number>) =>
      xs.reduce((sum, x, i) => sum + (x - 0.5) * (ys[i]! - 0.5), 0) * 12 / xs.length
    const first = numbers(7, 100_000)
    assert.isTrue(Math.abs(correlation(first, first.slice(1).concat(0.5))) < 0.02)
    assert.isTrue(Math.abs(correlation(first, numbers(8, 100_000))) < 0.02)
  })

  it("stay what they are from one release to the next", () => {
    assert.deepStrictEqual(numbers(1, 3).map((number) => number.toFixed(6)), ["0.441266", "0.544809", "0.120626"])
  })
})

describe("Faults.fail", () => {
  it.effect("fails and does not make the call", () =>
    Effect.gen(function*() {
      let made = 0
      const call = Effect.sync(() => made++)
      assert.deepStrictEqual(yield* Effect.exit(call.pipe(Faults.fail("down"))), Exit.fail("down" as const))
      assert.strictEqual(made, 0)
    }))
})

describe("Faults.none", () => {
  it.effect("changes nothing", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Faults.none(Effect.succeed(1)), 1)
    }))
})

describe("Faults.delay", () => {
  it.effect("makes the call later", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* endsAt(Effect.void.pipe(Faults.delay("2 seconds"))), 2_000)
    }))

  it.effect("draws from a range, the same times for the same seed", () =>
    Effect.gen(function*() {
      const times = (seed: number) => {
        const late = Effect.void.pipe(Faults.delay({ min: "1 second", max: "3 seconds", seed }))
        return Effect.replicateEffect(endsAt(late), 200)
      }
      const first = yield* times(5)
      assert.deepStrictEqual(yield* times(5), first)
      assert.notDeepEqual(yield* times(6), first)
      assert.isTrue(Math.min(...first) >= 1_000 && Math.min(...first) < 1_100)
      assert.isTrue(Math.max(...first) <= 3_000 && Math.max(...first) > 2_900)
    }))
})

describe("Faults.hang", () => {
  it.effect("never answers, does not make the call, and can be interrupted", () =>
    Effect.gen(function*() {
      let made = 0
      const fiber = yield* Effect.forkChild(Faults.hang(Effect.sync(() => made++)))
      yield* TestClock.adjust("1000 days")
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(made, 0)
    }))
})

describe("Faults.flaky", () => {
  const fates = (options: { readonly rate: number; readonly seed: number }, count: number) => {
    const faulty = Effect.succeed("found").pipe(Faults.flaky({ ...options, fault: Faults.fail("lost") }))
    return Effect.replicateEffect(told(faulty), count)
  }

  it.effect("hits the share that it was told", () =>
    Effect.gen(function*() {
      for (const rate of [0, 0.01, 0.3, 0.9, 1]) {
        const lost = (yield* fates({ rate, seed: 3 }, 20_000)).filter((fate) => fate === "lost").length
        // Five standard deviations.
        const slack = 5 * Math.sqrt(20_000 * rate * (1 - rate))
        assert.isTrue(Math.abs(lost - 20_000 * rate) <= slack, `${lost} of ${20_000 * rate}`)
      }
    }))

  it.effect("decides alike for the same seed, otherwise for another", () =>
    Effect.gen(function*() {
      const first = yield* fates({ rate: 0.5, seed: 1 }, 200)
      assert.deepStrictEqual(yield* fates({ rate: 0.5, seed: 1 }, 200), first)
      assert.notDeepEqual(yield* fates({ rate: 0.5, seed: 2 }, 200), first)
    }))

  it.effect("decides the n-th call alike, however long the calls before it take", () =>
    Effect.gen(function*() {
      const inOrder = yield* fates({ rate: 0.5, seed: 1 }, 50)
      const faulty = Faults.flaky({ rate: 0.5, seed: 1, fault: Faults.fail("lost") })
      const fiber = yield* Effect.forkChild(Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) => told(faulty(Effect.delay(Effect.succeed("found"), 1_000 - n))),
        { concurrency: "unbounded" }
      ))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), inOrder)
    }))
})

describe("Faults.schedule", () => {
  it.effect("goes through its phases by time and by calls", () =>
    Effect.gen(function*() {
      const call = told(
        Effect.succeed("up").pipe(Faults.schedule([
          { for: "10 seconds", fault: Faults.none },
          { for: "5 seconds", fault: Faults.fail("down") },
          { calls: 2, fault: Faults.fail("starting") }
        ]))
      )
      yield* TestClock.adjust("1 hour")
      const seen: Array<string> = []
      for (let second = 0; second < 18; second++) {
        seen.push(yield* call)
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(seen, [
        ...Array.from({ length: 10 }, () => "up"),
        ...Array.from({ length: 5 }, () => "down"),
        "starting",
        "starting",
        "up"
      ])
    }))

  it.effect("repeats when told to, over any length of silence", () =>
    Effect.gen(function*() {
      const call = told(
        Effect.succeed("up").pipe(Faults.schedule([
          { for: "1 milli", fault: Faults.none },
          { for: "2 millis", fault: Faults.fail("down") }
        ], { repeat: true }))
      )
      assert.strictEqual(yield* call, "up")
      // 1,000 years are 31,556,952,000,000 ms: 10,518,984,000,000 rounds and nothing over.
      yield* TestClock.adjust(31_556_952_000_000)
      assert.strictEqual(yield* call, "up")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* call, "down")
      yield* TestClock.adjust(2)
      assert.strictEqual(yield* call, "up")
    }))

  it.prop(
    "a call falls into the phase that a plain timeline says",
    {
      millis: Schema.NonEmptyArray(integerBetween(1, 50)),
      repeat: Schema.Boolean,
      gaps: Schema.Array(integerBetween(0, 120)).check(Schema.isMaxLength(50))
    },
    ({ gaps, millis, repeat }) => {
      const phases = millis.map((millis) => ({ millis, calls: Infinity }))
      const round = millis.reduce((sum, one) => sum + one, 0)
      let state = Phases.start(0)
      let now = 0
      for (const gap of gaps) {
        now += gap
        const [next, index] = Phases.call({ phases, repeat }, state, now)
        state = next
        let at = repeat ? now % round : now
        const expected = millis.findIndex((one) => (at -= one) < 0)
        assert.strictEqual(index, expected === -1 ? undefined : expected)
      }
    },
    { arbitrary: { runs: 300 } }
  )

  it("adds the errors of all its phases to the type", () => {
    const fault: Faults.Fault<"down" | "busy"> = Faults.schedule([
      { calls: 1, fault: Faults.fail("down") },
      { calls: 1, fault: Faults.fail("busy") },
      { calls: 1, fault: Faults.hang }
    ])
    // @ts-expect-error -- "busy" is one of the errors
    const narrower: Faults.Fault<"down"> = fault
    assert.isFunction(narrower)
  })
})

describe("Faults.layer", () => {
  class Weather extends Context.Service<Weather, { readonly today: Effect.Effect<string, "offline"> }>()("Weather") {}

  it.effect("puts faults on a service of another layer", () =>
    Effect.gen(function*() {
      const weather = yield* Weather
      assert.deepStrictEqual(yield* Effect.exit(weather.today), Exit.fail("offline" as const))
      assert.deepStrictEqual(yield* Effect.exit(weather.today), Exit.succeed("rain"))
    }).pipe(Effect.provide(
      Faults.layer(Weather, ({ today }) => ({
        today: today.pipe(Faults.schedule([{ calls: 1, fault: Faults.fail("offline") }]))
      })).pipe(Layer.provide(Layer.succeed(Weather, { today: Effect.succeed("rain") })))
    )))
})

describe("options of Faults", () => {
  it.each([
    [() => Faults.delay("-1 seconds"), /^time must be a duration of at least zero, got/],
    [() => Faults.delay(NaN), /^time must be/],
    [() => Faults.delay({ min: 2, max: 1, seed: 1 }), /^max must be at least min, got 1 ms and 2 ms$/],
    [() => Faults.delay({ min: 1, max: 2, seed: 0.5 }), /^seed must be an integer, got 0.5$/],
    [() => Faults.flaky({ rate: 1.1, seed: 1, fault: Faults.hang }), /^rate must be a number from 0 to 1, got 1.1$/],
    [() => Faults.flaky({ rate: NaN, seed: 1, fault: Faults.hang }), /^rate must be/],
    [() => Faults.flaky({ rate: 1, seed: Infinity, fault: Faults.hang }), /^seed must be/],
    [() => Faults.schedule([]), /^phases must not be empty$/],
    [() => Faults.schedule([{ for: 0, fault: Faults.hang }]), /^for must be a duration above zero, got 0$/],
    [() => Faults.schedule([{ calls: 0, fault: Faults.hang }]), /^calls must be a positive integer, got 0$/]
  ])("are refused out of range: %s", (make, message) => {
    assert.throws(make, RangeError, message)
  })
})
