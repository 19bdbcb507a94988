/** What a limiter asks of its store: three operations, each of them atomic. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Asked, Outcome } from "./decide.ts"
import type { RateLimiterStoreError } from "./errors.ts"
import type { Shape } from "./shape.ts"

export type { Outcome } from "./decide.ts"

/**
 * One key of one rule.
 *
 * @category stores
 * @since 0.1.0
 */
export interface Place {
  /** Names the policy and the rule. No two tables are equal that hold states of different rules. */
  readonly table: string
  /** Any text. */
  readonly key: string
  readonly policy: string
}

/**
 * One rule of a request: where its state is, how to decide, and what is asked for.
 *
 * With a `lease` the cost is held for so many milliseconds, unless it is settled before, and not charged.
 *
 * @category stores
 * @since 0.1.0
 */
export interface Entry extends Place, Asked {
  readonly lease: number | undefined
}

/**
 * A request: all entries are taken, or none.
 *
 * @category stores
 * @since 0.1.0
 */
export interface Request {
  readonly entries: ReadonlyArray<Entry>
  /** The keys whose block, if any, refuses the request. */
  readonly subjects: ReadonlyArray<Subject>
  /** Only look: take nothing. */
  readonly peek: boolean
  /** Under what name the entries with a lease are held. */
  readonly hold: string
}

/**
 * One key of a policy, as `block` names it.
 *
 * @category stores
 * @since 0.1.0
 */
export interface Subject {
  readonly policy: string
  readonly key: string
}

/**
 * What a store answers: how it went with each entry, and for how many milliseconds each subject is still blocked.
 *
 * @category stores
 * @since 0.1.0
 */
export interface Reply {
  readonly allowed: boolean
  readonly outcomes: ReadonlyArray<Outcome>
  readonly blocked: ReadonlyArray<number>
}

/**
 * The end of what was held under a name, or its continuation.
 *
 * - `renew`: it is held for so many more milliseconds from now, where it still is.
 * - else: it is held no longer, and each entry is charged with its `charge`, in units. An entry that was not held any more is
 *   charged only when `force` is set.
 *
 * @category stores
 * @since 0.1.0
 */
export interface Settlement {
  readonly hold: string
  readonly entries: ReadonlyArray<Place & { readonly shape: Shape; readonly charge: number }>
  readonly renew: number | undefined
  readonly force: boolean
}

/**
 * What an operator does to a key.
 *
 * @category stores
 * @since 0.1.0
 */
export type Command =
  | { readonly _tag: "Reset"; readonly places: ReadonlyArray<Place>; readonly subject: Subject }
  /** For no milliseconds: not any more. */
  | { readonly _tag: "Block"; readonly subject: Subject; readonly millis: number }

/**
 * Keeps what limiters count.
 *
 * Each operation is atomic, and time is the store's own. A store in this process may decide at once with `decideUnsafe`; the limiter
 * then does not wait for it, nor with a time limit.
 *
 * @category stores
 * @since 0.1.0
 */
export class RateLimiterStore extends Context.Service<RateLimiterStore, {
  readonly decide: (request: Request) => Effect.Effect<Reply, RateLimiterStoreError>
  readonly decideUnsafe?:
    | ((fiber: Fiber.Fiber<unknown, unknown>, request: Request) => Reply | RateLimiterStoreError)
    | undefined
  /** Whether everything was still held. */
  readonly settle: (settlement: Settlement) => Effect.Effect<boolean, RateLimiterStoreError>
  readonly command: (command: Command) => Effect.Effect<void, RateLimiterStoreError>
}>()("effect-resilience/RateLimiterStore") {}
