/** One name for failures that differ in ids and numbers only. */
import type * as Failure from "../../Failure.ts"

/** 16 hex digits: FNV-1a over the kind, the code and the message without what varies. */
export const fingerprint = (failure: Failure.Info): string =>
  hash(`${failure.kind}\n${failure.code ?? ""}\n${template(failure.message)}`)

const maxKeyLength = 400

/**
 * A dedupe key as stores keep it: short enough for every index, of characters that every store takes. Keys that are short
 * stay readable.
 */
export const storedKey = (key: string): string => {
  const plain = JSON.stringify(key).slice(1, -1)
  if (plain.length <= maxKeyLength) return plain
  const backwards = [...plain].toReversed().join("")
  return `${plain.slice(0, maxKeyLength - 34)} ${hash(plain)} ${hash(backwards)}`
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi
/** A word with a digit in it is an id, a number, a port, a time: `user-17`, `0x1f`, `1.5e3`, `:5432`. */
const withDigit = /[\p{L}\p{N}_]*\p{N}[\p{L}\p{N}_]*(?:[-.:+][\p{L}\p{N}_]*\p{N}[\p{L}\p{N}_]*)*/gu
/** Ids that happen to have no digit: long, and with more capitals than a name has. */
const opaque = /\b(?=(?:[a-z_-]*[A-Z]){6})(?=[A-Z_-]*[a-z])[A-Za-z_-]{20,}\b/g
/** A message is cut before it is looked at, so that a huge one costs little. */
const maxLength = 500

const template = (message: string): string =>
  message.slice(0, maxLength).replace(uuid, "#").replace(withDigit, "#").replace(opaque, "#").replace(
    /[-+.]?#(?:[-+.]#)*/g,
    "#"
  ).replace(/\s+/g, " ").trim()

const prime = 0x100000001b3n
const mask = 0xffffffffffffffffn

const hash = (text: string): string => {
  let h = 0xcbf29ce484222325n
  for (const byte of new TextEncoder().encode(text)) h = ((h ^ BigInt(byte)) * prime) & mask
  return h.toString(16).padStart(16, "0")
}
