/** The rules a policy is made of, checked when they are made. */
import type * as Duration from "effect/Duration"
import { numberBetween, oneOf, positiveInteger, positiveMillis } from "../options.ts"
import * as Shapes from "./shape.ts"

/**
 * What a rule does when the store does not answer.
 *
 * @category models
 * @since 0.1.0
 */
export type OnStoreError = "open" | "closed" | Local

/**
 * Made by `local`: each process enforces its share of the limit on its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Local {
  readonly _tag: "Local"
  readonly share: number
}

/**
 * What a rule does with a request whose cost in its unit is not known: `"allow"` charges nothing, a number is charged in its place, and
 * both are flagged in the decision; `"deny"` refuses it for ever.
 *
 * @category models
 * @since 0.1.0
 */
export type OnUnknownCost = "allow" | "deny" | number

/**
 * Options of every rule.
 *
 * @category models
 * @since 0.1.0
 */
export interface RuleOptions {
  /** What decisions and signals call it. Default: the algorithm, numbered where a policy has several. State is kept under it. */
  readonly name?: string | undefined
  /** What it counts. Default `"requests"`: a request costs 1 unless it says otherwise. */
  readonly unit?: "requests" | "tokens" | "cost" | (string & {}) | undefined
  /** Decides and tells, but never refuses. Default `false`. */
  readonly shadow?: boolean | undefined
  /** What it does when the store fails or is silent for longer than the limiter's `storeTimeout`. Default `"open"`. */
  readonly onStoreError?: OnStoreError | undefined
  /** What it does when nobody says what a request costs in its unit. Default `"allow"`. */
  readonly onUnknownCost?: OnUnknownCost | undefined
}

/**
 * Options of a rule that counts over a window.
 *
 * @category models
 * @since 0.1.0
 */
export interface WindowOptions extends RuleOptions {
  /** How much in a `window`: above zero, up to 2e15. Fractions count, in millionths (coarser above 2e9). */
  readonly limit: number
  /** A whole number of milliseconds, at least one. */
  readonly window: Duration.Input
}

/**
 * @category models
 * @since 0.1.0
 */
