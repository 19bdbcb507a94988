/**
 * All series of one metric in one registry: a trie from label values to cells, and the guard that bounds how many.
 *
 * A trie, because a label set found by its values one by one costs no string to build and to hash.
 */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** The value of every label of the series that takes what does not fit. */
const overflowValue = "_overflow"

export type LabelValues = { readonly [label: string]: string }

export interface Shape<Series> {
  readonly name: string
  readonly labels: ReadonlyArray<string>
  readonly values: { readonly [label: string]: ReadonlyArray<string> }
  readonly limit: number
  readonly make: () => Series
  /** Effect's metric of this label set, and what its readers see. */
  readonly register: (attributes: LabelValues, series: Series, context: Context.Context<never>) => void
}

type Branch<Series> = Map<string, Branch<Series> | Leaf<Series>>

interface Leaf<Series> {
  readonly series: Series
}

export class Family<Series> {
  private readonly shape: Shape<Series>
  private readonly context: Context.Context<never>
  private readonly onOverflow: (name: string) => void
  private readonly root: Branch<Series> = new Map()
  private only: Series | undefined
  private overflow: Series | undefined
  private size = 0
  private declaring = false

  constructor(shape: Shape<Series>, registry: Metric.MetricRegistry, onOverflow: (name: string) => void) {
    this.shape = shape
    this.context = Context.make(Metric.MetricRegistry, registry)
    this.onOverflow = onOverflow
    this.declare({})
  }

  /** The cell of a label set; a shared one when there are as many as there may be. */
  at(values: LabelValues): Series {
    const { labels } = this.shape
    if (labels.length === 0) return this.only ??= this.add({})
    let branch = this.root
    const last = labels.length - 1
    for (let index = 0; index < last; index++) {
      const next = branch.get(valueOf(values[labels[index]!]))
      if (next === undefined) return this.grow(values)
      branch = next as Branch<Series>
    }
    const leaf = branch.get(valueOf(values[labels[last]!])) as Leaf<Series> | undefined
    return leaf === undefined ? this.grow(values) : leaf.series
  }

  /** Has every series exist that `known` and the closed labels spell out; none while an open label is not known. */
  declare(known: LabelValues): void {
    const { labels, values } = this.shape
    const choices = labels.map((label) => known[label] === undefined ? values[label] : [valueOf(known[label])])
    if (!choices.every((choice) => choice !== undefined)) return
    const each = (index: number, chosen: LabelValues): void => {
      // Series that nobody has updated yet are not worth the place of one that somebody will.
      if (this.size >= this.shape.limit) return
      if (index === labels.length) {
        this.at(chosen)
        return
      }
      for (const value of choices[index]!) each(index + 1, { ...chosen, [labels[index]!]: value })
    }
    each(0, {})
  }

  private grow(values: LabelValues): Series {
    const { labels, limit, name } = this.shape
    if (this.size >= limit) {
      this.onOverflow(name)
      return this.overflow ??= this.add(Object.fromEntries(labels.map((label) => [label, overflowValue])))
    }
    this.size++
    const own = Object.fromEntries(labels.map((label) => [label, valueOf(values[label])]))
    const series = this.add(own)
    let branch = this.root
    for (let index = 0; index < labels.length - 1; index++) {
      const value = own[labels[index]!]!
      let next = branch.get(value) as Branch<Series> | undefined
      if (next === undefined) branch.set(value, next = new Map())
      branch = next
    }
    branch.set(own[labels.at(-1)!]!, { series })
    this.declareBeside(own)
    return series
  }

  /** Where one value of a closed label is seen, the others of its set exist as well. */
  private declareBeside(own: LabelValues): void {
    if (this.declaring) return
    const { labels, values } = this.shape
    this.declaring = true
    this.declare(Object.fromEntries(
      labels.filter((label) => values[label] === undefined).map((label) => [label, own[label]!])
    ))
    this.declaring = false
  }

  private add(values: LabelValues): Series {
    const series = this.shape.make()
    this.shape.register(values, series, this.context)
    return series
  }
}

/** Callers without types may give anything, or nothing. */
const valueOf = (value: unknown): string => {
  if (typeof value === "string") return value
  if (value === undefined || value === null) return ""
  try {
    return String(value)
  } catch {
    return ""
  }
}
