/**
 * The cells behind a label set: a number, or the buckets of a histogram.
 *
 * They are our own and not those of Effect's metrics because an update must cost tens of nanoseconds, refuse what would
 * poison a sum, and remember a trace. Effect's registry lists them beside its own.
 */
import type * as Metric from "effect/Metric"
import type { Exemplar } from "./exemplar.ts"

/** A counter's or gauge's cell. Exemplars belong to counters only. */
export interface NumberSeries {
  value: number
  exemplar: Exemplar | undefined
}

export interface HistogramSeries {
  readonly bounds: Float64Array
  /** Of each bucket by itself, the last being the one above all bounds. */
  readonly counts: Float64Array
  readonly exemplars: Array<Exemplar | undefined>
  count: number
  sum: number
  min: number
  max: number
}

export const makeNumber = (): NumberSeries => ({ value: 0, exemplar: undefined })

export const makeHistogram = (bounds: Float64Array): HistogramSeries => ({
  bounds,
  counts: new Float64Array(bounds.length + 1),
  exemplars: [],
  count: 0,
  sum: 0,
  min: Number.MAX_VALUE,
  max: -Number.MAX_VALUE
})

/** The first bucket whose bound is at least `value`. */
const bucketOf = (bounds: Float64Array, value: number): number => {
  let from = 0
  let to = bounds.length
  while (from < to) {
    const middle = (from + to) >>> 1
    if (value <= bounds[middle]!) to = middle
    else from = middle + 1
  }
  return from
}

/** Counts an observation and says in which bucket. */
export const observe = (series: HistogramSeries, value: number): number => {
  const bucket = bucketOf(series.bounds, value)
  series.counts[bucket]!++
  series.count++
  series.sum += value
  if (value < series.min) series.min = value
  if (value > series.max) series.max = value
  return bucket
}

/** What exporters read; ours also looks for the exemplars, which others do not know. */
export interface CounterStateWithExemplar extends Metric.CounterState<number> {
  readonly exemplar: Exemplar | undefined
}

export interface HistogramStateWithExemplars extends Metric.HistogramState {
  readonly exemplars: ReadonlyArray<Exemplar | undefined>
}

export const counterState = (series: NumberSeries): CounterStateWithExemplar => ({
  count: series.value,
  incremental: true,
  exemplar: series.exemplar
})

export const gaugeState = (series: NumberSeries): Metric.GaugeState<number> => ({ value: series.value })

export const histogramState = (series: HistogramSeries): HistogramStateWithExemplars => {
  const buckets: Array<[number, number]> = []
  let cumulated = 0
  for (let index = 0; index < series.bounds.length; index++) {
    cumulated += series.counts[index]!
    buckets.push([series.bounds[index]!, cumulated])
  }
  const { count, exemplars, max, min, sum } = series
  return { buckets, count, sum, min, max, exemplars }
}
