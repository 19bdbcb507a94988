/** Dead letters as JSON. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as DeadLetterQueue from "../../../DeadLetterQueue.ts"
import type * as Failure from "../../../Failure.ts"
import * as FailureSchema from "../../failureSchema.ts"

export const State = Schema.Literals(["Dead", "Redriving", "Quarantined", "Archived", "Discarded"])

const Time = Schema.String.annotate({ description: "ISO 8601, UTC" })

const FailureInfo = Schema.Struct({
  kind: FailureSchema.Kind,
  scope: FailureSchema.Scope,
  code: Schema.NullOr(Schema.String),
  message: Schema.String,
  retry_after_ms: Schema.NullOr(Schema.Finite)
}).annotate({ identifier: "FailureInfo" })

const Attempts = Schema.Struct({
  delivered: Schema.Int.annotate({ description: "Redrives that the handler answered with a failure" }),
  interrupted: Schema.Int,
  crashed: Schema.Int
})

const letterFields = {
  id: Schema.String,
  queue: Schema.String,
  state: State,
  reason: Schema.NullOr(Schema.Struct({ tag: Schema.String, message: Schema.String })).annotate({
    description: "Why it is quarantined, archived or discarded"
  }),
  failure: FailureInfo,
  fingerprint: Schema.String.annotate({ description: "Equal for failures that differ in ids and numbers only" }),
  failed_at: Time,
  offered_at: Time,
  changed_at: Time,
  occurrences: Schema.Int.annotate({ description: "How often the same work was offered" }),
  attempts: Attempts,
  claims: Schema.Int.annotate({ description: "How often a worker took it" }),
  lease: Schema.NullOr(Schema.Struct({ owner: Schema.String, expires_at: Time })),
  payload_version: Schema.Int,
  application_version: Schema.NullOr(Schema.String),
  dedupe_key: Schema.NullOr(Schema.String),
  trace: Schema.NullOr(Schema.Struct({ trace_id: Schema.String, span_id: Schema.String }))
}

/** What is known of a letter without opening it. */
export const LetterBody = Schema.Struct(letterFields).annotate({ identifier: "Letter" })
export type LetterBody = typeof LetterBody.Type

/** A letter with what is in it. */
export const OpenedLetterBody = Schema.Struct({
  ...letterFields,
  payload: Schema.Json.annotate({ description: "As it is stored; null when it cannot be read" }),
  raw: Schema.NullOr(Schema.String).annotate({
    description: "What is stored in place of a payload that cannot be read; null when it is sealed"
  }),
  unreadable: Schema.NullOr(Schema.Struct({
    reason: Schema.Literals(["Undecodable", "Tampered", "KeyMissing"]),
    detail: Schema.String
  })),
  headers: Schema.Record(Schema.String, Schema.String),
  causes: Schema.Array(Schema.String),
  stack: Schema.NullOr(Schema.String),
  source_attempts: Schema.Array(Schema.Struct({
    at: Time,
    failure: FailureInfo,
    duration_ms: Schema.NullOr(Schema.Finite)
  })).annotate({ description: "The attempts that were made before it became a letter" }),
  history: Schema.Array(Schema.Struct({
    at: Time,
    event: Schema.String,
    attempt: Schema.NullOr(Schema.Int),
    failure: Schema.NullOr(FailureInfo),
    note: Schema.NullOr(Schema.String)
  })),
  forgotten: Schema.Int.annotate({ description: "How many older lines of the history were dropped" })
}).annotate({ identifier: "OpenedLetter" })
export type OpenedLetterBody = typeof OpenedLetterBody.Type

/** A queue in numbers. */
export const ReportBody = Schema.Struct({
  queue: Schema.String,
  total: Schema.Int,
  states: Schema.Record(Schema.String, Schema.Int),
  kinds: Schema.Record(Schema.String, Schema.Int),
  fingerprints: Schema.Array(Schema.Struct({
    fingerprint: Schema.String,
    count: Schema.Int,
    failure: FailureInfo.annotate({ description: "How the latest of them failed" }),
    oldest: Time,
    newest: Time
  })).annotate({ description: "Failures that are alike, the most frequent first; at most 20" }),
  ages: Schema.Array(Schema.Struct({
    below_ms: Schema.NullOr(Schema.Finite),
    count: Schema.Int
  })).annotate({ description: "How many failed less long ago than the bound, and not than the bound before" }),
  oldest: Schema.NullOr(Time)
}).annotate({ identifier: "DeadLetterReport" })
export type ReportBody = typeof ReportBody.Type

