/** Which letters have to go. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import { positiveInteger, positiveMillis } from "../options.ts"
import type { Letter, State } from "./letter.ts"
import type { Query } from "./store.ts"

/**
 * How long and how many letters are kept. A letter that is being redriven is never evicted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Retention {
  /** Since the original failure. Default: for ever. */
  readonly age?: Duration.Input | undefined
  /** Letters of all states together, exactly. Those that are done go first, then the oldest. Default: any number. */
  readonly size?: number | undefined
  /**
   * Called before a letter is evicted, for example to archive it elsewhere. Where it fails the letter stays, and the
   * failure is logged. Where several processes share the store it may be called more than once for a letter.
   */
  readonly onEvict?: ((evicted: Evicted) => Effect.Effect<unknown, unknown>) | undefined
  /** When ages are looked at, beside each offer. Default: every minute. */
  readonly schedule?: Schedule.Schedule<unknown> | undefined
}

/**
 * Why a letter was evicted.
 *
 * @category models
 * @since 0.1.0
 */
export type EvictionCause = "age" | "size"

/**
 * A letter that has to go.
 *
 * @category models
 * @since 0.1.0
 */
export interface Evicted {
  readonly letter: Letter
  readonly cause: EvictionCause
  /** All of it, as `export` would write it: `import` brings it back. */
  readonly line: string
}

export interface Limits {
  readonly ageMillis: number | undefined
  readonly size: number | undefined
}

export const limits = (retention: Retention | undefined): Limits => ({
  ageMillis: retention?.age === undefined ? undefined : positiveMillis("retention.age", retention.age),
  size: retention?.size === undefined ? undefined : positiveInteger("retention.size", retention.size)
})

/** In the order in which they go: what is done, then what is not. */
const evictable: ReadonlyArray<ReadonlyArray<State>> = [["Archived", "Discarded"], ["Dead", "Quarantined"]]

/** Where to look for letters that are too old. The age that was reached counts as too old. */
export const tooOld = ({ ageMillis }: Limits, now: number): Query | undefined =>
  ageMillis === undefined ? undefined : { states: evictable.flat(), failedBefore: now - ageMillis + 1 }

/** How many have to go, and where to look for them, in turn. */
export const tooMany = (
  { size }: Limits,
  count: number
): { readonly excess: number; readonly from: ReadonlyArray<Query> } => ({
  excess: size === undefined ? 0 : Math.max(0, count - size),
  from: evictable.map((states) => ({ states }))
})
