/** A real HAProxy in front of two servers, which it asks for their readiness. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import * as Net from "node:net"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"

export interface HaProxy {
  readonly port: number
  /** Waits until it thinks of a server what it should. */
  readonly until: (server: string, status: "UP" | "DOWN") => Effect.Effect<void>
}

/** No retries but HAProxy's own, which are for connections that it could not make. */
const configuration = (port: number, stats: string, servers: Readonly<Record<string, number>>) => `
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
  option httpchk GET /ready
  default-server check inter 100ms fall 2 rise 1
${Object.entries(servers).map(([name, port]) => `  server ${name} 127.0.0.1:${port}`).join("\n")}
`

/** It ends with this process, however that ends: then the pipe does, and the shell kills it. */
const supervisor = `haproxy -db -f "$0" & child=$!; cat >/dev/null; kill -9 $child; wait $child`

export const startHaProxy = Effect.fnUntraced(
  function*(folder: string, servers: Readonly<Record<string, number>>): Effect.fn.Return<HaProxy, never, Scope.Scope> {
    const port = yield* freePort
    const file = join(folder, "haproxy.cfg")
    const stats = join(folder, "haproxy.sock")
    writeFileSync(file, configuration(port, stats, servers))
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn("sh", ["-c", supervisor, file], { stdio: ["pipe", "ignore", "ignore"] })
        return { child, ended: new Promise((resolve) => child.once("close", resolve)) }
      }),
      ({ child, ended }) =>
        Effect.promise(() => {
          child.stdin.end()
          return ended
        })
    )
    return {
      port,
      until: (server, status) =>
        Effect.promise(async () => {
          while ((await statusOf(stats, server)) !== status) await setTimeout(20)
        })
    }
  }
)

const statusOf = async (socket: string, server: string): Promise<string | undefined> => {
  const [header, ...rows] = (await ask(socket, "show stat\n")).split("\n").map((line) => line.split(","))
  const status = header?.indexOf("status") ?? -1
  return rows.find(([proxy, name]) => proxy === "app" && name === server)?.[status]
}

/** Empty while it does not listen yet. */
const ask = (path: string, command: string): Promise<string> =>
  new Promise((resolve) => {
    let answer = ""
    const socket = Net.connect({ path }, () => socket.write(command))
    socket.setEncoding("utf8").on("data", (text: string) => answer += text)
    socket.on("error", () => resolve(""))
    socket.on("close", () => resolve(answer))
  })

export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})
