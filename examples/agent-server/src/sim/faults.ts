/** The faults that a simulated provider can be told to have, and which of them a call meets. */
import type * as Random from "effect/Random"
import * as Schema from "effect/Schema"

const Millis = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 3_600_000 }))

/** A share of all calls, from 0 to 1. */
const Rate = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

/** `true` is every call, `false` none. */
const Share = Schema.Union([Schema.Boolean, Rate])

const fields = {
  latency_ms: Millis.annotate({ description: "How long a reply takes to begin" }),
  jitter_ms: Millis.annotate({ description: "By how much more it may take, at random" }),
  chunk_ms: Millis.annotate({ description: "The pause between two pieces of a streamed reply" }),
  error_rate: Rate.annotate({ description: "The share of calls that are answered with `status`" }),
  status: Schema.Int.check(Schema.isBetween({ minimum: 400, maximum: 599 })).annotate({
    description: "What failing calls are answered with"
  }),
  rate_limit_rate: Rate.annotate({
    description: "The share of calls that are answered with 429, besides those that fail"
  }),
  retry_after: Schema.NullOr(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 86_400 }))).annotate({
    description: "Seconds, told with a 429 or 503"
  }),
  hang: Share.annotate({ description: "The share of calls that are never answered" }),
  garbage: Share.annotate({ description: "The share of calls that are answered with something that makes no sense" }),
  truncate_stream_at: Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))).annotate({
    description: "After how many pieces the connection breaks; replies that are not streamed break in their middle"
  }),
  down: Schema.Boolean.annotate({ description: "Whether every connection is cut without a reply" })
}

/** All faults of one provider. */
export const Faults = Schema.Struct(fields).annotate({ identifier: "Faults" })
export type Faults = typeof Faults.Type

/** Some of them, to be changed. */
export const FaultsPatch = Schema.Struct({
  latency_ms: Schema.optionalKey(fields.latency_ms),
  jitter_ms: Schema.optionalKey(fields.jitter_ms),
  chunk_ms: Schema.optionalKey(fields.chunk_ms),
  error_rate: Schema.optionalKey(fields.error_rate),
  status: Schema.optionalKey(fields.status),
  rate_limit_rate: Schema.optionalKey(fields.rate_limit_rate),
  retry_after: Schema.optionalKey(fields.retry_after),
  hang: Schema.optionalKey(fields.hang),
  garbage: Schema.optionalKey(fields.garbage),
  truncate_stream_at: Schema.optionalKey(fields.truncate_stream_at),
  down: Schema.optionalKey(fields.down)
}).annotate({ identifier: "FaultsPatch" })
export type FaultsPatch = typeof FaultsPatch.Type

/** A provider that is well. */
export const none: Faults = {
  latency_ms: 20,
  jitter_ms: 20,
  chunk_ms: 5,
  error_rate: 0,
  status: 500,
  rate_limit_rate: 0,
  retry_after: null,
  hang: false,
  garbage: false,
  truncate_stream_at: null,
  down: false
}

/** What a call meets, after `delayMillis`. */
export interface Fate {
  readonly delayMillis: number
  readonly outcome:
    | { readonly _tag: "Reply"; readonly truncateAt: number | undefined }
    | { readonly _tag: "Refuse"; readonly status: number; readonly retryAfter: number | undefined }
    | { readonly _tag: "Garbage" }
    | { readonly _tag: "Hang" }
    | { readonly _tag: "Drop" }
}

const share = (value: boolean | number): number => typeof value === "number" ? value : value ? 1 : 0

/** Draws twice, whatever the faults are: changing one of them does not move what other calls meet. */
export const draw = (faults: Faults, random: Pick<Random.Random, "nextDoubleUnsafe">): Fate => {
  const delayMillis = faults.latency_ms + faults.jitter_ms * random.nextDoubleUnsafe()
  let left = random.nextDoubleUnsafe()
  const falls = (rate: number): boolean => (left -= rate) < 0
  const outcome = ((): Fate["outcome"] => {
    if (faults.down) return { _tag: "Drop" }
    if (falls(faults.error_rate)) return refuse(faults.status, faults)
    if (falls(faults.rate_limit_rate)) return refuse(429, faults)
    if (falls(share(faults.hang))) return { _tag: "Hang" }
    if (falls(share(faults.garbage))) return { _tag: "Garbage" }
    return { _tag: "Reply", truncateAt: faults.truncate_stream_at ?? undefined }
  })()
  return { delayMillis: outcome._tag === "Drop" ? 0 : delayMillis, outcome }
}

/** What every call meets: a fault that falls on all of them, or none. */
export const certain = (faults: Faults): Fate => draw(faults, { nextDoubleUnsafe: () => 1 - Number.EPSILON })

const refuse = (status: number, faults: Faults): Fate["outcome"] => ({
  _tag: "Refuse",
  status,
  retryAfter: status === 429 || status === 503 ? faults.retry_after ?? undefined : undefined
})
