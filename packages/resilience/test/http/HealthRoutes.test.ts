import { assert, describe, it } from "@effect/vitest"
import * as HealthProbes from "effect-resilience/HealthProbes"
import * as HealthRoutes from "effect-resilience/http/HealthRoutes"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

const health = HealthProbes.layer([
  HealthProbes.check({ name: "database", probe: Effect.fail("password hunter2 refused"), critical: true }),
  HealthProbes.check({
    name: "cache",
    url: "redis://app:hunter2@cache.internal:6379/0",
    probe: Effect.succeed({ version: "8.0" })
  })
])

/** Asks the routes, while the program's clock stands still. */
const ask = Effect.fnUntraced(function*(options: HealthRoutes.Options = {}) {
  const probes = yield* HealthProbes.HealthProbes
  const { handler } = yield* Effect.acquireRelease(
    Effect.sync(() =>
      HttpRouter.toWebHandler(
        Layer.provide(HealthRoutes.layer(options), Layer.succeed(HealthProbes.HealthProbes, probes)),
        { disableLogger: true }
      )
    ),
    ({ dispose }) => Effect.promise(dispose)
  )
  return (path: string, init?: RequestInit) =>
    Effect.promise(async () => {
      const response = await handler(new Request(`http://localhost${path}`, init))
      return { status: response.status, headers: response.headers, text: await response.text() }
    })
})

const withHealth = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.andThen(TestClock.adjust(0), self).pipe(Effect.provide(health))

describe("HealthRoutes", () => {
  it.effect("HP5 each probe answers under its paths, 200 or 503", () =>
    Effect.gen(function*() {
      const get = yield* ask()
      for (const path of ["/health/live", "/livez", "/healthz"]) {
        const { status, text } = yield* get(path)
        assert.deepStrictEqual([status, JSON.parse(text)], [200, { status: "healthy", checks: [] }])
      }
      for (const path of ["/health/ready", "/readyz", "/ready"]) {
        const { status, text } = yield* get(path)
        assert.deepStrictEqual([status, JSON.parse(text)], [503, { status: "unhealthy", checks: [] }])
      }
      for (const path of ["/health/startup", "/startupz"]) assert.strictEqual((yield* get(path)).status, 200)
    }).pipe(withHealth))

  it.effect("HP5 HEAD and a query string make no difference, and nothing is to be cached", () =>
    Effect.gen(function*() {
      const get = yield* ask()
      for (const path of ["/livez", "/healthz", "/readyz", "/ready", "/startupz"]) {
        const plain = yield* get(path)
        const query = yield* get(`${path}?verbose=1&verbose=2#x`)
        const head = yield* get(path, { method: "HEAD" })
        assert.deepStrictEqual([query.status, query.text], [plain.status, plain.text])
        assert.deepStrictEqual([head.status, head.text], [plain.status, ""])
        for (const { headers } of [plain, query, head]) {
          assert.strictEqual(headers.get("cache-control"), "no-store")
          assert.strictEqual(headers.get("content-type"), "application/json")
          assert.strictEqual(headers.get("content-length"), String(plain.text.length))
        }
      }
    }).pipe(withHealth))

  it.effect("HP5 details are for those who may see them", () =>
    Effect.gen(function*() {
      const get = yield* ask({
        ready: ["/custom"],
        details: ({ headers }) => Effect.succeed(headers["authorization"] === "Bearer admin")
      })
      const anybody = yield* get("/custom")
      assert.notInclude(anybody.text, "database")
      const admin = yield* get("/custom", { headers: { authorization: "Bearer admin" } })
      assert.strictEqual(admin.status, anybody.status)
      assert.deepStrictEqual(JSON.parse(admin.text), {
        status: "unhealthy",
        draining: false,
        down: ["database"],
        checks: [
          {
            kind: "check",
            name: "database",
            state: "Degraded",
            critical: true,
            groups: ["ready"],
            failure_count: 1,
            last_check: "1970-01-01T00:00:00.000Z",
            last_failure: "1970-01-01T00:00:00.000Z",
            last_error: "password hunter2 refused",
            latency_ms: 0
          },
          {
            kind: "check",
            name: "cache",
            url: "redis://cache.internal:6379/0",
            state: "Healthy",
            critical: false,
            groups: ["ready"],
            failure_count: 0,
            last_check: "1970-01-01T00:00:00.000Z",
            last_success: "1970-01-01T00:00:00.000Z",
            latency_ms: 0,
            detail: { version: "8.0" }
          }
        ]
      })
      assert.strictEqual((yield* get("/readyz")).status, 404)
    }).pipe(withHealth))
})
