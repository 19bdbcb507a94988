/** The server as its users have it: a process of its own, started with an environment, spoken to over HTTP. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Ended, type Environment, launch, untilUp } from "../../src/storm/instance.ts"

/** What the tests send as the operator's key. */
export const adminKey = "test-admin-key"

/** A key that is not limited. */
export const unlimitedKey = "test-unlimited-key"

/** A folder of its own, removed with the scope. */
export const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "agent-server-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A server that runs. */
export interface RunningServer {
  readonly origin: string
  /** What it has written to standard output and standard error so far. */
  readonly output: () => string
  /** Sends a signal and waits for the end. */
  readonly stop: (signal: "SIGTERM" | "SIGINT" | "SIGKILL") => Promise<Ended>
}

/** Runs a server that is expected to end by itself. */
export const runToEnd = (environment: Environment): Effect.Effect<Ended> =>
  Effect.callback((resume) => {
    const { child, ended } = launch(environment)
    void ended.then((end) => resume(Effect.succeed(end)))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** A server on a free port, with its data in `dataDir`, until the scope closes. */
export const start = (
  dataDir: string,
  environment: Environment = {}
): Effect.Effect<RunningServer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const launched = launch({
        PORT: "0",
        DATA_DIR: dataDir,
        ADMIN_KEY: adminKey,
        API_KEYS: `load:${unlimitedKey}:unlimited`,
        LOG_FORMAT: "json",
        // No load balancer has to learn that it leaves.
        PRE_STOP_DELAY: "0",
        ...environment
      })
      const origin = await untilUp(launched)
      return {
        origin,
        output: () => launched.said.stdout + launched.said.stderr,
        stop: (signal: "SIGTERM" | "SIGINT" | "SIGKILL") => {
          launched.child.kill(signal)
          return launched.ended
        }
      }
    }),
    (server) => Effect.promise(() => server.stop("SIGKILL"))
  )

/** A server with a folder of its own. */
export const startFresh = (environment: Environment = {}): Effect.Effect<RunningServer, never, Scope.Scope> =>
  Effect.flatMap(temporaryFolder, (folder) => start(folder, environment))
