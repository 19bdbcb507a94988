/**
 * A client of PostgreSQL whose statements have a time limit.
 *
 * The driver bounds a connection attempt and nothing else: a database that accepts and never answers, or a network that swallows
 * what is sent, would be waited for until TCP gives up, which takes a quarter of an hour. A limit of the database's own
 * (`statement_timeout`) is no help then, since nobody is there to keep it.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import * as SqlError from "effect/sql/SqlError"

/** What the driver needs, and how long a statement, or getting a connection for it, may take. */
export interface Options extends PgClient.PgPoolConfig {
  readonly statementTimeout: Duration.Duration
}

const timedOut = (operation: string, timeout: Duration.Duration): SqlError.SqlError => {
  const message = `PostgreSQL did not answer within ${Duration.format(timeout)}`
  return new SqlError.SqlError({
    reason: new SqlError.StatementTimeoutError({ cause: new Error(message), message, operation })
  })
}

type Within = (operation: string) => <A, R>(
  self: Effect.Effect<A, SqlError.SqlError, R>
) => Effect.Effect<A, SqlError.SqlError, R>

/**
 * The driver gives a statement that is interrupted up to five seconds to be called off, and then gives its connection up: what follows on
 * the same connection fails at once.
 */
const within = (timeout: Duration.Duration): Within => (operation) => (self) =>
  // Also where nobody else may interrupt, such as in the commit of a transaction.
  Effect.timeoutOrElse(Effect.interruptible(self), {
    duration: timeout,
    orElse: () => Effect.fail(timedOut(operation, timeout))
  })

const bounded = (connection: SqlConnection.Connection, within: Within): SqlConnection.Connection => ({
  execute: (...args) => within("execute")(connection.execute(...args)),
  executeRaw: (...args) => within("executeRaw")(connection.executeRaw(...args)),
  executeValues: (...args) => within("executeValues")(connection.executeValues(...args)),
  executeValuesUnprepared: (...args) => within("executeValuesUnprepared")(connection.executeValuesUnprepared(...args)),
  executeUnprepared: (...args) => within("executeUnprepared")(connection.executeUnprepared(...args)),
  // Nothing of ours is read as a stream; how long one takes is its reader's to say.
  executeStream: (...args) => connection.executeStream(...args)
})

/** A transaction that was aborted answers its COMMIT with ROLLBACK, and with no error. */
const commit = (connection: SqlConnection.Connection): Effect.Effect<void, SqlError.SqlError> =>
  Effect.flatMap(connection.executeRaw("COMMIT", []), (result) => {
    if (!Predicate.hasProperty(result, "command") || result.command !== "ROLLBACK") return Effect.void
    const message = "COMMIT rolled an aborted transaction back"
    return Effect.fail(
      new SqlError.SqlError({
        reason: new SqlError.UnknownError({ cause: new Error(message), message, operation: "commit" })
      })
    )
  })

const make = Effect.fnUntraced(function*({ statementTimeout, ...config }: Options) {
  const driver = yield* PgClient.make(config)
  const limit = within(statementTimeout)
  const acquirer = Effect.map(limit("reserve")(driver.reserve), (connection) => bounded(connection, limit))
  return yield* SqlClient.make({
    acquirer,
    transactionAcquirer: acquirer,
    driver: "@effect/sql-pg",
    compiler: PgClient.makeCompiler(),
    prepareTransactionControls: true,
    commit,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    spanAttributes: [["db.system.name", "postgresql"]]
  })
})

/** Provides the client. It connects when it is used. */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.provide(Layer.effect(SqlClient.SqlClient, make(options)), Reactivity.layer)
