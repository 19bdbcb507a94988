import * as SqlClientSuite from "@effect-resilience/testing/SqlClientSuite"
import * as String from "effect/String"
import * as Postgres from "./postgres.ts"

SqlClientSuite.sqlClientSuite("PostgreSQL", Postgres.client(), {
  renaming: Postgres.client({
    transformQueryNames: String.camelToSnake,
    transformResultNames: String.snakeToCamel
  })
})
