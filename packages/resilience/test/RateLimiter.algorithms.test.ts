import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Algorithms from "../src/internal/rateLimiter/algorithms.ts"
import { mulDiv, mulMod } from "../src/internal/rateLimiter/exact.ts"
import * as Shape from "../src/internal/rateLimiter/shape.ts"
import type { State } from "../src/internal/rateLimiter/state.ts"
import { History, integerBetween, peak, run, windowed } from "./support/histories.ts"

const many = { arbitrary: { runs: 500 } }

/** A shape of each kind, from a limit, a window and one more number that means what the kind has room for. */
const shapes: ReadonlyArray<
  readonly [name: string, make: (limit: number, window: number, more: number) => Shape.Shape]
> = [
  ["token bucket", (limit, window, more) => {
    const base = windowed(limit, window)
    return Shape.tokenBucket(base, more * base.scale)
  }],
  ["leaky bucket", (limit, window, more) => {
    const base = windowed(limit, window)
    return Shape.leakyBucket(base, (more - 1) * base.scale)
  }],
  ["fixed window from the first hit", (limit, window) => Shape.fixedWindow(windowed(limit, window), false)],
  ["fixed window by the clock", (limit, window) => Shape.fixedWindow(windowed(limit, window), true)],
  ["sliding window", (limit, window, more) => Shape.slidingWindow(windowed(limit, window), more)]
]

const any = {
  kind: integerBetween(0, shapes.length - 1),
  limit: integerBetween(1, 12),
  window: integerBetween(1, 3_000),
  more: integerBetween(1, 20),
  history: History
}

const shapeOf = ({ kind, limit, more, window }: { kind: number; limit: number; window: number; more: number }) =>
  shapes[kind]![1](limit, window, more)

describe("what is admitted", () => {
  it.prop(
    "RL-1 token bucket: at most the burst and what flows in, in any window",
    { ...any, windows: integerBetween(1, 3) },
    ({ history, limit, more, window, windows }) => {
      const shape = shapes[0]![1](limit, window, more)
      const most = (more + limit * windows) * shape.scale
      assert.isAtMost(peak(run(shape, history), window * windows), most)
    },
    many
  )

  it.prop(
    "RL-1 leaky bucket: all starts but the last of a window cost less than the limit together",
    any,
    ({ history, limit, more, window }) => {
      const shape = shapes[1]![1](limit, window, more)
      assert.isBelow(peak(run(shape, history), window), (limit + 4) * shape.scale)
      const ones = run(shape, history.map(({ millis }) => ({ millis, cost: 1 })))
      assert.isAtMost(peak(ones, window), limit * shape.scale)
    },
    many
  )

  it.prop("RL-1 fixed window: at most twice the limit in any window, the limit in its own", any, ({
    history,
    limit,
    window
  }) => {
    for (const aligned of [false, true]) {
      const shape = Shape.fixedWindow(windowed(limit, window), aligned)
      const admitted = run(shape, history)
      assert.isAtMost(peak(admitted, window), 2 * limit * shape.scale)
      if (!aligned) continue
      const sums = new Map<number, number>()
      for (const { at, cost } of admitted) {
        const index = Math.floor(at / window)
        sums.set(index, (sums.get(index) ?? 0) + cost)
      }
      for (const sum of sums.values()) assert.isAtMost(sum, limit * shape.scale)
    }
  }, many)

  it.prop("RL-1 sliding window: at most the limit in any window, however coarse the log", any, ({
    history,
    limit,
    more,
    window
  }) => {
    const shape = shapes[4]![1](limit, window, more)
    assert.isAtMost(peak(run(shape, history), window), limit * shape.scale)
  }, many)

  it.prop("RL-1 a sliding window whose log is long enough is exact", any, ({ history, limit, window }) => {
    const shape = Shape.slidingWindow(windowed(limit, window), 1_000)
    const log: Array<{ at: number; cost: number }> = []
    let now = 1_000_000
    for (const { cost, millis } of history) {
      now += millis
      const taken = log.filter(({ at }) => now - at < window).reduce((sum, { cost }) => sum + cost, 0)
      if (taken + cost <= limit) log.push({ at: now, cost })
    }
    assert.deepStrictEqual(run(shape, history), log.map(({ at, cost }) => ({ at, cost: cost * shape.scale })))
  }, many)

  it.prop("RL-1 a sliding window keeps at most about twice as many entries as it has slices", any, ({
    history,
    more,
    window
  }) => {
    const shape = shapes[4]![1](10_000, window, more)
    let state: State | undefined
    let now = 0
    for (const { millis } of history) {
      now += millis % 7
      state = Algorithms.step(shape, state, 1, now).state
      assert.isAtMost(((state?.length ?? 1) - 1) / 2, 2 * more + 1)
    }
  }, many)
})

