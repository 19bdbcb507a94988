/** What counts as growth. */
import { describe, expect, it } from "vitest"
import { growth, type Point, thirds } from "../src/soak/trend.ts"

/** A point every ten seconds for a quarter of an hour. */
const points = (valueAt: (second: number) => number): ReadonlyArray<Point> =>
  Array.from({ length: 90 }, (_, index) => ({ second: index * 10, value: valueAt(index * 10) }))

describe("growth", () => {
  it("is what is gained in ten minutes, as a share of the mean", () => {
    // From 100 at 0 s to 190 at 900 s: 60 in ten minutes, around a mean of 159.5 from 300 s on.
    expect(growth(points((second) => 100 + second / 10))).toBeCloseTo(60 / 159.5, 2)
    expect(growth(points((second) => 100 - second / 10))).toBeLessThan(0)
  })

  it("is nothing where nothing changes, where all is zero, and where there is too little to say", () => {
    expect([growth(points(() => 7)), growth(points(() => 0)), growth([]), growth([{ second: 3, value: 4 }])])
      .toEqual([0, 0, 0, 0])
  })

  it("does not see the warm-up", () => {
    expect(growth(points((second) => Math.min(second, 300)))).toBe(0)
  })

  it("is not moved by what comes and goes", () => {
    const withPeaks = points((second) => 100 + second / 1000 + (second % 90 < 20 ? 400 : 0))
    expect(Math.abs(growth(withPeaks) - growth(points((second) => 100 + second / 1000)))).toBeLessThan(0.01)
  })

  it("sees a leak below what comes and goes", () => {
    const leak = points((second) => 100 + second / 20 + (second % 90 < 20 ? 50 : 0))
    expect(growth(leak)).toBeGreaterThan(0.1)
  })
})

describe("thirds", () => {
  it("are the medians of the three", () => {
    expect(thirds(points((second) => second < 300 ? 1 : second < 600 ? 2 : second === 700 ? 99 : 3))).toEqual([1, 2, 3])
  })
})
