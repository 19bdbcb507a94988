/** Keeping to the retention: too old, too many, and letters that a crashed worker left behind. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Signal from "../../Signal.ts"
import { change, type Engine } from "./engine.ts"
import type { DeadLetterStoreError } from "./errors.ts"
import type { Letter } from "./letter.ts"
import { isLeased } from "./lifecycle.ts"
import { toLine } from "./line.ts"
import { fromRow } from "./record.ts"
import { type EvictionCause, tooMany, tooOld } from "./retention.ts"
import type { Query, RowHead } from "./store.ts"

const pageSize = 100

/** All of it. */
export const sweep = <A>(engine: Engine<A>): Effect.Effect<void, DeadLetterStoreError> =>
  Effect.andThen(rescueAll(engine), Effect.andThen(sweepAge(engine), sweepSize(engine)))

const rescueAll = Effect.fnUntraced(function*<A>(engine: Engine<A>) {
  const now = yield* engine.store.now
  yield* eachRow(
    engine,
    { states: ["Redriving"] },
    (row) =>
      isLeased(fromRow(row), now)
        ? Effect.void
        : Effect.flatMap(change(engine, row.id, { _tag: "Rescue" }), (result) =>
          result._tag === "Changed" ? tellCrash(result.before) : Effect.void)
  )
})

/** A worker was not heard of again, as whoever finds its letter can tell. */
export const tellCrash = (letter: Letter): Effect.Effect<void> =>
  Signal.emit({
    _tag: "LetterRedriven",
    queue: letter.queue,
    id: letter.id,
    attempt: letter.claims,
    outcome: "crashed"
  })

const sweepAge = Effect.fnUntraced(function*<A>(engine: Engine<A>) {
  if (engine.retentionLimits.ageMillis === undefined) return
  const query = tooOld(engine.retentionLimits, yield* engine.store.now)
  if (query !== undefined) yield* eachRow(engine, query, (row) => evict(engine, row, "age"))
})

/**
 * One at a time. The one to go is looked up before they are counted: two processes that do this at once pick the same
 * one, only one of them removes it, and none goes that need not.
 */
export const sweepSize = Effect.fnUntraced(function*<A>(
  engine: Engine<A>
): Effect.fn.Return<void, DeadLetterStoreError> {
  const { name, retentionLimits, store } = engine
  if (retentionLimits.size === undefined) return
  const kept = new Set<string>()
  for (const query of tooMany(retentionLimits, 0).from) {
    let after: number | undefined
    while (true) {
      const [oldest] = yield* store.page(name, query, { order: "oldest", after, limit: 1 })
      if (oldest === undefined) break
      if (tooMany(retentionLimits, yield* store.count(name, {})).excess <= 0) return
      if (yield* evict(engine, oldest, "size")) continue
      // Somebody else changed it, or it is to be kept: a second try tells which.
      if (kept.has(oldest.id)) after = oldest.seq
      kept.add(oldest.id)
    }
  }
})

const evict = <A>(
  engine: Engine<A>,
  row: RowHead,
  cause: EvictionCause
): Effect.Effect<boolean, DeadLetterStoreError> =>
  Effect.gen(function*() {
    const { name, retention, store } = engine
    const letter = fromRow(row)
    if (retention?.onEvict !== undefined) {
      const whole = yield* store.get(name, row.id)
      if (whole === undefined) return false
      const told = yield* Effect.exit(retention.onEvict({ letter, cause, line: toLine(whole) }))
      if (Exit.isFailure(told)) {
        yield* Effect.logError(`A letter of "${name}" is kept beyond its time: onEvict failed`, told.cause)
        return false
      }
    }
    const removed = yield* store.remove(name, row.id, row.version)
    if (removed) {
      yield* Signal.emit({ _tag: "LetterEvicted", queue: name, id: row.id, kind: row.kind, reason: cause })
      yield* Effect.logWarning(`Letter ${row.id} of "${name}" was evicted`).pipe(
        Effect.annotateLogs({ queue: name, kind: row.kind, fingerprint: row.fingerprint, reason: cause })
      )
    }
    return removed
  })

/** Page by page, oldest first: what happens to the rows of one page does not move the next one. */
export const eachRow = <A, E, R>(
  engine: Engine<A>,
  query: Query,
  f: (row: RowHead) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, DeadLetterStoreError | E, R> =>
  Effect.gen(function*() {
    let after: number | undefined
    while (true) {
      const rows = yield* engine.store.page(engine.name, query, { order: "oldest", after, limit: pageSize })
      for (const row of rows) yield* f(row)
      if (rows.length < pageSize) return
      after = rows.at(-1)!.seq
    }
  })
