/** Which fault a call meets. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Faults from "../../src/sim/faults.ts"

const random = (seed: string) => Effect.runSync(Random.withSeed(Random.Random, seed))

const counts = (faults: Partial<Faults.Faults>, calls: number) => {
  const source = random("counts")
  const count: Record<string, number> = {}
  for (let call = 0; call < calls; call++) {
    const { outcome } = Faults.draw({ ...Faults.none, ...faults }, source)
    const name = outcome._tag === "Refuse" ? String(outcome.status) : outcome._tag
    count[name] = (count[name] ?? 0) + 1
  }
  return count
}

describe("the faults of a provider", () => {
  it("fall on the share of calls they are set to", () => {
    const count = counts({ error_rate: 0.3, status: 502, rate_limit_rate: 0.05, hang: 0.02, garbage: 0.01 }, 100_000)
    const share = (name: string) => (count[name] ?? 0) / 100_000
    expect(share("502")).toBeCloseTo(0.3, 2)
    expect(share("429")).toBeCloseTo(0.05, 2)
    expect(share("Hang")).toBeCloseTo(0.02, 2)
    expect(share("Garbage")).toBeCloseTo(0.01, 2)
    expect(share("Reply")).toBeCloseTo(0.62, 2)
  })

  it("fall on all calls or on none at the ends of the scale", () => {
    expect(counts({}, 1000)).toEqual({ Reply: 1000 })
    expect(counts({ error_rate: 1 }, 1000)).toEqual({ 500: 1000 })
    expect(counts({ hang: true }, 1000)).toEqual({ Hang: 1000 })
    expect(counts({ hang: false, garbage: true }, 1000)).toEqual({ Garbage: 1000 })
    expect(counts({ down: true, error_rate: 1 }, 1000)).toEqual({ Drop: 1000 })
  })

  it("of one kind do not move those of another", () => {
    const fates = (faults: Partial<Faults.Faults>) => {
      const source = random("fates")
      return Array.from({ length: 200 }, () => Faults.draw({ ...Faults.none, ...faults }, source).outcome._tag)
    }
    const before = fates({ error_rate: 0.2 })
    const after = fates({ error_rate: 0.2, hang: 0.3 })
    expect(before.filter((tag) => tag === "Refuse").length).toBeGreaterThan(10)
    expect(before.map((tag, at) => tag === "Refuse" ? at : -1)).toEqual(
      after.map((tag, at) => tag === "Refuse" ? at : -1)
    )
  })

  it("delay a reply by the latency and up to the jitter", () => {
    const source = random("delays")
    const delays = Array.from(
      { length: 1000 },
      () => Faults.draw({ ...Faults.none, latency_ms: 100, jitter_ms: 50 }, source).delayMillis
    )
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(100)
    expect(Math.max(...delays)).toBeLessThan(150)
    expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(40)
  })

  it("are certain where they fall on all calls", () => {
    const certain = (faults: Partial<Faults.Faults>) => Faults.certain({ ...Faults.none, ...faults }).outcome._tag
    expect(certain({})).toBe("Reply")
    expect(certain({ error_rate: 0.9, hang: 0.09 })).toBe("Reply")
    expect(certain({ error_rate: 1 })).toBe("Refuse")
    expect(certain({ error_rate: 0.5, hang: 0.5 })).toBe("Hang")
    expect(certain({ hang: true })).toBe("Hang")
    expect(certain({ garbage: true })).toBe("Garbage")
    expect(certain({ down: true })).toBe("Drop")
  })
})
