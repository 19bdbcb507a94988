import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { aimd } from "../src/internal/concurrencyLimit/aimd.ts"
import type { Algorithm, Window } from "../src/internal/concurrencyLimit/algorithm.ts"
import { startAimd, startGradient2, startVegas } from "../src/internal/concurrencyLimit/algorithms.ts"
import { gradient2 } from "../src/internal/concurrencyLimit/gradient2.ts"
import { vegas } from "../src/internal/concurrencyLimit/vegas.ts"
import { simulate, type Simulation } from "./support/simulatedDependency.ts"

const defaults = {
  gradient2: { tolerance: 1, longWindow: 600, queue: undefined, smoothing: 0.5 },
  vegas: { alpha: 3, beta: 6, smoothing: 1 },
  aimd: { backoff: 0.9, timeoutMillis: 5_000 }
}

const windowOf = (rtt: number | undefined, inFlight: number, dropped = false): Window => ({ rtt, inFlight, dropped })

/** The limits after each window, as they are enforced. */
const limits = <S extends { readonly limit: number }>(
  algorithm: Algorithm<S>,
  initial: number,
  bounds: { readonly min: number; readonly max: number },
  ...windows: ReadonlyArray<Window>
): ReadonlyArray<number> => {
  let state = algorithm.initial(initial)
  return windows.map((window) => {
    state = algorithm.step(bounds, state, window)
    return Math.floor(state.limit)
  })
}

describe("the tables of the algorithms", () => {
  const first = windowOf(10, 10)

  it.each([
    ["10 ms with 11 in flight", windowOf(10, 11), 16],
    ["50 ms with 11 in flight", windowOf(50, 11), 9],
    ["14 ms with 14 in flight", windowOf(14, 14), 10],
    ["a drop", windowOf(10, 11, true), 9],
    ["a drop and no answer", windowOf(undefined, 11, true), 9],
    ["50 ms with 4 in flight, which are less than half", windowOf(50, 4), 10],
    ["nothing", windowOf(undefined, 0), 10]
  ])("RT-11 Vegas, initial 10 and max 20: after 10 ms, %s", (_, window, expected) => {
    assert.deepStrictEqual(limits(vegas(defaults.vegas), 10, { min: 1, max: 20 }, first, window), [10, expected])
  })

  it("RT-11 Vegas takes larger steps for larger limits, and smaller ones when smoothed", () => {
    const large = limits(
      vegas(defaults.vegas),
      10_000,
      { min: 1, max: 20_000 },
      windowOf(10, 5_000),
      windowOf(10, 6_000)
    )
    assert.deepStrictEqual(large, [10_000, 10_024])
    const smoothed = vegas({ ...defaults.vegas, smoothing: 0.5 })
    assert.deepStrictEqual(limits(smoothed, 100, { min: 1, max: 200 }, windowOf(10, 100), windowOf(20, 100)), [100, 99])
  })

  it.each([
    ["success 20 -> 21", 20, windowOf(1, 10), 21],
    ["drop 30 -> 27", 30, windowOf(undefined, 15, true), 27],
    ["too slow 30 -> 27", 30, windowOf(5_001, 15), 27],
    ["less than half of it used 20 -> 20", 20, windowOf(1, 9), 20],
    ["never below min", 10, windowOf(undefined, 10, true), 10],
    ["never above max", 40, windowOf(1, 40), 40]
  ])("RT-11 AIMD: %s", (_, initial, window, expected) => {
    assert.deepStrictEqual(limits(aimd(defaults.aimd), initial, { min: 10, max: 40 }, window), [expected])
  })

  it("RT-11 gradient2 grows by half until calls take longer, then follows the ratio", () => {
    const bounds = { min: 1, max: 1_000 }
    const table = limits(
      gradient2(defaults.gradient2),
      20,
      bounds,
      windowOf(10, 20),
      windowOf(10, 30),
      // Half as long again: back by that much, and the start is over.
      windowOf(15, 45),
      // As long as in the long run: half of a twentieth more, which is 30.75.
      windowOf(10, 30),
      // Twice as long, of which half a step is taken: 30.75 * 0.75 + 0.77.
      windowOf(20, 31)
    )
    assert.deepStrictEqual(table, [30, 45, 30, 30, 23])
  })
})

const algorithms = {
  gradient2: (probeEvery: number) => startGradient2(defaults.gradient2, probeEvery),
  vegas: (probeEvery: number) => startVegas(defaults.vegas, probeEvery),
  aimd: () => startAimd(defaults.aimd)
}

