/** Writes that wait for a store to come back, and what reads make of them meanwhile. No Effect in it. */

export type Value = string | Uint8Array

/** A write. Clearing a prefix clears everything when it is empty. */
export type Op =
  | { readonly _tag: "set"; readonly key: string; readonly value: Value }
  | { readonly _tag: "remove"; readonly key: string }
  | { readonly _tag: "clear"; readonly prefix: string }

export interface Entry {
  readonly sequence: number
  readonly op: Op
}

/** What the waiting writes say of a key. `Unknown`: nothing, so the store is to be asked. */
export type Found = { readonly _tag: "Value"; readonly value: Value } | { readonly _tag: "Gone" } | {
  readonly _tag: "Unknown"
}

const gone: Found = { _tag: "Gone" }
const unknown: Found = { _tag: "Unknown" }

export class Journal {
  private entries: Array<Entry> = []
  private first = 0
  private sequence = 0
  /** By key, what the last write since the last clear of it said. */
  private readonly latest = new Map<string, Value | undefined>()
  private cleared: Array<string> = []

  get size(): number {
    return this.entries.length - this.first
  }

  /** The next number. Numbers of earlier processes are passed over. */
  next(): number {
    return ++this.sequence
  }

  append(entry: Entry): void {
    this.entries.push(entry)
    this.sequence = Math.max(this.sequence, entry.sequence)
    const { op } = entry
    if (op._tag === "clear") {
      for (const key of this.latest.keys()) if (key.startsWith(op.prefix)) this.latest.delete(key)
      if (!this.cleared.includes(op.prefix)) this.cleared.push(op.prefix)
    } else this.latest.set(op.key, op._tag === "set" ? op.value : undefined)
  }

  peek(): Entry | undefined {
    return this.entries[this.first]
  }

  /** Takes the first one out. What reads see stays until all are out, since the store has only some of it. */
  shift(): void {
    this.first++
    if (this.size > 0) return
    this.entries = []
    this.first = 0
    this.latest.clear()
    this.cleared = []
  }

  find(key: string): Found {
    const value = this.latest.get(key)
    if (value !== undefined) return { _tag: "Value", value }
    if (this.latest.has(key)) return gone
    return this.cleared.some((prefix) => key.startsWith(prefix)) ? gone : unknown
  }

  /** The keys of a store with the waiting writes done. */
  keys(stored: ReadonlyArray<string>): ReadonlyArray<string> {
    const keys = new Set(stored.filter((key) => !this.cleared.some((prefix) => key.startsWith(prefix))))
    for (const [key, value] of this.latest) {
      if (value === undefined) keys.delete(key)
      else keys.add(key)
    }
    return [...keys]
  }
}
