/** What an entry of the catalogue says, and the boundaries that several of them share. */

/**
 * One metric of the catalogue.
 *
 * - `labels`: the names of its labels, in order
 * - `values`: the values of the labels whose set is closed. A metric all of whose labels are closed has every series at 0
 *   from the start; one with open labels, too, has those of the closed ones as soon as the open ones are known.
 * - `buckets`: the upper bounds of a histogram, in its unit
 * - `limit`: how many series it may have before the rest share one
 * - `from`: who feeds it
 */
export interface Entry {
  readonly type: "counter" | "gauge" | "histogram"
  readonly unit: Unit
  readonly labels: ReadonlyArray<string>
  readonly values?: { readonly [label: string]: ReadonlyArray<string> } | undefined
  readonly buckets?: ReadonlyArray<number> | undefined
  readonly limit?: number | undefined
  readonly help: string
  readonly from: Feeder
}

type Unit = "seconds" | "bytes" | "ratio" | "usd" | "tokens" | "count" | "state" | "info"

/** `application`: nothing in these packages feeds it; the name is kept so that all who do use the same one. */
type Feeder =
  | "Metrics.layer"
  | "HttpMetrics"
  | "LanguageModelMetrics"
  | "StoreMetrics"
  | "SessionMetrics"
  | "Metrics"
  | "Logging"
  | "Tracing, OtlpExporter"
  | "Signal"
  | "NodeMetrics"
  | "application"

/** Waits and calls from a millisecond to a minute. */
export const waits: ReadonlyArray<number> = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** Requests of people and of language models: a few milliseconds to two minutes. */
// dprint-ignore
export const requests: ReadonlyArray<number> = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75,
  1, 2.5, 5, 7.5, 10, 15, 30, 60, 120
]

/** `count` bounds, each `factor` times the one before, without the dust of repeated multiplication. */
export const powers = (start: number, factor: number, count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, (_, index) => Number((start * factor ** index).toPrecision(12)))

/** Bodies from a hundred bytes to a hundred megabytes. */
export const sizes: ReadonlyArray<number> = powers(100, 10, 7)
