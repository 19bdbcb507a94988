/** What the machine needs to know of a breaker's options: numbers in milliseconds, checked. */
import type * as Schedule from "effect/Schedule"
import type { Ramp } from "./ramp.ts"
import type { Trip } from "./trip.ts"

export interface Policy {
  readonly trip: Trip
  /** How long an opening lasts, in milliseconds, or a schedule whose `n`-th delay is that of the `n`-th in a row. */
  readonly openFor: number | Schedule.Schedule<unknown, number>
  /** How long the first opening in a row lasts. */
  readonly firstOpenFor: number
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
