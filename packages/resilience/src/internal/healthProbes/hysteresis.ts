/**
 * When results of a check become a verdict, as a pure machine with a threshold on each side: a verdict neither falls nor
 * recovers for a single result.
 *
 * Failures count from the last time the check was healthy, and a lone success between them does not wipe them out: a
 * dependency that fails every second time is not a healthy one. Successes count in a row.
 */
import type { HealthState } from "../../Signal.ts"

export interface Thresholds {
  /** So many failures make it `Failed`. */
  readonly failed: number
  /** So many successes in a row make it `Healthy` again. */
  readonly healthy: number
}

export interface Standing {
  readonly state: HealthState
  /** Since it was last healthy, or was reset. */
  readonly failures: number
  /** In a row. */
  readonly successes: number
  /** Whether it has been healthy at all, since the start or since it was reset. */
  readonly confirmed: boolean
}

/** Before the first result, and after a reset. The next result decides alone. */
export const unknown: Standing = { state: "Unknown", failures: 0, successes: 0, confirmed: false }

export const succeeded = ({ healthy }: Thresholds, standing: Standing): Standing => {
  const successes = standing.successes + 1
  if (standing.state === "Unknown" || standing.state === "Healthy" || successes >= healthy) {
    return { state: "Healthy", failures: 0, successes, confirmed: true }
  }
  return { ...standing, successes }
}

export const failed = ({ failed }: Thresholds, standing: Standing): Standing => {
  const failures = standing.failures + 1
  return {
    ...standing,
    state: standing.state === "Failed" || failures >= failed ? "Failed" : "Degraded",
    failures,
    successes: 0
  }
}
