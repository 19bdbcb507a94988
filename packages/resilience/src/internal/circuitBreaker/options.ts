/** The options of a breaker, from what people write to what the machine reads. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Stream from "effect/Stream"
import { durationMillis, numberBetween, positiveInteger, positiveMillis } from "../options.ts"
import type { Outcome } from "./outcome.ts"
import type { Policy } from "./policy.ts"
import * as Ramp from "./ramp.ts"
import { table } from "./table.ts"
import { slowerThan, type Trip } from "./trip.ts"

/**
 * The options that a running breaker can be given anew.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tuning {
  /** When a closed circuit opens: {@link consecutive}, {@link failureRate}, {@link slowCallRate}, {@link anyOf}. */
  readonly trip: Trip
  /**
   * How long it stays open. Of a `Schedule`, the `n`-th delay is for the `n`-th opening in a row, and the last one
   * repeats; it is run when the breaker is made, on a clock of its own. Default 30 seconds.
   */
  readonly openFor?: Duration.Input | Schedule.Schedule<unknown, number> | undefined
  /** No opening lasts longer, whatever schedule or dependency ask for. Default 1 hour, or `openFor` if that is longer. */
  readonly maxOpenFor?: Duration.Input | undefined
  /** How a circuit whose open time is over finds out whether to close. */
  readonly halfOpen?: {
    /** Calls that are let through in a round. Default 1. */
    readonly probes?: number | undefined
    /** The share of them that must succeed, above 0 and up to 1. Default 1. */
    readonly required?: number | undefined
    /** A probe that runs longer ends the round. Default 30 seconds. */
    readonly deadline?: Duration.Input | undefined
    /** With this state. Default `"Open"`. */
    readonly onDeadline?: "Open" | "Closed" | undefined
  } | undefined
  /** The fractions of the calls that are let through, one after the other, after the probes. Default: all at once. */
  readonly recovery?: Schedule.Schedule<number, number> | undefined
  /** The most calls in flight while the trip policy remembers a bad one. Default: no cap. */
  readonly inFlight?: { readonly maxWhileUnhealthy: number } | undefined
}

/**
 * What a breaker is made from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Tuning {
  /** What errors and signals call it, and what keeps its circuits apart from others' in a shared store. */
  readonly name: string
  /**
   * What the end of a call says about the dependency. Default: by the kind of failure; see the module's description.
   * Interruption alone is always ignored.
   */
  readonly classify?: ((exit: Exit.Exit<unknown, unknown>) => Outcome) | undefined
  /**
   * What somebody else knows of the dependency's health: `false` opens the circuit, `true` lets an open one probe at
   * once. Run for each key from its first call on.
   */
  readonly health?: ((key: string) => Stream.Stream<boolean>) | undefined
  /** Decides and signals, and lets every call through. Default `false`. */
  readonly shadow?: boolean | undefined
  /** How many circuits are remembered, one a key. Default 10,000. */
  readonly capacity?: number | undefined
  /** For how long at least a circuit that nobody asks for is remembered. Default 1 hour. */
  readonly idleTimeToLive?: Duration.Input | undefined
}

/** The checks that throw at once, and what is left to do: to run the schedules. */
export const policyOf = (options: Tuning): Effect.Effect<Policy> => {
  const probes = positiveInteger("halfOpen.probes", options.halfOpen?.probes ?? 1)
  const scheduled = Schedule.isSchedule(options.openFor)
  const fixed = scheduled ? undefined : positiveMillis(
    "openFor",
    (options.openFor as Duration.Input | undefined) ?? "30 seconds",
    { infinite: true }
  )
  const maxHint = options.maxOpenFor === undefined
    ? Math.max(hour, fixed ?? 0)
    : positiveMillis("maxOpenFor", options.maxOpenFor, { infinite: true })
  if (fixed !== undefined && fixed > maxHint) {
    throw new RangeError(`maxOpenFor must be at least openFor, got ${maxHint} ms and ${fixed} ms`)
  }
  const withoutSchedules = {
    trip: options.trip,
    maxHint,
    probes,
    needed: needed(probes, options.halfOpen?.required ?? 1),
    deadline: positiveMillis("halfOpen.deadline", options.halfOpen?.deadline ?? "30 seconds", { infinite: true }),
    onDeadline: options.halfOpen?.onDeadline ?? "Open",
    maxWhileUnhealthy: options.inFlight === undefined
      ? Infinity
      : positiveInteger("inFlight.maxWhileUnhealthy", options.inFlight.maxWhileUnhealthy),
    slowerThan: slowerThan(options.trip)
  }
  return Effect.map(
    Effect.all([
      fixed === undefined
        ? openings(options.openFor as Schedule.Schedule<unknown, number>, maxHint)
        : Effect.succeed([fixed]),
      options.recovery === undefined ? Effect.undefined : Ramp.compile(options.recovery)
    ]),
    ([openFor, ramp]) => ({ ...withoutSchedules, openFor, ramp })
  )
}

/** The checks of what is given once. */
export const boundsOf = (options: Options): { readonly capacity: number; readonly idleMillis: number } => ({
  capacity: positiveInteger("capacity", options.capacity ?? 10_000),
  idleMillis: positiveMillis("idleTimeToLive", options.idleTimeToLive ?? "1 hour", { infinite: true })
})

const hour = 3_600_000

/** The fewest successes of `probes` that are at least the required share. Divided, not multiplied: see the windows. */
const needed = (probes: number, required: number): number => {
  numberBetween("halfOpen.required", required, Number.MIN_VALUE, 1)
  let successes = Math.max(1, Math.floor(probes * required) - 1)
  while (successes / probes < required) successes++
  return successes
}

/** How long each opening lasts, up to the first that reaches the cap: from there on all are the same. */
const openings = (
  schedule: Schedule.Schedule<unknown, number>,
  cap: number
): Effect.Effect<ReadonlyArray<number>> =>
  Effect.map(table(schedule, (_, delay) => delay >= cap), ({ end, steps }) => {
    const delays = steps.map(([, delay]) => durationMillis("openFor", delay))
    if (end === "done") delays.push(cap)
    while (delays.length > 1 && delays.at(-1) === delays.at(-2)) delays.pop()
    if (delays.length === 0) throw new RangeError("openFor must be a schedule of at least one delay")
    return delays
  })
