/** Who may use the one connection: a statement borrows it, a transaction leases it, a stream reads beside it. */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type * as Semaphore from "effect/Semaphore"
import * as Client from "effect/sql/SqlClient"
import type { Borrower, Connection } from "effect/sql/SqlConnection"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { streamFromReader } from "./cursor.ts"
import type { Database } from "./database.ts"
import { Session } from "./session.ts"

export interface Lending {
  /** Lends the connection for one statement. */
  readonly borrow: <A, E, R>(f: (session: Session) => Effect.Effect<A, E, R>) => Effect.Effect<A, E | SqlError, R>
  /** Leases the connection for the current scope, which rolls back what it left open. */
  readonly lease: Effect.Effect<Session, SqlError, Scope.Scope>
  /** The same for `withTransaction`: waiting for a lock to begin can be interrupted if the caller can. */
  readonly transaction: Effect.Effect<Session, SqlError, Scope.Scope>
  /** For streams outside a transaction: takes no lease, so that whoever consumes the stream can run statements too. */
  readonly streaming: Connection
  readonly onCommitFailure: (connection: Connection) => Effect.Effect<void, SqlError>
}

const makeStreaming = (database: Database, borrow: Borrower): Connection => ({
  execute: (sql, params, transformRows) => borrow((connection) => connection.execute(sql, params, transformRows)),
  executeRaw: (sql, params) => borrow((connection) => connection.executeRaw(sql, params)),
  executeValues: (sql, params) => borrow((connection) => connection.executeValues(sql, params)),
  executeValuesUnprepared: (sql, params) => borrow((connection) => connection.executeValuesUnprepared(sql, params)),
  executeUnprepared: (sql, params, transformRows) =>
    borrow((connection) => connection.executeUnprepared(sql, params, transformRows)),
  executeStream: (sql, params, transformRows) => {
    const readAll = borrow((connection) => connection.execute(sql, params, transformRows))
    return database.readableAt === undefined || !database.db.isOpen
      ? Stream.fromArrayEffect(readAll)
      : streamFromReader(database.readableAt, database.busyTimeout, { sql, params, transformRows }, readAll)
  }
})

export const makeLending = (database: Database, semaphore: Semaphore.Semaphore): Lending => {
  const single = new Session(database, "autocommit")
  const shared = Client.makeSqliteAcquirers({
    connection: Effect.succeed(new Session(database, "lease")),
    semaphore,
    isTransaction: (session) => session.isTransaction
  })
  const borrow: Lending["borrow"] = (f) => shared.borrower(() => f(single))
  const leaseTo = (session: Session) => {
    // Rolls back what a reservation left open; when even that fails, the connection is refused until it succeeds.
    const end = Effect.andThen(
      Effect.ignoreCause(Effect.suspend(() => shared.onCommitFailure(session))),
      Effect.sync(() => session.release())
    )
    // Without the services of this fiber, which `Effect.addFinalizer` would join to those that the scope closes with.
    return Effect.as(Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, end)), session)
  }
  const lease = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(shared.transactionAcquirer), () => leaseTo(new Session(database, "lease")))
  )
  const transaction = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      restore(shared.transactionAcquirer),
      // BEGIN runs where nothing can be interrupted, and would hold an interrupted fiber for the whole busy timeout.
      () => leaseTo(new Session(database, "lease", restore))
    )
  )
  return {
    borrow,
    lease,
    transaction,
    streaming: makeStreaming(database, borrow),
    onCommitFailure: shared.onCommitFailure
  }
}