export interface TokenBucketOptions extends WindowOptions {
  /** How much may be taken at once after a rest. Default: `limit`. */
  readonly burst?: number | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface SlidingWindowOptions extends WindowOptions {
  /** How many admissions of a window are kept apart. Default 32; see the bound at `slidingWindow`. */
  readonly slices?: number | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface FixedWindowOptions extends WindowOptions {
  /** Whether a window begins with the first request of it, or by the clock (at multiples of it, in UTC). Default `"firstHit"`. */
  readonly align?: "firstHit" | "clock" | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface LeakyBucketOptions extends WindowOptions {
  /** How much may wait for its turn. Default 0: what comes too early is refused. */
  readonly queue?: number | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export interface ConcurrencyOptions extends RuleOptions {
  /** How much at the same time. */
  readonly limit: number
  /** When a process dies, what it held comes back after so long. At least 3 milliseconds. Default 30 seconds. */
  readonly lease?: Duration.Input | undefined
}

/**
 * @category models
 * @since 0.1.0
 */
export type Algorithm = "tokenBucket" | "slidingWindow" | "fixedWindow" | "leakyBucket" | "concurrency"

/**
 * A limit, made by `tokenBucket` and its siblings. Part of a policy.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rule {
  readonly algorithm: Algorithm
  readonly name: string | undefined
  readonly unit: string
  readonly shadow: boolean
  readonly onStoreError: OnStoreError
  readonly onUnknownCost: OnUnknownCost
  readonly shape: Shapes.Shape
  /** The shape when the store is down and `onStoreError` is local. */
  readonly localShape: Shapes.Shape | undefined
  /** Milliseconds that a lease of it lasts. */
  readonly lease: number
}

/** How long a reservation of a rule with a window outlives its process. */
const reservationLease = 30_000

const make = (
  algorithm: Algorithm,
  options: RuleOptions,
  lease: number,
  shapeOf: (share: number) => Shapes.Shape
): Rule => {
  const { name, onStoreError = "open", onUnknownCost = "allow", shadow = false, unit = "requests" } = options
  if (name === "") throw new RangeError("name must not be empty")
  if (typeof onStoreError === "string") oneOf("onStoreError", onStoreError, ["open", "closed"])
  if (typeof onUnknownCost === "string") oneOf("onUnknownCost", onUnknownCost, ["allow", "deny"])
  else numberBetween("onUnknownCost", onUnknownCost, 0, Infinity)
  return {
    algorithm,
    name,
    unit,
    shadow,
    onStoreError,
    onUnknownCost,
    shape: shapeOf(1),
    localShape: typeof onStoreError === "string" ? undefined : shapeOf(onStoreError.share),
    lease
  }
}

/** An amount above zero, and the scale that the largest of several amounts can be counted in. */
const scaleOf = (amounts: Readonly<Record<string, number>>): number => {
  let largest = 0
  for (const [name, amount] of Object.entries(amounts)) {
    if (!(amount >= 0)) throw new RangeError(`${name} must be a finite number of at least 0, got ${amount}`)
    if (Shapes.scaleFor(amount) === undefined) {
      throw new RangeError(`${name} must be at most ${Shapes.maximumUnits}, got ${amount}`)
    }
    largest = Math.max(largest, amount)
  }
  const { limit } = amounts
  const scale = Shapes.scaleFor(largest)!
  if (!(limit! > 0)) throw new RangeError(`limit must be a finite number above 0, got ${limit}`)
  if (limit! * scale < 1) throw new RangeError(`limit must be at least ${1 / scale}, got ${limit}`)
  return scale
}

const windowMillis = (window: Duration.Input): number => {
  const millis = positiveMillis("window", window)
  if (Number.isSafeInteger(millis)) return millis
  throw new RangeError(`window must be a whole number of milliseconds below 2^53, got ${millis}`)
}

/** The part of an amount that one process may use. At least 1, so that a small limit is not zero everywhere. */
const shareOf = (amount: number, share: number): number =>
  share === 1 ? amount : Math.max(Math.min(1, amount), amount * share)

export const tokenBucket = (options: TokenBucketOptions): Rule => {
  const { burst = options.limit, limit } = options
  const scale = scaleOf({ limit, burst })
  if (!(burst > 0)) throw new RangeError(`burst must be above 0, got ${burst}`)
  const window = windowMillis(options.window)
  if (burst / limit * window > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`burst must fill in less than 2^53 milliseconds, got ${burst}`)
  }
  return make("tokenBucket", options, reservationLease, (share) =>
    Shapes.tokenBucket(
      { limit: Shapes.toUnits(shareOf(limit, share), scale), window, scale },
      Shapes.toUnits(shareOf(burst, share), scale)
    ))
}

export const leakyBucket = (options: LeakyBucketOptions): Rule => {
  const { limit, queue = 0 } = options
  const scale = scaleOf({ limit, queue })
  const window = windowMillis(options.window)
  if (Math.max(1, queue / limit) * window > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`queue must leak in less than 2^53 milliseconds, got ${queue}`)
  }
  return make("leakyBucket", options, reservationLease, (share) =>
    Shapes.leakyBucket(
      { limit: Shapes.toUnits(shareOf(limit, share), scale), window, scale },
      Shapes.toUnits(queue * share, scale)
    ))
}

export const fixedWindow = (options: FixedWindowOptions): Rule => {
  const { limit } = options
  const scale = scaleOf({ limit })
  const window = windowMillis(options.window)
  const aligned = oneOf("align", options.align ?? "firstHit", ["firstHit", "clock"]) === "clock"
  return make(
    "fixedWindow",
    options,
    reservationLease,
    (share) => Shapes.fixedWindow({ limit: Shapes.toUnits(shareOf(limit, share), scale), window, scale }, aligned)
  )
}

export const slidingWindow = (options: SlidingWindowOptions): Rule => {
  const { limit } = options
  const scale = scaleOf({ limit })
  const window = windowMillis(options.window)
  const slices = positiveInteger("slices", options.slices ?? 32)
  if (slices > 1_000) throw new RangeError(`slices must be at most 1000, got ${slices}`)
  return make(
    "slidingWindow",
    options,
    reservationLease,
    (share) => Shapes.slidingWindow({ limit: Shapes.toUnits(shareOf(limit, share), scale), window, scale }, slices)
  )
}

export const concurrency = (options: ConcurrencyOptions): Rule => {
  const { limit } = options
  const scale = scaleOf({ limit })
  const lease = Math.floor(positiveMillis("lease", options.lease ?? "30 seconds"))
  if (lease < 3) throw new RangeError(`lease must be at least 3 milliseconds, got ${lease}`)
  return make(
    "concurrency",
    options,
    lease,
    (share) => Shapes.leases(Shapes.toUnits(shareOf(limit, share), scale), scale)
  )
}

export const local = (options: { readonly share: number }): Local => {
  const share = numberBetween("share", options.share, 0, 1)
  if (share === 0) throw new RangeError(`share must be above 0, got ${share}`)
  return { _tag: "Local", share }
}
