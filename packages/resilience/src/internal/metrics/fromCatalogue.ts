/** The instrument of an entry of the catalogue. */
import { catalogue, type Entry } from "./catalogue.ts"
import { counter, gauge, histogram, type Instrument } from "./instruments.ts"
import type { HistogramSeries, NumberSeries } from "./series.ts"

/** How many series a metric may have unless it says otherwise. */
export const defaultLimit = 1000

export type Catalogue = typeof catalogue

export type NamesOf<Type extends Entry["type"]> = {
  readonly [Name in keyof Catalogue]: Catalogue[Name]["type"] extends Type ? Name : never
}[keyof Catalogue]

export const definitionOf = (name: keyof Catalogue) => {
  const { help, labels, limit = defaultLimit, values = {} }: Entry = catalogue[name]
  return { name, help, labels, limit, values }
}

export const counterOf = (name: NamesOf<"counter">): Instrument<NumberSeries> => counter(definitionOf(name))

export const gaugeOf = (name: NamesOf<"gauge">): Instrument<NumberSeries> => gauge(definitionOf(name))

export const histogramOf = (name: NamesOf<"histogram">): Instrument<HistogramSeries> =>
  histogram(definitionOf(name), catalogue[name].buckets)
