import { assert, describe, it } from "@effect/vitest"
import * as ApiKey from "effect-resilience/http/ApiKey"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Digest from "effect/crypto/Digest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const keys: ReadonlyArray<ApiKey.Key> = [
  { name: "alice", key: Redacted.make("alice-key"), tier: "free" },
  { name: "bob", key: Redacted.make("bob-key"), tier: "unlimited", scopes: ["read", "write"] },
  { name: "carol", key: Redacted.make("carol-key") }
]

const identify = (key: string, known = keys) =>
  Effect.flatMap(ApiKey.makeKeys(known), ({ identify }) => identify(Redacted.make(key)))

describe("ApiKeys.identify", () => {
  it.effect("finds whose key it is", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* identify("alice-key"), { name: "alice", tier: "free", scopes: [] })
      assert.deepStrictEqual(yield* identify("bob-key"), { name: "bob", tier: "unlimited", scopes: ["read", "write"] })
      assert.deepStrictEqual(yield* identify("carol-key"), { name: "carol", tier: "standard", scopes: [] })
    }))

  for (const key of ["", "alice-ke", "alice-key ", "alice-keyy", "ALICE-KEY", "sha256=", "é"]) {
    it.effect(`finds nobody for ${JSON.stringify(key)}`, () =>
      Effect.gen(function*() {
        assert.isUndefined(yield* identify(key))
      }))
  }

  it.effect("knows a key by its digest, and does not take the digest for the key", () =>
    Effect.gen(function*() {
      const { digestHex } = yield* Digest.Digest
      const hex = yield* digestHex(Digest.sha256, new TextEncoder().encode("dave-key"))
      const known = [{ name: "dave", key: Redacted.make(`sha256=${hex}`) }]
      assert.strictEqual((yield* identify("dave-key", known))?.name, "dave")
      assert.isUndefined(yield* identify(hex, known))
      assert.isUndefined(yield* identify(`sha256=${hex}`, known))
    }).pipe(Effect.provide(Digest.layerWebCrypto)))

  it("refuses a key that is none, and does not show it", () => {
    for (const key of ["", "sha256=beef", `sha256=${"x".repeat(64)}`]) {
      assert.throws(() => ApiKey.makeKeys([{ name: "x", key: Redacted.make(key) }]), RangeError, "it is not shown")
    }
  })
})

