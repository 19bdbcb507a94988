/**
 * A private, real HAProxy (from `PATH`) in front of some servers, for the length of a scope.
 *
 * It asks each server for its readiness ten times a second and passes requests on to those that are ready. It sends no request
 * again but those for which it had no connection, so a request that a server fails is seen to fail.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "./internal/freePort.ts"
import { start } from "./internal/serverProcess.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The port on loopback of each server, by its name. */
  readonly servers: Readonly<Record<string, number>>
  /** Where a server is asked for its readiness. */
  readonly readiness: string
}

/**
 * A proxy that runs until the scope closes.
 *
 * - `port`: where it listens on loopback
 * - `until`: waits until it thinks of a server what it should
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: Options) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "haproxy-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  )
  const port = yield* freePort
  const file = join(folder, "haproxy.cfg")
  const stats = join(folder, "haproxy.sock")
  yield* Effect.sync(() => writeFileSync(file, configuration(port, stats, options)))
  yield* start("haproxy", ["-db", "-f", file], { cwd: folder })
  return {
    port,
    until: (server: string, status: "UP" | "DOWN"): Effect.Effect<void> =>
      Effect.asVoid(
        Effect.repeat(statusOf(stats, server), {
          schedule: Schedule.spaced("20 millis"),
          until: (found) => found === status
        })
      )
  }
})

const configuration = (port: number, stats: string, { readiness, servers }: Options) => `
global
  stats socket ${stats} mode 600
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  # A busy machine may take its time over an answer that is right.
  timeout check 5s
frontend in
  bind 127.0.0.1:${port}
  default_backend app
backend app
  option httpchk GET ${readiness}
  default-server check inter 100ms fall 2 rise 1
${Object.entries(servers).map(([name, port]) => `  server ${name} 127.0.0.1:${port}`).join("\n")}
`

const statusOf = (socket: string, server: string): Effect.Effect<string | undefined> =>
  Effect.map(ask(socket, "show stat\n"), (answer) => {
    const [header, ...rows] = answer.split("\n").map((line) => line.split(","))
    const status = header?.indexOf("status") ?? -1
    return rows.find(([proxy, name]) => proxy === "app" && name === server)?.[status]
  })

/** Empty while it does not listen yet. */
const ask = (path: string, command: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    let answer = ""
    const socket = Net.connect({ path }, () => socket.write(command))
    socket.setEncoding("utf8").on("data", (text: string) => answer += text)
    socket.on("error", () => resume(Effect.succeed("")))
    socket.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  })