describe("what is refused", () => {
  it.prop("RL-2 a denied request changes nothing", any, (given) => {
    const shape = shapeOf(given)
    let state: State | undefined
    let now = 0
    for (const { cost, millis } of given.history) {
      now += millis
      const before = JSON.stringify(state ?? [])
      const step = Algorithms.step(shape, state, cost * shape.scale, now)
      if (step.wait > 0) assert.strictEqual(JSON.stringify(step.state ?? []), before)
      else state = step.state
    }
  }, many)

  it.prop("RL-6 waiting as long as told succeeds, 1 ms less does not, and `never` is told from later", any, (given) => {
    const shape = shapeOf(given)
    let state: State | undefined
    let now = 5_000
    for (const { cost, millis } of given.history) {
      now += millis
      const units = cost * 3 * shape.scale
      const { state: next, wait } = Algorithms.step(shape, state, units, now)
      if (wait === 0) state = next
      else if (wait === Infinity) assert.isAbove(units, shape.most)
      else {
        assert.isAtMost(units, shape.most)
        assert.isTrue(Number.isSafeInteger(wait))
        assert.strictEqual(Algorithms.step(shape, state, units, now + wait).wait, 0)
        assert.strictEqual(Algorithms.step(shape, state, units, now + wait - 1).wait, 1)
      }
    }
  }, many)

  it.prop("RL-6 after the reset everything is as if nothing had been taken", any, (given) => {
    const shape = shapeOf(given)
    let state: State | undefined
    let now = 5_000
    for (const { cost, millis } of given.history) {
      now += millis
      state = Algorithms.step(shape, state, cost * shape.scale, now).state
      const resetAt = (time: number) => Algorithms.reset(shape, Algorithms.advance(shape, state, time), time)
      const reset = resetAt(now)
      assert.strictEqual(resetAt(now + reset), 0)
      if (reset > 0) assert.strictEqual(resetAt(now + reset - 1), 1)
      const full = Algorithms.remaining(shape, Algorithms.advance(shape, undefined, now), 0)
      assert.strictEqual(Algorithms.remaining(shape, Algorithms.advance(shape, state, now + reset), 0), full)
    }
  }, many)
})

/** A token bucket in fractions of unbounded size. */
class Model {
  /** In `per`-ths of a unit. */
  private debt = 0n
  private at: number | undefined
  private readonly shape: Shape.Shape

  constructor(shape: Shape.Shape) {
    this.shape = shape
  }

  take(cost: number, now: number): boolean {
    const per = BigInt(this.shape.per)
    this.at ??= now
    const drained = this.debt - BigInt(now - this.at) * BigInt(this.shape.rate)
    const debt = drained < 0n ? 0n : drained
    if (debt + BigInt(cost) * per > BigInt(this.shape.capacity) * per) return false
    this.debt = debt + BigInt(cost) * per
    this.at = now
    return true
  }
}

const safe = integerBetween(1, Number.MAX_SAFE_INTEGER)

