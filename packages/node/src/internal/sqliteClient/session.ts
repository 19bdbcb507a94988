/** Statements on the one connection: alone, each its own transaction, or as the holder of a lease. */
import { Clock } from "effect/Clock"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Client from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import type * as Stream from "effect/Stream"
import type { DatabaseSync } from "node:sqlite"
import { whileBusy } from "./busy.ts"
import { compiles, type Row, type Rows, type Source, streamFrom, type TransformRows } from "./cursor.ts"
import type { Database } from "./database.ts"
import { Misuse, toSqlError } from "./errors.ts"
import { bind } from "./parameters.ts"
import type { Prepared } from "./statements.ts"

type Wait = (sleep: Effect.Effect<void>) => Effect.Effect<void>

type Shape = "objects" | "arrays" | "raw"

const endsTransaction = /^\s*rollback(?!\s+(?:transaction\s+)?to\b)/i

const rowsOf = ({ statement }: Prepared, shape: Shape, params: ReadonlyArray<unknown>): unknown => {
  const bound = bind(params)
  return shape === "raw" && statement.columns().length === 0 ? statement.run(...bound) : statement.all(...bound)
}

/**
 * A connection that the fiber holding it may use.
 *
 * - `autocommit`: lent for one statement. A statement that leaves a transaction open is undone and refused: every
 *   other fiber's writes would land in a transaction that nobody commits.
 * - `lease`: held for a transaction or a reservation. When SQLite rolls the transaction back on its own (a full disk,
 *   `ON CONFLICT ROLLBACK`), what follows would run outside it and stay; so it is refused until a ROLLBACK. After its
 *   release nothing runs on it: a fiber that outlives its transaction cannot write into the next one.
 */
export class Session implements Connection, Source {
  readonly file: string
  readonly busyTimeout: number
  readonly #database: Database
  readonly #kind: "autocommit" | "lease"
  readonly #waitToBegin: Wait
  #lostTo: unknown
  #released = false

  /** `waitToBegin` is applied to waiting for a lock while no transaction is open. */
  constructor(database: Database, kind: "autocommit" | "lease", waitToBegin: Wait = identity) {
    this.#database = database
    this.#kind = kind
    this.#waitToBegin = waitToBegin
    this.file = database.file
    this.busyTimeout = database.busyTimeout
  }

  get isTransaction(): boolean {
    const { db } = this.#database
    return db.isOpen && db.isTransaction
  }

  release(): void {
    this.#released = true
  }

  use<A>(step: (db: DatabaseSync) => A): A {
    const { db } = this.#database
    if (!db.isOpen) throw new Misuse("closed", `the SQLite client of ${this.file} is closed`)
    return this.#kind === "autocommit" ? this.#useOnce(db, step) : this.#useLease(db, step)
  }

  #useOnce<A>(db: DatabaseSync, step: (db: DatabaseSync) => A): A {
    const result = step(db)
    if (db.isTransaction) {
      db.exec("ROLLBACK")
      throw new Misuse(
        "transaction",
        "a statement opened a transaction outside sql.withTransaction; it was rolled back"
      )
    }
    return result
  }

  #useLease<A>(db: DatabaseSync, step: (db: DatabaseSync) => A): A {
    if (this.#released) {
      throw new Misuse("transaction", "the transaction or reservation this statement belongs to has ended")
    }
    if (this.#lostTo !== undefined) {
      const why = this.#lostTo instanceof Error ? this.#lostTo.message : String(this.#lostTo)
      throw new Misuse("transaction", `SQLite rolled this transaction back: ${why}`)
    }
    const wasTransaction = db.isTransaction
    try {
      return step(db)
    } catch (cause) {
      if (wasTransaction && !db.isTransaction) this.#lostTo = cause
      throw cause
    }
  }

  #run(sql: string, params: ReadonlyArray<unknown>, shape: Shape, keep: boolean): Effect.Effect<Row, SqlError> {
    return Effect.withFiber((fiber) => {
      if (this.#lostTo !== undefined && endsTransaction.test(sql)) {
        this.#lostTo = undefined
        return Effect.succeed([])
      }
      const bigInts = fiber.getRef(Client.SafeIntegers)
      const now = fiber.getRef(Clock).currentTimeMillisUnsafe()
      const { statements } = this.#database
      return whileBusy({
        attempt: () =>
          this.use(() => {
            const prepared = keep ? statements.get(sql, now) : statements.once(sql, now)
            prepared.giving(bigInts, shape === "arrays")
            return rowsOf(prepared, shape, params)
          }),
        onFailure: (cause) => toSqlError(cause, { operation: "execute", file: this.file }, () => !compiles(this, sql)),
        timeout: this.busyTimeout,
        wait: (sleep) => this.isTransaction ? sleep : this.#waitToBegin(sleep)
      })
    })
  }

  execute(sql: string, params: ReadonlyArray<unknown>, transformRows: TransformRows): Effect.Effect<Rows, SqlError> {
    const rows: Effect.Effect<Rows, SqlError> = this.#run(sql, params, "objects", true)
    return transformRows === undefined ? rows : Effect.map(rows, transformRows)
  }

  executeRaw(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<unknown, SqlError> {
    return this.#run(sql, params, "raw", true)
  }

  executeValues(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Rows>, SqlError> {
    return this.#run(sql, params, "arrays", true)
  }

  executeValuesUnprepared(sql: string, params: ReadonlyArray<unknown>): Effect.Effect<ReadonlyArray<Rows>, SqlError> {
    return this.#run(sql, params, "arrays", false)
  }

  executeUnprepared(
    sql: string,
    params: ReadonlyArray<unknown>,
    transformRows: TransformRows
  ): Effect.Effect<Rows, SqlError> {
    const rows: Effect.Effect<Rows, SqlError> = this.#run(sql, params, "objects", false)
    return transformRows === undefined ? rows : Effect.map(rows, transformRows)
  }

  executeStream(
    sql: string,
    params: ReadonlyArray<unknown>,
    transformRows: TransformRows
  ): Stream.Stream<Row, SqlError> {
    return streamFrom(this, { sql, params, transformRows })
  }
}
