/**
 * The headers in which servers tell of their limits: written and read, in all the dialects there are.
 *
 * | dialect | headers | times |
 * | --- | --- | --- |
 * | `"x-ratelimit"` | `X-RateLimit-Limit`, `-Remaining`, `-Reset` | seconds from now |
 * | `"x-ratelimit-epoch"` | the same | seconds since the epoch |
 * | `"ratelimit"` | `RateLimit`, `RateLimit-Policy`: draft-ietf-httpapi-ratelimit-headers-10, structured fields | seconds |
 * | `"openai"` | `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` | durations: `1s`, `6m0s`, `12ms` |
 * | `"anthropic"` | `anthropic-ratelimit-{requests,tokens,...}-{limit,remaining,reset}` | RFC 3339 |
 *
 * And how long to stay away: `retry-after-ms`, `x-ms-retry-after-ms`, `Retry-After` in seconds or as a date.
 *
 * - Pure: the time is an argument, in milliseconds since the epoch.
 * - What is written is never rosier than the truth: amounts are rounded down, times up.
 * - What is read comes from strangers: a header that makes no sense is as if it were not there. Nothing throws.
 *
 * It also reads what is no dialect of its own: `X-Rate-Limit-*`, the drafts up to number 6 (`RateLimit-Limit`, `-Remaining`,
 * `-Reset`) and number 7 (`RateLimit: limit=60, remaining=59, reset=30`). Partition keys of the draft (`pk`) are ignored.
 *
 * **Example** (What a provider says)
 *
 * ```ts
 * import { Duration } from "effect"
 * import { RateLimitHeaders } from "effect-resilience"
 *
 * const { quotas, retryAfter } = RateLimitHeaders.decode({
 *   "retry-after": "20",
 *   "x-ratelimit-limit-tokens": "150000",
 *   "x-ratelimit-remaining-tokens": "0",
 *   "x-ratelimit-reset-tokens": "6m0s"
 * }, { now: 0 })
 *
 * retryAfter // => Duration.seconds(20)
 * quotas.map(({ unit, remaining, resetAfter }) => ({ unit, remaining, resetAfter })) // => [{ unit: "tokens", remaining: 0, resetAfter: Duration.minutes(6) }]
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import { read, writers } from "../internal/http/rateLimitDialects.ts"
import * as Times from "../internal/http/times.ts"
import { durationMillis, finiteNumber } from "../internal/options.ts"

/**
 * A way of writing limits.
 *
 * @category models
 * @since 0.1.0
 */
export type Dialect = "x-ratelimit" | "x-ratelimit-epoch" | "ratelimit" | "openai" | "anthropic"

/**
 * A limit and how it stands. What is not known is left out.
 *
 * - `name`: of the policy. Dialects without names give `"default"`, and those that tell a limit for each unit the unit.
 * - `unit`: what is counted: `"requests"`, `"tokens"`.
 * - `limit`, `remaining`: zero or more, in `unit`.
 * - `resetAfter`: in this time it is as if nothing had been taken.
 * - `window`: the time that the limit is for. Only the draft tells it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Quota {
  readonly name: string
  readonly unit: string
  readonly limit?: number | undefined
  readonly remaining?: number | undefined
  readonly resetAfter?: Duration.Duration | undefined
  readonly window?: Duration.Duration | undefined
}

/**
 * A quota that was read, and in which dialect. It has a limit, a remainder, or both.
 *
 * @category models
 * @since 0.1.0
 */
export interface Told extends Quota {
  readonly dialect: Dialect
}

