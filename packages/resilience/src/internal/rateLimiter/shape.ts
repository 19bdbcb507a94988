/** A rule as the algorithms see it: integers, in units of the rule's scale and in milliseconds. */
import { greatestCommonDivisor } from "./exact.ts"

/**
 * - `meter`: a debt that drains at a steady rate. Token bucket: what was taken and has not been refilled. Leaky bucket: what
 *   waits to leak out.
 * - `fixed`, `sliding`: what was taken in the window.
 * - `leases`: what is held now, and nothing else.
 */
type Kind = "meter" | "fixed" | "sliding" | "leases"

export interface Shape {
  readonly kind: Kind
  /** What is reported as the limit. */
  readonly limit: number
  /** How much may be taken at once. What exceeds it has to wait its turn, up to `overflow`. */
  readonly capacity: number
  /** How much may be promised beyond `capacity`, to be used after a delay. */
  readonly overflow: number
  /** 1: what is asked for must fit too. 0 (leaky bucket): what was there before must. */
  readonly weight: 0 | 1
  /** More than this can never be had at once. */
  readonly most: number
  /** Milliseconds. 0 for leases. */
  readonly window: number
  /** A meter drains `rate / per` units a millisecond, in lowest terms. */
  readonly rate: number
  readonly per: number
  /** Fixed windows start at multiples of the window, not at the first hit. */
  readonly aligned: boolean
  /** How many admissions of a sliding window are kept apart. */
  readonly slices: number
  /** How many units 1 is. */
  readonly scale: number
}

/** Sums of a few amounts stay exact. */
export const maximumUnits = 2 ** 51

const scales = [1_000_000, 1000, 1]

/** Amounts are counted in millionths, or where the largest would not fit, in thousandths or whole. */
export const scaleFor = (largest: number): number | undefined => scales.find((scale) => largest * scale <= maximumUnits)

/** A fraction of a unit counts as one, unless it is only the error of the multiplication. */
export const toUnits = (amount: number, scale: number): number => {
  const exact = amount * scale
  const rounded = Math.round(exact)
  return exact - rounded > exact * 4.5e-16 ? rounded + 1 : rounded
}

const base: Shape = {
  kind: "meter",
  limit: 0,
  capacity: 0,
  overflow: 0,
  weight: 1,
  most: 0,
  window: 0,
  rate: 1,
  per: 1,
  aligned: false,
  slices: 0,
  scale: 1
}

const rateOf = (limit: number, window: number): { readonly rate: number; readonly per: number } => {
  const divisor = greatestCommonDivisor(limit, window)
  return { rate: limit / divisor, per: window / divisor }
}

export interface Windowed {
  readonly limit: number
  readonly window: number
  readonly scale: number
}

export const tokenBucket = (
  { limit, scale, window }: Windowed,
  burst: number,
  overflow = 0
): Shape => ({
  ...base,
  ...rateOf(limit, window),
  limit: burst,
  capacity: burst,
  overflow,
  most: burst + overflow,
  window,
  scale
})

export const leakyBucket = ({ limit, scale, window }: Windowed, queue: number): Shape => ({
  ...base,
  ...rateOf(limit, window),
  limit,
  overflow: queue,
  weight: 0,
  most: limit,
  window,
  scale
})

export const fixedWindow = ({ limit, scale, window }: Windowed, aligned: boolean, overflow = 0): Shape => ({
  ...base,
  kind: "fixed",
  limit,
  capacity: limit,
  overflow,
  most: limit + overflow,
  window,
  aligned,
  scale
})

export const slidingWindow = ({ limit, scale, window }: Windowed, slices: number): Shape => ({
  ...base,
  kind: "sliding",
  limit,
  capacity: limit,
  most: limit,
  window,
  slices,
  scale
})

export const leases = (limit: number, scale: number): Shape => ({
  ...base,
  kind: "leases",
  limit,
  capacity: limit,
  most: limit,
  scale
})