/** A limiter that has as yet seen nothing. */
const limiter = (name: keyof typeof algorithms, initial = 20, probeEvery = 30) =>
  algorithms[name](probeEvery)({ min: 1, max: 1_000, initial, windowMillis: 1_000, windowCalls: 10 })

/** Everything constant: a hundred milliseconds a call, and half as many calls again as can be served. */
const steady = (capacity: number, more: Partial<Simulation> = {}): Simulation => ({
  capacity: () => capacity,
  serviceMillis: () => 100,
  rate: (at) => 1.5 * capacity * 1_000 / (more.serviceMillis?.(at) ?? 100),
  sigma: 0.2,
  until: 60_000,
  seed: 1,
  ...more
})

/** The limits from a second on. Those at which the latency without load is measured are none that were settled on. */
const settled = (limits: ReadonlyArray<number>, from: number, to = limits.length): ReadonlyArray<number> =>
  limits.slice(0, to).filter((limit, second) =>
    second >= from && limit > 0.75 * Math.max(...limits.slice(Math.max(0, second - 4), second + 1))
  )

const assertNear = (limits: ReadonlyArray<number>, capacity: number, message: string) => {
  assert.isAbove(limits.length, 0)
  for (const limit of limits) {
    assert.isTrue(
      Math.abs(limit - capacity) <= 0.2 * capacity,
      `${limit} for ${capacity}, ${message}: ${limits.join()}`
    )
  }
}

const middle = (limits: ReadonlyArray<number>): number => limits.toSorted((a, b) => a - b)[limits.length >> 1]!

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

describe("gradient2", () => {
  it.prop(
    "RT-10 settles within 20 % of a capacity up to ten times the initial limit in 30 windows, and stays there",
    {
      capacity: integerBetween(25, 200),
      initial: integerBetween(20, 40),
      sigma: Schema.Literals([0, 0.1, 0.2]),
      seed: integerBetween(0, 1e9)
    },
    ({ capacity, initial, seed, sigma }) => {
      const limits = simulate(limiter("gradient2", initial), steady(capacity, { seed, sigma, until: 150_000 }))
      assertNear(settled(limits, 30), capacity, `from ${initial}, sigma ${sigma}, seed ${seed}`)
    },
    { arbitrary: { runs: 60 } }
  )

  it("RT-10 does not drift where latencies scatter wildly", () => {
    // The slowest of a hundred calls takes ten times as long as the one in the middle.
    for (const capacity of [20, 50, 200]) {
      const limits = settled(simulate(limiter("gradient2"), steady(capacity, { sigma: 1, until: 1_200_000 })), 30)
      assertNear([middle(limits)], capacity, "the limit in the middle")
    }
  })

  it("RT-10 settles with calls of ten seconds, too, and hardly goes too far on its way", () => {
    // A window is twice as long as a call.
    for (const capacity of [20, 40, 100]) {
      const slow = steady(capacity, { serviceMillis: () => 10_000, sigma: 0.2, until: 3_600_000 })
      const limits = simulate(limiter("gradient2", 10), slow)
      assert.isAtMost(Math.max(...limits), 2.5 * capacity, limits.filter((_, second) => second % 20 === 0).join())
      assertNear([middle(settled(limits, 600))], capacity, "the limit in the middle")
    }
  })

  it("RT-10 holds its limit for hours of full load: its own queue does not become normal", () => {
    const limits = simulate(limiter("gradient2"), steady(40, { until: 7_200_000, rate: () => 500 }))
    assertNear(settled(limits, 30), 40, "two hours")
  })
})

describe("vegas", () => {
  it("RT-10 settles within 20 % of the capacity in 30 windows, and stays there", () => {
    for (const [capacity, initial] of [[30, 10], [50, 20], [80, 40], [100, 60]] as const) {
      const limits = simulate(limiter("vegas", initial), steady(capacity, { sigma: 0.1, until: 300_000 }))
      assertNear(settled(limits, 30), capacity, `from ${initial}`)
    }
  })
})

describe("aimd", () => {
  it("RT-10 settles within 20 % of what the dependency does not refuse in 30 windows, and stays there", () => {
    for (const [capacity, initial] of [[30, 10], [50, 30], [80, 120]] as const) {
      const simulation = steady(capacity, { refusesAbove: () => capacity, until: 300_000 })
      const limits = simulate(limiter("aimd", initial), simulation)
      assertNear(limits.slice(30), capacity, `from ${initial}`)
    }
  })
})