/**
 * All that a reply's headers say.
 *
 * - `retryAfter`: how long to stay away; left out where nothing is said, zero for a time in the past.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoded {
  readonly quotas: ReadonlyArray<Told>
  readonly retryAfter?: Duration.Duration
}

/**
 * The headers that tell of these quotas, lower-case names. A name or value that a header cannot carry is made to fit or left
 * out: the result can be sent as it is.
 *
 * - `now`: milliseconds since the epoch, for the dialects that write points in time. It must be finite.
 * - `dialects`: which ones. Default `["x-ratelimit", "ratelimit"]`.
 * - `retryAfter`: how long to stay away, as `Retry-After`.
 *
 * `X-RateLimit-*` has room for one quota: the one with the least remaining, of those that count requests if there are any.
 * The dialects of providers have room for one a unit. The draft tells all of them.
 *
 * Throws a `RangeError` when `now` is not finite or `retryAfter` is no duration of zero or more.
 *
 * **Example** (On a reply)
 *
 * ```ts
 * import { Duration } from "effect"
 * import { RateLimitHeaders } from "effect-resilience"
 *
 * const quota = { name: "perKey", unit: "requests", limit: 600, remaining: 0, resetAfter: Duration.millis(41_200) }
 * RateLimitHeaders.encode([quota], { now: 0, retryAfter: "41200 millis" }) // => { "x-ratelimit-limit": "600", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "42", "ratelimit": '"perKey";r=0;t=42', "ratelimit-policy": '"perKey";q=600', "retry-after": "42" }
 * ```
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (quotas: ReadonlyArray<Quota>, options: {
  readonly now: number
  readonly dialects?: ReadonlyArray<Dialect> | undefined
  readonly retryAfter?: Duration.Input | undefined
}): Readonly<Record<string, string>> => {
  const now = finiteNumber("now", options.now)
  const headers: Record<string, string> = {}
  for (const dialect of options.dialects ?? standard) writers[dialect](headers, quotas, now)
  return options.retryAfter === undefined ? headers : { ...headers, ...encodeRetryAfter(options.retryAfter) }
}

const standard: ReadonlyArray<Dialect> = ["x-ratelimit", "ratelimit"]

/**
 * Reads the headers of a reply, lower-case names, in all dialects. Quotas come in the order of how much they tell: the
 * draft, `X-RateLimit-*`, OpenAI's, Anthropic's.
 *
 * - `now`: milliseconds since the epoch. Where the reply has a `Date`, points in time count from that, so that a clock that is
 *   off does not matter.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = (headers: Readonly<Record<string, string | undefined>>, options: {
  readonly now: number
}): Decoded => {
  const now = Times.httpDate(headers["date"]) ?? options.now
  const retryAfter = decodeRetryAfter(headers, options)
  const quotas = read(headers, now)
  return retryAfter === undefined ? { quotas } : { quotas, retryAfter }
}

/**
 * The headers that ask to stay away for this long. An infinite time is no header at all: nobody should come back.
 *
 * - `form`: `"seconds"` (default), rounded up; `"date"`, which needs `now`; or `"millis"`, seconds and in `retry-after-ms` exactly.
 *
 * Throws a `RangeError` when it is no duration of zero or more.
 *
 * **Example** (Seconds are rounded up)
 *
 * ```ts
 * import { RateLimitHeaders } from "effect-resilience"
 *
 * RateLimitHeaders.encodeRetryAfter("1500 millis") // => { "retry-after": "2" }
 * RateLimitHeaders.encodeRetryAfter("1500 millis", { form: "millis" }) // => { "retry-after": "2", "retry-after-ms": "1500" }
 * ```
 *
 * @category encoding
 * @since 0.1.0
 */
export const encodeRetryAfter = (
  duration: Duration.Input,
  options?:
    | { readonly form?: "seconds" | "millis" | undefined }
    | { readonly form: "date"; readonly now: number }
): Readonly<Record<string, string>> => {
  const millis = durationMillis("retryAfter", duration)
  if (millis > longest) return {}
  const seconds = String(Math.ceil(millis / 1000))
  if (options?.form === "millis") return { "retry-after": seconds, "retry-after-ms": String(Math.ceil(millis)) }
  if (options?.form !== "date") return { "retry-after": seconds }
  const date = Times.formatHttpDate(Math.ceil((finiteNumber("now", options.now) + millis) / 1000) * 1000)
  return date === undefined ? {} : { "retry-after": date }
}

// The most that fifteen digits of milliseconds can say: 31,000 years.
const longest = 999_999_999_999_999

/**
 * How long the headers of a reply, lower-case names, ask to stay away. `undefined` where they say nothing that makes sense,
 * zero for a time in the past. `now` is as in {@link decode}.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeRetryAfter = (headers: Readonly<Record<string, string | undefined>>, options: {
  readonly now: number
}): Duration.Duration | undefined => {
  const millis = Times.number(headers["retry-after-ms"]) ?? Times.number(headers["x-ms-retry-after-ms"])
  if (millis !== undefined) return Duration.millis(millis)
  const seconds = Times.number(headers["retry-after"])
  if (seconds !== undefined) return Duration.millis(seconds * 1000)
  const at = Times.httpDate(headers["retry-after"])
  return at === undefined
    ? undefined
    : Duration.millis(Math.max(0, at - (Times.httpDate(headers["date"]) ?? options.now)))
}
