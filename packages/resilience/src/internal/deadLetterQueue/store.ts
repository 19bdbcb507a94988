/** What the engine asks of a store: rows with a version, and pages of them. It knows nothing of a letter's life. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Failure from "../../Failure.ts"
import type { DeadLetterStoreError } from "./errors.ts"
import type { State } from "./letter.ts"

/**
 * A letter as stores keep it: what they search by, and two texts that they do not look into.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  readonly queue: string
  readonly id: string
  /** Given by the store at `insert`, rising in the order in which inserts became visible. */
  readonly seq: number
  /** 1 at `insert`; each `replace` adds one. */
  readonly version: number
  readonly state: State
  readonly kind: Failure.Kind
  readonly fingerprint: string
  /** Milliseconds since the epoch. */
  readonly failedAt: number
  /** No two rows of a queue have the same one. `undefined` is the same as nobody's. */
  readonly dedupeKey: string | undefined
  readonly meta: string
  readonly body: string
}

/**
 * A row without its body, as pages have them.
 *
 * @category models
 * @since 0.1.0
 */
export type RowHead = Omit<Row, "body">

/**
 * What a page, a count or groups are asked for. What is left out does not restrict.
 *
 * @category models
 * @since 0.1.0
 */
export interface Query {
  readonly states?: ReadonlyArray<State> | undefined
  readonly kinds?: ReadonlyArray<Failure.Kind> | undefined
  readonly fingerprints?: ReadonlyArray<string> | undefined
  /** `failedAt` at this time or later. */
  readonly failedFrom?: number | undefined
  /** `failedAt` before this time. */
  readonly failedBefore?: number | undefined
  /** `seq` at most this. */
  readonly seqUntil?: number | undefined
}

/**
 * How a page is cut: rows after `after` in this order of `seq`, at most `limit` of them.
 *
 * @category models
 * @since 0.1.0
 */
export interface PageOptions {
  readonly order: "oldest" | "newest"
  readonly after?: number | undefined
  readonly limit: number
}

/**
 * How many rows are alike, and how old they are.
 *
 * @category models
 * @since 0.1.0
 */
export interface Group {
  readonly state: State
  readonly kind: Failure.Kind
  readonly fingerprint: string
  readonly count: number
  readonly oldest: number
  readonly newest: number
}

/**
 * What came of an insert. `Duplicate` is a row of this queue with the same `id` or `dedupeKey`; nothing was written.
 *
 * @category models
 * @since 0.1.0
 */
export type Inserted =
  | { readonly _tag: "Inserted"; readonly seq: number }
  | { readonly _tag: "Duplicate"; readonly id: string }

/**
 * Where letters are kept. To write a store, implement this and run `DeadLetterStoreSuite` of
 * `@effect-resilience/testing` on it.
 *
 * Three operations write, each atomic: all of it is durable when it returns, or none of it ever is.
 *
 * - `insert`: adds a row and gives it the next `seq` of its queue.
 * - `replace`: puts a row in place of the one of the same id, if that still has version `expected`; `seq`, `queue` and
 *   `id` stay, the version becomes `expected + 1`. `false`: it has another version or is gone, nothing was written. It may
 *   give up the row's `dedupeKey`, it never brings another one.
 * - `remove`: deletes a row, if it still has version `expected`.
 *
 * Four read what was written, and `now` is the clock that all who share the store agree on, in milliseconds since the
 * epoch. A row that the store cannot read must not keep it from returning the others.
 *
 * - `last` is the `seq` of the queue's latest insert, 0 before the first.
 *
 * @category services
 * @since 0.1.0
 */
export class DeadLetterStore extends Context.Service<DeadLetterStore, {
  readonly insert: (row: Omit<Row, "seq" | "version">) => Effect.Effect<Inserted, DeadLetterStoreError>
  readonly replace: (row: Row, expected: number) => Effect.Effect<boolean, DeadLetterStoreError>
  readonly remove: (queue: string, id: string, expected: number) => Effect.Effect<boolean, DeadLetterStoreError>
  readonly get: (queue: string, id: string) => Effect.Effect<Row | undefined, DeadLetterStoreError>
  readonly page: (
    queue: string,
    query: Query,
    options: PageOptions
  ) => Effect.Effect<ReadonlyArray<RowHead>, DeadLetterStoreError>
  readonly count: (queue: string, query: Query) => Effect.Effect<number, DeadLetterStoreError>
  readonly groups: (queue: string, query: Query) => Effect.Effect<ReadonlyArray<Group>, DeadLetterStoreError>
  readonly last: (queue: string) => Effect.Effect<number, DeadLetterStoreError>
  readonly now: Effect.Effect<number, DeadLetterStoreError>
}>()("effect-resilience/DeadLetterQueue/DeadLetterStore") {}

/** Whether a row is asked for: what every store's own query language must agree with. */
export const matches = (row: Omit<RowHead, "meta" | "queue">, query: Query): boolean =>
  (query.states?.includes(row.state) ?? true) &&
  (query.kinds?.includes(row.kind) ?? true) &&
  (query.fingerprints?.includes(row.fingerprint) ?? true) &&
  (query.failedFrom === undefined || row.failedAt >= query.failedFrom) &&
  (query.failedBefore === undefined || row.failedAt < query.failedBefore) &&
  (query.seqUntil === undefined || row.seq <= query.seqUntil)
