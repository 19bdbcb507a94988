/** The endpoints of a dead letter queue. */
import * as Duration from "effect/Duration"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Filter, Selection } from "../../../DeadLetterQueue.ts"
import { AdminKey } from "../../../http/AdminKey.ts"
import * as FailureSchema from "../../failureSchema.ts"
import { FailureInfo, LetterBody, OpenedLetterBody, ReportBody, State } from "./letters.ts"
import * as Problems from "./problems.ts"
import { Replies, strictInput } from "./replies.ts"

// -----------------------------------------------------------------------------
// What is asked
// -----------------------------------------------------------------------------

/** Printable ASCII, and no longer than what a router takes for a part of a path. */
const Id = Schema.String.check(Schema.isPattern(/^[\x21-\x7e]{1,100}$/, {
  message: "must be the id of a letter: 1 to 100 printable characters without a space"
}))

/** In words, as in options: `"10 minutes"`. */
const Age = Schema.String.check(
  Schema.makeFilter(
    (text) =>
      Option.exists(
        // Any text may come in, and what is none is refused here.
        Duration.fromInput(text as Duration.Input),
        (duration) => Duration.toMillis(duration) >= 0
      ),
    { message: "must be a duration such as \"10 minutes\"" }
  )
)

const maxFingerprints = 100

const Fingerprint = Schema.NonEmptyString.check(Schema.isMaxLength(64))

/** Which letters are meant; what is left out does not restrict, and of a list any will do. */
const filterFields = {
  state: Schema.optionalKey(Schema.Array(State)),
  kind: Schema.optionalKey(Schema.Array(FailureSchema.Kind)),
  fingerprint: Schema.optionalKey(Schema.Array(Fingerprint).check(Schema.isMaxLength(maxFingerprints))),
  older_than: Schema.optionalKey(Age).annotate({
    description: "The original failure is at least this long ago, such as \"10 minutes\""
  }),
  newer_than: Schema.optionalKey(Age).annotate({ description: "The original failure is less long ago than this" })
}

export const FilterBody = Schema.Struct(filterFields).annotate({ identifier: "DeadLetterFilter" })
export type FilterBody = typeof FilterBody.Type

/** As the queue takes it. */
export const toFilter = ({ newer_than, older_than, ...filter }: FilterBody): Filter => ({
  ...filter,
  // Their schema let durations through only.
  olderThan: older_than as Duration.Input | undefined,
  newerThan: newer_than as Duration.Input | undefined
})

const maxLimit = 1_000

const Limit = Schema.FiniteFromString.check(
  Schema.makeFilter((limit) => Number.isInteger(limit) && limit >= 1 && limit <= maxLimit, {
    message: `must be a whole number from 1 to ${maxLimit}`
  })
)

const maxIds = 1_000
const maxConcurrency = 100
const maxRate = 100_000

/** The letters, and how to hand them over. */
export const RedriveRequest = Schema.Struct({
  ids: Schema.optionalKey(Schema.Array(Id).check(Schema.isMinLength(1), Schema.isMaxLength(maxIds))).annotate({
    description: `At most ${maxIds} ids`
  }),
  filter: Schema.optionalKey(FilterBody).annotate({
    description: "All that match when the redrive starts; without a state the dead ones"
  }),
  selection: Schema.optionalKey(Selection).annotate({
    description: "What an earlier redrive or dry run gave: goes on with the letters that it did not come to"
  }),
  dry_run: Schema.optionalKey(Schema.Boolean).annotate({ description: "Only looks what would be handed over" }),
  rate: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxRate }))).annotate({
    description: "How many letters a second at most"
  }),
  concurrency: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: maxConcurrency }))).annotate(
    { description: "How many letters at once; 1 without it" }
  ),
  stream: Schema.optionalKey(Schema.Boolean).annotate({
    description: "Reply with server-sent events; the header `Accept: text/event-stream` asks for the same"
  })
}).check(
  Schema.makeFilter(
    ({ filter, ids, selection }) => [ids, filter, selection].filter((each) => each !== undefined).length === 1,
    { message: "must have exactly one of ids, filter and selection" }
  )
).annotate({ identifier: "RedriveRequest" })
export type RedriveRequest = typeof RedriveRequest.Type

// -----------------------------------------------------------------------------
// What is answered
// -----------------------------------------------------------------------------

const OutcomeName = Schema.Literals([
  "redriven",
  "failed",
  "quarantined",
  "givenBack",
  "leaseLost",
  "taken",
  "skipped",
  "due"
])

const Count = Schema.Int

const Counts = Schema.Struct({
  redriven: Count,
  failed: Count,
  quarantined: Count,
  givenBack: Count,
  leaseLost: Count,
  taken: Count,
  skipped: Count,
  due: Count
}).annotate({ description: "How many letters had this outcome" })

const far = {
  done: Schema.Int.annotate({ description: "How many letters were looked at" }),
  total: Schema.Int.annotate({ description: "How many there were when the redrive started" }),
  counts: Counts
}

/** What came of one letter. */
const RedrivenLetter = Schema.Struct({
  id: Schema.String,
  outcome: OutcomeName,
  state: Schema.NullOr(State).annotate({ description: "As it is now; null when it is gone" }),
  failure: Schema.NullOr(FailureInfo).annotate({ description: "Why the handler failed" })
}).annotate({ identifier: "RedrivenLetter" })

