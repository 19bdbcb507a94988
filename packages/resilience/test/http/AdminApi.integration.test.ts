/** Circuits and limits over a real socket, and groups under a prefix, with middleware, beside those of somebody else. */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as AdminApi from "effect-resilience/http/AdminApi"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { adminKey, ask, origin, post, serving } from "../support/adminServer.ts"

class Breakers extends CircuitBreaker.Service<Breakers>()("test/Breakers", {
  payments: { trip: CircuitBreaker.consecutive(1), openFor: Schedule.spaced("1 minute") },
  search: { trip: CircuitBreaker.consecutive(1) }
}) {}

const perIp = RateLimiter.policy("perIp", [RateLimiter.perMinute(10)])
const perModel = RateLimiter.policy("perModel", [
  RateLimiter.slidingWindow({ name: "requests", limit: 10, window: "1 minute" }),
  RateLimiter.slidingWindow({ name: "tokens", unit: "tokens", limit: 1_000, window: "1 minute" })
])

/** The policies that there are, and may change. */
class Policies extends Context.Service<Policies, Ref.Ref<ReadonlyArray<RateLimiter.Policy>>>()("test/Policies") {}

class Api extends HttpApi.make("somebody-elses").add(AdminApi.CircuitBreakers, AdminApi.RateLimits) {}

const limiter = Layer.provideMerge(RateLimiter.layer, RateLimiter.layerStoreMemory())

const server = (limits: Layer.Layer<RateLimiter.RateLimiter> = limiter) =>
  serving(
    HttpApiBuilder.layer(Api).pipe(Layer.provide([
      AdminApi.layerCircuitBreakers(Api, {
        breakers: Effect.map(Breakers, (breakers) => Breakers.names.map((name) => breakers[name]))
      }),
      AdminApi.layerRateLimits(Api, { policies: Effect.flatMap(Policies, Ref.get) })
    ]))
  ).pipe(Layer.provideMerge(Layer.mergeAll(
    Layer.provide(Breakers.layer, CircuitBreaker.layerStoreMemory),
    limits,
    Layer.effect(Policies, Ref.make<ReadonlyArray<RateLimiter.Policy>>([perIp, perModel]))
  )))

/** What a reply says of itself; its JSON is `any`, as all replies here. */
const code = (reply: { readonly status: number; readonly json: any }) => [reply.status, reply.json?.code]

describe("/admin/circuit-breakers", () => {
  it.live("lists the circuits of all breakers, each with what it remembers", () =>
    Effect.gen(function*() {
      const { payments } = yield* Breakers
      yield* Effect.ignore(payments.protect({ key: "eu" })(Effect.fail("down")))
      const { headers, json } = yield* ask("/admin/circuit-breakers")
      assert.deepStrictEqual(
        json.circuit_breakers.map(({ key, name, state }: Record<string, string>) => [name, key, state]),
        [["payments", "eu", "Open"], ["search", "default", "Closed"]]
      )
      const [open] = json.circuit_breakers
      assert.deepInclude(open, { openings: 1, in_flight: 0, probing: 0, admitted: 0 })
      assert.isAtLeast(open.retry_after_ms, 1)
      assert.isAtMost(open.retry_after_ms, 60_000)
      assert.strictEqual(headers.get("cache-control"), "no-store")
    }).pipe(Effect.provide(server())))

  it.live("opens, closes, releases and resets one circuit, and no other", () =>
    Effect.gen(function*() {
      const { payments } = yield* Breakers
      const command = (path: string) => Effect.map(post(`/admin/circuit-breakers/payments/${path}`), ({ json }) => json)
      assert.deepInclude(yield* command("open?key=eu"), { name: "payments", key: "eu", state: "ForcedOpen" })
      const refused = yield* Effect.flip(payments.protect({ key: "eu" })(Effect.void))
      assert.isTrue(CircuitBreaker.isCircuitOpen(refused))
      yield* payments.protect(Effect.void)
      assert.strictEqual((yield* command("close?key=eu")).state, "ForcedClosed")
      assert.strictEqual((yield* command("release?key=eu")).state, "Closed")
      assert.strictEqual((yield* command("open")).state, "ForcedOpen")
      assert.strictEqual((yield* command("reset")).state, "Closed")
    }).pipe(Effect.provide(server())))

  it.live("names what is wrong with a command", () =>
    Effect.gen(function*() {
      const nobody = yield* post("/admin/circuit-breakers/nobody/open")
      assert.deepStrictEqual(code(nobody), [404, "circuit_breaker_not_found"])
      assert.include(nobody.json.message, "There are: payments, search.")
      for (const query of ["key=", "key=%00", `key=${"x".repeat(257)}`, "kay=eu"]) {
        const reply = yield* post(`/admin/circuit-breakers/payments/open?${query}`)
        assert.deepStrictEqual(code(reply), [400, "invalid_request"], query)
      }
      assert.strictEqual((yield* post("/admin/circuit-breakers/payments/explode")).status, 404)
      const { json } = yield* ask("/admin/circuit-breakers")
      assert.isTrue(json.circuit_breakers.every(({ state }: { readonly state: string }) => state === "Closed"))
    }).pipe(Effect.provide(server())))
})

