/** What `node:sqlite` throws, read by its result code and turned into a `SqlError` with the reason that fits. */
import {
  AuthorizationError,
  ConnectionError,
  ConstraintError,
  LockTimeoutError,
  SerializationError,
  SqlError,
  type SqlErrorReason,
  SqlSyntaxError,
  UniqueViolation,
  UnknownError
} from "effect/sql/SqlError"

/** Result codes of SQLite: the primary code is the low byte, the extended one says more. https://sqlite.org/rescode.html */
export const resultCode = {
  error: 1,
  perm: 3,
  busy: 5,
  readonly: 8,
  ioerr: 10,
  corrupt: 11,
  full: 13,
  cantopen: 14,
  protocol: 15,
  constraint: 19,
  auth: 23,
  notadb: 26,
  lockedSharedCache: 262,
  busySnapshot: 517,
  constraintPrimaryKey: 1555,
  constraintUnique: 2067,
  constraintRowid: 2579
} as const

/** What was being done to which database, for the message. */
export interface Attempted {
  readonly operation: "open" | "prepare" | "execute" | "stream" | "backup" | "export" | "loadExtension"
  readonly file: string
}

/** A mistake in how the client was used, found before SQLite saw it. */
export class Misuse extends Error {
  readonly kind: "statement" | "parameter" | "transaction" | "closed"
  constructor(kind: Misuse["kind"], message: string) {
    super(message)
    this.kind = kind
  }
}

/** The extended result code of an error that SQLite reported; `undefined` for any other value. */
const errcode = (cause: unknown): number | undefined =>
  typeof cause === "object" && cause !== null && "errcode" in cause && typeof cause.errcode === "number"
    ? cause.errcode
    : undefined

/** The primary result code of an error that SQLite reported. */
export const primaryCode = (cause: unknown): number | undefined => {
  const code = errcode(cause)
  return code === undefined ? undefined : code & 0xff
}

/** Whether another connection holds the lock and waiting can help. A stale snapshot never becomes fresh by waiting. */
export const isBusy = (cause: unknown): boolean => {
  const code = errcode(cause)
  return code !== undefined && code !== resultCode.busySnapshot &&
    ((code & 0xff) === resultCode.busy || code === resultCode.lockedSharedCache)
}

const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

const nodeCode = (cause: unknown): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined

const uniquePrefix = "UNIQUE constraint failed:"

/** SQLite names the columns, `table.column, table.column`, or `index 'name'` for an index on an expression. */
const violatedConstraint = (message: string): string => {
  const at = message.indexOf(uniquePrefix)
  const name = at === -1 ? "" : message.slice(at + uniquePrefix.length).trim()
  return name === "" ? "unknown" : name
}

const sqliteReason = (cause: unknown, code: number, doesNotCompile: boolean, attempted: Attempted): SqlErrorReason => {
  const message = messageOf(cause)
  const props = { cause, message, operation: attempted.operation }
  const named = { ...props, message: `${message} (${attempted.file})` }
  if (attempted.operation === "open" && (code & 0xff) !== resultCode.busy) return new ConnectionError(named)
  switch (code) {
    case resultCode.constraintUnique:
    case resultCode.constraintPrimaryKey:
    case resultCode.constraintRowid:
      return new UniqueViolation({ ...props, constraint: violatedConstraint(message) })
    case resultCode.busySnapshot:
      return new SerializationError({
        ...named,
        message: `another connection wrote after this transaction had read; run it again (${attempted.file})`
      })
    case resultCode.lockedSharedCache:
      return new LockTimeoutError(named)
  }
  switch (code & 0xff) {
    case resultCode.error:
      return doesNotCompile ? new SqlSyntaxError(props) : new UnknownError(props)
    case resultCode.constraint:
      return new ConstraintError(props)
    case resultCode.busy:
    case resultCode.protocol:
      return new LockTimeoutError(named)
    case resultCode.cantopen:
    case resultCode.notadb:
    case resultCode.ioerr:
    case resultCode.full:
      return new ConnectionError(named)
    case resultCode.perm:
    case resultCode.auth:
    case resultCode.readonly:
      return new AuthorizationError(named)
    case resultCode.corrupt:
      // No reason of its own, and unlike a lost connection no retry mends it.
      return new UnknownError(named)
    default:
      return new UnknownError(props)
  }
}

const misuseReason = (cause: Misuse, operation: Attempted["operation"]): SqlErrorReason => {
  const props = { cause, message: cause.message, operation }
  switch (cause.kind) {
    case "statement":
      return new SqlSyntaxError(props)
    case "closed":
      return new ConnectionError(props)
    case "parameter":
    case "transaction":
      return new UnknownError(props)
  }
}

/** The reasons of what `node:sqlite` itself refuses, before or after SQLite: these carry a Node code and no result code. */
const nodeReason = (cause: unknown, attempted: Attempted): SqlErrorReason => {
  const message = messageOf(cause)
  const props = { cause, message, operation: attempted.operation }
  switch (nodeCode(cause)) {
    case "ERR_INVALID_STATE":
      return new ConnectionError({ ...props, message: `${message} (${attempted.file})` })
    case "ERR_INVALID_ARG_VALUE":
      return /no statements/.test(message) ? new SqlSyntaxError(props) : new UnknownError(props)
    case "ERR_OUT_OF_RANGE":
      return new UnknownError({
        ...props,
        message: `${message}; provide SqlClient.SafeIntegers to read it as a bigint`
      })
    default:
      return attempted.operation === "open"
        ? new ConnectionError({ ...props, message: `${message} (${attempted.file})` })
        : new UnknownError(props)
  }
}

/**
 * The typed error for anything thrown while using a database. `doesNotCompile` tells a statement that SQLite cannot
 * compile (bad syntax, no such table) from one that failed while it ran: both have the result code 1.
 */
export const toSqlError = (cause: unknown, attempted: Attempted, doesNotCompile?: () => boolean): SqlError => {
  if (cause instanceof SqlError) return cause
  if (cause instanceof Misuse) return new SqlError({ reason: misuseReason(cause, attempted.operation) })
  const code = errcode(cause)
  return new SqlError({
    reason: code === undefined
      ? nodeReason(cause, attempted)
      : sqliteReason(cause, code, (code & 0xff) === resultCode.error && (doesNotCompile?.() ?? false), attempted)
  })
}
