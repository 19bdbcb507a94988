/** What the states of many checks come to, as pure functions. */
import type { HealthState } from "../../Signal.ts"

export interface Judged {
  readonly state: HealthState
  readonly critical: boolean
  /** Whether it has been healthy since the start, or since it was reset. */
  readonly confirmed: boolean
}

type Status = "healthy" | "degraded" | "unhealthy"

/** Whether this check alone keeps its groups from being up. */
export const isDown = ({ confirmed, critical, state }: Judged): boolean => {
  switch (state) {
    case "Unknown":
      return true
    case "Healthy":
      return false
    // A few failures do not take a critical dependency down, but it has to have worked once.
    case "Degraded":
      return critical && !confirmed
    case "Failed":
      return critical
  }
}

/** A dependency that many instances share would take all of them down at once, so only a critical one may. */
export const statusOf = (checks: ReadonlyArray<Judged>): Status =>
  checks.some(isDown) ? "unhealthy" : checks.every(({ state }) => state === "Healthy") ? "healthy" : "degraded"

export type Side = "primary" | "backup"

/** On which side the traffic of a check belongs. Between the two thresholds, and not knowing, it stays where it is. */
export const sideOf = (side: Side, state: HealthState): Side =>
  state === "Failed" ? "backup" : state === "Healthy" ? "primary" : side
