/** The lines of the file store: what is written, and how a file that ended in the middle of a line is read. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Row } from "./store.ts"

const RowSchema = Schema.Struct({
  queue: Schema.String,
  id: Schema.String,
  seq: Schema.Int,
  version: Schema.Int,
  state: Schema.Literals(["Dead", "Redriving", "Quarantined", "Archived", "Discarded"]),
  kind: Schema.Literals(["Transient", "RateLimited", "Overloaded", "Timeout", "Permanent", "Critical", "Cancelled"]),
  fingerprint: Schema.String,
  failedAt: Schema.Finite,
  dedupeKey: Schema.UndefinedOr(Schema.String).pipe(Schema.optionalKey),
  meta: Schema.String,
  body: Schema.String
})

const Entry = Schema.Union([
  Schema.TaggedStruct("Put", { row: RowSchema }),
  Schema.TaggedStruct("Remove", { queue: Schema.String, id: Schema.String }),
  /** The latest `seq` of a queue whose latest row is gone. */
  Schema.TaggedStruct("Last", { queue: Schema.String, last: Schema.Int })
])

export type Entry =
  | { readonly _tag: "Put"; readonly row: Row }
  | { readonly _tag: "Remove"; readonly queue: string; readonly id: string }
  | { readonly _tag: "Last"; readonly queue: string; readonly last: number }

const decodeEntry = Schema.decodeUnknownResult(Schema.fromJsonString(Entry))
const utf8 = new TextEncoder()
const text = new TextDecoder("utf-8", { fatal: true })

const newline = 10
const sumLength = 9

/** A checksum in eight hex digits, a space, JSON, a line feed. */
export const encode = (entry: Entry): Uint8Array => {
  const json = utf8.encode(JSON.stringify(entry))
  const line = new Uint8Array(sumLength + json.length + 1)
  line.set(utf8.encode(`${checksum(json)} `))
  line.set(json, sumLength)
  line[line.length - 1] = newline
  return line
}

/** A line without its end. `undefined`: it is not what was written. */
export const decode = (line: Uint8Array): Entry | undefined => {
  if (line.length < sumLength) return undefined
  const json = line.subarray(sumLength)
  try {
    if (text.decode(line.subarray(0, sumLength)) !== `${checksum(json)} `) return undefined
    const entry = decodeEntry(text.decode(json))
    if (Result.isFailure(entry)) return undefined
    return entry.success._tag === "Put"
      ? { _tag: "Put", row: { ...entry.success.row, dedupeKey: entry.success.row.dedupeKey } }
      : entry.success
  } catch {
    return undefined
  }
}

/** Cuts bytes into lines as they come, and knows where each line starts. What has no end yet is kept for the next bytes. */
export class Lines {
  /** Where the first line starts that has not ended. */
  end = 0
  private rest = new Uint8Array(0)

  push(bytes: Uint8Array): ReadonlyArray<{ readonly at: number; readonly line: Uint8Array }> {
    const all = new Uint8Array(this.rest.length + bytes.length)
    all.set(this.rest)
    all.set(bytes, this.rest.length)
    const lines: Array<{ readonly at: number; readonly line: Uint8Array }> = []
    let from = 0
    for (let to = all.indexOf(newline, from); to !== -1; to = all.indexOf(newline, from)) {
      lines.push({ at: this.end, line: all.slice(from, to) })
      this.end += to - from + 1
      from = to + 1
    }
    this.rest = all.slice(from)
    return lines
  }
}

/** CRC-32 as in ISO 3309, by table. */
const crcTable: ReadonlyArray<number> = Array.from({ length: 256 }, (_, n) => {
  let crc = n
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc >>> 0
})

const checksum = (bytes: Uint8Array): string => {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0")
}
