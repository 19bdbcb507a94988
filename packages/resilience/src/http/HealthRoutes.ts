/**
 * The health probes over HTTP: liveness, readiness and startup for an orchestrator or a load balancer to ask.
 *
 * | route | also as | answers |
 * | --- | --- | --- |
 * | `/health/live` | `/livez`, `/healthz` | 200 while the program makes progress |
 * | `/health/ready` | `/readyz`, `/ready` | 200 while it wants traffic |
 * | `/health/startup` | `/startupz` | 200 once it has started |
 *
 * The other answer is 503. The body is `{"status":"healthy","checks":[]}`, or `"degraded"` or `"unhealthy"`; `checks` are there
 * for whoever is allowed to see `details`. `HEAD` and a query string make no difference, and nothing is to be cached.
 *
 * **Example** (A program that still waits for its plugins)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { HealthProbes, HealthRoutes } from "effect-resilience"
 * import { HttpRouter } from "effect/http"
 *
 * const health = HealthProbes.layer([HealthProbes.condition("plugins")])
 * const { dispose, handler } = HttpRouter.toWebHandler(Layer.provide(HealthRoutes.layer(), health), { disableLogger: true })
 *
 * const ready = await handler(new Request("http://localhost/readyz"))
 * const answer = [ready.status, await ready.json()]
 * await dispose()
 * answer // => [503, { status: "unhealthy", checks: [] }]
 * ```
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as HealthProbes from "../HealthProbes.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where liveness is answered. Default `["/health/live", "/livez", "/healthz"]`. */
  readonly live?: ReadonlyArray<HttpRouter.PathInput> | undefined
  /** Where readiness is answered. Default `["/health/ready", "/readyz", "/ready"]`. */
  readonly ready?: ReadonlyArray<HttpRouter.PathInput> | undefined
  /** Where startup is answered. Default `["/health/startup", "/startupz"]`. */
  readonly startup?: ReadonlyArray<HttpRouter.PathInput> | undefined
  /**
   * Who may see the checks: their names, states, and the errors of the dependencies. Default nobody. The probes of an
   * orchestrator need no details, and the names of what a program depends on are nothing to tell everybody.
   */
  readonly details?: ((request: HttpServerRequest.HttpServerRequest) => Effect.Effect<boolean>) | undefined
}

/**
 * Adds the routes to the router of the program.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<never, never, HealthProbes.HealthProbes | HttpRouter.HttpRouter> => {
  const { details = () => Effect.succeed(false) } = options
  return Layer.unwrap(Effect.map(HealthProbes.HealthProbes, (health) => {
    const routes = (paths: ReadonlyArray<HttpRouter.PathInput>, probe: Effect.Effect<HealthProbes.Verdict>) =>
      paths.map((path) =>
        HttpRouter.route("GET", path, (request) => Effect.zipWith(probe, details(request), toResponse))
      )
    return HttpRouter.addAll([
      ...routes(options.live ?? ["/health/live", "/livez", "/healthz"], health.live),
      ...routes(options.ready ?? ["/health/ready", "/readyz", "/ready"], health.ready),
      ...routes(options.startup ?? ["/health/startup", "/startupz"], health.startup)
    ])
  }))
}

const toResponse = (verdict: HealthProbes.Verdict, details: boolean): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe(
    details
      ? { status: verdict.status, draining: verdict.draining, down: verdict.down, checks: verdict.checks.map(toBody) }
      : { status: verdict.status, checks: [] },
    { status: verdict.ok ? 200 : 503, headers: { "cache-control": "no-store" } }
  )

const toBody = (check: HealthProbes.CheckReport) => ({
  kind: check.kind,
  name: check.name,
  url: check.url,
  state: check.state,
  critical: check.critical,
  groups: check.groups,
  failure_count: check.failures,
  last_check: isoOf(check.lastCheck),
  last_success: isoOf(check.lastSuccess),
  last_failure: isoOf(check.lastFailure),
  last_error: check.lastError?.message,
  latency_ms: check.latency === undefined ? undefined : Duration.toMillis(check.latency),
  detail: check.detail
})

const isoOf = (at: DateTime.Utc | undefined): string | undefined =>
  at === undefined ? undefined : DateTime.formatIso(at)
