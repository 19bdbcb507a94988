/** Checks of options at construction. Each throws a `RangeError` that names the option and the value. */
import * as Duration from "effect/Duration"

const refuse = (name: string, expected: string, value: unknown): never => {
  throw new RangeError(`${name} must be ${expected}, got ${String(value)}`)
}

export const positiveInteger = (name: string, value: number): number =>
  Number.isSafeInteger(value) && value > 0 ? value : refuse(name, "a positive integer", value)

export const nonNegativeInteger = (name: string, value: number): number =>
  Number.isSafeInteger(value) && value >= 0 ? value : refuse(name, "an integer of at least 0", value)

export const finiteNumber = (name: string, value: number): number =>
  Number.isFinite(value) ? value : refuse(name, "a finite number", value)

/** A finite number within `[min, max]`. */
export const numberBetween = (name: string, value: number, min: number, max: number): number =>
  Number.isFinite(value) && value >= min && value <= max
    ? value
    : refuse(name, max === Infinity ? `a finite number of at least ${min}` : `a number from ${min} to ${max}`, value)

/** One of a few words. */
export const oneOf = <const A extends string>(name: string, value: A, words: ReadonlyArray<A>): A =>
  words.includes(value) ? value : refuse(name, `one of ${words.join(", ")}`, value)

/** Milliseconds of a duration that is above zero and, unless `infinite` is allowed, finite. */
export const positiveMillis = (
  name: string,
  input: Duration.Input,
  options?: { readonly infinite?: boolean | undefined }
): number => {
  const millis = durationMillis(name, input)
  if (millis > 0 && (millis !== Infinity || options?.infinite === true)) return millis
  return refuse(
    name,
    options?.infinite === true ? "a duration above zero" : "a finite duration above zero",
    show(input)
  )
}

/** Milliseconds of a duration of zero or more, `Infinity` included. */
export const durationMillis = (name: string, input: Duration.Input): number => {
  let millis: number
  try {
    millis = Duration.toMillis(Duration.fromInputUnsafe(input))
  } catch {
    return refuse(name, "a duration", show(input))
  }
  // Effect reads NaN as zero, which would turn a slip into a policy.
  return millis >= 0 && !Number.isNaN(input) ? millis : refuse(name, "a duration of at least zero", show(input))
}

const show = (input: unknown): string =>
  typeof input === "string"
    ? JSON.stringify(input)
    : Duration.isDuration(input)
    ? Duration.format(input)
    : typeof input === "object"
    ? JSON.stringify(input)
    : String(input)
