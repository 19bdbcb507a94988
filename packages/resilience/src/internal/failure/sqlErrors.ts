/** The rule for `SqlError`: Effect's reasons first, then what the database itself said. */
import * as Predicate from "effect/Predicate"
import type * as SqlError from "effect/sql/SqlError"
import type { Info } from "../../Failure.ts"
import { dependency, read, readString, request } from "./info.ts"
import { networkRule } from "./network.ts"

const isSqlError = (u: unknown): u is SqlError.SqlError =>
  Predicate.hasProperty(u, "~effect/sql/SqlError") && Predicate.hasProperty(u, "reason")

export const sqlErrorRule = (error: unknown): Info | undefined => {
  if (!isSqlError(error)) return undefined
  const { reason } = error
  const said = ofDatabase(reason.cause, error)
  if (said !== undefined) return said
  const code = reason._tag
  switch (reason._tag) {
    case "ConnectionError":
      return dependency("Transient", error, { code })
    case "AuthenticationError":
    case "AuthorizationError":
      return dependency("Permanent", error, { code })
    case "SqlSyntaxError":
    case "UniqueViolation":
    case "ConstraintError":
      return request("Permanent", error, { code })
    // Two requests got into each other's way: worth a retry, no sign of ill health.
    case "DeadlockError":
    case "SerializationError":
      return request("Transient", error, { code })
    case "LockTimeoutError":
    case "StatementTimeoutError":
      return dependency("Timeout", error, { code })
    case "UnknownError":
      return dependency("Permanent", error, { code })
  }
}

/** PostgreSQL's SQLSTATEs (Appendix A of its manual) that Effect's reasons do not tell apart. */
const postgres = /^[0-9A-Z]{5}$/

const ofPostgres = (code: string, error: unknown): Info | undefined => {
  if (code === "XX001" || code === "XX002") return dependency("Critical", error, { code })
  if (code === "57014") return dependency("Timeout", error, { code })
  if (code === "57P01" || code === "57P02" || code === "57P03" || code.startsWith("08")) {
    return dependency("Transient", error, { code })
  }
  // 53: out of memory, disk or connections.
  if (code.startsWith("53")) return dependency("Overloaded", error, { code })
  return undefined
}

/** SQLite's primary result codes, the low byte of an extended code. */
const sqliteCritical: Readonly<Record<number, string>> = { 11: "SQLITE_CORRUPT", 26: "SQLITE_NOTADB" }
const sqliteOverloaded: Readonly<Record<number, string>> = { 7: "SQLITE_NOMEM", 13: "SQLITE_FULL" }

const ofSqlite = (errcode: number, error: unknown): Info | undefined => {
  const critical = sqliteCritical[errcode & 0xff]
  if (critical !== undefined) return dependency("Critical", error, { code: critical })
  const overloaded = sqliteOverloaded[errcode & 0xff]
  if (overloaded !== undefined) return dependency("Overloaded", error, { code: overloaded })
  return undefined
}

const ofDatabase = (cause: unknown, error: unknown): Info | undefined => {
  const network = networkRule(cause)
  if (network !== undefined) return network
  const code = readString(cause, "code")
  if (code !== undefined && postgres.test(code)) return ofPostgres(code, error)
  const errcode = read(cause, "errcode")
  return typeof errcode === "number" ? ofSqlite(errcode, error) : undefined
}
