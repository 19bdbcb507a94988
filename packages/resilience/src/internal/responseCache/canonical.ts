/**
 * One text for one meaning: the same values in another order of their fields give the same text, and no two different
 * values do.
 *
 * It is JSON with sorted fields, where bytes, dates, URLs, big and special numbers are tagged so that none of them looks like
 * another value. Fields that are `undefined` count as left out.
 */
import * as Hex from "effect/encoding/Hex"
import * as Predicate from "effect/Predicate"

export const canonical = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value)
    case "number":
      return Number.isFinite(value) ? JSON.stringify(value) : tagged("number", String(value))
    case "boolean":
      return value ? "true" : "false"
    case "bigint":
      return tagged("bigint", String(value))
    case "object":
      return value === null ? "null" : ofObject(value)
    case "undefined":
      return "null"
    default:
      throw new RangeError(`a cache key cannot be made of a ${typeof value}`)
  }
}

/** `!` begins no JSON, so a tagged value is no other value's text. */
const tagged = (tag: string, text: string): string => `!${tag}${JSON.stringify(text)}`

const ofObject = (value: object): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  if (value instanceof Uint8Array) return tagged("bytes", Hex.encode(value))
  if (value instanceof URL) return tagged("url", value.href)
  if (Predicate.isDate(value)) return tagged("date", String(value.getTime()))
  if (Predicate.isIterable(value)) throw new RangeError("a cache key cannot be made of a Map, a Set or an iterator")
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(",")}}`
}
