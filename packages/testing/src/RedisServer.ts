/**
 * A private, real `redis-server` (7 or newer, from `PATH`) for the length of a scope.
 *
 * It listens on a free port of the loopback interface, keeps its files in a folder of its own, and never outlives the process
 * that started it. Tests can kill, restart, pause and resume it.
 *
 * @since 0.1.0
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { mkdtempSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "./internal/freePort.ts"
import { type ServerProcess, ServerStartFailed, start } from "./internal/serverProcess.ts"

export { ServerStartFailed } from "./internal/serverProcess.ts"

/**
 * Where a server is, and what a test may do to it.
 *
 * - `kill`: ends it at once, as SIGKILL does.
 * - `restart`: kills it if it runs, and starts it again on the same port with the same files.
 * - `pause`, `resume`: it keeps its connections and answers nothing until resumed.
 *
 * @category services
 * @since 0.1.0
 */
export class RedisServer extends Context.Service<RedisServer, {
  readonly host: string
  readonly port: number
  readonly url: string
  readonly kill: Effect.Effect<void>
  readonly restart: Effect.Effect<void, ServerStartFailed>
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}>()("@effect-resilience/testing/RedisServer") {}

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** More arguments of `redis-server`, such as `["--appendonly", "yes"]`. By default it keeps nothing on disk. */
  readonly args?: ReadonlyArray<string> | undefined
}

/**
 * A server that runs until the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: Options = {}) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "redis-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const outer = yield* Effect.scope
  const port = yield* freePort
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", "", ...options.args ?? []]

  let running: { readonly process: ServerProcess; readonly scope: Scope.Closeable } | undefined
  const kill = Effect.suspend(() => {
    if (running === undefined) return Effect.void
    const { scope } = running
    running = undefined
    return Scope.close(scope, Exit.void)
  })
  const launch = Effect.gen(function*() {
    const scope = yield* Scope.fork(outer)
    const process = yield* Scope.provide(start("redis-server", args, { cwd: folder }), scope)
    running = { process, scope }
    yield* waitUntilReady(port, process)
  })
  const signal = (name: NodeJS.Signals) => Effect.suspend(() => running?.process.signal(name) ?? Effect.void)

  yield* launch
  return RedisServer.of({
    host: "127.0.0.1",
    port,
    url: `redis://127.0.0.1:${port}`,
    kill,
    restart: Effect.andThen(kill, launch),
    pause: signal("SIGSTOP"),
    resume: signal("SIGCONT")
  })
})

/**
 * {@link make} as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<RedisServer, ServerStartFailed> =>
  Layer.effect(RedisServer, make(options))

/**
 * Effect's `Redis`, connected to the {@link RedisServer} in the context.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRedis: Layer.Layer<Redis.Redis | NodeRedis.NodeRedis, Redis.RedisError, RedisServer> = Layer.unwrap(
  Effect.map(RedisServer, ({ url }) => NodeRedis.layer({ url }))
)

/** Up to ten seconds: a machine that runs many tests at once is slow to start a process. */
const waitUntilReady = (port: number, process: ServerProcess) =>
  ping(port).pipe(
    Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo({ duration: "10 seconds" }))),
    Effect.raceFirst(Effect.andThen(process.ended, Effect.fail("it ended"))),
    Effect.mapError((reason) => new ServerStartFailed({ program: "redis-server", reason, output: process.output() }))
  )

const ping = (port: number): Effect.Effect<void, string> =>
  Effect.callback<void, string>((resume) => {
    const socket = Net.connect(port, "127.0.0.1", () => socket.write("PING\r\n"))
    socket.once("data", (data) => {
      resume(data.toString().startsWith("+PONG") ? Effect.void : Effect.fail(data.toString().trim()))
      socket.destroy()
    })
    socket.once("error", (error) => resume(Effect.fail(error.message)))
    return Effect.sync(() => socket.destroy())
  })