describe("arithmetic", () => {
  it.prop("RL-5 products wider than 53 bits are exact", { a: safe, b: safe, divisor: safe }, ({ a, b, divisor }) => {
    const product = BigInt(a) * BigInt(b)
    assert.strictEqual(mulMod(a, b, divisor), Number(product % BigInt(divisor)))
    const quotient = product / BigInt(divisor)
    if (quotient < 2n ** 53n) assert.strictEqual(mulDiv(a, b, divisor), Number(quotient))
  }, many)

  it.prop(
    "RL-5 a token bucket equals one in unbounded fractions, from a millisecond to 2^53 of them, with fractional costs",
    {
      limit: integerBetween(1, 1_000_000),
      window: Schema.Literals([1, 7, 1_000, 86_400_000, 25 * 86_400_000, 31_557_600_000, 2 ** 52 - 1, 2 ** 53 - 1]),
      burst: integerBetween(1, 1_000_000),
      history: Schema.Array(Schema.Struct({ share: integerBetween(0, 1_000), cost: integerBetween(1, 1_000_000) }))
        .check(Schema.isMaxLength(60))
    },
    ({ burst, history, limit, window }) => {
      const base = windowed(limit, window, Math.max(limit, burst))
      const shape = Shape.tokenBucket(base, burst * base.scale)
      const model = new Model(shape)
      let state: State | undefined
      let now = 0
      for (const { cost, share } of history) {
        now = Math.min(Number.MAX_SAFE_INTEGER, now + Math.floor(window / 1_000_000 * share * share))
        // From a millionth to several bursts.
        const units = Math.max(1, Math.floor(cost * cost / 1e12 * burst * base.scale * 1.5))
        const step = Algorithms.step(shape, state, units, now)
        assert.strictEqual(step.wait === 0, model.take(units, now))
        state = step.state
        for (const value of state ?? []) assert.isTrue(Number.isSafeInteger(value) && value >= 0, String(value))
      }
    },
    many
  )

  it.prop("RL-5 a clock that goes back gives nothing: what is admitted fits the time that really passed", {
    ...any,
    history: Schema.Array(Schema.Struct({ millis: integerBetween(-5_000, 2_000), cost: integerBetween(0, 4) })).check(
      Schema.isMaxLength(120)
    )
  }, ({ history, limit, more, window }) => {
    const shape = shapes[0]![1](limit, window, more)
    const admitted = run(shape, history)
    const forward = history.reduce((sum, { millis }) => sum + Math.max(0, millis), 0)
    const total = admitted.reduce((sum, { cost }) => sum + cost, 0)
    assert.isAtMost(total, (more + forward * limit / window) * shape.scale)
  }, many)

  it.prop("RL-5 a clock that goes back never locks a key for longer than a window and its wait", any, (given) => {
    const shape = shapeOf(given)
    let state: State | undefined
    for (const { cost, millis } of given.history) {
      state = Algorithms.step(shape, state, cost * shape.scale, 10_000_000 + millis).state
    }
    for (const back of [1, given.window, given.window + 1, 9_000_000]) {
      const { wait } = Algorithms.step(shape, state, shape.scale, 10_000_000 - back)
      const longest = Math.max(given.window, Math.ceil(given.more * given.window / given.limit)) + 1
      assert.isAtMost(wait, 2 * longest + 700)
    }
  }, many)

  it("RL-5 no remainder is lost: a third of a token at a time is a token after three", () => {
    const base = windowed(1, 1_000)
    const shape = Shape.tokenBucket(base, base.scale)
    let state = Algorithms.step(shape, undefined, base.scale, 0).state
    for (let now = 1; now <= 1_000; now++) {
      const step = Algorithms.step(shape, state, base.scale, now)
      assert.strictEqual(step.wait, 1_000 - now)
      state = Algorithms.charge(shape, Algorithms.advance(shape, state, now), 0, now)
      if (step.wait === 0) state = step.state
    }
    const tenths = run(shape, Array.from({ length: 25 }, () => ({ millis: 0, cost: 0.1 })))
    assert.strictEqual(tenths.length, 10)
  })

  it("RL-5 amounts too large for millionths are counted coarser, never lost", () => {
    assert.deepStrictEqual([1, 2e9, 3e9, 2e12, 3e12, 2e15].map(Shape.scaleFor), [
      1_000_000,
      1_000_000,
      1_000,
      1_000,
      1,
      1
    ])
    assert.isUndefined(Shape.scaleFor(3e15))
    assert.deepStrictEqual([0.1, 0.3, 1e-9, 1.0000001, 3].map((n) => Shape.toUnits(n, 1_000_000)), [
      100_000,
      300_000,
      1,
      1_000_001,
      3_000_000
    ])
  })
})
