/** A port of the loopback interface that nobody listens on. */
import * as Effect from "effect/Effect"
import * as Net from "node:net"

/** It was free a moment ago; whoever binds it may still come second. */
export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = Net.createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})
