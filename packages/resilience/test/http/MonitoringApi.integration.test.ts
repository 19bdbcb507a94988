/** Health and sessions for dashboards, over a real socket. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { assert, describe, it } from "@effect/vitest"
import * as HealthProbes from "effect-resilience/HealthProbes"
import * as AdminKey from "effect-resilience/http/AdminKey"
import * as MonitoringApi from "effect-resilience/http/MonitoringApi"
import * as SessionMetrics from "effect-resilience/SessionMetrics"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { adminKey, ask, origin, post, serving } from "../support/adminServer.ts"

class Api extends HttpApi.make("somebody-elses").add(MonitoringApi.Monitoring) {}

const base = "/api/v1/monitoring"

/** A program with a database that is well, or not, and a cache that is down and can be missed. */
const server = (
  options: {
    readonly database?: Effect.Effect<void, unknown>
    readonly stages?: ReadonlyArray<SessionMetrics.Stage>
  } = {}
) =>
  serving(
    HttpApiBuilder.layer(Api).pipe(
      Layer.provide(MonitoringApi.layer(Api, { details: AdminKey.isOperator(Redacted.make(adminKey)) }))
    )
  ).pipe(Layer.provideMerge(Layer.mergeAll(
    HealthProbes.layer([
      HealthProbes.check({
        name: "database",
        url: "postgres://app:hunter2@db.internal/app",
        probe: options.database ?? Effect.void,
        critical: true,
        thresholds: { failed: 1 }
      }),
      HealthProbes.check({
        name: "cache",
        probe: Effect.fail("connect ECONNREFUSED 10.0.0.7:6379"),
        thresholds: { failed: 1 }
      }),
      HealthProbes.heartbeat("loop", { within: "1 hour" })
    ]),
    SessionMetrics.layer(options.stages === undefined ? {} : { stages: options.stages })
  )))

/** Both checks have run once. */
const checked = Effect.flatMap(
  HealthProbes.HealthProbes,
  ({ report }) =>
    Eventually.answers(
      report,
      ({ checks }) => checks.every(({ kind, lastCheck }) => kind !== "check" || lastCheck !== undefined)
    )
)

const stranger = { headers: {} }

describe("GET /api/v1/monitoring/health", () => {
  it.live("HP5 says how all is: 200 while what is critical is up, with HEAD and a query string as without", () =>
    Effect.gen(function*() {
      yield* checked
      const reply = yield* ask(`${base}/health`, stranger)
      assert.strictEqual(reply.status, 200)
      assert.deepStrictEqual(reply.json, {
        status: "degraded",
        services: { database: "Healthy", cache: "Failed" },
        critical_down: []
      })
      const query = yield* ask(`${base}/health?verbose=1&verbose=2`, stranger)
      const head = yield* ask(`${base}/health`, { method: "HEAD" })
      assert.deepStrictEqual([query.status, query.text], [reply.status, reply.text])
      assert.deepStrictEqual([head.status, head.text], [reply.status, ""])
      for (const { headers } of [reply, query, head]) assert.strictEqual(headers.get("cache-control"), "no-store")
    }).pipe(Effect.provide(server())))

  it.live("is 503 when something critical is down, and names it; before the first check it is down, too", () =>
    Effect.gen(function*() {
      const unknown = yield* ask(`${base}/health`, stranger)
      assert.deepStrictEqual([unknown.status, unknown.json.critical_down], [503, ["database"]])
    }).pipe(Effect.provide(server({ database: Effect.never }))))

  it.live("is 503 when something critical is down, and /status is not", () =>
    Effect.gen(function*() {
      yield* checked
      const reply = yield* ask(`${base}/health`, stranger)
      assert.strictEqual(reply.status, 503)
      assert.deepStrictEqual(reply.json, {
        status: "unhealthy",
        services: { database: "Failed", cache: "Failed" },
        critical_down: ["database"]
      })
      const head = yield* ask(`${base}/health`, { method: "HEAD" })
      assert.deepStrictEqual([head.status, head.headers.get("cache-control")], [503, "no-store"])
      const status = yield* ask(`${base}/status`, stranger)
      assert.strictEqual(status.status, 200)
      assert.deepStrictEqual(status.json.health, reply.json)
      assert.strictEqual(status.headers.get("cache-control"), "no-store")
    }).pipe(Effect.provide(server({ database: Effect.fail("gone") }))))
})

describe("GET /api/v1/monitoring/health/services", () => {
  it.live("HP5 tells everybody how services are, and the operator where they are and why they failed", () =>
    Effect.gen(function*() {
      yield* checked
      const { json: { services }, text } = yield* ask(`${base}/health/services`, stranger)
      assert.deepStrictEqual(services.map((service: object) => Object.keys(service)), [
        ["name", "url", "state", "failure_count", "last_check", "last_success", "last_error", "latency_ms"],
        ["name", "url", "state", "failure_count", "last_check", "last_success", "last_error", "latency_ms"]
      ])
      const [database, cache] = services
      assert.deepInclude(database, {
        name: "database",
        url: null,
        state: "Healthy",
        failure_count: 0,
        last_error: null
      })
      assert.deepInclude(cache, {
        name: "cache",
        state: "Failed",
        failure_count: 1,
        last_success: null,
        last_error: null
      })
      assert.match(cache.last_check, /^\d{4}-\d\d-\d\dT.*Z$/)
      assert.isNumber(cache.latency_ms)
      assert.notMatch(text, /internal|10\.0\.0\.7/)
      const wrong = yield* ask(`${base}/health/services`, { headers: { "x-api-key": "guess" } })
      assert.notMatch(wrong.text, /internal|10\.0\.0\.7/)

      const told = yield* ask(`${base}/health/services`)
      assert.strictEqual(told.json.services[0].url, "postgres://db.internal/app")
      assert.strictEqual(told.json.services[1].last_error, "connect ECONNREFUSED 10.0.0.7:6379")
      assert.notInclude(told.text, "hunter2")
    }).pipe(Effect.provide(server())))

  it.live("before the first check nothing is known, and says so", () =>
    Effect.gen(function*() {
      const { json: { services } } = yield* ask(`${base}/health/services`)
      assert.deepStrictEqual(services[0], {
        name: "database",
        url: "postgres://db.internal/app",
        state: "Unknown",
        failure_count: 0,
        last_check: null,
        last_success: null,
        last_error: null,
        latency_ms: null
      })
    }).pipe(Effect.provide(server({ database: Effect.never }))))
})