/** A stored time is a number that somebody wrote: one that no calendar has is shown as the number. */
const iso = (millis: number): string =>
  Option.match(DateTime.make(millis), { onNone: () => String(millis), onSome: DateTime.formatIso })

const millisOf = (duration: Duration.Duration | undefined): number | null => {
  const millis = duration === undefined ? NaN : Duration.toMillis(duration)
  return Number.isFinite(millis) ? millis : null
}

export const toFailure = (failure: Failure.Info): typeof FailureInfo.Type => ({
  kind: failure.kind,
  scope: failure.scope,
  code: failure.code ?? null,
  message: failure.message,
  retry_after_ms: millisOf(failure.retryAfter)
})

export { FailureInfo }

const toReason = (reason: DeadLetterQueue.Reason) => {
  switch (reason._tag) {
    case "Redriven":
      return { tag: reason._tag, message: "A redrive succeeded" }
    case "MaxRedrives":
      return { tag: reason._tag, message: `Too many redrives: ${reason.budget}` }
    default:
      return { tag: reason._tag, message: reason.message }
  }
}

export const toLetter = (letter: DeadLetterQueue.Letter): LetterBody => ({
  id: letter.id,
  queue: letter.queue,
  state: letter.state,
  reason: letter.reason === undefined ? null : toReason(letter.reason),
  failure: toFailure(letter.failure),
  fingerprint: letter.fingerprint,
  failed_at: iso(letter.failedAt),
  offered_at: iso(letter.offeredAt),
  changed_at: iso(letter.changedAt),
  occurrences: letter.occurrences,
  attempts: letter.attempts,
  claims: letter.claims,
  lease: letter.lease === undefined
    ? null
    : { owner: letter.lease.owner, expires_at: iso(letter.lease.expiresAt) },
  payload_version: letter.payloadVersion,
  application_version: letter.applicationVersion ?? null,
  dedupe_key: letter.dedupeKey ?? null,
  trace: letter.trace === undefined ? null : { trace_id: letter.trace.traceId, span_id: letter.trace.spanId }
})

export const toOpenedLetter = <A>(letter: DeadLetterQueue.OpenedLetter<A>): OpenedLetterBody => {
  const { payload, raw } = letter
  return {
    ...toLetter(letter),
    // What is stored and not what it decodes to: that may be anything, and its secrets were not taken out.
    payload: Result.isSuccess(payload) && raw !== undefined ? JSON.parse(raw) : null,
    raw: Result.isSuccess(payload) ? null : raw ?? null,
    unreadable: Result.isSuccess(payload)
      ? null
      : { reason: payload.failure.reason, detail: payload.failure.detail },
    headers: letter.headers,
    causes: letter.causes,
    stack: letter.stack ?? null,
    source_attempts: letter.sourceAttempts.map(({ at, duration, failure }) => ({
      at: iso(at),
      failure: toFailure(failure),
      duration_ms: millisOf(duration)
    })),
    history: letter.history.map(({ at, attempt, event, failure, note }) => ({
      at: iso(at),
      event,
      attempt: attempt ?? null,
      failure: failure === undefined ? null : toFailure(failure),
      note: note ?? null
    })),
    forgotten: letter.forgotten
  }
}

export const toReport = (queue: string, report: DeadLetterQueue.Report): ReportBody => ({
  queue,
  total: report.total,
  states: report.states,
  kinds: report.kinds,
  fingerprints: report.fingerprints.map(({ count, failure, fingerprint, newest, oldest }) => ({
    fingerprint,
    count,
    failure: toFailure(failure),
    oldest: iso(oldest),
    newest: iso(newest)
  })),
  ages: report.ages.map(({ below, count }) => ({ below_ms: millisOf(below), count })),
  oldest: report.oldest === undefined ? null : iso(report.oldest)
})
