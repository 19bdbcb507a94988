/** Compiled statements: one statement a text, kept in order of use, dropped when too many or too long unused. */
import type { DatabaseSync, StatementSync } from "node:sqlite"
import { Misuse } from "./errors.ts"

// Each alternative can match a given text in one way only, so a long tail costs no backtracking.
const onlyBlank = /^(?:[\s;]|--[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*(?:\*\/|$))*$/

/**
 * Compiles `sql`. SQLite compiles the first statement of a text and ignores the rest; a text with more than one is
 * refused here, because a write that silently does not happen is found too late.
 */
export const prepare = (db: DatabaseSync, sql: string): StatementSync => {
  const statement = db.prepare(sql)
  const compiled = statement.sourceSQL.length
  if (compiled !== sql.length && !onlyBlank.test(sql.slice(compiled))) {
    throw new Misuse(
      "statement",
      "the text holds more than one statement, and only the first would run; run each alone"
    )
  }
  return statement
}

/** A compiled statement, when it was last used and how it was last told to give its rows. */
export class Prepared {
  readonly statement: StatementSync
  usedAt: number
  #bigInts = false
  #arrays = false

  constructor(statement: StatementSync, now: number) {
    this.statement = statement
    this.usedAt = now
  }

  /** Sets how the next run gives its rows: integers as bigints, rows as arrays. */
  giving(bigInts: boolean, arrays: boolean): this {
    if (bigInts !== this.#bigInts) {
      this.statement.setReadBigInts(bigInts)
      this.#bigInts = bigInts
    }
    if (arrays !== this.#arrays) {
      this.statement.setReturnArrays(arrays)
      this.#arrays = arrays
    }
    return this
  }
}

/** Keeps at most `size` statements, none longer than `idle` milliseconds after its last use. */
export class StatementCache {
  /** Least recently used first. */
  readonly #entries = new Map<string, Prepared>()
  readonly #db: DatabaseSync
  readonly #size: number
  readonly #idle: number

  constructor(db: DatabaseSync, size: number, idle: number) {
    this.#db = db
    this.#size = size
    this.#idle = idle
  }

  get size(): number {
    return this.#entries.size
  }

  get(sql: string, now: number): Prepared {
    const found = this.#entries.get(sql)
    if (found !== undefined) {
      this.#entries.delete(sql)
      if (now - found.usedAt <= this.#idle) {
        found.usedAt = now
        this.#entries.set(sql, found)
        return found
      }
    }
    const prepared = new Prepared(prepare(this.#db, sql), now)
    this.#dropUnused(now)
    if (this.#size > 0) this.#entries.set(sql, prepared)
    return prepared
  }

  /** A statement for one use. */
  once(sql: string, now: number): Prepared {
    return new Prepared(prepare(this.#db, sql), now)
  }

  #dropUnused(now: number): void {
    for (const [sql, entry] of this.#entries) {
      if (this.#entries.size < this.#size && now - entry.usedAt <= this.#idle) return
      this.#entries.delete(sql)
    }
  }
}
