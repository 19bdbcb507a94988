/** Where circuits live. Exported, and documented, as names of `CircuitBreaker`. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CircuitState } from "../../Signal.ts"
import type { CircuitStoreError } from "./errors.ts"
import type { Reason, Verdict } from "./machine.ts"
import type { Policy } from "./policy.ts"
import type { Rule } from "./trip.ts"

export const StoreTypeId = "~effect-resilience/CircuitBreaker/CircuitBreakerStore" as const

/**
 * A circuit as it is now. All times are in milliseconds.
 *
 * - `retryAfter`: as in `CircuitOpen`, zero where a call would be let through.
 * - `openings`: in a row, since the circuit last stayed closed as long as it had been open.
 * - `inFlight`: calls that run. In a shared store, those of all processes.
 * - `probing`: how many of them are probes.
 * - `admitted`: the fraction of the calls that is let through: 0, 1, or between them while the circuit recovers.
 * - `rules`: what each rule of the trip policy remembers, in its order. `rate` is 0 without calls.
 *
 * @category models
 * @since 0.1.0
 */
export interface Snapshot {
  readonly key: string
  readonly state: CircuitState
  readonly retryAfter: number
  readonly openings: number
  readonly inFlight: number
  readonly probing: number
  readonly admitted: number
  readonly rules: ReadonlyArray<{
    readonly rule: Rule["_tag"]
    readonly calls: number
    readonly bad: number
    readonly rate: number
  }>
}

/**
 * A change of state that an operation made. When `to` is `"Open"`, `openFor` says for how long in milliseconds, and
 * `openings` for the how manieth time in a row.
 *
 * @category stores
 * @since 0.1.0
 */
export interface Move {
  readonly from: CircuitState
  readonly to: CircuitState
  readonly reason: Reason
  readonly openFor?: number | undefined
  readonly openings?: number | undefined
}

/**
 * What a store says to a call.
 *
 * - `Admitted`: it runs, and is settled with this permit.
 * - `Refused`: it does not.
 * - `Unavailable`: the store does not answer. `mode` is what it was told to do then: `"closed"` runs the call, which is
 *   not settled, `"open"` refuses it, to be tried again after `retryAfter`.
 *
 * @category stores
 * @since 0.1.0
 */
export type Admission =
  | {
    readonly _tag: "Admitted"
    readonly permit: string
    readonly state: CircuitState
    readonly moves: ReadonlyArray<Move>
  }
  | {
    readonly _tag: "Refused"
    readonly state: CircuitState
    readonly retryAfter: number
    readonly moves: ReadonlyArray<Move>
  }
  | { readonly _tag: "Unavailable"; readonly mode: "open" | "closed"; readonly retryAfter: number }

/**
 * How a call ended. `millis` is how long it took, `hint` the wait that the dependency asked for, zero for none.
 *
 * @category stores
 * @since 0.1.0
 */
export interface Settlement {
  readonly permit: string
  readonly verdict: Verdict
  readonly millis: number
  readonly hint: number
}

/**
 * What an operator, or a health check, tells a circuit.
 *
 * @category stores
 * @since 0.1.0
 */
export type Command = "forceOpen" | "forceClose" | "release" | "reset" | "healthy" | "unhealthy"

/**
 * The circuits of one breaker. Each operation is atomic, and reads the time inside the store.
 *
 * - `admit`: lets a call through or not. `chance` is in `[0, 1)` and decides where a recovering circuit lets some through.
 * - `settle`: counts a call that has ended. A permit that is not known any more counts for nothing.
 * - `read`, `list`: do not change anything.
 *
 * Each operation comes with the policy, which may be another one than before: what the old one's windows remember is
 * taken over.
 *
 * `CircuitBreakerStoreSuite` of `@effect-resilience/testing` tells whether a store behaves.
 *
 * @category stores
 * @since 0.1.0
 */
export interface Circuits {
  readonly admit: (key: string, policy: Policy, chance: number) => Effect.Effect<Admission>
  readonly settle: (
    key: string,
    policy: Policy,
    settlement: Settlement
  ) => Effect.Effect<ReadonlyArray<Move>, CircuitStoreError>
  readonly command: (
    key: string,
    policy: Policy,
    command: Command
  ) => Effect.Effect<ReadonlyArray<Move>, CircuitStoreError>
  readonly read: (key: string, policy: Policy) => Effect.Effect<Snapshot, CircuitStoreError>
  readonly list: (policy: Policy) => Effect.Effect<ReadonlyArray<Snapshot>, CircuitStoreError>
}

/**
 * Where circuits live: in this process (`layerStoreMemory`) or in a Redis that several share (`layerStoreRedis`).
 *
 * Breakers of one name in one store have the same circuits.
 *
 * @category stores
 * @since 0.1.0
 */
export class CircuitBreakerStore extends Context.Service<CircuitBreakerStore, {
  readonly [StoreTypeId]: typeof StoreTypeId
  readonly open: (breaker: {
    readonly name: string
    readonly capacity: number
    readonly idleMillis: number
  }) => Effect.Effect<Circuits, never, Scope.Scope>
}>()("effect-resilience/CircuitBreakerStore") {}
