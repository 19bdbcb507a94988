import { assert, describe, it } from "@effect/vitest"
import * as RequestId from "effect-resilience/http/RequestId"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Schema from "effect/Schema"

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** The reply's id to a request that brings this one. */
const idFor = async (
  inbound: string | undefined,
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> = Effect.succeed(HttpServerResponse.empty())
) => {
  const headers = inbound === undefined ? undefined : { headers: { "x-request-id": inbound } }
  const handler = HttpEffect.toWebHandler(RequestId.middleware(app))
  return (await handler(new Request("http://app.test/", headers))).headers.get("x-request-id")
}

describe("RequestId: which id", () => {
  it("takes over a sane one", async () => {
    assert.strictEqual(await idFor("order-7_a.b"), "order-7_a.b")
    assert.strictEqual(await idFor("x".repeat(128)), "x".repeat(128))
  })

  it("makes one where there is none, and another for each request", async () => {
    const [first, second] = [await idFor(undefined), await idFor(undefined)]
    assert.match(first ?? "", uuid)
    assert.match(second ?? "", uuid)
    assert.notStrictEqual(first, second)
  })

  for (const bad of ["x".repeat(129), "two words", "a,b", "a;b", "<script>", "{\"a\":1}", "%0d%0a", "ü"]) {
    it(`makes one instead of ${JSON.stringify(bad.slice(0, 12))}`, async () => {
      assert.match(await idFor(bad) ?? "", uuid)
    })
  }

  it.prop("takes over exactly what cannot forge a header or a log line", [Schema.String], ([text]) => {
    const id = RequestId.fromHeadersUnsafe({ "x-request-id": text })
    assert.match(id, /^[A-Za-z0-9._-]{1,128}$/)
    assert.strictEqual(id === text, RequestId.isSane(text))
    assert.isFalse(RequestId.isSane(`${id}\n`))
  })
})

describe("RequestId: where it goes", () => {
  it("is in the reply to a request that fails or dies", async () => {
    assert.strictEqual(await idFor("seven", Effect.fail("no")), "seven")
    assert.strictEqual(await idFor("seven", Effect.die("no")), "seven")
  })

  it.effect("is in the log lines of the request, and in no other", () =>
    Effect.gen(function*() {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ fiber, message }) => {
        lines.push([message, fiber.getRef(References.CurrentLogAnnotations)["request_id"]])
      })
      const handler = HttpEffect.toWebHandler(
        RequestId.middleware(Effect.as(Effect.log("inside"), HttpServerResponse.empty())).pipe(
          Effect.tap(Effect.log("outside")),
          Effect.provide(Logger.layer([logger]))
        )
      )
      yield* Effect.promise(() => handler(new Request("http://app.test/", { headers: { "x-request-id": "seven" } })))
      assert.deepStrictEqual(lines, [[["inside"], "seven"], [["outside"], undefined]])
    }))

  it("covers the routes of a router", async () => {
    const routes = HttpRouter.add(
      "GET",
      "/",
      Effect.map(RequestId.RequestId, (id) => HttpServerResponse.text(String(id)))
    )
    const { dispose, handler } = HttpRouter.toWebHandler(Layer.provide(routes, RequestId.layer), {
      disableLogger: true
    })
    const reply = await handler(new Request("http://app.test/", { headers: { "x-request-id": "seven" } }))
    assert.strictEqual(await reply.text(), "seven")
    assert.strictEqual(reply.headers.get("x-request-id"), "seven")
    await dispose()
  })

  it.effect("goes on with outbound calls, unless there is none or they have their own", () =>
    Effect.gen(function*() {
      const sent: Array<string | undefined> = []
      const client = HttpClient.make((request) => {
        sent.push(request.headers["x-request-id"])
        return Effect.succeed(HttpClientResponse.fromWeb(request, new Response()))
      })
      const call = HttpClient.get("http://127.0.0.1/").pipe(
        Effect.provide(Layer.provide(RequestId.layerClient, Layer.succeed(HttpClient.HttpClient, client)))
      )
      const withOwn = RequestId.sendOn(client).execute(
        HttpClientRequest.get("http://127.0.0.1/", { headers: { "x-request-id": "own" } })
      )
      yield* call
      yield* Effect.provideService(call, RequestId.RequestId, "seven")
      yield* Effect.provideService(withOwn, RequestId.RequestId, "seven")
      assert.deepStrictEqual(sent, [undefined, "seven", "own"])
    }))
})
