/**
 * One contract for every `SqlClient`, as tests.
 *
 * Registers, with `@effect/vitest`, the tests that hold for any driver on PostgreSQL or SQLite: what is bound comes back
 * as it was, transactions are whole or nothing however they end, fibers do not get into each other's transactions,
 * interruption leaves nothing half-written and the client usable, streams hold nothing longer than they run, errors
 * have the reason that fits, and migrations work. Where the dialects differ (the name of a type, a boolean read as 1),
 * the tests do too.
 *
 * The tests run against the real clock and share one client. Each makes its own tables, with names no other has, and
 * drops them; the database may hold anything else beside them.
 *
 * Not part of the contract: running a statement in a transaction while a stream of that transaction is open. SQLite can;
 * over PostgreSQL's protocol the statement waits for the stream, and the stream for its reader.
 *
 * **Example** (Testing a driver)
 *
 * ```ts no-run
 * import * as SqliteClient from "@effect-resilience/node/SqliteClient"
 * import * as SqlClientSuite from "@effect-resilience/testing/SqlClientSuite"
 *
 * SqlClientSuite.sqlClientSuite("SQLite in memory", SqliteClient.layer({ filename: ":memory:" }))
 * ```
 *
 * @since 0.1.0
 */
import { describe, layer as provide } from "@effect/vitest"
import type * as Layer from "effect/Layer"
import type * as SqlClient from "effect/sql/SqlClient"
import { concurrencyTests } from "./internal/sqlClientSuite/concurrency.ts"
import { errorTests } from "./internal/sqlClientSuite/errors.ts"
import { migrationTests } from "./internal/sqlClientSuite/migrations.ts"
import { parameterTests } from "./internal/sqlClientSuite/parameters.ts"
import { statementTests } from "./internal/sqlClientSuite/statements.ts"
import { streamingTests } from "./internal/sqlClientSuite/streaming.ts"
import { transactionTests } from "./internal/sqlClientSuite/transactions.ts"
import { transformTests } from "./internal/sqlClientSuite/transforms.ts"

/**
 * What the suite can be told beside the client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E> {
  /**
   * The same client, set to turn camel case into snake case in queries (`transformQueryNames`) and back in rows
   * (`transformResultNames`). With it the tests of renaming run too.
   */
  readonly renaming?: Layer.Layer<SqlClient.SqlClient, E> | undefined
}

/**
 * Registers the suite under `name` for the client that `layer` provides.
 *
 * @category suites
 * @since 0.1.0
 */
export const sqlClientSuite = <E, E2 = never>(
  name: string,
  layer: Layer.Layer<SqlClient.SqlClient, E>,
  options?: Options<E2>
): void => {
  describe(name, () => {
    provide(layer, { excludeTestServices: true })((it) => {
      describe("parameters", () => parameterTests(it))
      describe("statements", () => statementTests(it))
      describe("errors", () => errorTests(it))
      describe("transactions", () => transactionTests(it))
      describe("concurrency", () => concurrencyTests(it))
      describe("streaming", () => streamingTests(it))
      describe("migrations", () => migrationTests(it))
    })
    if (options?.renaming !== undefined) {
      provide(options.renaming, { excludeTestServices: true })("renaming", (it) => transformTests(it))
    }
  })
}