describe("GET /api/v1/monitoring/metrics", () => {
  it.live("has nothing to tell before the first session, and its targets are met", () =>
    Effect.gen(function*() {
      const { json, status } = yield* ask(`${base}/metrics?since=now`, stranger)
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(json, {
        active_sessions: 0,
        total_sessions: 0,
        total_errors: 0,
        total_barge_ins: 0,
        avg_latencies_ms: { asr: null, llm: null, tts: null, e2e: null, pipeline: null },
        latency_targets: {
          asr: { target_ms: 500, met: true },
          llm: { target_ms: 300, met: true },
          tts: { target_ms: 200, met: true },
          e2e: { target_ms: 1000, met: true }
        }
      })
    }).pipe(Effect.provide(server())))

  it.live("counts sessions, errors and barge-ins, and means of what was measured", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* SessionMetrics.start("a")
        yield* session.record("asr", "100 millis")
        yield* session.record("llm", "400 millis")
        yield* Effect.ignore(session.stage("tts")(Effect.fail("no voice")))
        yield* session.bargeIn
        const { json } = yield* ask(`${base}/metrics`)
        assert.deepInclude(json, { active_sessions: 1, total_sessions: 0, total_errors: 1, total_barge_ins: 1 })
      }))
      const first = (yield* ask(`${base}/metrics`)).json
      assert.deepInclude(first, { active_sessions: 0, total_sessions: 1 })
      assert.deepStrictEqual(first.avg_latencies_ms, { asr: 100, llm: 400, tts: null, e2e: null, pipeline: null })
      assert.deepStrictEqual(first.latency_targets.llm, { target_ms: 300, met: false })
      yield* Effect.scoped(Effect.flatMap(SessionMetrics.start("b"), ({ record }) =>
        Effect.andThen(record("tts", "50.5 millis"), record("e2e", "1.5 seconds"))))
      const second = (yield* ask(`${base}/status`)).json.metrics
      assert.deepStrictEqual(second.avg_latencies_ms, { asr: 100, llm: 400, tts: 50.5, e2e: 1500, pipeline: 550.5 })
      assert.deepStrictEqual(second.latency_targets.e2e, { target_ms: 1000, met: false })
    }).pipe(Effect.provide(server())))

  it.live("of a program that only writes the pipeline is the model", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.flatMap(SessionMetrics.start("a"), ({ record }) => record("llm", "70 millis")))
      const { json } = yield* ask(`${base}/metrics`)
      assert.deepStrictEqual(json.avg_latencies_ms, { asr: null, llm: 70, tts: null, e2e: null, pipeline: 70 })
      assert.deepStrictEqual(json.latency_targets, { llm: { target_ms: 300, met: true } })
    }).pipe(Effect.provide(server({ stages: ["llm"] }))))
})

describe("POST /api/v1/monitoring/health/reset/{service_id}", () => {
  it.live("HP4 forgets what is known and checks again, for the operator alone", () =>
    Effect.gen(function*() {
      yield* checked
      const { json, status } = yield* post(`${base}/health/reset/cache`)
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(json, {
        service_id: "cache",
        status: "reset",
        health: { state: "Unknown", failure_count: 0 }
      })
      for (const [headers, expected] of [[{}, 401], [{ "x-api-key": "guess" }, 403]] as const) {
        const reply = yield* ask(`${base}/health/reset/cache`, { method: "POST", headers })
        assert.strictEqual(reply.status, expected)
      }
      const states = HealthProbes.HealthProbes.use(({ report }) => report)
      yield* Eventually.answers(
        states,
        ({ checks }) => checks.some(({ name, state }) => name === "cache" && state === "Failed")
      )
    }).pipe(Effect.provide(server())))

  it.live("says that there is no such service, and which there are; a heartbeat is none", () =>
    Effect.gen(function*() {
      for (const name of ["nobody", "loop", "%00", "..%2fadmin", "__proto__"]) {
        const { headers, json, status } = yield* post(`${base}/health/reset/${name}`)
        assert.deepStrictEqual([status, json.code], [404, "service_not_found"], name)
        assert.strictEqual(headers.get("content-type"), "application/problem+json")
        assert.include(json.message, "There are: database, cache.")
      }
    }).pipe(Effect.provide(server())))
})

describe("the client that is derived from the API", () => {
  it.live("reads health that is good or bad alike, and knows the problems", () =>
    Effect.gen(function*() {
      yield* checked
      const { monitoring } = yield* HttpApiClient.make(Api, { baseUrl: yield* origin }).pipe(
        Effect.provide(FetchHttpClient.layer)
      )
      assert.strictEqual((yield* monitoring.health()).status, "unhealthy")
      assert.strictEqual((yield* monitoring.services()).services.length, 2)
      assert.strictEqual((yield* monitoring.status()).metrics.active_sessions, 0)
      const refused = yield* Effect.flip(monitoring.reset({ params: { service_id: "cache" } }))
      assert.strictEqual(refused._tag, "Unauthorized")
    }).pipe(Effect.provide(server({ database: Effect.fail("gone") }))))
})
