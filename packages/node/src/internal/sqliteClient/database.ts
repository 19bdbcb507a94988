/** Opens a database file and says, when it cannot, which file and why. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import { accessSync, constants, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { acquireWhileBusy } from "./busy.ts"
import { primaryCode, resultCode, toSqlError } from "./errors.ts"
import { StatementCache } from "./statements.ts"

export interface DatabaseOptions {
  readonly filename: string
  readonly readonly: boolean
  readonly wal: boolean
  /** Milliseconds. */
  readonly busyTimeout: number
  readonly cacheSize: number
  /** Milliseconds. */
  readonly cacheIdle: number
}

/** The one connection of a client. */
export interface Database {
  readonly db: DatabaseSync
  readonly file: string
  readonly statements: StatementCache
  readonly busyTimeout: number
  /** The absolute path where a second connection can read beside this one without either waiting for the other. */
  readonly readableAt: string | undefined
}

const directoryFault = (directory: string): string | undefined => {
  const stat = statSync(directory, { throwIfNoEntry: false })
  if (stat === undefined) return `the directory ${directory} does not exist`
  if (!stat.isDirectory()) return `${directory} is not a directory`
  try {
    accessSync(directory, constants.W_OK)
    return undefined
  } catch {
    return `the directory ${directory} is not writable`
  }
}

/** SQLite says "unable to open database file" for all of these. */
const whyNotOpened = (cause: unknown, { filename, readonly }: DatabaseOptions): string | undefined => {
  const code = primaryCode(cause)
  if (code !== resultCode.cantopen && code !== resultCode.readonly) return undefined
  try {
    const path = resolve(filename)
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat?.isDirectory() === true) return "it is a directory"
    if (stat === undefined && readonly) return "it does not exist, and a read-only client creates nothing"
    return directoryFault(dirname(path))
  } catch {
    // The file system would not even say; SQLite's own words remain.
    return undefined
  }
}

const openError = (cause: unknown, options: DatabaseOptions): SqlError => {
  const error = toSqlError(cause, { operation: "open", file: options.filename })
  if (error.reason._tag !== "ConnectionError") return error
  const why = whyNotOpened(cause, options)
  const said = cause instanceof Error ? cause.message : String(cause)
  return new SqlError({
    reason: new ConnectionError({
      cause,
      operation: "open",
      message: `cannot open the SQLite database ${options.filename}: ${why === undefined ? said : `${why} (${said})`}`
    })
  })
}

const connect = (options: DatabaseOptions): Database => {
  const db = new DatabaseSync(options.filename, { readOnly: options.readonly, allowExtension: true })
  try {
    db.enableLoadExtension(false)
    // SQLite opens lazily: without this the first statement, not the opening, would meet a file that is no database.
    db.prepare("PRAGMA schema_version").get()
    const journal = db.prepare(options.wal && !options.readonly ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode")
      .get()?.["journal_mode"]
    return {
      db,
      file: options.filename,
      statements: new StatementCache(db, options.cacheSize, options.cacheIdle),
      busyTimeout: options.busyTimeout,
      readableAt: journal === "wal" ? db.location() ?? undefined : undefined
    }
  } catch (cause) {
    db.close()
    throw cause
  }
}

/** Opens the database; the scope closes it, which rolls an open transaction back. */
export const open = (options: DatabaseOptions): Effect.Effect<Database, SqlError, Scope.Scope> =>
  acquireWhileBusy({
    attempt: () => connect(options),
    onFailure: (cause) => openError(cause, options),
    timeout: options.busyTimeout
  }, ({ db }) => db.close())
