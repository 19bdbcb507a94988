/** The endpoints for dashboards: how the program and its sessions are. */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as HealthProbes from "../../HealthProbes.ts"
import { AdminKey } from "../../http/AdminKey.ts"
import * as Problem from "../../http/Problem.ts"
import * as SessionMetrics from "../../SessionMetrics.ts"
import { type Like, type Mounting, serve, type Served } from "./adminApi/mounted.ts"
import { Replies } from "./adminApi/replies.ts"

/**
 * 404: no check has this name. The message names those that there are.
 *
 * @category errors
 * @since 0.1.0
 */
export class ServiceNotFound extends HttpApiError.Problem<ServiceNotFound>()("ServiceNotFound", {
  type: "/problems/service_not_found",
  status: 404,
  title: "No such service"
}, Problem.members("service_not_found")) {}

const State = Schema.Literals(["Unknown", "Healthy", "Degraded", "Failed"])

const health = {
  services: Schema.Record(Schema.String, State).annotate({ description: "How each check stands" }),
  critical_down: Schema.Array(Schema.String).annotate({ description: "What keeps the program from being well" })
}

const Up = Schema.Struct({ status: Schema.Literals(["healthy", "degraded"]), ...health })
const Down = Schema.Struct({ status: Schema.Literal("unhealthy"), ...health })
const Health = Schema.Union([Up, Down])

const Time = Schema.NullOr(Schema.String).annotate({ description: "ISO 8601, UTC; null: never" })

const Service = Schema.Struct({
  name: Schema.String,
  url: Schema.NullOr(Schema.String).annotate({ description: "For whoever may see details; else null" }),
  state: State,
  failure_count: Schema.Int.annotate({ description: "Since it was last healthy" }),
  last_check: Time,
  last_success: Time,
  last_error: Schema.NullOr(Schema.String).annotate({
    description: "Why it failed last, for whoever may see details; else null"
  }),
  latency_ms: Schema.NullOr(Schema.Finite).annotate({ description: "How long the latest check took" })
}).annotate({ identifier: "Service" })

const Average = Schema.NullOr(Schema.Finite)

const Metrics = Schema.Struct({
  active_sessions: Schema.Int,
  total_sessions: Schema.Int.annotate({ description: "Sessions that ended since the program started" }),
  total_errors: Schema.Int.annotate({ description: "Stages that failed" }),
  total_barge_ins: Schema.Int,
  avg_latencies_ms: Schema.Struct({
    asr: Average,
    llm: Average,
    tts: Average,
    e2e: Average,
    pipeline: Average.annotate({ description: "asr, llm and tts one after the other; null while one is not known" })
  }).annotate({ description: "Means over the last sessions; null while nothing was measured" }),
  latency_targets: Schema.Record(
    Schema.String,
    Schema.Struct({ target_ms: Schema.Finite, met: Schema.Boolean })
  )
}).annotate({ identifier: "SessionMetrics" })

const summary = (text: string) => OpenApi.annotations({ summary: text })

/**
 * How the program and its sessions are, for dashboards.
 *
 * | endpoint | answers |
 * | --- | --- |
 * | `GET /api/v1/monitoring/health` | `{status, services, critical_down}`; 503 when unhealthy |
 * | `GET /api/v1/monitoring/health/services` | `{services: [{name, url, state, failure_count, last_check, last_success, last_error, latency_ms}]}` |
 * | `GET /api/v1/monitoring/metrics` | sessions in numbers, mean latencies, targets |
 * | `GET /api/v1/monitoring/status` | `{health, metrics}` |
 * | `POST /api/v1/monitoring/health/reset/{service_id}` | forgets what is known of a check and runs it; for the operator |
 *
 * @category groups
 * @since 0.1.0
 */
export class Monitoring extends HttpApiGroup.make("monitoring").add(
  HttpApiEndpoint.get("health", "/api/v1/monitoring/health", {
    success: [Up, Down.pipe(HttpApiSchema.status(503))]
  }).annotateMerge(summary("Whether all is well; 503 when it is not")),
  HttpApiEndpoint.get("services", "/api/v1/monitoring/health/services", {
    success: Schema.Struct({ services: Schema.Array(Service) })
  }).annotateMerge(summary("How each check stands")),
  HttpApiEndpoint.get("metrics", "/api/v1/monitoring/metrics", { success: Metrics })
    .annotateMerge(summary("Sessions in numbers")),
  HttpApiEndpoint.get("status", "/api/v1/monitoring/status", {
    success: Schema.Struct({ health: Health, metrics: Metrics })
  }).annotateMerge(summary("Health and metrics in one")),
  HttpApiEndpoint.post("reset", "/api/v1/monitoring/health/reset/:service_id", {
    params: { service_id: Schema.String },
    success: Schema.Struct({
      service_id: Schema.String,
      status: Schema.Literal("reset"),
      health: Schema.Struct({ state: State, failure_count: Schema.Int })
    }),
    error: ServiceNotFound
  }).middleware(AdminKey).annotateMerge(summary("Forget what is known of a check, and run it"))
).middleware(Replies).annotateMerge(OpenApi.annotations({ title: "Monitoring" })) {}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Who may see where services are and why they failed: a URL names hosts, and an error may quote the dependency. Default
   * nobody; `AdminKey.isOperator(key)` is for the operator.
   */
  readonly details?: ((request: HttpServerRequest.HttpServerRequest) => Effect.Effect<boolean>) | undefined
}

