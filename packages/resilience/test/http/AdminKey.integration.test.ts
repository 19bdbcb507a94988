/** The operator's key over a real socket, and asked of a request. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as AdminKey from "effect-resilience/http/AdminKey"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import { ask } from "../support/adminServer.ts"

class Api extends HttpApi.make("api").add(
  HttpApiGroup.make("caches").add(HttpApiEndpoint.delete("clear", "/caches")).middleware(AdminKey.AdminKey)
) {}

const key = "s3cret-of-the-operator"

const server = <E>(check: Layer.Layer<AdminKey.AdminKey, E>) => {
  const caches = HttpApiBuilder.group(Api, "caches", (handlers) => handlers.handle("clear", () => Effect.void))
  return HttpRouter.serve(HttpApiBuilder.layer(Api).pipe(Layer.provide(caches), Layer.provide(check)), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))
}

const clear = (headers: Readonly<Record<string, string>>) =>
  Effect.map(ask("/caches", { method: "DELETE", headers }), ({ status }) => status)

const refused: ReadonlyArray<readonly [Readonly<Record<string, string>>, number]> = [
  [{}, 401],
  [{ "x-api-key": "" }, 401],
  [{ authorization: "Basic czNjcmV0" }, 401],
  [{ authorization: "Bearer" }, 401],
  [{ "x-api-key": `${key} x` }, 403],
  [{ "x-api-key": key.toUpperCase() }, 403],
  [{ authorization: `Bearer ${key.slice(1)}` }, 403],
  [{ authorization: `Bearer sha256=${createHash("sha256").update(key).digest("hex")}` }, 403]
]

const served: ReadonlyArray<Readonly<Record<string, string>>> = [
  { "x-api-key": key },
  { authorization: `Bearer ${key}` },
  { authorization: `bearer   ${key}` },
  { authorization: "Bearer of-another-service", "x-api-key": key },
  { authorization: `Bearer ${key}`, "x-api-key": "of another service" }
]

describe("AdminKey", () => {
  const digest = `sha256=${createHash("sha256").update(key).digest("hex")}`
  const config = AdminKey.layerConfig(Config.Redacted("ADMIN_KEY")).pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ADMIN_KEY: key })))
  )
  for (
    const [name, check] of [
      ["a key", AdminKey.layer(Redacted.make(key))],
      ["a digest", AdminKey.layer(Redacted.make(digest))],
      ["configuration", config]
    ] as const
  ) {
    it.live(`from ${name}: serves the key wherever it is, and says 401 to none and 403 to another`, () =>
      Effect.gen(function*() {
        for (const headers of served) assert.strictEqual(yield* clear(headers), 204)
        for (const [headers, status] of refused) assert.strictEqual(yield* clear(headers), status)
      }).pipe(Effect.provide(server(check))))
  }

  it.effect("says of a request whether it is the operator's", () =>
    Effect.gen(function*() {
      const isOperator = AdminKey.isOperator(Redacted.make(key))
      const request = (headers: Readonly<Record<string, string>>) =>
        HttpServerRequest.fromWeb(new Request("http://app.test/", { headers }))
      for (const headers of served) assert.isTrue(yield* isOperator(request(headers)))
      for (const [headers] of refused) assert.isFalse(yield* isOperator(request(headers)))
    }))

  it("is no key when it is empty, or a digest that is none, and does not show it", () => {
    for (const wrong of ["", "sha256=hunter2"]) {
      assert.throws(() => AdminKey.isOperator(Redacted.make(wrong)), RangeError, /^keys\[0\]\.key must be/)
      assert.throws(() => AdminKey.layer(Redacted.make(wrong)), RangeError, /^((?!hunter2).)*$/)
    }
  })

  it.effect("that is no good is a ConfigError where it is configuration, and is not shown", () =>
    Effect.gen(function*() {
      const layer = AdminKey.layerConfig(Config.Redacted("ADMIN_KEY"))
      const wrong = ConfigProvider.fromUnknown({ ADMIN_KEY: "sha256=hunter2" })
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer))).pipe(
        Effect.provideService(ConfigProvider.ConfigProvider, wrong)
      )
      assert.instanceOf(error, Config.ConfigError)
      assert.include(error.message, "key must be")
      assert.notInclude(error.message, "hunter2")
    }))

  it("is in the OpenAPI description, with what it refuses", () => {
    const { paths } = OpenApi.fromApi(Api)
    const operation = paths["/caches"]?.delete
    assert.deepStrictEqual(Object.keys(operation?.responses ?? {}), ["204", "401", "403"])
    assert.deepStrictEqual(operation?.security, [{ bearer: [] }, { apiKey: [] }])
  })
})
