/** In which order routes are asked, as pure functions. */

/** What is known of a route before it is asked. */
export interface Facts {
  readonly name: string
  readonly index: number
  readonly priority: number
  readonly price: Price | undefined
  readonly quality: number | undefined
  readonly contextWindow: number
  readonly takesRefused: boolean
}

/** What a million units cost. */
export interface Price {
  readonly input: number
  readonly output: number
}

export interface Usage {
  readonly input: number
  readonly output: number
}

export type Order = "priority" | "cost" | "quality" | "latency"

const million = 1_000_000

export const costOf = (price: Price, { input, output }: Usage): number =>
  (price.input * input + price.output * output) / million

/**
 * What routes are compared by: as much output as input where only that is said, and one of each where nothing is, since
 * nothing costs nothing anywhere.
 */
export const expected = (input: number, output: number | undefined): Usage => {
  const usage = { input, output: output ?? input }
  return usage.input + usage.output > 0 ? usage : { input: 1, output: 1 }
}

/** Whether a route costs nothing, whatever it is used for. */
export const isFree = ({ price }: Facts): boolean => price !== undefined && price.input === 0 && price.output === 0

/** What a route would cost; one without a price is the dearest, since nobody knows. */
export const estimate = ({ price }: Facts, usage: Usage): number =>
  price === undefined ? Infinity : costOf(price, usage)

/** As declared among equals. Routes that never answered come first by latency, so that each is measured. */
export const sorted = (
  routes: ReadonlyArray<Facts>,
  order: Order,
  usage: Usage,
  latencyOf: (route: Facts) => number | undefined
): ReadonlyArray<Facts> => {
  const rank = rankBy(order, usage, latencyOf)
  return routes.map((route) => ({ route, rank: rank(route) }))
    .toSorted((a, b) => compare(a.rank, b.rank) || a.route.index - b.route.index)
    .map(({ route }) => route)
}

const rankBy = (
  order: Order,
  usage: Usage,
  latencyOf: (route: Facts) => number | undefined
): (route: Facts) => number => {
  switch (order) {
    case "priority":
      return (route) => route.priority
    case "cost":
      return (route) => estimate(route, usage)
    case "quality":
      return (route) => -(route.quality ?? -Infinity)
    case "latency":
      return (route) => latencyOf(route) ?? -Infinity
  }
}

/** Infinities are equal to themselves, which their difference is not. */
const compare = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1)
