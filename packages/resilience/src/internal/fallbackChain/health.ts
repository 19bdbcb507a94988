/** What a chain knows of a route's health, as pure functions. All times are monotonic milliseconds. */

export interface Health {
  /** Not to be asked before. */
  readonly until: number
  /** Why not; `undefined` when it may be asked. */
  readonly reason: "Cooling" | "Limited" | "Halted" | undefined
  /** How long it takes to answer, smoothed; `undefined` before the first answer. */
  readonly latency: number | undefined
}

export const healthy: Health = { until: -Infinity, reason: undefined, latency: undefined }

/** The latest of the deadlines holds, whoever set it. */
export const rest = (health: Health, reason: NonNullable<Health["reason"]>, until: number): Health =>
  until > health.until ? { ...health, until, reason } : health

/** A rest that an attempt began after is over, so it may begin a new one. What was under way belongs to the old one. */
export const isNewEpisode = (health: Health, attemptStarted: number): boolean => attemptStarted >= health.until

/** Weight of the newest latency: ten answers make most of the figure. */
const newest = 0.2

/** An answer, `latency` after it was asked for. It ends no rest: what was asked before the rest began is news of then. */
export const answered = (health: Health, attemptStarted: number, latency: number): Health => {
  const smoothed = health.latency === undefined ? latency : health.latency + newest * (latency - health.latency)
  return isNewEpisode(health, attemptStarted) ? { ...healthy, latency: smoothed } : { ...health, latency: smoothed }
}
