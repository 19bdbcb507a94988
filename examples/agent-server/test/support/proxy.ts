/** A network between the server and something that it needs: it passes everything on, until it swallows it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"

/** The network, and what a test may do to it. */
export interface Proxy {
  readonly port: number
  /** Takes what is sent, also on new connections, and passes nothing on, in neither direction. */
  readonly swallow: () => void
  /** Passes on again what is sent from now on. What was swallowed is lost, so connections that lost something are cut. */
  readonly pass: () => void
}

/** A network to a port of this machine. */
export const proxyTo = (port: number): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => {
        let swallows = false
        const sockets = new Set<Net.Socket>()
        const dumb = new Set<Net.Socket>()
        const server = Net.createServer((from) => {
          const to = Net.connect({ host: "127.0.0.1", port })
          for (const [one, other] of [[from, to], [to, from]] as const) {
            sockets.add(one)
            one.on("data", (bytes) => {
              if (swallows) dumb.add(one).add(other)
              else other.write(bytes)
            })
            // An end is something that is sent, too.
            one.on("close", () => {
              sockets.delete(one)
              if (swallows) dumb.add(other)
              else other.destroy()
            })
            one.on("error", () => {})
          }
        })
        const swallow = () => {
          swallows = true
        }
        const pass = () => {
          swallows = false
          for (const socket of dumb) socket.destroy()
          dumb.clear()
        }
        const close = () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
        type Running = { readonly server: Net.Server; readonly close: () => void } & Pick<Proxy, "swallow" | "pass">
        return new Promise<Running>((resolve) =>
          server.listen(0, "127.0.0.1", () => resolve({ server, close, swallow, pass }))
        )
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ pass, server, swallow }) => {
      const address = server.address()
      if (address === null || typeof address === "string") throw new Error("the proxy has no port")
      return { port: address.port, swallow, pass }
    }
  )
