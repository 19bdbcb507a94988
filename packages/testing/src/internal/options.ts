/** Checks of options at construction. Each throws a `RangeError` that names the option and the value. */
import * as Duration from "effect/Duration"

const refuse = (name: string, expected: string, value: unknown): never => {
  throw new RangeError(`${name} must be ${expected}, got ${typeof value === "object" ? JSON.stringify(value) : value}`)
}

export const integer = (name: string, value: number): number =>
  Number.isSafeInteger(value) ? value : refuse(name, "an integer", value)

export const positiveInteger = (name: string, value: number): number =>
  Number.isSafeInteger(value) && value > 0 ? value : refuse(name, "a positive integer", value)

export const share = (name: string, value: number): number =>
  value >= 0 && value <= 1 ? value : refuse(name, "a number from 0 to 1", value)

export const durationMillis = (name: string, input: Duration.Input): number => {
  let millis: number
  try {
    millis = Duration.toMillis(Duration.fromInputUnsafe(input))
  } catch {
    return refuse(name, "a duration", input)
  }
  // Effect reads NaN as zero.
  return millis >= 0 && !Number.isNaN(input) ? millis : refuse(name, "a duration of at least zero", input)
}

export const positiveMillis = (name: string, input: Duration.Input): number => {
  const millis = durationMillis(name, input)
  return millis > 0 ? millis : refuse(name, "a duration above zero", input)
}
