/** Which JavaScript values become which SQLite values. What SQLite has no value for is refused, never guessed. */
import type { SQLInputValue } from "node:sqlite"
import { Misuse } from "./errors.ts"

const describe = (value: unknown): string => {
  if (value instanceof Date) return "a Date: bind date.getTime() or date.toISOString()"
  if (Array.isArray(value)) return "an array: bind JSON.stringify(array), or expand it with sql.in"
  if (typeof value === "object") return "an object: bind JSON.stringify(object)"
  return `a ${typeof value}`
}

const toSqlite = (value: unknown, index: number): SQLInputValue => {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
      return value
    case "boolean":
      return value ? 1 : 0
    case "undefined":
      return null
  }
  // The cast: the type of node:sqlite lists the views one by one, and these are all of them.
  if (value === null || ArrayBuffer.isView(value)) return value as SQLInputValue
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  // node:sqlite would take an object in the first place for named parameters, and bind a Date there as NULL.
  throw new Misuse("parameter", `parameter ${index + 1} is ${describe(value)}`)
}

/** The values to bind, in order. Throws `Misuse` for one that SQLite cannot hold. */
export const bind = (params: ReadonlyArray<unknown>): Array<SQLInputValue> => params.map(toSqlite)
