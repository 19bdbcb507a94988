/**
 * How fresh an entry is, as a pure function. The three spans are those of RFC 5861 (`max-age`,
 * `stale-while-revalidate`, `stale-if-error`); the last two begin when the first ends.
 */
import type { Info } from "../../Failure.ts"

export interface Spans {
  readonly ttlMillis: number
  readonly staleForMillis: number
  readonly staleIfErrorMillis: number
}

/** `Spare`: too old to be served, unless looking it up again fails. */
export type Freshness = "Fresh" | "Stale" | "Spare" | "Expired"

/** An entry is fresh for exactly its ttl: one of age `ttl` is not. */
export const freshness = (spans: Spans, ageMillis: number): Freshness => {
  if (ageMillis < spans.ttlMillis) return "Fresh"
  const since = ageMillis - spans.ttlMillis
  if (since < spans.staleForMillis) return "Stale"
  return since < spans.staleIfErrorMillis ? "Spare" : "Expired"
}

/** How long an entry can be of any use. */
export const keepForMillis = (spans: Spans): number =>
  spans.ttlMillis + Math.max(spans.staleForMillis, spans.staleIfErrorMillis)

/**
 * Whether an old answer is better than this failure. It is not where asking was wrong in the first place, where data or
 * trust is damaged, and where nobody waits any more.
 */
export const excusesStale = ({ kind, scope }: Info): boolean =>
  kind !== "Cancelled" && kind !== "Critical" && !(kind === "Permanent" && scope === "request")
