/** Whether the process lives, and what it has counted. Neither needs a key, and neither is limited. */
import type { FastifyInstance } from "fastify"
import { monitorEventLoopDelay } from "node:perf_hooks"
import type { Metrics } from "../metrics.ts"

/** A process whose loop is later than this does not answer either. In nanoseconds. */
const latest = 5e9

/** Adds the routes. */
export const addOperations = (app: FastifyInstance, { registry }: Metrics): void => {
  const delay = monitorEventLoopDelay({ resolution: 100 })
  delay.enable()
  app.addHook("onClose", async () => {
    delay.disable()
  })
  for (const path of ["/health/live", "/livez", "/healthz"]) {
    app.get(path, { logLevel: "warn" }, async (_, reply) => {
      const isHealthy = !(delay.mean > latest)
      reply.code(isHealthy ? 200 : 503)
      return {
        status: isHealthy ? "healthy" : "unhealthy",
        checks: { "event-loop": isHealthy ? "Healthy" : "Failed" },
        draining: false
      }
    })
  }
  app.get("/metrics", { logLevel: "warn" }, async (_, reply) => {
    reply.header("content-type", registry.contentType)
    return registry.metrics()
  })
}
