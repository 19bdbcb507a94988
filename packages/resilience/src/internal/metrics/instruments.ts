/** A metric as code holds it: its shape, and its family in whichever registry the caller runs with. */
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import { observation } from "./catalogue/observation.ts"
import { exemplarOf } from "./exemplar.ts"
import { Family, type LabelValues, type Shape } from "./family.ts"
import {
  counterState,
  gaugeState,
  type HistogramSeries,
  histogramState,
  makeHistogram,
  makeNumber,
  type NumberSeries,
  observe
} from "./series.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

export interface Definition {
  readonly name: string
  readonly labels: ReadonlyArray<string>
  readonly values: { readonly [label: string]: ReadonlyArray<string> }
  readonly limit: number
  readonly help: string | undefined
}

/** Finds the series of a fiber's registry, which for nearly all programs is the same one each time. */
export class Instrument<Series> {
  readonly kind: string
  readonly shape: Shape<Series>
  private registry: Metric.MetricRegistry | undefined
  private family: Family<Series> | undefined

  constructor(kind: string, shape: Shape<Series>) {
    this.kind = kind
    this.shape = shape
  }

  familyIn(registry: Metric.MetricRegistry): Family<Series> {
    if (registry === this.registry) return this.family!
    const family = familyOf(this, registry)
    this.registry = registry
    this.family = family
    return family
  }

  seriesFor(fiber: AnyFiber, values: LabelValues): Series {
    return this.familyIn(fiber.getRef(Metric.MetricRegistry)).at(values)
  }

  /** {@link seriesFor} of one label set, without looking it up again while the registry is the same. */
  bind(values: LabelValues): (fiber: AnyFiber) => Series {
    let registry: Metric.MetricRegistry | undefined
    let series: Series | undefined
    return (fiber) => {
      const current = fiber.getRef(Metric.MetricRegistry)
      if (current !== registry) {
        series = this.familyIn(current).at(values)
        registry = current
      }
      return series!
    }
  }
}

/** Two definitions of one metric share their series, wherever they were written. */
const families = new WeakMap<Metric.MetricRegistry, Map<string, unknown>>()

const familyOf = <Series>(instrument: Instrument<Series>, registry: Metric.MetricRegistry): Family<Series> => {
  let byName = families.get(registry)
  if (byName === undefined) families.set(registry, byName = new Map())
  const { labels, name } = instrument.shape
  // What Effect tells series apart by: not the order of labels, nor the buckets. The first definition has its way with these.
  const key = JSON.stringify([instrument.kind, name, labels.toSorted()])
  // The kind is in the key and says what the cells are.
  const known = byName.get(key) as Family<Series> | undefined
  if (known !== undefined) return known
  const family = new Family(instrument.shape, registry, (name) => {
    overflowed.familyIn(registry).at({ metric: name }).value++
  })
  byName.set(key, family)
  return family
}

export const counter = (definition: Definition): Instrument<NumberSeries> =>
  new Instrument("counter", {
    ...definition,
    make: makeNumber,
    register: (attributes, series, context) => {
      const options = { description: definition.help, attributes, incremental: true }
      const hooks = { get: () => counterState(series), update: () => {}, modify: () => {} }
      Metric.registerUnsafe(Metric.counter(definition.name, options), context, hooks)
    }
  })

export const gauge = (definition: Definition): Instrument<NumberSeries> =>
  new Instrument("gauge", {
    ...definition,
    make: makeNumber,
    register: (attributes, series, context) => {
      const hooks = { get: () => gaugeState(series), update: () => {}, modify: () => {} }
      Metric.registerUnsafe(Metric.gauge(definition.name, { description: definition.help, attributes }), context, hooks)
    }
  })

export const histogram = (definition: Definition, buckets: ReadonlyArray<number>): Instrument<HistogramSeries> => {
  const bounds = Float64Array.from(buckets)
  return new Instrument("histogram", {
    ...definition,
    make: () => makeHistogram(bounds),
    register: (attributes, series, context) => {
      const options = { description: definition.help, attributes, boundaries: buckets }
      const hooks = { get: () => histogramState(series), update: () => {}, modify: () => {} }
      Metric.registerUnsafe(Metric.histogram(definition.name, options), context, hooks)
    }
  })
}

const counted = (
  entry: typeof observation.metrics_invalid_updates_total | typeof observation.metrics_cardinality_overflow_total,
  name: string
) => counter({ name, labels: entry.labels, values: {}, limit: Infinity, help: entry.help })

/** As many series as there are metrics in the code, so these two need no guard, and could not count for themselves. */
const overflowed = counted(observation.metrics_cardinality_overflow_total, "metrics_cardinality_overflow_total")
const invalid = counted(observation.metrics_invalid_updates_total, "metrics_invalid_updates_total")

/** What may be added to a sum, or observed: nothing that would spoil it for good. */
const isAmount = (value: number, sum: number): boolean => value >= 0 && value + sum < Infinity

export const addTo = (fiber: AnyFiber, name: string, series: NumberSeries, by: number): void => {
  if (!isAmount(by, series.value)) return refuse(fiber, name)
  series.value += by
  series.exemplar = exemplarOf(fiber, by, series.exemplar)
}

export const setTo = (fiber: AnyFiber, name: string, series: NumberSeries, to: number): void => {
  if (!Number.isFinite(to)) return refuse(fiber, name)
  series.value = to
}

export const changeBy = (fiber: AnyFiber, name: string, series: NumberSeries, by: number): void =>
  setTo(fiber, name, series, series.value + by)

export const observeIn = (fiber: AnyFiber, name: string, series: HistogramSeries, value: number): void => {
  if (!isAmount(value, series.sum)) return refuse(fiber, name)
  const bucket = observe(series, value)
  series.exemplars[bucket] = exemplarOf(fiber, value, series.exemplars[bucket])
}

const refuse = (fiber: AnyFiber, name: string): void => {
  invalid.seriesFor(fiber, { metric: name }).value++
}
