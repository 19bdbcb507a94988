/**
 * Reads a registry into families that no two of share a name, and no two series of share a label set.
 *
 * The registry is open to everybody, so it may hold anything: names and attributes of any text or type, one name with
 * several types, a reader that throws. Each of these has an answer here, and the rest of the scrape does not notice.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { CounterStateWithExemplar, HistogramStateWithExemplars } from "../series.ts"
import { cleanLabels, cleanName, text } from "./clean.ts"
import { merge, type Value } from "./merge.ts"

export interface CollectedFamily {
  readonly name: string
  readonly type: Value["type"]
  help: string | undefined
  /** By the text of the label set. */
  readonly series: Map<string, Value>
}

export const collect = (context: Context.Context<never>): ReadonlyArray<CollectedFamily> => {
  const families = new Map<string, CollectedFamily>()
  const taken = new Set<string>()
  for (const metadata of Context.get(context, Metric.MetricRegistry).values()) {
    try {
      const { name, labels } = describe(metadata)
      for (const [series, value] of read(metadata, labels, context)) {
        const family = familyOf(families, taken, name, value.type)
        if (metadata.description !== undefined) family.help ??= text(metadata.description)
        const other = family.series.get(series)
        family.series.set(series, other === undefined ? value : merge(other, value))
      }
    } catch {
      // Somebody's reader is broken; what it would have said is missing, and that is all.
    }
  }
  return [...families.values()]
}

type Metadata = Metric.MetricRegistry extends Map<string, infer Value> ? Value : never

interface Description {
  readonly name: string
  readonly labels: string
}

/** Names and labels of a series never change, and cleaning them is most of what a scrape would do. */
const descriptions = new WeakMap<Metadata, Description>()

const describe = (metadata: Metadata): Description => {
  let description = descriptions.get(metadata)
  if (description === undefined) {
    const reserved = {
      Histogram: "le",
      Summary: "quantile",
      Frequency: undefined,
      Counter: undefined,
      Gauge: undefined
    }
    const labels = cleanLabels(metadata.attributes, reserved[metadata.type])
    descriptions.set(metadata, description = { name: cleanName(metadata.id), labels })
  }
  return description
}

const read = (
  metadata: Metadata,
  labels: string,
  context: Context.Context<never>
): ReadonlyArray<readonly [labels: string, Value]> => {
  const state: unknown = metadata.hooks.get(context)
  switch (metadata.type) {
    case "Counter": {
      const { count, exemplar, incremental } = state as CounterStateWithExemplar
      // A counter that may go down is none.
      return [[labels, { type: incremental ? "counter" : "gauge", value: numeric(count), exemplar }]]
    }
    case "Gauge":
      return [[labels, {
        type: "gauge",
        value: numeric((state as Metric.GaugeState<number>).value),
        exemplar: undefined
      }]]
    case "Histogram": {
      const { buckets, count, exemplars = [], sum } = state as HistogramStateWithExemplars
      return [[labels, {
        type: "histogram",
        buckets: distinct(buckets),
        exemplars,
        count: Number(count),
        sum: Number(sum)
      }]]
    }
    case "Summary": {
      const { count, quantiles, sum } = state as Metric.SummaryState
      return [[labels, { type: "summary", quantiles: distinct(quantiles), count: Number(count), sum: Number(sum) }]]
    }
    case "Frequency":
      return [...(state as Metric.FrequencyState).occurrences].map(([key, count]) => {
        return [cleanLabels(metadata.attributes, "key", key), { type: "counter", value: count, exemplar: undefined }]
      })
  }
}

/** Callers without types may have stored anything. */
const numeric = (value: unknown): number | bigint => typeof value === "bigint" ? value : Number(value)

/** The last of those with the same bound; infinite ones are written for everybody. */
const distinct = <A>(pairs: ReadonlyArray<readonly [number, A]>): ReadonlyArray<readonly [number, A]> =>
  pairs.every(([bound], index) => Number.isFinite(bound) && (index === 0 || bound > pairs[index - 1]![0]))
    ? pairs
    : [...new Map(pairs.filter(([bound]) => Number.isFinite(bound)).map((pair) => [pair[0], pair])).values()]
      .toSorted(([a], [b]) => a - b)

const suffixes = {
  counter: [""],
  gauge: [""],
  histogram: ["", "_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"]
}

/** The family of a name and type; where the name is another's already, it is called `<name>_<type>` instead. */
const familyOf = (
  families: Map<string, CollectedFamily>,
  taken: Set<string>,
  wanted: string,
  type: Value["type"]
): CollectedFamily => {
  const key = `${type} ${wanted}`
  let family = families.get(key)
  if (family === undefined) {
    let name = wanted
    for (let nth = 1; suffixes[type].some((suffix) => taken.has(name + suffix)); nth++) {
      name = nth === 1 ? `${wanted}_${type}` : `${wanted}_${type}_${nth}`
    }
    for (const suffix of suffixes[type]) taken.add(name + suffix)
    families.set(key, family = { name, type, help: undefined, series: new Map() })
  }
  return family
}
