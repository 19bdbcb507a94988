/** Letters as lines of JSON, out of one queue and into another. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Engine } from "./engine.ts"
import type { DeadLetterStoreError } from "./errors.ts"
import { fingerprint } from "./fingerprint.ts"
import { type Letter, remember } from "./letter.ts"
import { fromLine, toLine } from "./line.ts"
import { fromRow, toRow } from "./record.ts"
import { select } from "./redrive.ts"
import type { Filter } from "./selection.ts"
import { sweepSize } from "./sweep.ts"

/**
 * What came of an import.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImportReport {
  readonly imported: number
  /** Lines whose letter, or whose work, is here already. */
  readonly duplicates: number
  readonly rejected: number
  /** The first hundred lines that were rejected, counted from 1. */
  readonly rejections: ReadonlyArray<{ readonly line: number; readonly reason: string }>
}

const pageSize = 100
const maxRejections = 100

/** One line a letter, each with its end, oldest first: those that are there when it starts. Sealed ones stay sealed. */
export const exportLines = <A>(engine: Engine<A>, filter: Filter): Stream.Stream<string, DeadLetterStoreError> =>
  Stream.unwrap(Effect.map(select(engine, filter), ({ query }) =>
    Stream.paginate(0, (after) =>
      Effect.map(
        engine.store.page(engine.name, query, { order: "oldest", after, limit: pageSize }),
        (rows) => [rows, rows.length < pageSize ? Option.none() : Option.some(rows.at(-1)!.seq)] as const
      )).pipe(
        Stream.mapEffect(({ id }) => engine.store.get(engine.name, id)),
        Stream.filter((row) => row !== undefined),
        Stream.map(toLine)
      )))

/** A line that cannot be read is reported and keeps nothing else out. */
export const importLines = <A, E, R>(
  engine: Engine<A>,
  lines: Stream.Stream<string, E, R>
): Effect.Effect<ImportReport, DeadLetterStoreError | E, R> =>
  Effect.gen(function*() {
    let imported = 0
    let duplicates = 0
    let rejected = 0
    const rejections: Array<{ readonly line: number; readonly reason: string }> = []
    let line = 0
    yield* Stream.runForEach(Stream.splitLines(lines), (text) =>
      Effect.gen(function*() {
        line++
        if (text.trim() === "") return
        const came = yield* importLine(engine, text)
        if (came === "imported") imported++
        else if (came === "duplicate") duplicates++
        else {
          rejected++
          if (rejections.length < maxRejections) rejections.push({ line, reason: came.reason })
        }
      }))
    if (imported > 0) yield* sweepSize(engine)
    return { imported, duplicates, rejected, rejections }
  })

const importLine = <A>(
  engine: Engine<A>,
  text: string
): Effect.Effect<"imported" | "duplicate" | { readonly reason: string }, DeadLetterStoreError> =>
  Effect.gen(function*() {
    const { codec, name, store } = engine
    const read = fromLine(text)
    if (Result.isFailure(read)) return { reason: read.failure }
    const { body, id, meta, queue: from } = read.success
    const known = fromRow({
      queue: name,
      id,
      seq: 0,
      version: 1,
      state: "Dead",
      kind: "Permanent",
      fingerprint: "",
      failedAt: 0,
      dedupeKey: undefined,
      meta
    })
    const now = yield* store.now
    const arrived: Letter = {
      ...known,
      ...remember(known, { at: now, event: "Imported", note: `from ${from}` }),
      fingerprint: fingerprint(known.failure),
      changedAt: now,
      // Whoever had it, had it there.
      state: known.state === "Redriving" ? "Dead" : known.state,
      lease: undefined,
      selection: undefined
    }
    const contents = yield* Effect.result(codec.read(id, body))
    if (Result.isFailure(contents) && contents.failure.reason === "Tampered") return { reason: contents.failure.detail }
    const undecodable = Result.isFailure(contents)
      ? contents.failure.reason === "Undecodable" ? contents.failure.detail : undefined
      : Result.getOrUndefined(Result.flip(codec.decode(contents.success.raw, arrived.payloadVersion)))
    const letter: Letter = undecodable === undefined || arrived.state !== "Dead"
      ? arrived
      : { ...arrived, state: "Quarantined", reason: { _tag: "Undecodable", message: undecodable } }
    const inserted = yield* store.insert({ ...toRow(letter), body })
    return inserted._tag === "Inserted" ? "imported" : "duplicate"
  })