describe("ApiKey.parse", () => {
  const shown = (text: string, options?: ApiKey.ParseOptions) =>
    Result.map(
      ApiKey.parse(text, options),
      (found) => found.map(({ key, name, scopes, tier }) => [name, Redacted.value(key), tier, scopes])
    )

  it("reads names, keys, tiers and scopes", () => {
    assert.deepStrictEqual(
      shown("alice:k1:free, bob:k2:unlimited:read+write ,carol:k3,"),
      Result.succeed([
        ["alice", "k1", "free", []],
        ["bob", "k2", "unlimited", ["read", "write"]],
        ["carol", "k3", "standard", []]
      ])
    )
    assert.deepStrictEqual(shown(""), Result.succeed([]))
    assert.deepStrictEqual(shown("a:k", { defaultTier: "free" }), Result.succeed([["a", "k", "free", []]]))
  })

  it("lets a key be replaced without a gap: two of one name", () => {
    assert.isTrue(Result.isSuccess(ApiKey.parse("alice:old:free,alice:new:free")))
  })

  it("names everything that is wrong, by the number of the entry", () => {
    const text = ["alice:same", "bob:same", "two words:k1", "x:k2:gold", "justakey", "a:b:c:d:e", "x:", "anonymous:k3"]
    assert.deepStrictEqual(
      ApiKey.parse(text.join(","), { tiers: ["standard", "free"] }),
      Result.fail([
        "entry 2 must not have the key of entry 1",
        "entry 3 must have a name of 1 to 64 letters, digits, dots, dashes and underscores",
        "entry 4 must have one of the tiers standard, free",
        "entry 5 must be name:key, name:key:tier or name:key:tier:scope+scope",
        "entry 6 must be name:key, name:key:tier or name:key:tier:scope+scope",
        "entry 7 must have a key of 1 to 256 visible ASCII characters, or sha256= and 64 hexadecimal digits",
        "entry 8 must have another name: that one means nobody"
      ])
    )
    assert.deepStrictEqual(
      ApiKey.parse("alice:k1:free,alice:k2:standard"),
      Result.fail(["entry 2 must have the tier and the scopes of entry 1, whose name it has"])
    )
  })

  it.prop("shows nothing of what it was given, wherever the secret stands", [
    Schema.Array(Schema.Literals(["S3CRET", "S3CRET S3CRET", ":", ",", "+", "", "sha256=", "S3CRET\n"]))
      .check(Schema.isMaxLength(12))
  ], ([parts]) => {
    const parsed = ApiKey.parse(parts.join(""), { tiers: ["free"] })
    if (Result.isFailure(parsed)) assert.notInclude(parsed.failure.join(), "S3CRET")
  })

  it.effect("is a ConfigError that names the variable and shows no secret", () =>
    Effect.gen(function*() {
      const build = (value: string) =>
        Effect.exit(Effect.scoped(Layer.build(ApiKey.layerKeysConfig(ApiKey.config("API_KEYS"))))).pipe(
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { API_KEYS: value } })))
        )
      assert.isTrue(Exit.isSuccess(yield* build("alice:S3CRET:free")))
      const failed = yield* build("S3CRET,alice:S3CRET S3CRET:free")
      const text = `${String(failed)}${JSON.stringify(failed)}`
      assert.include(text, "API_KEYS: entry 1 must be name:key")
      assert.include(text, "entry 2 must have a key")
      assert.notInclude(text, "S3CRET")
    }))

  it.effect("that is no good is a ConfigError also where another Config than ours read it", () =>
    Effect.gen(function*() {
      const layer = ApiKey.layerKeysConfig(Config.succeed([{ name: "alice", key: Redacted.make("") }]))
      const error = yield* Effect.flip(Effect.scoped(Layer.build(layer)))
      assert.instanceOf(error, Config.ConfigError)
      assert.include(error.message, "keys[0].key must be")
    }))

  it.effect("can be left out", () =>
    Effect.gen(function*() {
      const none = yield* ApiKey.config("API_KEYS").pipe(Config.withDefault([]))
      assert.deepStrictEqual(none, [])
    }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: {} })))))
})

const app = Effect.map(ApiKey.Caller, (caller) => HttpServerResponse.jsonUnsafe(caller))

/** What the middleware makes of a request with these headers. */
const ask = async (headers: Record<string, string>, options?: ApiKey.Options) => {
  const handler = HttpEffect.toWebHandler(Effect.provide(ApiKey.middleware(options)(app), ApiKey.layerKeys(keys)))
  const response = await handler(new Request("http://app.test/", { headers }))
  return {
    status: response.status,
    challenge: response.headers.get("www-authenticate"),
    body: await response.json() as Record<string, unknown>
  }
}

