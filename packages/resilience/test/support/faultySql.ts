/** A `SqlClient` whose statements fail when a test says so, over one that works. */
import type * as DeadLetterStoreSuite from "@effect-resilience/testing/DeadLetterStoreSuite"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import { ConnectionError, SqlError } from "effect/sql/SqlError"
import type * as Statement from "effect/sql/Statement"

const lost = () => new SqlError({ reason: new ConnectionError({ cause: new Error("the connection is lost") }) })

export const layerFaulty = (
  faults: DeadLetterStoreSuite.Faults,
  compiler: Statement.Compiler
): Layer.Layer<SqlClient.SqlClient, never, SqlClient.SqlClient> =>
  Layer.effect(
    SqlClient.SqlClient,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const guard = <A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, SqlError> =>
        Effect.suspend(() =>
          faults.before() ?
            Effect.fail(lost()) :
            Effect.filterOrFail(self, () => !faults.after(), lost)
        )
      const acquirer = Effect.map(sql.reserve, (connection): SqlConnection.Connection => ({
        execute: (...args) => guard(connection.execute(...args)),
        executeRaw: (...args) => guard(connection.executeRaw(...args)),
        executeStream: connection.executeStream,
        executeValues: (...args) => guard(connection.executeValues(...args)),
        executeValuesUnprepared: (...args) => guard(connection.executeValuesUnprepared(...args)),
        executeUnprepared: (...args) => guard(connection.executeUnprepared(...args))
      }))
      return yield* SqlClient.make({
        acquirer,
        transactionAcquirer: acquirer,
        // A commit that was not heard of may have happened: then there is nothing left to roll back.
        onCommitFailure: (connection) => Effect.ignore(connection.executeUnprepared("ROLLBACK", [], undefined)),
        compiler,
        driver: "faulty",
        spanAttributes: []
      })
    })
  ).pipe(Layer.provide(Reactivity.layer))
