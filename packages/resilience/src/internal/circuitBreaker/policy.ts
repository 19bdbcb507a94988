/** What the machine needs to know of a breaker's options: checked, in milliseconds, and nothing but data. */
import type { Ramp } from "./ramp.ts"
import type { Trip } from "./trip.ts"

export interface Policy {
  readonly trip: Trip
  /** How long each opening in a row lasts, in milliseconds; the last one repeats. Not empty. */
  readonly openFor: ReadonlyArray<number>
  /** No `Retry-After` opens a circuit for longer. */
  readonly maxHint: number
  /** Probes of one half-open round. */
  readonly probes: number
  /** Probes that must succeed for the circuit to close. */
  readonly needed: number
  /** How long a probe may run before the round is decided without it. */
  readonly deadline: number
  readonly onDeadline: "Open" | "Closed"
  /** What follows a successful round: `undefined` for closed at once. */
  readonly ramp: Ramp | undefined
  /** Calls in flight while a bad call is remembered; `Infinity` for no cap. */
  readonly maxWhileUnhealthy: number
  /** The shortest time that a rule calls slow; `Infinity` when none asks. */
  readonly slowerThan: number
}

/** How long the `n`-th opening in a row lasts, counted from 1. */
export const openFor = (policy: Policy, openings: number): number =>
  policy.openFor[Math.min(openings, policy.openFor.length) - 1] ?? 0