export const layer = <ApiId extends string, Group extends Like<typeof Monitoring>>(
  api: Mounting<ApiId, "monitoring", Group>,
  options: Options = {}
): Served<ApiId, Group, HealthProbes.HealthProbes | SessionMetrics.SessionMetrics> => {
  const details = options.details ?? (() => Effect.succeed(false))
  return Layer.unwrap(Effect.map(
    Effect.all([HealthProbes.HealthProbes, SessionMetrics.SessionMetrics]),
    ([probes, sessions]) =>
      serve<typeof Monitoring>()(
        api,
        (api) =>
          HttpApiBuilder.group(api, "monitoring", (handlers) =>
            handlers.handleAll({
              health: () => Effect.map(probes.report, toHealth),
              services: ({ request }) =>
                Effect.zipWith(probes.report, details(request), (report, details) => ({
                  services: servicesOf(report).map(toService(details))
                })),
              metrics: () => Effect.map(sessions.report, toMetrics),
              status: () =>
                Effect.zipWith(probes.report, sessions.report, (report, metrics) => ({
                  health: toHealth(report),
                  metrics: toMetrics(metrics)
                })),
              reset: ({ params }) => reset(probes, params.service_id)
            }))
      )
  ))
}

const reset = (probes: HealthProbes.HealthProbes["Service"], name: string) =>
  probes.reset(name).pipe(
    Effect.map(({ failures, state }) => ({
      service_id: name,
      status: "reset" as const,
      health: { state, failure_count: failures }
    })),
    Effect.mapError(({ known }) =>
      new ServiceNotFound(Problem.says(
        `There is no service ${JSON.stringify(name.slice(0, 100))}. There are: ${known.join(", ") || "none"}.`
      ))
    )
  )

/** Dependencies: heartbeats and conditions are of the program itself. */
const servicesOf = ({ checks }: HealthProbes.Verdict) => checks.filter(({ kind }) => kind === "check")

const toHealth = (report: HealthProbes.Verdict): typeof Health.Type => {
  const services = Object.fromEntries(servicesOf(report).map(({ name, state }) => [name, state]))
  const told = { services, critical_down: report.down }
  // The same in both: each branch is one member of the union, and the compiler wants to see which.
  return report.status === "unhealthy" ? { status: report.status, ...told } : { status: report.status, ...told }
}

const toService = (details: boolean) => (check: HealthProbes.CheckReport): typeof Service.Type => ({
  name: check.name,
  url: details ? check.url ?? null : null,
  state: check.state,
  failure_count: check.failures,
  last_check: iso(check.lastCheck),
  last_success: iso(check.lastSuccess),
  last_error: details ? check.lastError?.message ?? null : null,
  latency_ms: millis(check.latency)
})

const iso = (at: DateTime.Utc | undefined): string | null => at === undefined ? null : DateTime.formatIso(at)

const millis = (duration: Duration.Duration | undefined): number | null =>
  duration === undefined ? null : rounded(Duration.toMillis(duration))

const rounded = (value: number): number => Math.round(value * 1_000) / 1_000

const inARow = new Set<SessionMetrics.Stage>(["asr", "llm", "tts"])

const toMetrics = ({ active, stages, totals }: SessionMetrics.Report): typeof Metrics.Type => {
  const average = (name: SessionMetrics.Stage) => millis(stages.find(({ stage }) => stage === name)?.average)
  const parts = stages.filter(({ stage }) => inARow.has(stage)).map(({ stage }) => average(stage))
  const known = parts.filter((part) => part !== null)
  return {
    active_sessions: active,
    total_sessions: totals.sessions,
    total_errors: totals.errors,
    total_barge_ins: totals.bargeIns,
    avg_latencies_ms: {
      asr: average("asr"),
      llm: average("llm"),
      tts: average("tts"),
      e2e: average("e2e"),
      // Of a part the mean says nothing: it would look as if the pipeline had become faster.
      pipeline: known.length === 0 || known.length < parts.length
        ? null
        : rounded(known.reduce((sum, part) => sum + part, 0))
    },
    latency_targets: Object.fromEntries(
      stages.flatMap(({ met, stage, target }) =>
        target === undefined ? [] : [[stage, { target_ms: Duration.toMillis(target), met }]]
      )
    )
  }
}
