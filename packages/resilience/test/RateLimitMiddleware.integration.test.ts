/** Limited requests over a real socket, through `HttpRouter` and `HttpApi`. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as RateLimitHeaders from "effect-resilience/http/RateLimitHeaders"
import * as RateLimitMiddleware from "effect-resilience/http/RateLimitMiddleware"
import * as RequestId from "effect-resilience/http/RequestId"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer } from "node:http"

const policy = RateLimiter.policy("perClient", [
  RateLimiter.slidingWindow({ name: "minute", limit: 3, window: "1 minute" }),
  RateLimiter.slidingWindow({ name: "day", limit: 100, window: "1 day" })
])

const options: RateLimitMiddleware.Options = {
  checks: ({ headers }) => headers["x-client"] === undefined ? [] : [{ policy, key: headers["x-client"] }]
}

const memory = Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory())

/** A store that is there and never answers. */
const silent = Layer.provide(
  RateLimiter.layer,
  Layer.succeed(RateLimiter.RateLimiterStore, {
    decide: () => Effect.never,
    settle: () => Effect.never,
    command: () => Effect.never
  })
)

const viaRouter = HttpRouter.add("GET", "/", HttpServerResponse.text("hello")).pipe(
  Layer.provide(RateLimitMiddleware.layer(options))
)

class Api extends HttpApi.make("api").add(
  HttpApiGroup.make("greetings").add(HttpApiEndpoint.get("greet", "/", { success: Schema.String })).middleware(
    RateLimitMiddleware.RateLimits
  )
) {}

const viaApi = HttpApiBuilder.layer(Api).pipe(
  Layer.provide(
    HttpApiBuilder.group(Api, "greetings", (handlers) => handlers.handle("greet", () => Effect.succeed("hello")))
  ),
  Layer.provide(RateLimitMiddleware.layerApi(options))
)

const origin = Effect.map(HttpServer.HttpServer, ({ address }) => HttpServer.formatAddress(address))

const serving = <E>(
  routes: Layer.Layer<never, E, Layer.Services<typeof viaApi>>,
  limiter: Layer.Layer<RateLimiter.RateLimiter>
) =>
  HttpRouter.serve(Layer.merge(routes, RequestId.layer), { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(limiter),
    Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
  )

const get = (client?: string, headers: Readonly<Record<string, string>> = {}) =>
  Effect.flatMap(origin, (url) =>
    Effect.promise(async () => {
      const reply = await fetch(url, {
        headers: { ...headers, ...(client === undefined ? {} : { "x-client": client }) }
      })
      return { status: reply.status, headers: Object.fromEntries(reply.headers), body: await reply.text() }
    }))

for (const [name, routes] of [["HttpRouter", viaRouter], ["HttpApi", viaApi]] as const) {
  describe(`RateLimitMiddleware of ${name}`, () => {
    it.live("RL-15 tells how the limits stand, and refuses with the problem and the headers", () =>
      Effect.gen(function*() {
        for (const remaining of [2, 1, 0]) {
          const allowed = yield* get("alice")
          assert.strictEqual(allowed.status, 200)
          assert.strictEqual(allowed.headers["x-ratelimit-limit"], "3")
          assert.strictEqual(allowed.headers["x-ratelimit-remaining"], String(remaining))
        }
        const denied = yield* get("alice", { "x-request-id": "order-7" })
        assert.strictEqual(denied.status, 429)
        assert.strictEqual(denied.headers["content-type"], "application/problem+json")
        const body = JSON.parse(denied.body)
        const wait = Number(denied.headers["retry-after"])
        assert.isTrue(wait > 50 && wait <= 60)
        assert.deepStrictEqual(body, {
          type: "/problems/rate_limit_exceeded",
          status: 429,
          title: "Rate limit exceeded",
          code: "rate_limit_exceeded",
          error: "rate_limit_exceeded",
          detail: body.message,
          message: `Rate limit exceeded. Try again in ${wait} seconds.`,
          request_id: "order-7",
          retry_after: wait,
          limit: 3,
          remaining: 0,
          reset: body.reset
        })
        assert.isTrue(body.reset >= wait)

        const told = RateLimitHeaders.decode(denied.headers, { now: Date.now() })
        assert.deepStrictEqual(told.retryAfter, Duration.seconds(wait))
        assert.deepStrictEqual(
          told.quotas.filter(({ dialect }) => dialect === "ratelimit").map(({ name, remaining }) => [name, remaining]),
          [["perClient-minute", 0], ["perClient-day", 97]]
        )
        assert.strictEqual((yield* get("bob")).status, 200)
      }).pipe(Effect.provide(serving(routes, memory))))

    it.live("leaves requests alone that have nothing to pass", () =>
      Effect.gen(function*() {
        for (let request = 0; request < 5; request++) {
          const reply = yield* get()
          assert.strictEqual(reply.status, 200)
          assert.isUndefined(reply.headers["x-ratelimit-limit"])
        }
      }).pipe(Effect.provide(serving(routes, memory))))

    it.live("RL-13 serves when the store does not answer, and says 503 where a rule says so: never 429", () =>
      Effect.gen(function*() {
        const reply = yield* get("alice")
        assert.strictEqual(reply.status, 200)
      }).pipe(Effect.provide(serving(routes, silent))))
  })
}

describe("RateLimitMiddleware", () => {
  it.live("RL-13 says 503 where a rule is closed when the store does not answer", () =>
    Effect.gen(function*() {
      const reply = yield* get("alice")
      assert.strictEqual(reply.status, 503)
      assert.strictEqual(reply.headers["retry-after"], "1")
      assert.strictEqual(JSON.parse(reply.body).code, "rate_limiter_unavailable")
    }).pipe(Effect.provide(serving(
      HttpRouter.add("GET", "/", HttpServerResponse.text("hello")).pipe(Layer.provide(RateLimitMiddleware.layer({
        checks: () => [{
          policy: RateLimiter.policy("strict", [RateLimiter.perMinute(3, { onStoreError: "closed" })]),
          key: "k"
        }]
      }))),
      silent
    ))))

  it("is in the document of an HttpApi", () => {
    const document = OpenApi.fromApi(Api)
    assert.includeMembers(Object.keys(document.paths["/"]?.get?.responses ?? {}), ["200", "429", "503"])
  })
})
