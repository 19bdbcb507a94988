import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as SqlClientSuite from "@effect-resilience/testing/SqlClientSuite"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as String from "effect/String"

const client = (options?: Partial<PgClient.PgPoolConfig>) =>
  Layer.unwrap(Effect.map(PostgresServer.PostgresServer, (server) =>
    PgClient.layer({
      url: Redacted.make(server.url),
      ...options
    }))).pipe(Layer.provide(PostgresServer.layer))

SqlClientSuite.sqlClientSuite("PostgreSQL", client(), {
  renaming: client({
    transformQueryNames: String.camelToSnake,
    transformResultNames: String.snakeToCamel
  })
})
