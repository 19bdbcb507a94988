/** Running a call under a breaker: let it through or not, and settle it however it ends. */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { CircuitState } from "../../Signal.ts"
import type { Outcome } from "./outcome.ts"
import type { Policy } from "./policy.ts"

/** Says what an end means. Effect's own breaker, behind `layerCore`, also takes an effect that does. */
export type Classify = (exit: Exit.Exit<never, never>) => Outcome | Effect.Effect<Outcome, never, never>

/** `X` is what a rejected call fails with. */
export interface Guard<X> {
  readonly run: <A, E, R>(
    self: Effect.Effect<A, E, R>,
    key: string,
    classify: Classify | undefined
  ) => Effect.Effect<A, E | X, R>
}

/** What the guard of a breaker is made from. The policy may be replaced while calls run. */
export interface Setup<X> {
  readonly name: string
  policy: Policy
  readonly shadow: boolean
  /** Called before each call. */
  readonly watch: ((key: string) => void) | undefined
  readonly classify: Classify | undefined
  readonly rejection: (name: string, key: string, retryAfterMillis: number, state: CircuitState) => X
}
