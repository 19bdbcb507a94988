/**
 * A `SqlClient` over Node's built-in `node:sqlite`.
 *
 * Shaped like the official `@effect/sql-sqlite-node`, which has no release for Effect 4.1: the same names, so that an
 * import can be swapped for it later.
 *
 * One connection serves every fiber. A statement borrows it, a transaction leases it until it ends, and whoever comes
 * in between waits; that wait can be interrupted. Nested transactions are savepoints.
 *
 * - Write-ahead logging is on, so other processes read while this one writes.
 * - Transactions start with `BEGIN IMMEDIATE`: they wait for the write lock at their start, instead of failing half
 *   way when a read turns into a write. `SqlClient.BeginTransaction` changes that for one transaction.
 * - A lock held by another connection is waited for up to `busyTimeout` by the fiber, not by the thread.
 * - Foreign keys are enforced.
 * - Streams outside a transaction read a snapshot on a connection of their own where there is a write-ahead log, and
 *   read every row at once where there is none (`:memory:`, `disableWAL`).
 *
 * **Gotchas**
 *
 * - `node:sqlite` is synchronous: a slow statement stops the process until it is done, and cannot be interrupted.
 * - A JavaScript number is bound as a floating-point value, so 42 in a TEXT column reads `"42.0"`. Bind a bigint or a
 *   string there.
 * - An integer beyond 2^53 - 1 fails to be read unless `SqlClient.SafeIntegers` is provided as true; then every
 *   integer is a bigint.
 * - A Date is refused: SQLite has none. Bind `getTime()` or `toISOString()`.
 * - `sql.reserve` leases the one connection: statements of others, and the client's own templates, wait until its
 *   scope closes.
 *
 * **Example** (Writing in a transaction)
 *
 * ```ts
 * import * as SqliteClient from "@effect-resilience/node/SqliteClient"
 * import * as Effect from "effect/Effect"
 * import * as SqlClient from "effect/sql/SqlClient"
 *
 * const turns = Effect.gen(function*() {
 *   const sql = yield* SqlClient.SqlClient
 *   yield* sql`CREATE TABLE turns (session TEXT NOT NULL, said TEXT NOT NULL)`
 *   yield* sql.withTransaction(Effect.gen(function*() {
 *     yield* sql`INSERT INTO turns ${sql.insert({ session: "s1", said: "hello" })}`
 *     yield* sql`INSERT INTO turns ${sql.insert({ session: "s1", said: "goodbye" })}`
 *   }))
 *   const rows = yield* sql<{ said: string }>`SELECT said FROM turns WHERE session = ${"s1"}`
 *   return rows.map((row) => row.said)
 * }).pipe(Effect.provide(SqliteClient.layer({ filename: ":memory:" })))
 *
 * await Effect.runPromise(turns) // => ["hello", "goodbye"]
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Client from "effect/sql/SqlClient"
import { SqlError, UnknownError } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import type { DatabaseSync } from "node:sqlite"
import { backup, type BackupMetadata } from "./internal/sqliteClient/backup.ts"
import { type DatabaseOptions, open } from "./internal/sqliteClient/database.ts"
import { type Attempted, Misuse, toSqlError } from "./internal/sqliteClient/errors.ts"
import { makeLending } from "./internal/sqliteClient/lending.ts"
import { Session } from "./internal/sqliteClient/session.ts"

/**
 * Marks values of this module.
 *
 * @category type ids
 * @since 0.1.0
 */
export const TypeId: TypeId = "~@effect-resilience/node/SqliteClient"

/**
 * The type of the mark.
 *
 * @category type ids
 * @since 0.1.0
 */
export type TypeId = "~@effect-resilience/node/SqliteClient"

export type { BackupMetadata }