describe("/admin/rate-limits", () => {
  it.live("shows how a key's limits stand in every unit, takes nothing, and forgets what was taken", () =>
    Effect.gen(function*() {
      const limits = yield* RateLimiter.RateLimiter
      yield* limits.consume({ policy: perModel, key: "gpt 4", cost: { requests: 1, tokens: 400 } })
      const path = "/admin/rate-limits?policy=perModel&key=gpt%204"
      for (let i = 0; i < 2; i++) {
        const { json } = yield* ask(path)
        assert.deepInclude(json, { policy: "perModel", key: "gpt 4" })
        assert.deepStrictEqual(
          json.rules.map(({ limit, remaining, rule, unit }: Record<string, unknown>) => [rule, unit, limit, remaining]),
          [["requests", "requests", 10, 9], ["tokens", "tokens", 1_000, 600]]
        )
      }
      assert.strictEqual((yield* ask(path, { method: "DELETE", headers: { "x-api-key": adminKey } })).status, 204)
      assert.deepInclude((yield* ask(path)).json.rules[1], { remaining: 1_000, reset_after_ms: 0 })
    }).pipe(Effect.provide(server())))

  it.live("names what is wrong with a question, and the policies that there are now", () =>
    Effect.gen(function*() {
      const gold = yield* ask("/admin/rate-limits?policy=gold&key=a")
      assert.deepStrictEqual(code(gold), [404, "rate_limit_policy_not_found"])
      assert.include(gold.json.message, "There are: perIp, perModel.")
      const missing = yield* ask("/admin/rate-limits")
      assert.deepStrictEqual(
        missing.json.errors.map(({ path }: { readonly path: string }) => path),
        ["policy", "key"]
      )
      const long = yield* ask(`/admin/rate-limits?policy=perIp&key=${"x".repeat(1_025)}`)
      assert.deepStrictEqual(code(long), [400, "invalid_request"])
      yield* Ref.set(yield* Policies, [RateLimiter.policy("gold", [RateLimiter.perMinute(1)])])
      assert.strictEqual((yield* ask("/admin/rate-limits?policy=gold&key=a")).status, 200)
    }).pipe(Effect.provide(server())))

  it.live("is 503 while nobody knows how they stand", () =>
    Effect.gen(function*() {
      const gone = yield* ask("/admin/rate-limits?policy=perIp&key=a")
      assert.deepStrictEqual(code(gone), [503, "storage_unavailable"])
      assert.strictEqual(gone.headers.get("retry-after"), "1")
      const reset = yield* ask("/admin/rate-limits?policy=perIp&key=a", {
        method: "DELETE",
        headers: { "x-api-key": adminKey }
      })
      assert.deepStrictEqual(code(reset), [503, "storage_unavailable"])
    }).pipe(Effect.provide(server(Layer.provide(
      RateLimiter.layer,
      Layer.succeed(RateLimiter.RateLimiterStore, {
        decide: () => Effect.never,
        settle: () => Effect.never,
        command: () => Effect.never
      })
    )))))
})

describe("groups in the API of somebody else", () => {
  class Audit extends HttpApiMiddleware.Service<Audit>()("test/Audit") {}

  const Greetings = HttpApiGroup.make("greetings").add(
    HttpApiEndpoint.get("greet", "/greet", { success: Schema.String })
  )

  const Theirs = HttpApi.make("theirs").add(Greetings).add(AdminApi.CircuitBreakers.prefix("/ops")).middleware(Audit)

  it.live("keep working under a prefix, with middleware that is not theirs", () =>
    Effect.gen(function*() {
      const audited = yield* Ref.make<ReadonlyArray<string>>([])
      const routes = HttpApiBuilder.layer(Theirs).pipe(
        Layer.provide(
          HttpApiBuilder.group(
            Theirs,
            "greetings",
            (handlers) => handlers.handle("greet", () => Effect.succeed("hello"))
          )
        ),
        Layer.provide(AdminApi.layerCircuitBreakers(Theirs, { breakers: [] })),
        Layer.provide(
          Layer.succeed(Audit, (endpoint, { endpoint: { identifier } }) =>
            Effect.andThen(Ref.update(audited, (all) => [...all, identifier]), endpoint))
        )
      )
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* ask("/greet")).text, "\"hello\"")
        assert.deepStrictEqual((yield* ask("/ops/admin/circuit-breakers")).json, { circuit_breakers: [] })
        assert.strictEqual((yield* ask("/admin/circuit-breakers")).status, 404)
        const none = yield* post("/ops/admin/circuit-breakers/x/open")
        assert.include(none.json.message, "There are: none.")
        assert.deepStrictEqual(yield* Ref.get(audited), ["greet", "list", "open"])
        const client = yield* HttpApiClient.make(Theirs, {
          baseUrl: yield* origin,
          transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(adminKey))
        }).pipe(Effect.provide(FetchHttpClient.layer))
        assert.deepStrictEqual(yield* client.circuitBreakers.list(), { circuit_breakers: [] })
        const problem = yield* Effect.flip(client.circuitBreakers.open({ params: { name: "x" }, query: {} }))
        assert.instanceOf(problem, AdminApi.CircuitBreakerNotFound)
      }).pipe(Effect.provide(serving(routes)))
    }))
})
