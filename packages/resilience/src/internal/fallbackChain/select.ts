/** Which route is next, as a pure function of all that is known. */
import type { Onward } from "./edges.ts"
import type { Health } from "./health.ts"
import type { Level } from "./ledger.ts"
import { estimate, type Facts, isFree, type Usage } from "./order.ts"

/** What a request asks of a route. */
export interface Needs {
  /** How much it is: prompt and room for the answer. */
  readonly size: number
  readonly minQuality: number
}

/** Why a route was not asked. */
export type Skipped =
  | "When"
  | "ContextWindow"
  | "Quality"
  | "Budget"
  | "Cooling"
  | "Limited"
  | "Halted"
  | "ContentPolicy"

interface NotAsked {
  readonly route: string
  readonly reason: Skipped
}

/** What one call has learned so far. */
export interface Progress {
  readonly tried: ReadonlySet<number>
  /** A context window that was too short. */
  readonly tooShort: number
  readonly onward: Onward
}

export interface Situation {
  readonly health: (route: Facts) => Health
  readonly level: Level
  readonly usage: Usage
  readonly now: number
}

export type Choice =
  | { readonly _tag: "Try"; readonly route: Facts }
  | { readonly _tag: "Wait"; readonly until: number; readonly skipped: ReadonlyArray<NotAsked> }
  | { readonly _tag: "Exhausted"; readonly skipped: ReadonlyArray<NotAsked> }

/** Why a route cannot serve what this request asks, whoever else could; `undefined` when it can. */
export const unfit = (route: Facts, needs: Needs): Skipped | undefined =>
  needs.size > route.contextWindow
    ? "ContextWindow"
    : needs.minQuality > (route.quality ?? -Infinity)
    ? "Quality"
    : undefined

/** The routes that the budget leaves, in the same order. */
const affordable = (routes: ReadonlyArray<Facts>, level: Level, usage: Usage): ReadonlyArray<Facts> => {
  if (level === "Normal" || level === "Warned") return routes
  if (level === "Denied") return routes.filter(isFree)
  const cheapest = Math.min(...routes.map((route) => estimate(route, usage)))
  return routes.filter((route) => estimate(route, usage) <= cheapest)
}

/** `routes`: those that fit the request, in order. */
export const choose = (routes: ReadonlyArray<Facts>, progress: Progress, situation: Situation): Choice => {
  const { health, level, now, usage } = situation
  const skipped: Array<NotAsked> = []
  const open = routes.filter((route) => {
    const reason = closed(route, progress)
    if (reason !== undefined && !progress.tried.has(route.index)) skipped.push({ route: route.name, reason })
    return reason === undefined
  })
  // Routes that rest count when the cheapest is sought, or an outage of the cheap one would spend what is not there.
  const within = new Set(affordable(open, level, usage))
  let earliest = Infinity
  for (const route of open) {
    const { reason, until } = health(route)
    const rests = until > now && reason !== undefined
    const isTried = progress.tried.has(route.index)
    if (!within.has(route)) {
      if (!isTried) skipped.push({ route: route.name, reason: "Budget" })
    } else if (rests) {
      if (!isTried) skipped.push({ route: route.name, reason })
      // A halt is for somebody to lift, not for a request to sit out.
      if (reason !== "Halted") earliest = Math.min(earliest, until)
    } else if (!isTried) return { _tag: "Try", route }
  }
  return earliest < Infinity ? { _tag: "Wait", until: earliest, skipped } : { _tag: "Exhausted", skipped }
}

/** What this call has learned that rules a route out for good. */
const closed = (route: Facts, { onward, tooShort }: Progress): Skipped | undefined =>
  route.contextWindow <= tooShort
    ? "ContextWindow"
    : onward === "Permitted" && !route.takesRefused
    ? "ContentPolicy"
    : undefined