describe("ApiKey.middleware", () => {
  for (
    const headers of [
      { authorization: "Bearer bob-key" },
      { authorization: "bearer   bob-key " },
      { "x-api-key": "bob-key" },
      { authorization: "Basic Ym9iOmtleQ==", "x-api-key": "bob-key" },
      { authorization: "Bearer unknown", "x-api-key": "bob-key" }
    ] as ReadonlyArray<Record<string, string>>
  ) {
    it(`knows the caller of ${JSON.stringify(headers)}`, async () => {
      const { body, status } = await ask(headers)
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(body, { name: "bob", tier: "unlimited", scopes: ["read", "write"] })
    })
  }

  for (
    const headers of [{}, { authorization: "Basic Ym9iOmtleQ==" }, { authorization: "Bearer " }, {
      "x-api-key": ""
    }] as ReadonlyArray<Record<string, string>>
  ) {
    it(`finds no key in ${JSON.stringify(headers)}`, async () => {
      const refused = await ask(headers)
      assert.deepStrictEqual([refused.status, refused.challenge, refused.body["code"]], [401, "Bearer", "unauthorized"])
      const served = await ask(headers, { anonymous: true })
      assert.deepStrictEqual([served.status, served.body], [200, { name: "anonymous", tier: "anonymous", scopes: [] }])
    })
  }

  it("refuses an unknown key, also where no key is needed", async () => {
    for (const options of [{}, { anonymous: true }]) {
      for (const headers of [{ authorization: "Bearer alice-ke" }, { "x-api-key": "alice-key, bob-key" }]) {
        const { body, challenge, status } = await ask(headers as unknown as Record<string, string>, options)
        assert.deepStrictEqual([status, challenge, body["code"]], [
          401,
          "Bearer error=\"invalid_token\"",
          "unauthorized"
        ])
        assert.notInclude(JSON.stringify(body), "alice")
      }
    }
  })

  it.effect("puts the caller's name into the log, and no key", () =>
    Effect.gen(function*() {
      const lines: Array<unknown> = []
      const logger = Logger.make(({ fiber }) => {
        lines.push(fiber.getRef(References.CurrentLogAnnotations))
      })
      const logging = Effect.andThen(Effect.log("served"), app)
      const handler = HttpEffect.toWebHandler(
        ApiKey.middleware()(logging).pipe(
          Effect.provide([ApiKey.layerKeys(keys), Logger.layer([logger])])
        )
      )
      yield* Effect.promise(() => handler(new Request("http://app.test/", { headers: { "x-api-key": "bob-key" } })))
      assert.deepStrictEqual(lines, [{ caller: "bob" }])
    }))

  it("covers the routes of a router", async () => {
    const routes = HttpRouter.add("GET", "/", app).pipe(
      Layer.provide(ApiKey.layer()),
      Layer.provide(ApiKey.layerKeys(keys))
    )
    const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
    const ok = await handler(new Request("http://app.test/", { headers: { "x-api-key": "alice-key" } }))
    assert.strictEqual((await ok.json() as ApiKey.Caller).name, "alice")
    assert.strictEqual((await handler(new Request("http://app.test/"))).status, 401)
    await dispose()
  })
})

const Api = HttpApi.make("api").add(
  HttpApiGroup.make("group").add(
    HttpApiEndpoint.get("who", "/who", { success: Schema.String }),
    HttpApiEndpoint.get("write", "/write", { success: Schema.String, error: [ApiKey.Forbidden, ApiKey.Unauthorized] })
  ).middleware(ApiKey.Authentication)
)

const handlers = HttpApiBuilder.group(Api, "group", (group) =>
  group
    .handle("who", () => Effect.map(ApiKey.Caller, ({ name }) => name))
    .handle("write", () => ApiKey.requireScope(Effect.succeed("written"), "write")))

const askApi = async (path: string, key?: string, options?: ApiKey.Options) => {
  const routes = HttpApiBuilder.layer(Api).pipe(
    Layer.provide(handlers),
    Layer.provide(ApiKey.layerAuthentication(options)),
    Layer.provide(ApiKey.layerKeys(keys)),
    Layer.provide(HttpServer.layerServices)
  )
  const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
  const headers: Record<string, string> = key === undefined ? {} : { "x-api-key": key }
  const response = await handler(new Request(`http://app.test${path}`, { headers }))
  const body = await response.json()
  await dispose()
  return [response.status, body.code ?? body, response.headers.get("www-authenticate")]
}

describe("ApiKey.Authentication", () => {
  it("guards the endpoints of an HttpApi", async () => {
    assert.deepStrictEqual(await askApi("/who", "alice-key"), [200, "alice", null])
    assert.deepStrictEqual(await askApi("/who"), [401, "unauthorized", "Bearer"])
    assert.deepStrictEqual(await askApi("/who", "nonsense"), [401, "unauthorized", "Bearer error=\"invalid_token\""])
    assert.deepStrictEqual(await askApi("/who", undefined, { anonymous: true }), [200, "anonymous", null])
  })

  it("asks for a scope: 403 without it, 401 for nobody", async () => {
    assert.deepStrictEqual(await askApi("/write", "bob-key"), [200, "written", null])
    assert.deepStrictEqual(await askApi("/write", "alice-key"), [
      403,
      "forbidden",
      "Bearer error=\"insufficient_scope\""
    ])
    assert.deepStrictEqual(await askApi("/write", undefined, { anonymous: true }), [401, "unauthorized", "Bearer"])
  })

  it("is in the description of the API", () => {
    const { components, paths } = OpenApi.fromApi(Api)
    assert.deepStrictEqual(Object.keys(components.securitySchemes), ["bearer", "apiKey"])
    assert.deepStrictEqual(paths["/who"]?.get?.security, [{ bearer: [] }, { apiKey: [] }])
    assert.property(paths["/who"]?.get?.responses, "401")
  })
})