/**
 * How to open a database and talk to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SqliteClientConfig {
  /** A path, relative to the working directory, or `":memory:"`. The directory must exist. */
  readonly filename: string
  /** Opens an existing file for reading only. Default `false`. */
  readonly readonly?: boolean | undefined
  /** How many compiled statements are kept; 0 keeps none. Default 200. */
  readonly prepareCacheSize?: number | undefined
  /** How long a compiled statement is kept after its last use. Default 10 minutes. */
  readonly prepareCacheTTL?: Duration.Input | undefined
  /** Leaves the journal mode of the file as it is, instead of setting write-ahead logging. Default `false`. */
  readonly disableWAL?: boolean | undefined
  /**
   * How long a statement waits for a lock that another connection holds before it fails with a `LockTimeoutError`.
   * The fiber waits, not the thread. 0 fails at once. Default 5 seconds.
   */
  readonly busyTimeout?: Duration.Input | undefined
  /** Added to the span of every statement, beside `db.system.name`. */
  readonly spanAttributes?: Record<string, unknown> | undefined
  /** Renames the columns of every row, for example snake case to camel case. */
  readonly transformResultNames?: ((str: string) => string) | undefined
  /** Renames the identifiers in `sql(...)`, `sql.insert` and `sql.update`, for example camel case to snake case. */
  readonly transformQueryNames?: ((str: string) => string) | undefined
}

/**
 * A `SqlClient` for one SQLite database, with what only SQLite can do.
 *
 * @category models
 * @since 0.1.0
 */
export interface SqliteClient extends Client.SqlClient {
  readonly [TypeId]: TypeId
  readonly config: SqliteClientConfig

  /** The database as the bytes of a file, also from memory. Inside a transaction: as that transaction sees it. */
  readonly export: Effect.Effect<Uint8Array, SqlError>

  /**
   * Copies the database into the file `destination`, replacing what is there, while others go on using it. What is
   * committed while it copies is in the copy too. Fails inside a transaction, for which it would have to wait.
   */
  readonly backup: (destination: string) => Effect.Effect<BackupMetadata, SqlError>

  /** Loads the SQLite extension (a shared library) at `path`. Its SQL functions cannot load further ones. */
  readonly loadExtension: (path: string) => Effect.Effect<void, SqlError>

  /** SQLite has no such statement. */
  readonly updateValues: never
}

/**
 * The service tag; the layers provide `SqlClient` beside it.
 *
 * @category services
 * @since 0.1.0
 */
export const SqliteClient: Context.Service<SqliteClient, SqliteClient> = Context.Service<SqliteClient>(
  "@effect-resilience/node/SqliteClient"
)

const millis = (option: string, value: Duration.Input): number => {
  const duration = Duration.toMillis(Duration.fromInputUnsafe(value))
  if (!(duration >= 0)) throw new RangeError(`SqliteClient: ${option} must not be negative, got ${String(value)}`)
  return duration
}

const checkOptions = (options: SqliteClientConfig): DatabaseOptions => {
  const cacheSize = options.prepareCacheSize ?? 200
  if (!Number.isSafeInteger(cacheSize) || cacheSize < 0) {
    throw new RangeError(`SqliteClient: prepareCacheSize must be a whole number of at least 0, got ${cacheSize}`)
  }
  return {
    filename: options.filename,
    readonly: options.readonly ?? false,
    wal: options.disableWAL !== true,
    busyTimeout: millis("busyTimeout", options.busyTimeout ?? "5 seconds"),
    cacheSize,
    cacheIdle: millis("prepareCacheTTL", options.prepareCacheTTL ?? "10 minutes")
  }
}

/** What a caller may not do while it holds the connection, because it would wait for itself. */
const selfWait = (message: string): SqlError =>
  new SqlError({
    reason: new UnknownError({ cause: new Misuse("transaction", message), message })
  })

