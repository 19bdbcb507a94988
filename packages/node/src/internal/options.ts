/** Checks of options at construction. Each throws a `RangeError` that names the option and the value. */
import * as Duration from "effect/Duration"

const refuse = (name: string, expected: string, value: unknown): never => {
  throw new RangeError(
    `${name} must be ${expected}, got ${typeof value === "string" ? JSON.stringify(value) : String(value)}`
  )
}

/** Milliseconds of a finite duration of zero or more. */
export const millisOf = (name: string, input: Duration.Input): number => {
  let millis: number
  try {
    millis = Duration.toMillis(Duration.fromInputUnsafe(input))
  } catch {
    return refuse(name, "a duration", input)
  }
  const shown = Duration.isDuration(input) ? Duration.format(input) : input
  return millis >= 0 && millis < Infinity && !Number.isNaN(input)
    ? millis
    : refuse(name, "a finite duration of at least zero", shown)
}

export const portOf = (port: number): number =>
  Number.isInteger(port) && port >= 0 && port <= 65_535 ? port : refuse("port", "an integer from 0 to 65535", port)
