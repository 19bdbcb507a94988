/** What an HTTP status and its headers say about a failure. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import type { Info, Kind } from "../../Failure.ts"

export type Headers = Readonly<Record<string, string | undefined>>

interface Verdict {
  readonly kind: Kind
  readonly scope: Info["scope"]
}

const verdict = (kind: Kind, scope: Info["scope"]): Verdict => ({ kind, scope })

/** Statuses that do not follow from their class. 529 is "overloaded" at several model providers. */
const byStatus: Readonly<Record<number, Verdict>> = {
  401: verdict("Permanent", "dependency"),
  402: verdict("Permanent", "dependency"),
  403: verdict("Permanent", "dependency"),
  407: verdict("Permanent", "dependency"),
  408: verdict("Timeout", "dependency"),
  425: verdict("Transient", "dependency"),
  429: verdict("RateLimited", "dependency"),
  499: verdict("Cancelled", "request"),
  501: verdict("Permanent", "dependency"),
  503: verdict("Overloaded", "dependency"),
  504: verdict("Timeout", "dependency"),
  505: verdict("Permanent", "dependency"),
  529: verdict("Overloaded", "dependency")
}

/** Any status: 5xx is the server's and may pass, everything else is this request's and will not. */
const statusVerdict = (status: number): Verdict =>
  byStatus[status] ?? (status >= 500 && status <= 599
    ? verdict("Transient", "dependency")
    : verdict("Permanent", "request"))

/** The whole of what a reply says: its status, and how long it asks to wait. */
export const fromStatus = (status: number, headers: Headers, message: string, now: number): Info => {
  const wait = retryAfter(headers, now)
  return {
    ...statusVerdict(status),
    code: String(status),
    message,
    ...(wait === undefined ? undefined : { retryAfter: wait })
  }
}

/**
 * How long the other side asks to wait: `retry-after-ms` or `x-ms-retry-after-ms`, else `Retry-After` in seconds or as
 * a date (RFC 9110, 10.2.3). A date counts from the reply's own `Date`, so that a client clock that is off does not
 * matter, or else from `now`, in milliseconds since the epoch. What is not a time is ignored; one in the past is zero.
 */
const retryAfter = (headers: Headers, now: number): Duration.Duration | undefined => {
  const millis = finite(headers["retry-after-ms"]) ?? finite(headers["x-ms-retry-after-ms"])
  if (millis !== undefined) return atLeastZero(millis)
  const value = headers["retry-after"]
  if (value === undefined) return undefined
  const seconds = finite(value)
  if (seconds !== undefined) return atLeastZero(seconds * 1000)
  const at = date(value)
  return at === undefined ? undefined : atLeastZero(at - (date(headers["date"]) ?? now))
}

const finite = (value: string | undefined): number | undefined => {
  if (value === undefined || value.trim() === "") return undefined
  const number = Number(value)
  return Number.isFinite(number) ? number : undefined
}

const date = (value: string | undefined): number | undefined =>
  value === undefined ? undefined : Option.getOrUndefined(Option.map(DateTime.make(value), DateTime.toEpochMillis))

const atLeastZero = (millis: number): Duration.Duration => Duration.millis(Math.max(0, millis))
