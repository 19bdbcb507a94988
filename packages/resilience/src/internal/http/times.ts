/** The ways in which headers write times. What is not one is `undefined`; nothing throws. */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"

/** Decimal digits with an optional fraction; no sign, no exponent, no words that `Number` would take. */
export const number = (value: string | undefined): number | undefined =>
  value !== undefined && /^\d{1,15}(?:\.\d{1,9})?$/.test(value.trim()) ? Number(value) : undefined

const imfFixdate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/
const rfc850 = /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/
const asctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/
const rfc3339 = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:[Zz]|[+-]\d{2}:\d{2})$/

const epochOf = (text: string): number | undefined =>
  Option.getOrUndefined(Option.map(DateTime.make(text), DateTime.toEpochMillis))

/** Milliseconds since the epoch of a date in one of the three forms that a recipient must read (RFC 9110, 5.6.7). */
export const httpDate = (value: string | undefined): number | undefined => {
  if (value === undefined) return undefined
  const text = value.trim()
  if (imfFixdate.test(text) || rfc850.test(text)) return epochOf(text)
  // This form names no zone, and means GMT.
  return asctime.test(text) ? epochOf(`${text} GMT`) : undefined
}

/** Milliseconds since the epoch of a date and time of RFC 3339. */
export const timestamp = (value: string | undefined): number | undefined => {
  const text = value?.trim()
  return text !== undefined && rfc3339.test(text) ? epochOf(text.toUpperCase().replace(" ", "T")) : undefined
}

/** A date in the preferred form of RFC 9110; `undefined` for a time that no date can have. */
export const formatHttpDate = (epochMillis: number): string | undefined =>
  Option.getOrUndefined(
    Option.map(DateTime.make(epochMillis), (date) => DateTime.toDateUtc(date).toUTCString())
  )

/** A date and time of RFC 3339, to the millisecond; `undefined` for a time that it cannot write. */
export const formatTimestamp = (epochMillis: number): string | undefined =>
  Option.getOrUndefined(
    Option.filter(Option.map(DateTime.make(epochMillis), DateTime.formatIso), (text) => rfc3339.test(text))
  )

const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  "µs": 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000
}

const part = /(\d{1,15}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h|d)/y

/** Milliseconds of a duration as Go writes it: `1s`, `6m0s`, `12ms`, `1h2m3.5s`. */
export const goDuration = (value: string | undefined): number | undefined => {
  const text = value?.trim()
  if (text === undefined || text === "" || text.length > 100) return undefined
  let millis = 0
  let position = 0
  while (position < text.length) {
    part.lastIndex = position
    const found = part.exec(text)
    if (found === null) return undefined
    millis += Number(found[1]) * units[found[2]!]!
    position += found[0].length
  }
  return millis
}

/** Milliseconds, rounded up to whole ones, as Go would write them. */
export const formatGoDuration = (millis: number): string => {
  const whole = Math.ceil(millis)
  if (whole < 1000) return `${whole}ms`
  const hours = Math.floor(whole / 3_600_000)
  const minutes = Math.floor(whole / 60_000) % 60
  const seconds = `${(whole % 60_000) / 1000}s`
  return hours > 0 ? `${hours}h${minutes}m${seconds}` : minutes > 0 ? `${minutes}m${seconds}` : seconds
}
