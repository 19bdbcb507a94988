/** Looking at what is in a queue. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Failure from "../../Failure.ts"
import { positiveInteger } from "../options.ts"
import type { Contents } from "./body.ts"
import type { Engine } from "./engine.ts"
import { CursorInvalid, type DeadLetterStoreError, LetterNotFound, PayloadUnreadable } from "./errors.ts"
import { type Letter, type State, states } from "./letter.ts"
import { fromRow } from "./record.ts"
import { ageBounds, decodeCursor, encodeCursor, type Filter, toQuery } from "./selection.ts"

/**
 * A letter with what is in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenedLetter<A> extends Letter, Omit<Contents, "raw"> {
  readonly payload: Result.Result<A, PayloadUnreadable>
  /** The payload as it is stored, byte for byte. `undefined` when it is sealed and cannot be opened. */
  readonly raw: string | undefined
}

export const get = <A>(
  engine: Engine<A>,
  id: string
): Effect.Effect<OpenedLetter<A>, LetterNotFound | DeadLetterStoreError> =>
  Effect.gen(function*() {
    const { codec, name, store } = engine
    const row = yield* store.get(name, id)
    if (row === undefined) return yield* new LetterNotFound({ queue: name, id })
    const letter = fromRow(row)
    const read = yield* Effect.result(codec.read(id, row.body))
    if (Result.isFailure(read)) {
      // What cannot be parsed is shown as it is; what is sealed is not.
      const raw = read.failure.reason === "Undecodable" ? row.body : undefined
      return { ...letter, payload: Result.fail(read.failure), raw, headers: {}, causes: [] }
    }
    const payload = Result.mapError(
      codec.decode(read.success.raw, letter.payloadVersion),
      (detail) => new PayloadUnreadable({ queue: name, id, reason: "Undecodable", detail })
    )
    return { ...letter, ...read.success, payload }
  })

/**
 * Some letters, and where the next ones are.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page {
  readonly letters: ReadonlyArray<Letter>
  /** Give it to `list` for the next page. `undefined`: there are no more. */
  readonly cursor: string | undefined
}

/**
 * How a list is cut into pages.
 *
 * @category models
 * @since 0.1.0
 */
export interface ListOptions {
  /** Where the page before ended. It keeps that list's order. */
  readonly cursor?: string | undefined
  /** From 1 to 1,000. Default 100. */
  readonly limit?: number | undefined
  /** By arrival. Default `"newest"`. */
  readonly order?: "oldest" | "newest" | undefined
}

const maxLimit = 1_000

export const list = <A>(
  engine: Engine<A>,
  filter: Filter,
  options: string | ListOptions | undefined
): Effect.Effect<Page, CursorInvalid | DeadLetterStoreError> => {
  const { cursor, limit = 100, order = "newest" } = typeof options === "string" ? { cursor: options } : options ?? {}
  const asked = Math.min(positiveInteger("limit", limit), maxLimit)
  return Effect.gen(function*() {
    const from = cursor === undefined ? { order, after: undefined } : decodeCursor(cursor)
    if (from === undefined) return yield* new CursorInvalid({ cursor: cursor ?? "" })
    const query = toQuery(filter, yield* engine.store.now)
    // One more than asked says whether there is a next page.
    const rows = yield* engine.store.page(engine.name, query, { ...from, limit: asked + 1 })
    const letters = rows.slice(0, asked).map(fromRow)
    const last = letters.at(-1)
    return {
      letters,
      cursor: rows.length > asked && last !== undefined ? encodeCursor(from.order, last.seq) : undefined
    }
  })
}

export const count = <A>(engine: Engine<A>, filter: Filter): Effect.Effect<number, DeadLetterStoreError> =>
  Effect.flatMap(engine.store.now, (now) => engine.store.count(engine.name, toQuery(filter, now)))

/**
 * What is in a queue, in numbers. All but `states` and `total` is about open letters: dead, redriving and quarantined
 * ones.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  /** Letters of all states. */
  readonly total: number
  readonly states: { readonly [S in State]: number }
  readonly kinds: { readonly [K in Failure.Kind]?: number }
  /** Failures that are alike, the most frequent first; at most 20. */
  readonly fingerprints: ReadonlyArray<{
    readonly fingerprint: string
    readonly count: number
    /** How the latest of them failed. */
    readonly failure: Failure.Info
    /** The times of the first and the last one, in milliseconds since the epoch. */
    readonly oldest: number
    readonly newest: number
  }>
  /** How many failed less long ago than `below`, and not less long ago than the bound before. The last has no bound. */
  readonly ages: ReadonlyArray<{ readonly below: Duration.Duration | undefined; readonly count: number }>
  /** When the oldest original failure was, in milliseconds since the epoch. */
  readonly oldest: number | undefined
}

const open: ReadonlyArray<State> = ["Dead", "Redriving", "Quarantined"]
const maxFingerprints = 20

export const report = <A>(engine: Engine<A>): Effect.Effect<Report, DeadLetterStoreError> =>
  Effect.gen(function*() {
    const { name, store } = engine
    const now = yield* store.now
    const groups = yield* store.groups(name, {})
    const byState = Object.fromEntries(states.map((state) => [state, 0])) as { [S in State]: number }
    const byKind: { [K in Failure.Kind]?: number } = {}
    const alike = new Map<string, { count: number; oldest: number; newest: number }>()
    for (const group of groups) {
      byState[group.state] += group.count
      if (!open.includes(group.state)) continue
      byKind[group.kind] = (byKind[group.kind] ?? 0) + group.count
      const known = alike.get(group.fingerprint)
      alike.set(group.fingerprint, {
        count: group.count + (known?.count ?? 0),
        oldest: Math.min(group.oldest, known?.oldest ?? Infinity),
        newest: Math.max(group.newest, known?.newest ?? -Infinity)
      })
    }
    const most = [...alike].toSorted(([, a], [, b]) => b.count - a.count).slice(0, maxFingerprints)
    const fingerprints = yield* Effect.forEach(most, ([fingerprint, numbers]) =>
      Effect.map(
        store.page(name, { states: open, fingerprints: [fingerprint] }, { order: "newest", limit: 1 }),
        (rows) => rows.map((row) => ({ fingerprint, ...numbers, failure: fromRow(row).failure }))
      ))
    const total = open.reduce((sum, state) => sum + byState[state], 0)
    const younger = yield* Effect.forEach(
      ageBounds,
      (bound) => store.count(name, { states: open, failedFrom: now - Duration.toMillis(bound) + 1 })
    )
    return {
      total: states.reduce((sum, state) => sum + byState[state], 0),
      states: byState,
      kinds: byKind,
      fingerprints: fingerprints.flat(),
      ages: [...younger, total].map((below, i) => ({
        below: ageBounds[i],
        count: Math.max(0, below - (younger[i - 1] ?? 0))
      })),
      oldest: alike.size === 0 ? undefined : Math.min(...[...alike.values()].map(({ oldest }) => oldest))
    }
  })
