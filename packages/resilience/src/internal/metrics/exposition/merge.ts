/** What a scrape says of a series, and how two that turn out to be the same one become one. */
import type { Exemplar } from "../exemplar.ts"

export type Value =
  | { readonly type: "counter" | "gauge"; readonly value: number | bigint; readonly exemplar: Exemplar | undefined }
  | HistogramValue
  | SummaryValue

export interface HistogramValue {
  readonly type: "histogram"
  /** Bounds with how many observations are at most that. */
  readonly buckets: ReadonlyArray<readonly [number, number]>
  readonly exemplars: ReadonlyArray<Exemplar | undefined>
  readonly count: number
  readonly sum: number
}

export interface SummaryValue {
  readonly type: "summary"
  readonly quantiles: ReadonlyArray<readonly [number, number | undefined]>
  readonly count: number
  readonly sum: number
}

/** The later of two gauges; the sum of all else. Both are of one type. */
export const merge = (a: Value, b: Value): Value => {
  if (a.type === "counter" && b.type === "counter") {
    return { type: "counter", value: sum(a.value, b.value), exemplar: b.exemplar ?? a.exemplar }
  }
  if (a.type === "histogram" && b.type === "histogram") return mergeHistograms(a, b)
  // Quantiles of two sets say nothing of both together.
  if (a.type === "summary" && b.type === "summary") {
    return { type: "summary", quantiles: [], count: a.count + b.count, sum: a.sum + b.sum }
  }
  return b
}

/** Cumulated counts add up exactly at the bounds that both have, so these are the bounds that stay. */
const mergeHistograms = (a: HistogramValue, b: HistogramValue): HistogramValue => {
  const others = new Map(b.buckets)
  const buckets = a.buckets.flatMap(([bound, count]) => {
    const other = others.get(bound)
    return other === undefined ? [] : [[bound, count + other] as const]
  })
  return { type: "histogram", buckets, exemplars: [], count: a.count + b.count, sum: a.sum + b.sum }
}

const sum = (a: number | bigint, b: number | bigint): number | bigint =>
  typeof a === "bigint" && typeof b === "bigint" ? a + b : Number(a) + Number(b)
