/** Whether the process lives, and what it has counted. Neither needs a key, and neither is limited. */
import type { FastifyInstance } from "fastify"
import type { Metrics } from "../metrics.ts"

/** Adds the routes. */
export const addOperations = (app: FastifyInstance, { registry }: Metrics): void => {
  for (const path of ["/health/live", "/livez", "/healthz"]) {
    app.get(path, { logLevel: "warn" }, async (_, reply) => {
      reply.header("cache-control", "no-store")
      return { status: "ok", checks: {} }
    })
  }
  app.get("/metrics", { logLevel: "warn" }, async (_, reply) => {
    reply.header("content-type", registry.contentType)
    return registry.metrics()
  })
}
