/** What a signal is in words, and how much it matters; nothing for those that every call makes. */
import * as Duration from "effect/Duration"
import type * as LogLevel from "effect/LogLevel"
import type { Signal } from "../../Signal.ts"

export interface Saying {
  readonly level: LogLevel.Severity
  readonly message: string
  readonly fields: { readonly [field: string]: unknown }
}

export const saying = (signal: Signal): Saying | undefined => {
  const said = words(signal)
  if (said === undefined) return undefined
  const [level, message] = said
  const { _tag, ...fields } = signal
  const shown = Object.entries(fields).map(([field, value]) =>
    Duration.isDuration(value) ? [`${field}_ms`, Duration.toMillis(value)] : [field, value]
  )
  return { level, message, fields: { signal: _tag, ...Object.fromEntries(shown) } }
}

const words = (signal: Signal): readonly [LogLevel.Severity, string] | undefined => {
  switch (signal._tag) {
    case "CircuitTransition":
      return [signal.to === "Open" ? "Warn" : "Info", `circuit ${signal.name} is ${signal.to}`]
    case "HealthChanged":
      return [signal.to === "Failed" ? "Warn" : "Info", `check ${signal.check} is ${signal.to}`]
    case "DeadLettered":
      return ["Warn", `a letter was kept in ${signal.queue}`]
    case "FallbackServed":
      return signal.degraded ? ["Info", `${signal.chain} was answered by ${signal.route}`] : undefined
    case "RetryScheduled":
      return ["Debug", `${signal.name} is tried again`]
    case "BudgetExhausted":
      return ["Debug", "a retry was refused by its budget"]
    case "DeadlinePassed":
      return ["Debug", "a call was cut at its deadline"]
    case "CallRejected":
      return ["Debug", `circuit ${signal.name} refused a call`]
    case "ConcurrencyDecided":
      return signal.decision === "rejected" ? ["Debug", `${signal.policy} ${signal.name} refused a call`] : undefined
    case "LimitDecided":
      return signal.decision === "allowed" ? undefined : ["Debug", `limit ${signal.policy} said ${signal.decision}`]
    default:
      return undefined
  }
}
