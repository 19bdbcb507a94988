/** What is known of a letter without opening it. */
import type * as Duration from "effect/Duration"
import type * as Failure from "../../Failure.ts"

/**
 * Where a letter is in its life.
 *
 * | state | it means | what may come next |
 * | --- | --- | --- |
 * | `Dead` | waits for somebody to act | redrive, edit, archive, discard |
 * | `Redriving` | one worker has it, for as long as its lease | archived, dead again, quarantined |
 * | `Quarantined` | undecodable, or out of redrives | redrive when undecodable, edit, release, archive, discard |
 * | `Archived` | done: redriven, or put away | release |
 * | `Discarded` | given up, with a reason | release |
 *
 * @category models
 * @since 0.1.0
 */
export type State = "Dead" | "Redriving" | "Quarantined" | "Archived" | "Discarded"

export const states: ReadonlyArray<State> = ["Dead", "Redriving", "Quarantined", "Archived", "Discarded"]

/**
 * Why a letter is where it is, for states that need a reason.
 *
 * @category models
 * @since 0.1.0
 */
export type Reason =
  | { readonly _tag: "Undecodable"; readonly message: string }
  | { readonly _tag: "CorruptRecord"; readonly message: string }
  | { readonly _tag: "MaxRedrives"; readonly budget: Budget }
  | { readonly _tag: "Redriven" }
  | { readonly _tag: "Told"; readonly message: string }

/**
 * How a redrive ended that did not succeed. Each has a budget of its own.
 *
 * - `delivered`: the handler had it and failed
 * - `interrupted`: the handler was interrupted, as by a shutdown
 * - `crashed`: the worker was not heard of again before its lease ended
 *
 * @category models
 * @since 0.1.0
 */
export type Budget = "delivered" | "interrupted" | "crashed"

/**
 * A number for each way a redrive can end badly.
 *
 * @category models
 * @since 0.1.0
 */
export type Attempts = { readonly [B in Budget]: number }

/**
 * One attempt of the source, before the letter was offered.
 *
 * @category models
 * @since 0.1.0
 */
export interface SourceAttempt {
  /** When it failed, in milliseconds since the epoch. */
  readonly at: number
  readonly failure: Failure.Info
  readonly duration?: Duration.Duration | undefined
}

/**
 * One thing that happened to a letter. `at` is in milliseconds since the epoch, of the store's clock.
 *
 * @category models
 * @since 0.1.0
 */
export interface HistoryEntry {
  readonly at: number
  readonly event:
    | "Offered"
    | "OfferedAgain"
    | "Imported"
    | "Claimed"
    | "Succeeded"
    | "Failed"
    | "Interrupted"
    | "Crashed"
    | "GivenBack"
    | "Quarantined"
    | "Archived"
    | "Discarded"
    | "Released"
    | "Edited"
  /** The redrive it belongs to, counted from 1. */
  readonly attempt?: number | undefined
  readonly failure?: Failure.Info | undefined
  readonly note?: string | undefined
}

/**
 * Who has a letter, and until when unless renewed. A later claim has a higher `fence`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease {
  readonly owner: string
  readonly fence: number
  readonly expiresAt: number
}

/**
 * Where the original failure happened, for the link of a redrive's span.
 *
 * @category models
 * @since 0.1.0
 */
export interface TraceLink {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/**
 * What is known of a letter without opening it. Times are in milliseconds since the epoch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Letter {
  readonly id: string
  readonly queue: string
  /** Its place in the queue: letters that arrive later have a higher one. */
  readonly seq: number
  readonly state: State
  /** Why it is quarantined, archived or discarded. */
  readonly reason?: Reason | undefined
  readonly failure: Failure.Info
  /** Equal for failures that differ in ids and numbers only. */
  readonly fingerprint: string
  /** When the original failure was. Redrives do not change it; the age of a letter counts from here. */
  readonly failedAt: number
  readonly offeredAt: number
  readonly changedAt: number
  /** How often the same work (same `dedupeKey`) was offered while it was here. */
  readonly occurrences: number
  /** Redrives that did not succeed. */
  readonly attempts: Attempts
  /** How often it was claimed, ever. */
  readonly claims: number
  /** Rises when a redrive was answered, so that `id` and `round` name one piece of work. */
  readonly round: number
  readonly lease?: Lease | undefined
  /** The last selection that claimed it, and whether the handler gave an answer under it. */
  readonly selection?: { readonly id: string; readonly answered: boolean } | undefined
  readonly payloadVersion: number
  readonly applicationVersion?: string | undefined
  readonly trace?: TraceLink | undefined
  readonly dedupeKey?: string | undefined
  readonly sourceAttempts: ReadonlyArray<SourceAttempt>
  /** The latest entries; `forgotten` says how many older ones were dropped. */
  readonly history: ReadonlyArray<HistoryEntry>
  readonly forgotten: number
}

export const maxHistory = 100

/** The letter with one more line in its history. The first line, how it came here, is never dropped. */
export const remember = (letter: Letter, entry: HistoryEntry): Pick<Letter, "history" | "forgotten"> =>
  letter.history.length < maxHistory
    ? { history: [...letter.history, entry], forgotten: letter.forgotten }
    : {
      history: [letter.history[0]!, ...letter.history.slice(2), entry],
      forgotten: letter.forgotten + 1
    }
