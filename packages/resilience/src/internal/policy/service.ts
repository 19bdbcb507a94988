/** The policies of a document as a service. */
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type * as Bulkhead from "../../Bulkhead.ts"
import type * as CircuitBreaker from "../../CircuitBreaker.ts"
import type * as DeadLetterQueue from "../../DeadLetterQueue.ts"
import type * as Deadline from "../../Deadline.ts"
import type * as FallbackChain from "../../FallbackChain.ts"
import type * as RateLimiter from "../../RateLimiter.ts"
import type { PolicyDocumentInvalid, PolicyNotFound } from "./errors.ts"
import type { Warning } from "./lint.ts"
import type { CallOptions, Traits } from "./options.ts"
import type { Policy } from "./policy.ts"

/**
 * What a policy of a document may fail with. What it has is known only when it runs, so it is all of it.
 *
 * @category models
 * @since 0.1.0
 */
export type DataError =
  | Deadline.DeadlineExceeded
  | CircuitBreaker.CircuitOpen
  | Bulkhead.BulkheadRejected
  | RateLimiter.RateLimited
  | RateLimiter.RateLimiterUnavailable
  | FallbackChain.FallbackExhausted
  | DeadLetterQueue.DeadLetterStoreError
  | DeadLetterQueue.PayloadUnencodable

/**
 * The options of a call under a policy of a document. `request` is for its cache and `letter` for its queue of dead letters;
 * without them the call does without these.
 *
 * @category models
 * @since 0.1.0
 */
export interface DataCallOptions extends CallOptions {
  readonly request?: unknown
  readonly letter?: unknown
}

interface DataTraits extends Traits {
  readonly accepts: unknown
  readonly answers: never
  readonly fails: unknown
  readonly provides: never
  readonly call: DataCallOptions
}

/**
 * A policy of a document. It follows the document: who has it, has always its newest form.
 *
 * One with a cache answers what the schema of its binding says: give it calls of that type.
 *
 * @category models
 * @since 0.1.0
 */
export type PolicyFromData = Policy<DataError, never, DataTraits>

/**
 * The document that is in force.
 *
 * - `version`: counts from 1
 * - `source`: where it came from
 * - `loadedAt`: since when it is in force
 * - `refused`: the document that was refused last, with all that is wrong with it, unless another one was taken since
 *
 * @category models
 * @since 0.1.0
 */
export interface Current {
  readonly version: number
  readonly source: string
  readonly text: string
  readonly names: ReadonlyArray<string>
  readonly loadedAt: DateTime.Utc
  readonly refused: PolicyDocumentInvalid | undefined
}

/**
 * What a new document made different, by names of policies.
 *
 * @category models
 * @since 0.1.0
 */
export interface Change {
  readonly version: number
  readonly source: string
  readonly added: ReadonlyArray<string>
  readonly changed: ReadonlyArray<string>
  readonly removed: ReadonlyArray<string>
}

/**
 * Documents of policies, one of them in force, whoever reads them. An application that has more in its document than policies is
 * one, with {@link Policies} within, and can be followed from a file and served to its operator just as these.
 *
 * - `current`: the document in force
 * - `replace`: puts another one in force, or refuses it with everything that is wrong with it, and changes nothing
 * - `refuse`: tells of one that could not even be read
 * - `explain`, `lint`: of all of it
 *
 * @category models
 * @since 0.1.0
 */
export interface Documents {
  readonly current: Effect.Effect<Pick<Current, "version" | "source" | "text" | "loadedAt" | "refused">>
  readonly replace: (
    text: string,
    options?: { readonly source?: string | undefined }
  ) => Effect.Effect<unknown, PolicyDocumentInvalid>
  readonly refuse: (error: PolicyDocumentInvalid) => Effect.Effect<never, PolicyDocumentInvalid>
  readonly explain: Effect.Effect<string>
  readonly lint: Effect.Effect<ReadonlyArray<Pick<Warning, "at" | "message"> & { readonly code: string }>>
}

/**
 * The policies of a document.
 *
 * - `get`: one of them, for as long as one likes
 * - `run`: an effect under one of them
 * - `current`: the document in force
 * - `replace`: puts another document in force, or refuses it with everything that is wrong with it. Where the policies come from a
 *   file, that stays as it is, and is in force again when it changes.
 * - `refuse`: tells of a document that could not even be read
 * - `check`: whether `replace` would take a document; says the names in it
 * - `changes`: each new document, from the moment the stream is run. A reader that is 64 late loses the oldest.
 * - `explain`, `lint`: of all of them
 *
 * @category models
 * @since 0.1.0
 */
export interface Policies extends Documents {
  readonly get: (name: string) => Effect.Effect<PolicyFromData, PolicyNotFound>
  readonly run: <A, E, R>(
    name: string,
    self: Effect.Effect<A, E, R>,
    options?: DataCallOptions
  ) => Effect.Effect<A, E | DataError | PolicyNotFound, R>
  readonly current: Effect.Effect<Current>
  readonly replace: (
    text: string,
    options?: { readonly source?: string | undefined }
  ) => Effect.Effect<Change, PolicyDocumentInvalid>
  readonly check: (
    text: string,
    options?: { readonly source?: string | undefined }
  ) => Effect.Effect<ReadonlyArray<string>, PolicyDocumentInvalid>
  readonly changes: Stream.Stream<Change>
  readonly explain: Effect.Effect<string>
  readonly lint: Effect.Effect<ReadonlyArray<Warning>>
}
