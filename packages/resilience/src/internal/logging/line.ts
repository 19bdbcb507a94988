/** One event as one line of JSON. */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Logger from "effect/Logger"
import * as References from "effect/References"
import { typeOf } from "./plain.ts"

export interface Source {
  readonly service: string
  readonly version: string
}

/** Fields that only the logger sets; an annotation of such a name is written as `annotation.<name>`. */
const reserved = new Set([
  "ts",
  "level",
  "msg",
  "service",
  "version",
  "trace_id",
  "span_id",
  "sampled_rate",
  "error",
  "spans"
])

/** The one name that the field is searched by. */
const renamed = new Map([["session_id", "session"], ["sessionId", "session"]])

export const line = (
  { cause, date, fiber, logLevel, message }: Logger.Options<unknown>,
  source: Source,
  share: number | undefined,
  plain: (value: unknown) => unknown
): string => {
  const { error, fields, msg } = parts(Arr.ensure(message), plain)
  const span = fiber.cache.span
  // Without a prototype, so that a field called __proto__ is one like all others.
  const all: Record<string, unknown> = Object.assign(Object.create(null), {
    ts: date.toISOString(),
    level: logLevel.toUpperCase(),
    msg: plain(msg),
    logger: "app",
    ...source,
    ...(span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId })
  })
  put(all, fiber.getRef(References.CurrentLogAnnotations), plain)
  for (const each of fields) put(all, each, plain)
  const spans = fiber.getRef(References.CurrentLogSpans)
  if (spans.length > 0) {
    all["spans"] = plain(Object.fromEntries(spans.map(([label, since]) => [label, date.getTime() - since])))
  }
  const failure = cause.reasons.length > 0 ? failureOf(cause) : error === undefined ? undefined : errorOf(error)
  if (failure !== undefined) all["error"] = plain(failure)
  if (share !== undefined) all["sampled_rate"] = share
  return JSON.stringify(all)
}

/** Texts are the message, records are fields, and an error is the line's error. */
const parts = (message: ReadonlyArray<unknown>, plain: (value: unknown) => unknown) => {
  const words: Array<string> = []
  const fields: Array<object> = []
  let error: Error | undefined
  for (const part of message) {
    if (typeof part === "string") words.push(part)
    else if (part instanceof Error) {
      error ??= part
      words.push(part.message)
    } else if (isRecord(part)) fields.push(part)
    else words.push(worded(plain(part)))
  }
  return { msg: words.join(" "), fields, error }
}

const isRecord = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const worded = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value) ?? "undefined"

const put = (all: Record<string, unknown>, fields: object, plain: (value: unknown) => unknown): void => {
  // As one record, so that the keys are looked at as well as the values.
  const clean = plain(fields)
  if (typeof clean !== "object" || clean === null) return
  for (const [key, value] of Object.entries(clean)) {
    all[reserved.has(key) ? `annotation.${key}` : renamed.get(key) ?? key] = value
  }
}

const errorOf = (error: Error) => ({ type: typeOf(error), message: error.message, stack: error.stack })

const failureOf = (cause: Cause.Cause<unknown>) => {
  if (Cause.hasInterruptsOnly(cause)) return { type: "Interrupted", message: "interrupted" }
  const error = Cause.squash(cause)
  return {
    type: typeOf(error),
    message: error instanceof Error ? error.message : error,
    stack: Cause.pretty(cause)
  }
}
