/** A letter as a row, and back. A row that cannot be read becomes a quarantined letter, made of what its columns say. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Failure from "../../Failure.ts"
import { Kind, Scope } from "../failureSchema.ts"
import { fingerprint, storedKey } from "./fingerprint.ts"
import type { Letter } from "./letter.ts"
import { isOpen } from "./lifecycle.ts"
import type { RowHead } from "./store.ts"

const Info = Schema.Struct({
  kind: Kind,
  scope: Scope,
  message: Schema.String,
  code: Schema.optionalKey(Schema.String),
  retryAfter: Schema.optionalKey(Schema.DurationFromMillis)
})

const Budget = Schema.Literals(["delivered", "interrupted", "crashed"])

const Reason = Schema.Union([
  Schema.TaggedStruct("Undecodable", { message: Schema.String }),
  Schema.TaggedStruct("CorruptRecord", { message: Schema.String }),
  Schema.TaggedStruct("MaxRedrives", { budget: Budget }),
  Schema.TaggedStruct("Redriven", {}),
  Schema.TaggedStruct("Told", { message: Schema.String })
])

const HistoryEntry = Schema.Struct({
  at: Schema.Finite,
  event: Schema.Literals([
    "Offered",
    "OfferedAgain",
    "Imported",
    "Claimed",
    "Succeeded",
    "Failed",
    "Interrupted",
    "Crashed",
    "GivenBack",
    "Quarantined",
    "Archived",
    "Discarded",
    "Released",
    "Edited"
  ]),
  attempt: Schema.optionalKey(Schema.Int),
  failure: Schema.optionalKey(Info),
  note: Schema.optionalKey(Schema.String)
})

/** Everything of a letter that is no column of its own. */
export const Meta = Schema.Struct({
  state: Schema.Literals(["Dead", "Redriving", "Quarantined", "Archived", "Discarded"]),
  reason: Schema.optionalKey(Reason),
  failure: Info,
  fingerprint: Schema.String,
  failedAt: Schema.Int,
  offeredAt: Schema.Finite,
  changedAt: Schema.Finite,
  occurrences: Schema.Int,
  attempts: Schema.Struct({ delivered: Schema.Int, interrupted: Schema.Int, crashed: Schema.Int }),
  claims: Schema.Int,
  round: Schema.Int,
  lease: Schema.optionalKey(Schema.Struct({ owner: Schema.String, fence: Schema.Int, expiresAt: Schema.Finite })),
  selection: Schema.optionalKey(Schema.Struct({ id: Schema.String, answered: Schema.Boolean })),
  payloadVersion: Schema.Int,
  applicationVersion: Schema.optionalKey(Schema.String),
  trace: Schema.optionalKey(
    Schema.Struct({ traceId: Schema.String, spanId: Schema.String, sampled: Schema.Boolean })
  ),
  dedupeKey: Schema.optionalKey(Schema.String),
  sourceAttempts: Schema.Array(
    Schema.Struct({ at: Schema.Finite, failure: Info, duration: Schema.optionalKey(Schema.DurationFromMillis) })
  ),
  history: Schema.Array(HistoryEntry),
  forgotten: Schema.Int
})

const MetaJson = Schema.fromJsonString(Schema.toCodecJson(Meta))
const decodeMeta = Schema.decodeUnknownResult(MetaJson)
const encodeMeta = Schema.encodeUnknownSync(MetaJson)

/** The letter's columns and `meta`. Closed letters give up their dedupe key: the same work may die again. */
export const toRow = (letter: Letter): Omit<RowHead, "version"> => ({
  queue: letter.queue,
  id: letter.id,
  seq: letter.seq,
  state: letter.state,
  kind: letter.failure.kind,
  fingerprint: letter.fingerprint,
  failedAt: letter.failedAt,
  dedupeKey: isOpen(letter) && letter.dedupeKey !== undefined ? storedKey(letter.dedupeKey) : undefined,
  meta: encodeMeta(withoutUndefined(letter))
})

/** `JSON.parse(JSON.stringify())` would lose durations. */
const withoutUndefined = (value: object): unknown => {
  const clean = (entry: unknown): unknown =>
    Array.isArray(entry)
      ? entry.map(clean)
      : typeof entry === "object" && entry !== null && Object.getPrototypeOf(entry) === Object.prototype
      ? Object.fromEntries(Object.entries(entry).filter(([, v]) => v !== undefined).map(([k, v]) => [k, clean(v)]))
      : entry
  return clean(value)
}

export const fromRow = (row: RowHead): Letter => {
  const meta = decodeMeta(row.meta)
  return Result.isSuccess(meta)
    ? { ...meta.success, queue: row.queue, id: row.id, seq: row.seq }
    : corrupt(row)
}

const corrupt = (row: RowHead): Letter => {
  const message = "its record is corrupt"
  const failure: Failure.Info = { kind: row.kind, scope: "dependency", code: "CorruptRecord", message }
  return {
    queue: row.queue,
    id: row.id,
    seq: row.seq,
    state: row.state === "Archived" || row.state === "Discarded" ? row.state : "Quarantined",
    reason: { _tag: "CorruptRecord", message },
    failure,
    fingerprint: fingerprint(failure),
    failedAt: row.failedAt,
    offeredAt: row.failedAt,
    changedAt: row.failedAt,
    occurrences: 1,
    attempts: { delivered: 0, interrupted: 0, crashed: 0 },
    claims: 0,
    round: 0,
    payloadVersion: 0,
    sourceAttempts: [],
    history: [],
    forgotten: 0
  }
}

/** Whether the row's own state says otherwise than the letter that was read from it. */
export const isStale = (row: RowHead, letter: Letter): boolean => row.state !== letter.state
