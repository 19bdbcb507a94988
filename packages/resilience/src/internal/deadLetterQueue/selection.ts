/** Which letters are meant: filters, cursors, and selections that stay what they were. */
import * as Duration from "effect/Duration"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Failure from "../../Failure.ts"
import { durationMillis } from "../options.ts"
import type { Letter, State } from "./letter.ts"
import { isLeased } from "./lifecycle.ts"
import type { Query } from "./store.ts"

/**
 * Which letters are meant. What is left out does not restrict; of a list any will do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Filter {
  readonly state?: State | ReadonlyArray<State> | undefined
  readonly kind?: Failure.Kind | ReadonlyArray<Failure.Kind> | undefined
  readonly fingerprint?: string | ReadonlyArray<string> | undefined
  /** The original failure is at least this long ago. */
  readonly olderThan?: Duration.Input | undefined
  /** The original failure is less long ago than this. */
  readonly newerThan?: Duration.Input | undefined
}

const QueryCodec = Schema.Struct({
  states: Schema.optional(Schema.Array(Schema.Literals(["Dead", "Redriving", "Quarantined", "Archived", "Discarded"]))),
  kinds: Schema.optional(Schema.Array(
    Schema.Literals(["Transient", "RateLimited", "Overloaded", "Timeout", "Permanent", "Critical", "Cancelled"])
  )),
  fingerprints: Schema.optional(Schema.Array(Schema.String)),
  failedFrom: Schema.optional(Schema.Finite),
  failedBefore: Schema.optional(Schema.Finite),
  seqUntil: Schema.optional(Schema.Int)
})

/**
 * The letters that a filter matched at one moment, and no later ones. A plain value: keep it, send it to another
 * process, and redrive it again to go on where an interrupted redrive stopped.
 *
 * @category models
 * @since 0.1.0
 */
export const Selection = Schema.TaggedStruct("Selection", {
  /** Letters that were answered under this id are not redriven under it again. */
  id: Schema.String,
  queue: Schema.String,
  /** When it was made, in milliseconds since the epoch of the store's clock. */
  at: Schema.Finite,
  /** What to ask the store for. Its `seqUntil` keeps out what came later. */
  query: QueryCodec
})

/**
 * @category models
 * @since 0.1.0
 */
export type Selection = typeof Selection.Type

const list = <A>(value: A | ReadonlyArray<A> | undefined): ReadonlyArray<A> | undefined =>
  value === undefined ? undefined : Array.isArray(value) ? value as ReadonlyArray<A> : [value as A]

export const toQuery = (filter: Filter, now: number): Query => {
  const age = (name: "olderThan" | "newerThan") => {
    const input = filter[name]
    if (input === undefined) return undefined
    const millis = durationMillis(name, input)
    return millis === Infinity ? Number.MIN_SAFE_INTEGER : now - millis
  }
  const olderThan = age("olderThan")
  const newerThan = age("newerThan")
  return {
    states: list(filter.state),
    kinds: list(filter.kind),
    fingerprints: list(filter.fingerprint),
    // Ages count in whole milliseconds: at least this long ago is before the next one.
    failedBefore: olderThan === undefined ? undefined : olderThan + 1,
    failedFrom: newerThan === undefined ? undefined : newerThan + 1
  }
}

/**
 * Whether a redrive under this selection may take the letter, as it is now: it was selected then, it has not been
 * answered under it since, and nobody is at it.
 */
export const isDue = (letter: Letter, selection: Selection, now: number): boolean => {
  if (isLeased(letter, now)) return false
  const mine = letter.selection?.id === selection.id
  if (mine && letter.selection.answered) return false
  const wanted = selection.query.states ?? defaultStates
  // A worker that crashed left it Redriving; for everybody else it counts as Dead.
  if (!wanted.includes(letter.state === "Redriving" ? "Dead" : letter.state)) return false
  // Only a new upcaster can help an undecodable one; those that used up their redrives are to be released first.
  if (letter.state === "Quarantined" && letter.reason?._tag !== "Undecodable") return false
  return mine || letter.state === "Redriving" || letter.changedAt <= selection.at
}

/** What "redrive" means when no state is named. */
export const defaultStates: ReadonlyArray<State> = ["Dead"]

/** The same rows, and those that a crashed worker left behind. */
export const forRedrive = (query: Query): Query => {
  const wanted = query.states ?? defaultStates
  return { ...query, states: wanted.includes("Dead") ? [...new Set([...wanted, "Redriving" as const])] : wanted }
}

const prefix = "dlq1."

/** Opaque to its holder: the place after which the next page starts. */
export const encodeCursor = (order: "oldest" | "newest", seq: number): string =>
  Base64Url.encode(`${prefix}${order}.${seq}`)

export const decodeCursor = (
  cursor: string
): { readonly order: "oldest" | "newest"; readonly after: number } | undefined => {
  const text = Base64Url.decodeString(cursor)
  if (!Result.isSuccess(text)) return undefined
  const found = /^dlq1\.(oldest|newest)\.(\d{1,15})$/.exec(text.success)
  return found === null ? undefined : { order: found[1] as "oldest" | "newest", after: Number(found[2]) }
}

/** The bounds of the report's histogram of ages, in milliseconds. */
export const ageBounds: ReadonlyArray<Duration.Duration> = [
  Duration.minutes(1),
  Duration.minutes(10),
  Duration.hours(1),
  Duration.hours(6),
  Duration.days(1),
  Duration.days(7),
  Duration.days(30)
]
