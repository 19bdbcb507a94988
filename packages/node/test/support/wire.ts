/** Clients that show what is on the wire. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Net from "node:net"

/** A TCP connection that sends what it is told to, and keeps all it receives. */
export interface Wire {
  readonly send: (text: string) => void
  readonly received: () => string
  /** Waits until what was received satisfies this. */
  readonly until: (isSo: (received: string) => boolean) => Promise<string>
  /** Waits for the end, and tells all that was received. */
  readonly closed: Promise<string>
  readonly socket: Net.Socket
}

export const connect = (port: number): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<Wire>((resolve, reject) => {
        let text = ""
        const looks = new Set<() => void>()
        const socket = Net.connect({ port, host: "127.0.0.1" }, () => resolve(wire))
        const closed = new Promise<string>((resolve) => socket.once("close", () => resolve(text)))
        const wire: Wire = {
          send: (more) => void socket.write(more, "latin1"),
          received: () => text,
          until: (isSo) =>
            new Promise((resolve, reject) => {
              const look = () => {
                if (!isSo(text)) return
                looks.delete(look)
                resolve(text)
              }
              looks.add(look)
              look()
              void closed.then(() => reject(new Error(`closed after: ${text}`)))
            }),
          closed,
          socket
        }
        socket.setEncoding("latin1")
        socket.on("data", (more: string) => {
          text += more
          for (const look of looks) look()
        })
        // A reset is an end as well.
        socket.on("error", reject)
      })
    ),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

export const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`

export interface Reply {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
}

/** A client that keeps its connection, as a load balancer does. */
export const keepAliveClient = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
      return {
        agent,
        get: (path: string): Promise<Reply> =>
          new Promise((resolve, reject) => {
            Http.get({ port, host: "127.0.0.1", path, agent }, (response) => {
              let text = ""
              response.setEncoding("utf8")
              response.on("data", (more: string) => text += more)
              response.on("error", reject)
              response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
            }).on("error", reject)
          })
      }
    }),
    ({ agent }) => Effect.sync(() => agent.destroy())
  )

/** The body of a chunked reply, and whether it came to its proper end. */
export const chunkedBody = (reply: string): { readonly text: string; readonly complete: boolean } => {
  let rest = reply.slice(reply.indexOf("\r\n\r\n") + 4)
  let text = ""
  for (;;) {
    const end = rest.indexOf("\r\n")
    const size = parseInt(rest.slice(0, end), 16)
    if (end === -1 || Number.isNaN(size) || rest.length < end + 4 + size) return { text, complete: false }
    if (size === 0) return { text, complete: true }
    text += rest.slice(end + 2, end + 2 + size)
    rest = rest.slice(end + 4 + size)
  }
}
