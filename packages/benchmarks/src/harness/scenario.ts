/** What cannot be said in nanoseconds a call: something is played through, and what was seen is told. */

/** Something that was seen, and what it should have been where that is decided. */
export interface Seen {
  readonly what: string
  readonly value: string
  readonly wanted?: { readonly value: string; readonly reached: boolean } | undefined
}

/** A scenario. */
export interface Scenario {
  readonly title: string
  readonly story: string
  readonly play: () => Promise<ReadonlyArray<Seen>>
}

/** The value below which this share of the samples is. */
export const percentile = (samples: ReadonlyArray<number>, share: number): number => {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? NaN
}
