/**
 * How a program and its voice sessions are, for dashboards, as a group that any `HttpApi` can mount: the checks of
 * {@link HealthProbes} and the stages of {@link SessionMetrics}.
 *
 * - What is answered was found out before it was asked: a thousand requests cause no call of a dependency.
 * - Where a service is and why it failed is told to those only whom `details` lets see it; the others get `null`.
 * - To {@link Monitoring} `reset` belongs the operator's key: provide `http/AdminKey`. To close the others too, give the group
 *   that middleware.
 * - `HEAD` and a query string make no difference, and nothing is to be cached.
 *
 * For the probes of an orchestrator there is `http/HealthRoutes`.
 *
 * **Example** (A database that is well)
 *
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Effect, Layer, Redacted } from "effect"
 * import { AdminKey, HealthProbes, MonitoringApi, SessionMetrics } from "effect-resilience"
 * import { HttpApi, HttpApiBuilder } from "effect/http-api"
 * import { HttpRouter } from "effect/http"
 *
 * class Api extends HttpApi.make("app").add(MonitoringApi.Monitoring) {}
 *
 * const key = Redacted.make("s3cret")
 * const routes = HttpApiBuilder.layer(Api).pipe(
 *   Layer.provide(MonitoringApi.layer(Api, { details: AdminKey.isOperator(key) })),
 *   Layer.provide(AdminKey.layer(key)),
 *   Layer.provide(HealthProbes.layer([HealthProbes.check({ name: "database", probe: Effect.void })])),
 *   Layer.provide(SessionMetrics.layer()),
 *   Layer.provide(NodeHttpServer.layerHttpServices)
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
 *
 * const reply = await handler(new Request("http://app.test/api/v1/monitoring/health"))
 * const { services } = await reply.json()
 * await dispose()
 * Object.keys(services) // => ["database"]
 * ```
 *
 * @since 0.1.0
 */
import type { HealthProbes } from "../HealthProbes.ts"
import type { Like, Mounting, Served } from "../internal/http/adminApi/mounted.ts"
import * as Internal from "../internal/http/monitoring.ts"
import type { SessionMetrics } from "../SessionMetrics.ts"

export { Monitoring, type Options, ServiceNotFound } from "../internal/http/monitoring.ts"

/**
 * Serves {@link Monitoring}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: <ApiId extends string, Group extends Like<typeof Internal.Monitoring>>(
  api: Mounting<ApiId, "monitoring", Group>,
  options?: Internal.Options
) => Served<ApiId, Group, HealthProbes | SessionMetrics> = Internal.layer
