/** Clients that show what is on the wire, and keep their connection as a load balancer does. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Net from "node:net"
import type { RunningServer } from "./server.ts"

/** A TCP connection that sends what it is told to, and keeps all it receives. */
export interface Wire {
  readonly send: (text: string) => void
  readonly received: () => string
  /** Waits for the end, and tells all that was received. */
  readonly closed: Promise<string>
}

export const connect = (server: RunningServer): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() =>
        new Promise<{ readonly socket: Net.Socket; readonly wire: Wire }>((resolve, reject) => {
          const { hostname, port } = new URL(server.origin)
          let text = ""
          const socket = Net.connect({ host: hostname, port: Number(port) }, () => resolve({ socket, wire }))
          // A reset is an end as well.
          const closed = new Promise<string>((resolve) => socket.once("close", () => resolve(text)))
          const wire: Wire = { send: (more) => void socket.write(more), received: () => text, closed }
          socket.setEncoding("latin1").on("data", (more: string) => text += more)
          socket.on("error", reject)
        })
      ),
      ({ socket }) => Effect.sync(() => socket.destroy())
    ),
    ({ wire }) => wire
  )

/** A reply, read to its end. */
export interface WireReply {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
}

/** Sends requests over connections that it keeps; one that cannot be sent, or is torn, fails. */
export const keepAlive = (sockets: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const agent = new Http.Agent({ keepAlive: true, maxSockets: sockets })
      const send = (
        url: string,
        options: Http.RequestOptions = {},
        body?: string
      ): Promise<WireReply> =>
        new Promise((resolve, reject) => {
          Http.request(url, { ...options, agent }, (response) => {
            let text = ""
            response.setEncoding("utf8").on("data", (more: string) => text += more)
            response.on("error", reject)
            response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
          }).on("error", reject).end(body)
        })
      return { agent, send }
    }),
    ({ agent }) => Effect.sync(() => agent.destroy())
  )