const makeClient = Effect.fnUntraced(function*(options: SqliteClientConfig, checked: DatabaseOptions) {
  const database = yield* open(checked)
  const { borrow, lease, onCommitFailure, streaming, transaction } = makeLending(database, yield* Semaphore.make(1))

  /** The transaction the fiber is in, if it is one of this client. */
  const currentSession = (fiber: Fiber.Fiber<unknown, unknown>): Session | undefined => {
    const transaction = Context.getOrUndefined(fiber.context, client.transactionService)
    return transaction?.[0] instanceof Session ? transaction[0] : undefined
  }
  /** Runs one step on the fiber's own transaction, or on its own once the connection is free. */
  const withDatabase = <A>(operation: Attempted["operation"], step: (db: DatabaseSync) => A) =>
    Effect.withFiber<A, SqlError>((fiber) => {
      const run = (session: Session) =>
        Effect.try({
          try: () => session.use(step),
          catch: (cause) => toSqlError(cause, { operation, file: checked.filename })
        })
      const session = currentSession(fiber)
      return session === undefined ? borrow(run) : run(session)
    })

  const client: Client.SqlClient = yield* Client.make({
    acquirer: Effect.succeed(streaming),
    borrower: borrow,
    transactionAcquirer: transaction,
    onCommitFailure,
    isTransaction: (connection) => connection instanceof Session && connection.isTransaction,
    prepareTransactionControls: true,
    beginTransaction: checked.readonly ? "BEGIN" : "BEGIN IMMEDIATE",
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    compiler: Statement.makeCompilerSqlite(options.transformQueryNames),
    transformRows: options.transformResultNames === undefined
      ? undefined
      : Statement.defaultTransforms(options.transformResultNames).array,
    // The name of the official driver, for code that asks: what the name tells it holds for this one too.
    driver: "sqlite-node",
    spanAttributes: [...Object.entries(options.spanAttributes ?? {}), ["db.system.name", "sqlite"]]
  })

  // The cast: a SqlClient has a working `updateValues`, which the type of this client takes away.
  return Object.assign(client as SqliteClient, {
    [TypeId]: TypeId,
    config: options,
    reserve: Effect.withFiber<Session, SqlError, Scope.Scope>((fiber) =>
      currentSession(fiber) === undefined
        ? lease
        : Effect.fail(selfWait("sql.reserve inside sql.withTransaction would wait for the connection it holds"))
    ),
    export: withDatabase("export", (db) => {
      // Since Node 24.16; older ones have a type for it but no method.
      if (typeof db.serialize !== "function") throw new Error("export needs Node 24.16 or newer")
      return db.serialize()
    }),
    backup: (destination: string) =>
      Effect.withFiber<BackupMetadata, SqlError>((fiber) =>
        currentSession(fiber) === undefined
          ? backup(database, destination)
          : Effect.fail(selfWait("a backup inside sql.withTransaction would wait for that transaction"))
      ),
    loadExtension: (path: string) =>
      withDatabase("loadExtension", (db) => {
        db.enableLoadExtension(true)
        try {
          db.loadExtension(path)
        } finally {
          db.enableLoadExtension(false)
        }
      })
  })
})

/**
 * Opens a database; the scope closes it. Fails with a `SqlError` that names the file: a `ConnectionError` when it cannot
 * be opened or is no database, a `LockTimeoutError` when another connection keeps it locked. Throws a `RangeError` for
 * an option out of range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: SqliteClientConfig
): Effect.Effect<SqliteClient, SqlError, Scope.Scope | Reactivity.Reactivity> =>
  makeClient(options, checkOptions(options))

const provideBoth = <E>(
  client: Effect.Effect<SqliteClient, E, Scope.Scope | Reactivity.Reactivity>
): Layer.Layer<SqliteClient | Client.SqlClient, E> =>
  Layer.effectContext(
    Effect.map(client, (client) => Context.make(SqliteClient, client).pipe(Context.add(Client.SqlClient, client)))
  ).pipe(Layer.provide(Reactivity.layer))

/**
 * Provides `SqliteClient` and `SqlClient` for one database. Fails and throws as `make` does.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (config: SqliteClientConfig): Layer.Layer<SqliteClient | Client.SqlClient, SqlError> =>
  provideBoth(make(config))

/**
 * The same with the options read from the configuration; an option out of range is a defect.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<SqliteClientConfig>
): Layer.Layer<SqliteClient | Client.SqlClient, Config.ConfigError | SqlError> =>
  provideBoth(Effect.flatMap(Config.unwrap(config), make))
