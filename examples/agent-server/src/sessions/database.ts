/** The database that the server keeps its data in: PostgreSQL where there is one, else a SQLite file. */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlError from "effect/sql/SqlError"
import { randomBytes } from "node:crypto"
import { type Dependency, shown } from "../health/Dependency.ts"
import { because, type CannotStart, orCannotStart } from "../startup/CannotStart.ts"
import { makeDirectories, whyNot } from "../startup/directories.ts"
import * as BoundedSql from "./boundedSql.ts"

/** Where the data is. */
export interface Options {
  readonly dataDir: string
  readonly databaseUrl: Redacted.Redacted | undefined
}

/** Opens the database, and makes what is missing of a file. */
export const layer = (
  { dataDir, databaseUrl }: Options
): Layer.Layer<SqlClient.SqlClient, CannotStart, FileSystem.FileSystem | Path.Path> =>
  databaseUrl === undefined ? sqlite(dataDir) : postgres(databaseUrl)

/** The database as something that is watched. */
export const dependency = ({ dataDir, databaseUrl }: Options): Effect.Effect<Dependency, never, SqlClient.SqlClient> =>
  Effect.map(SqlClient.SqlClient, (sql) => ({
    name: "database",
    url: databaseUrl === undefined ? `file://${dataDir}/agent.sqlite` : shown(Redacted.value(databaseUrl)),
    probe: Effect.asVoid(sql`SELECT 1`),
    critical: true
  }))

const connectTimeout = "5 seconds"

/** Longer than any statement of ours takes, and shorter than a turn. */
const statementTimeout = Duration.seconds(10)

const maxConnections = 20

/** What PostgreSQL calls the connections of this process, and of no other. */
const applicationName = `agent-server-${randomBytes(4).toString("hex")}`

/**
 * The connections of PostgreSQL's pool. The driver does not tell of it, so the database is asked whose connections it works for. One
 * that is not open yet is as free as one that is; so is the one that asks.
 */
export const connections: Effect.Effect<
  { readonly idle: number; readonly used: number },
  SqlError.SqlError,
  SqlClient.SqlClient
> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ readonly used: number }>`
    SELECT count(*)::int AS used FROM pg_stat_activity
    WHERE application_name = ${applicationName} AND state <> 'idle' AND pid <> pg_backend_pid()`
  const used = Math.min(rows[0]?.used ?? 0, maxConnections)
  return { idle: maxConnections - used, used }
})

/** A pool connects when it is first used, so it is used: a server that cannot reach its data does not start. */
const postgres = (url: Redacted.Redacted): Layer.Layer<SqlClient.SqlClient, CannotStart> =>
  Layer.tap(
    BoundedSql.layer({ url, connectTimeout, statementTimeout, applicationName, maxConnections }),
    (context) => Effect.asVoid(Effect.provideContext(SqlClient.SqlClient.use((sql) => sql`SELECT 1`), context))
  ).pipe(orCannotStart((error) =>
    `DATABASE_URL: cannot use the database at ${shown(Redacted.value(url))}: ${whyNoConnection(error)}`
  ))

/** What the network or the database says. It never has the password in it; the driver's own message may have the whole URL. */
const whyNoConnection = ({ reason }: SqlError.SqlError): string => {
  const { cause } = reason
  if (Predicate.hasProperty(cause, "code") && typeof cause.code === "string") {
    return Predicate.hasProperty(cause, "message") ? `${String(cause.message)} (${cause.code})` : cause.code
  }
  return reason.message || reason._tag
}

/** Opens `agent.sqlite` in a directory, and makes both where they are missing. */
const sqlite = (
  directory: string
): Layer.Layer<SqlClient.SqlClient, CannotStart, FileSystem.FileSystem | Path.Path> =>
  Layer.unwrap(Effect.gen(function*() {
    yield* prepareDirectory(directory)
    const filename = (yield* Path.Path).join(directory, "agent.sqlite")
    return orCannotStart(
      SqliteClient.layer({ filename }),
      (error) => `DATA_DIR: cannot use ${JSON.stringify(filename)}: ${error.message}`
    )
  }))

/** Makes a directory that can be written into, with all that is missing above it. */
export const prepareDirectory = (
  directory: string
): Effect.Effect<void, CannotStart, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    yield* Effect.mapError(
      makeDirectories(directory),
      (error) => because(`DATA_DIR: cannot make the directory ${JSON.stringify(directory)} (${whyNot(error)})`)
    )
    // SQLite would tell no more than that it cannot open the file.
    yield* Effect.mapError(
      fs.access(directory, { writable: true }),
      (error) => because(`DATA_DIR: cannot write into ${JSON.stringify(directory)} (${whyNot(error)})`)
    )
  })