describe.each(["gradient2", "vegas"] as const)("%s", (name) => {
  it("RT-10 recovers within 40 windows when calls take five times as long for good", () => {
    // At different moments between two measurements.
    for (const step of [61, 75, 90]) {
      const serviceMillis = (at: number) => at < step * 1_000 ? 100 : 500
      const limits = simulate(limiter(name), steady(60, { serviceMillis, sigma: 0.1, until: (step + 150) * 1_000 }))
      assertNear(settled(limits, step + 40), 60, `step at ${step}`)
    }
  })

  it("RT-10 recovers within 40 windows when calls take five times as long for a while", () => {
    for (const millis of [10_000, 40_000]) {
      const serviceMillis = (at: number) => at < 75_000 || at >= 75_000 + millis ? 100 : 500
      const limits = simulate(limiter(name), steady(60, { serviceMillis, sigma: 0.1, until: 240_000 }))
      assertNear(settled(limits, 75 + millis / 1_000 + 40), 60, `for ${millis} ms`)
    }
  })

  it("RT-10 follows when the dependency loses half of its capacity, and gets it back", () => {
    const capacity = (at: number) => at < 60_000 || at >= 180_000 ? 60 : 30
    const limits = simulate(limiter(name), steady(60, { capacity, sigma: 0.1, until: 300_000 }))
    assertNear(settled(limits, 150, 180), 30, "half")
    assertNear(settled(limits, 240), 60, "all of it")
  })

  it("RT-10 refuses nobody for a measurement while the limit is not reached", () => {
    const machine = algorithms[name](30)({ min: 1, max: 60, initial: 60, windowMillis: 1_000, windowCalls: 10 })
    const limits = simulate(machine, steady(200, { rate: () => 320, sigma: 0.1, until: 600_000 }))
    // About 32 of 60 are in flight.
    assert.isAtLeast(Math.min(...limits), 55, limits.join())
  })

  it("RT-10 ignores how fast drops come: they teach no latency", () => {
    const machine = limiter(name, 20, Infinity)
    let now = 0
    /** A window that uses all of the limit; every other call is refused in a millisecond, or none. */
    const window = (refused: boolean) => {
      const places: Array<number> = []
      for (let place = machine.enter(); place > 0; place = machine.enter()) places.push(place)
      const [first, ...others] = places
      others.forEach((place, call) => {
        if (refused && call % 2 === 0) machine.leave(now + 1, 1, place, "dropped")
        else machine.leave(now + 100, 100, place, "answered")
      })
      now += 2_000
      machine.leave(now, 100, first!, "answered")
      return machine.limit
    }
    window(false)
    const before = window(false)
    const refusing = Array.from({ length: 5 }, () => window(true))
    // Vegas takes a step back for a window with a drop, and no more.
    assert.isAtLeast(refusing.at(-1)!, name === "vegas" ? before - 5 : before)
    // Had it learned a millisecond, the calls would now look slow.
    const after = [refusing.at(-1)!, ...Array.from({ length: 5 }, () => window(false))]
    assert.deepStrictEqual(after, after.toSorted((a, b) => a - b))
    assert.isAbove(after.at(-1)!, after[0]!)
  })
})

describe.each(["gradient2", "vegas", "aimd"] as const)("%s", (name) => {
  it("RT-10 does not shrink when idle", () => {
    // Full load for a minute, a call now and then for an hour, half of the calls slow or not.
    const quiet = (at: number) => at >= 60_000 && at < 3_600_000
    const simulation = steady(50, {
      rate: (at) => quiet(at) ? 2 : 750,
      serviceMillis: (at) => quiet(at) && Math.floor(at / 100_000) % 2 === 0 ? 300 : 100,
      refusesAbove: () => name === "aimd" ? 50 : Infinity,
      sigma: 0.1,
      until: 3_600_000
    })
    const limits = simulate(limiter(name), simulation)
    const before = limits[70]!
    assert.isAbove(before, 39)
    assert.strictEqual(limits.at(-1), before, limits.filter((_, second) => second % 100 === 0).join())
  })

  it("RT-10 ignores samples of calls that were cancelled", () => {
    const simulation = steady(50, { refusesAbove: () => name === "aimd" ? 50 : Infinity, sigma: 0.1, cancelled: 0.3 })
    const limits = simulate(limiter(name), { ...simulation, until: 120_000 })
    assertNear(settled(limits, 40), 50, "with a third cancelled")
  })

  it("RT-10 learns nothing from cancelled calls alone", () => {
    const limits = simulate(limiter(name), steady(50, { cancelled: 1 }))
    assert.deepStrictEqual([...new Set(limits)], [20])
  })
})
