/** Who is connected to a server, and what of it is work that a shutdown waits for. */
import * as Effect from "effect/Effect"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Phases } from "./phases.ts"

export class Connections {
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  /** With TLS these lie on top of the sockets, and only they can be ended in an orderly way. */
  private readonly secure = new Set<Socket>()
  private readonly responses = new Set<ServerResponse>()
  private readonly upgraded = new Set<Duplex>()
  private readonly waiting = new Set<() => void>()

  /** To be called before anybody else listens to the server, so that it sees each request first. */
  constructor(server: Server, phases: Phases) {
    this.server = server
    const onRequest = (_: IncomingMessage, response: ServerResponse) => {
      this.hold(this.responses, response)
      if (phases.has("Draining")) response.shouldKeepAlive = false
      // A connection that falls idle now would keep the server from closing as long as its client likes.
      response.once("close", () => {
        if (phases.has("Closing")) setImmediate(() => server.closeIdleConnections())
      })
    }
    server.on("connection", (socket) => {
      this.sockets.add(socket)
      socket.once("close", () => {
        this.sockets.delete(socket)
        this.tell()
      })
    })
    server.on("secureConnection", (socket) => {
      this.secure.add(socket)
      socket.once("close", () => this.secure.delete(socket))
    })
    server.on("request", onRequest)
    server.on("checkContinue", onRequest)
    server.on("upgrade", (_, socket) => this.hold(this.upgraded, socket))
  }

  /** Requests that are being answered, and connections that were upgraded. */
  get inFlight(): number {
    return this.responses.size + this.upgraded.size
  }

  /** Connections, with and without a request. */
  get open(): number {
    return this.sockets.size
  }

  /** Replies that have not begun yet will ask their clients to connect anew, to somebody else. */
  askToLeave(): void {
    for (const response of this.responses) if (!response.headersSent) response.shouldKeepAlive = false
  }

  /** Takes no new connections, and closes those on which nothing is going on. */
  close(): void {
    this.server.close()
  }

  readonly untilIdle: Effect.Effect<void> = this.when(() => this.inFlight === 0)
  readonly untilGone: Effect.Effect<void> = this.when(() => this.sockets.size === 0)

  /** Ends what is left, once what was written to it has been sent. */
  end(): void {
    for (const socket of this.secure.size > 0 ? this.secure : this.sockets) socket.destroySoon()
  }

  destroy(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  private hold<A extends ServerResponse | Duplex>(held: Set<A>, one: A): void {
    held.add(one)
    one.once("close", () => {
      held.delete(one)
      this.tell()
    })
  }

  private tell(): void {
    for (const look of this.waiting) look()
  }

  private when(isSo: () => boolean): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const look = () => {
        if (!isSo()) return
        this.waiting.delete(look)
        resume(Effect.void)
      }
      this.waiting.add(look)
      look()
      return Effect.sync(() => this.waiting.delete(look))
    })
  }
}
