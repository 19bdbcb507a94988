/**
 * Any value as plain data that JSON can write, without secrets, and of bounded size. Never throws: a log line about a strange
 * value is worth more than none.
 */
import * as Redacted from "effect/Redacted"
import { sha256Hex } from "../sha256.ts"
import type { Redactor } from "./redact.ts"

const deepest = 8
const mostEntries = 200
const longestText = 16_384

export const plainer = (redact: Redactor): (value: unknown) => unknown => {
  const text = (value: string): string => {
    const clean = redact.text(value.length > longestText ? value.slice(0, longestText) : value)
    return value.length > longestText ? `${clean}… (${value.length - longestText} more)` : clean
  }

  const plain = (value: unknown, depth: number, above: ReadonlyArray<object>): unknown => {
    switch (typeof value) {
      case "string":
        return text(value)
      case "number":
        return Number.isFinite(value) ? value : `${value}`
      case "bigint":
        return `${value}`
      case "boolean":
        return value
      case "undefined":
        return undefined
      case "symbol":
      case "function":
        return text(String(value))
      case "object":
        if (value === null) return null
        if (above.includes(value)) return "[circular]"
        if (depth >= deepest) return "[deep]"
        return object(value, depth, [...above, value])
    }
  }

  const object = (value: object, depth: number, above: ReadonlyArray<object>): unknown => {
    if (Redacted.isRedacted(value)) return "[redacted]"
    if (Array.isArray(value)) return list(value, depth, above)
    if (value instanceof Error) {
      return { type: typeOf(value), message: text(value.message), ...record(Object.entries(value), depth, above) }
    }
    if (value instanceof Map) return record([...value].map(([key, item]) => [String(key), item]), depth, above)
    if (value instanceof Set) return list([...value], depth, above)
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
    const { toJSON } = value as { readonly toJSON?: unknown }
    // What it says of itself may hold secrets just the same.
    if (typeof toJSON === "function") return plain(toJSON.call(value), depth + 1, above)
    return record(Object.entries(value), depth, above)
  }

  const list = (items: ReadonlyArray<unknown>, depth: number, above: ReadonlyArray<object>): unknown => {
    const kept = items.slice(0, mostEntries).map((item) => guarded(item, depth + 1, above) ?? null)
    return items.length > mostEntries ? [...kept, `… (${items.length - mostEntries} more)`] : kept
  }

  const record = (
    entries: ReadonlyArray<readonly [string, unknown]>,
    depth: number,
    above: ReadonlyArray<object>
  ): Record<string, unknown> => {
    // Without a prototype, so that a key called __proto__ is one like all others.
    const kept: Record<string, unknown> = Object.create(null)
    for (const [key, item] of entries.slice(0, mostEntries)) {
      kept[text(key)] = redact.key(key) ?? hashed(key, item) ?? guarded(item, depth + 1, above)
    }
    if (entries.length > mostEntries) kept["…"] = `${entries.length - mostEntries} more`
    return kept
  }

  const hashed = (key: string, value: unknown): string | undefined =>
    (typeof value === "string" || typeof value === "number") && redact.isHashed(key)
      ? sha256Hex(`${value}`).slice(0, 16)
      : undefined

  const guarded = (value: unknown, depth: number, above: ReadonlyArray<object>): unknown => {
    try {
      return plain(value, depth, above)
    } catch {
      return "[unreadable]"
    }
  }

  return (value) => guarded(value, 0, [])
}

/** The tag of a tagged error, else its name. */
export const typeOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return typeof error
  const { _tag, name } = error as { readonly _tag?: unknown; readonly name?: unknown }
  return typeof _tag === "string" ? _tag : typeof name === "string" ? name : "Error"
}