const redriveFields = {
  dry_run: Schema.Boolean,
  selection: Schema.NullOr(Selection).annotate({
    description: "Redrive this to go on, should the redrive be interrupted; null for a redrive of ids"
  })
}

/** What came of a redrive. */
export const RedriveReport = Schema.Struct({
  ...redriveFields,
  ...far,
  letters: Schema.Array(RedrivenLetter).annotate({ description: "The first thousand; with events there are none here" })
}).annotate({ identifier: "RedriveReport" })
export type RedriveReport = typeof RedriveReport.Type

const event = <const Name extends string, Data extends Schema.Constraint>(name: Name, data: Data) =>
  Schema.Struct({ event: Schema.tag(name), data: Schema.fromJsonString(data) })

/** `start` comes first, `progress` after each letter, and `done` or `error` at the end. */
export const RedriveEvent = Schema.Union([
  event("start", Schema.Struct(redriveFields)),
  event("progress", Schema.Struct({ ...RedrivenLetter.fields, ...far })),
  event("done", RedriveReport),
  event("error", Problems.StorageUnavailable)
])
export type RedriveEvent = typeof RedriveEvent.Type

// -----------------------------------------------------------------------------
// The group
// -----------------------------------------------------------------------------

const asked = [Problems.InvalidRequest, Problems.StorageUnavailable] as const

const summary = (text: string, description?: string) =>
  OpenApi.annotations({ summary: text, ...(description === undefined ? undefined : { description }) })

const list = HttpApiEndpoint.get("list", "/admin/dlq", {
  query: {
    ...filterFields,
    cursor: Schema.optionalKey(Schema.NonEmptyString.check(Schema.isMaxLength(200))).annotate({
      description: "Where the page before ended. It keeps that page's order"
    }),
    limit: Schema.optionalKey(Limit).annotate({ description: "From 1 to 1,000; 100 without it" }),
    order: Schema.optionalKey(Schema.Literals(["newest", "oldest"])).annotate({ description: "By arrival" })
  },
  success: Schema.Struct({
    letters: Schema.Array(LetterBody),
    cursor: Schema.NullOr(Schema.String).annotate({ description: "For the next page; null when there is none" })
  }).annotate({ identifier: "DeadLetterPage" }),
  error: asked
}).annotateMerge(summary("List letters, a page at a time"))

const get = HttpApiEndpoint.get("get", "/admin/dlq/:id", {
  params: { id: Id },
  success: OpenedLetterBody,
  error: [...asked, Problems.LetterNotFound]
}).annotateMerge(summary("A letter with what is in it"))

const redrive = HttpApiEndpoint.post("redrive", "/admin/dlq/redrive", {
  payload: RedriveRequest,
  success: [RedriveReport, HttpApiSchema.StreamSse({ events: RedriveEvent })],
  error: asked
}).annotateMerge(summary(
  "Hand letters over again",
  "The redrive ends when the client goes away: letters that it did not come to stay as they are. With `stream: true` or "
    + "`Accept: text/event-stream` the reply is a stream of the events `start`, `progress`, `done` and `error`."
))

const discard = HttpApiEndpoint.post("discard", "/admin/dlq/:id/discard", {
  params: { id: Id },
  payload: Schema.Struct({
    reason: Schema.String.check(
      Schema.isPattern(/\S/, { message: "must not be empty" }),
      Schema.isMaxLength(1_000)
    )
  }),
  success: LetterBody,
  error: [...asked, Problems.LetterNotFound, Problems.LetterRefused]
}).annotateMerge(summary("Give a letter up"))

const report = HttpApiEndpoint.get("report", "/admin/dlq/report", {
  success: ReportBody,
  error: asked
}).annotateMerge(summary("The queue in numbers"))

const exported = HttpApiEndpoint.get("export", "/admin/dlq/export", {
  query: filterFields,
  success: HttpApiSchema.StreamUint8Array({ contentType: "application/x-ndjson" }),
  error: asked
}).annotateMerge(summary("All letters as lines of JSON, the oldest first", "Sealed ones stay sealed."))

/**
 * A dead letter queue, for its operator.
 *
 * | endpoint | what |
 * | --- | --- |
 * | `GET /admin/dlq` | letters page by page; `state`, `kind`, `fingerprint`, `older_than`, `newer_than`, `order`, `limit`, `cursor` |
 * | `GET /admin/dlq/{id}` | a letter with payload, headers, causes and history |
 * | `POST /admin/dlq/redrive` | hands letters over again: `ids`, `filter` or `selection`, `dry_run`, `rate`, `concurrency`, `stream` |
 * | `POST /admin/dlq/{id}/discard` | gives a letter up, with a `reason` |
 * | `GET /admin/dlq/report` | states, kinds, failures that are alike, ages |
 * | `GET /admin/dlq/export` | letters as lines of JSON |
 *
 * @category groups
 * @since 0.1.0
 */
export class DeadLetters extends HttpApiGroup.make("deadLetters").add(list, get, redrive, discard, report, exported)
  .middleware(AdminKey)
  .middleware(Replies)
  .annotateMerge(strictInput)
  .annotateMerge(OpenApi.annotations({ title: "Dead letters" }))
{}
