/**
 * The server's log, on standard output, one line for each event.
 *
 * As `json` a line is an object with `ts`, `level`, `msg`, the annotations beside them (`request_id`, `route`, …) and,
 * for a failure, `error` with its type, message and stack. As `text` it is the same in the form `key=value`.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as Predicate from "effect/Predicate"
import * as References from "effect/References"

/** How the log is written. */
export type Format = "text" | "json"

interface LoggedError {
  readonly type: string
  readonly message: string
  readonly stack: string
}

interface Entry {
  readonly ts: string
  readonly level: string
  readonly msg: string
  readonly annotations: Readonly<Record<string, unknown>>
  readonly error: LoggedError | undefined
}

/** Writes the log of the program in this form, from this level on. */
export const layer = (options: { readonly format: Format; readonly level: LogLevel.LogLevel }): Layer.Layer<never> =>
  Layer.merge(
    Logger.layer([Logger.withConsoleLog(Logger.map(entry, options.format === "json" ? json : text))]),
    Layer.succeed(References.MinimumLogLevel, options.level)
  )

const entry = Logger.make<unknown, Entry>(({ cause, date, fiber, logLevel, message }) => ({
  ts: date.toISOString(),
  level: logLevel.toUpperCase(),
  msg: Arr.ensure(message).map((part) => typeof part === "string" ? part : inline(part)).join(" "),
  annotations: fiber.getRef(References.CurrentLogAnnotations),
  error: cause.reasons.length === 0 ? undefined : loggedError(cause)
}))

const loggedError = (cause: Cause.Cause<unknown>): LoggedError => {
  const error = Cause.squash(cause)
  return {
    type: Predicate.hasProperty(error, "_tag")
      ? String(error._tag)
      : error instanceof Error
      ? error.name
      : typeof error,
    message: error instanceof Error ? error.message : inline(error),
    stack: Cause.pretty(cause)
  }
}

const json = ({ annotations, error, ...rest }: Entry): string => inline({ ...rest, ...annotations, error })

const text = ({ annotations, error, level, msg, ts }: Entry): string => {
  const pairs = Object.entries({ ...annotations, ...(error === undefined ? {} : { error: error.stack }) })
  return [ts, level.padEnd(5), msg, ...pairs.map(([key, value]) => `${key}=${bare(value)}`)].join(" ")
}

/** A value in a line of text: quoted only where it has to be. */
const bare = (value: unknown): string => typeof value === "string" && /^[\w.:/@-]+$/.test(value) ? value : inline(value)

/** A value as JSON on one line, whatever it is. */
const inline = (value: unknown): string => {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return JSON.stringify(String(value))
  }
}
