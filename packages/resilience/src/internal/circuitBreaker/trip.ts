/** When a closed circuit opens, as data: the same value drives the windows in memory and the scripts in Redis. */
import type * as Duration from "effect/Duration"
import { durationMillis, numberBetween, positiveInteger, positiveMillis } from "../options.ts"

/** Opens after `failures` failures in a row. */
export interface Consecutive {
  readonly _tag: "Consecutive"
  readonly failures: number
}

/** Opens when the share of bad calls in a window reaches `threshold`. */
export interface Rate {
  readonly _tag: "FailureRate" | "SlowCallRate"
  readonly threshold: number
  readonly window: CallsWindow | TimeWindow
  readonly minimumCalls: number
  /** A call that took longer than this is bad, in milliseconds; `undefined` where failures are. */
  readonly slowerThan?: number | undefined
}

/** Opens when one of the rules does. */
export interface AnyOf {
  readonly _tag: "AnyOf"
  readonly rules: readonly [Rule, ...Array<Rule>]
}

export type Rule = Consecutive | Rate
export type Trip = Rule | AnyOf

/** The last `calls` calls. */
export interface CallsWindow {
  readonly _tag: "Calls"
  readonly calls: number
}

/** The calls of the last `millis` milliseconds, counted in `buckets` equal parts of it. */
export interface TimeWindow {
  readonly _tag: "Time"
  readonly millis: number
  readonly buckets: number
}

export interface RateOptions {
  readonly threshold?: number | undefined
  readonly window: CallsWindow | Duration.Input
  readonly minimumCalls?: number | undefined
}

export const calls = (count: number): CallsWindow => ({ _tag: "Calls", calls: positiveInteger("calls", count) })

export const consecutive = (failures: number): Consecutive => ({
  _tag: "Consecutive",
  failures: positiveInteger("failures", failures)
})

export const failureRate = (options: RateOptions): Rate => ({ _tag: "FailureRate", ...rate(options) })

export const slowCallRate = (
  options: RateOptions & { readonly threshold: number; readonly slowerThan: Duration.Input }
): Rate => ({
  _tag: "SlowCallRate",
  ...rate(options),
  slowerThan: durationMillis("slowerThan", options.slowerThan)
})

export const anyOf = (first: Trip, ...rest: ReadonlyArray<Trip>): AnyOf => {
  const [head, ...tail] = rulesOf(first)
  return { _tag: "AnyOf", rules: [head, ...tail, ...rest.flatMap(rulesOf)] }
}

/** The single rules that a trip policy is made of. */
export const rulesOf = (trip: Trip): readonly [Rule, ...Array<Rule>] => trip._tag === "AnyOf" ? trip.rules : [trip]

/** The shortest time that any of the rules calls slow; `Infinity` when none asks. */
export const slowerThan = (trip: Trip): number =>
  Math.min(...rulesOf(trip).map((rule) => rule._tag === "Consecutive" ? Infinity : rule.slowerThan ?? Infinity))

const defaultMinimumCalls = 10

const rate = (options: RateOptions) => {
  const window = isCallsWindow(options.window) ? options.window : timeWindow(options.window)
  const largest = window._tag === "Calls" ? window.calls : Infinity
  const minimumCalls = positiveInteger("minimumCalls", options.minimumCalls ?? Math.min(defaultMinimumCalls, largest))
  if (minimumCalls > largest) {
    throw new RangeError(`minimumCalls must be at most the window's ${largest} calls, got ${minimumCalls}`)
  }
  return { threshold: numberBetween("threshold", options.threshold ?? 0.5, 0, 1), window, minimumCalls }
}

const isCallsWindow = (window: RateOptions["window"]): window is CallsWindow =>
  typeof window === "object" && "_tag" in window && window._tag === "Calls"

/** A part is a second where ten to sixty of them make the window; shorter windows have ten parts, longer ones sixty. */
const timeWindow = (window: Duration.Input): TimeWindow => {
  const millis = positiveMillis("window", window)
  return { _tag: "Time", millis, buckets: Math.min(60, Math.max(10, Math.ceil(millis / 1000))) }
}
