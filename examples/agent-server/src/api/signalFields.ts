/** Signals as an operator reads them: which are worth a line, and their particulars as plain values. */
import type * as Signal from "effect-resilience/Signal"
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"

type Told = Signal.Signal | Signal.SignalsDropped

/** What is said of every single call, and would leave no room for the rest. */
const ofEveryCall: ReadonlySet<Told["_tag"]> = new Set<Told["_tag"]>([
  "CallPermitted",
  "CallSettled",
  "RetrySettled",
  "ConcurrencyDecided",
  "ConcurrencyReleased",
  "LimitDecided",
  "HealthChecked",
  "PipelineSettled",
  "AttemptSettled"
])

/** Whether a signal is worth a line. */
export const isTold = ({ _tag }: Told): boolean => !ofEveryCall.has(_tag)

/** The particulars of a signal. What has no plain value, such as a list, is left out. */
export const fieldsOf = (signal: Told): Readonly<Record<string, string | number | boolean>> =>
  Object.fromEntries(
    Object.entries(signal).flatMap(([name, value]): ReadonlyArray<readonly [string, string | number | boolean]> => {
      if (name === "_tag") return []
      if (typeof value === "string" || typeof value === "boolean") return [[name, value]]
      if (typeof value === "number") return Number.isFinite(value) ? [[name, value]] : []
      if (Duration.isDuration(value)) return Duration.isFinite(value) ? [[`${name}_ms`, Duration.toMillis(value)]] : []
      return Predicate.hasProperty(value, "message") && typeof value.message === "string" ? [[name, value.message]] : []
    })
  )
