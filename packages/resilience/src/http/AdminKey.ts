/**
 * The operator's key: what `HttpApi` endpoints ask for that only the operator of a server may use.
 *
 * The key comes as `Authorization: Bearer <key>` or `X-API-Key: <key>`. It is kept as a SHA-256 digest and compared in constant
 * time.
 *
 * | the request has | it gets |
 * | --- | --- |
 * | the key, in either place | served |
 * | no key | 401, with a challenge |
 * | another key | 403: whoever it is, it is not the operator |
 *
 * {@link AdminKey} is the middleware, {@link layer} implements it. The groups of `http/AdminApi` have it; give it to groups
 * of your own with `group.middleware(AdminKey)`. {@link isOperator} asks the same of a request without refusing it.
 *
 * **Example** (An endpoint for the operator)
 *
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Effect, Layer, Redacted } from "effect"
 * import { AdminKey } from "effect-resilience"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { HttpRouter } from "effect/http"
 *
 * class Caches extends HttpApiGroup.make("caches").add(HttpApiEndpoint.delete("clear", "/caches")).middleware(AdminKey.AdminKey) {}
 * class Api extends HttpApi.make("api").add(Caches) {}
 *
 * const caches = HttpApiBuilder.group(Api, "caches", (handlers) => handlers.handle("clear", () => Effect.void))
 * const { dispose, handler } = HttpRouter.toWebHandler(
 *   HttpApiBuilder.layer(Api).pipe(
 *     Layer.provide(caches),
 *     Layer.provide(AdminKey.layer(Redacted.make("s3cret"))),
 *     Layer.provide(NodeHttpServer.layerHttpServices)
 *   ),
 *   { disableLogger: true }
 * )
 * const clear = async (headers: Record<string, string>) =>
 *   (await handler(new Request("http://app.test/caches", { method: "DELETE", headers }))).status
 *
 * const statuses = [await clear({}), await clear({ "x-api-key": "guess" }), await clear({ "x-api-key": "s3cret" })]
 * await dispose()
 * statuses // => [401, 403, 204]
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { authenticationFailed } from "../internal/http/authenticationFailed.ts"
import { challenged } from "../internal/http/challenged.ts"
import { layerFromConfig } from "../internal/layerFromConfig.ts"
import * as ApiKey from "./ApiKey.ts"
import * as Problem from "./Problem.ts"

/**
 * The middleware of endpoints that only the operator may use. No key is `401`, another key `403`; both are in the endpoints'
 * OpenAPI description.
 *
 * @category services
 * @since 0.1.0
 */
export class AdminKey extends HttpApiMiddleware.Service<AdminKey>()("effect-resilience/http/AdminKey", {
  error: [ApiKey.Unauthorized, ApiKey.Forbidden],
  security: {
    bearer: HttpApiSecurity.bearer,
    apiKey: HttpApiSecurity.apiKey({ key: "X-API-Key", in: "header" })
  }
}) {}

/**
 * The check, for this key: itself, or `sha256=` and its digest in 64 hexadecimal digits.
 *
 * Throws a `RangeError` for a key that is empty or a digest that is none; the key is not in its message.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (key: Redacted.Redacted): Layer.Layer<AdminKey> => {
  const keys = known(key)
  return Layer.effect(
    AdminKey,
    Effect.map(keys, ({ identify }) => {
      const check = Effect.gen(function*() {
        const request = yield* HttpServerRequest.HttpServerRequest
        const given = ApiKey.fromHeaders(request.headers)
        if (given.length === 0) {
          yield* authenticationFailed(request, "missing")
          return yield* challenged(noKey, "Bearer")
        }
        if (!(yield* isAny(given, identify))) {
          yield* authenticationFailed(request, "forbidden")
          return yield* wrongKey
        }
      })
      return {
        bearer: (endpoint) => Effect.andThen(check, endpoint),
        apiKey: (endpoint) => Effect.andThen(check, endpoint)
      }
    })
  )
}

/**
 * {@link layer} with the key from `Config`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (key: Config.Config<Redacted.Redacted>): Layer.Layer<AdminKey, Config.ConfigError> =>
  layerFromConfig<Redacted.Redacted, AdminKey, never, never>(key, layer)

/**
 * Whether a request has the operator's key, for replies that say more to the operator than to others.
 *
 * Throws a `RangeError` as {@link layer} does.
 *
 * @category guards
 * @since 0.1.0
 */
export const isOperator = (
  key: Redacted.Redacted
): (request: HttpServerRequest.HttpServerRequest) => Effect.Effect<boolean> => {
  const keys = known(key)
  return (request) => Effect.flatMap(keys, ({ identify }) => isAny(ApiKey.fromHeaders(request.headers), identify))
}

const known = (key: Redacted.Redacted) => ApiKey.makeKeys([{ name: "operator", key }])

/** All of them are tried, whichever is the right one. */
const isAny = (
  given: ReadonlyArray<Redacted.Redacted>,
  identify: ApiKey.ApiKeys["Service"]["identify"]
): Effect.Effect<boolean> =>
  Effect.map(Effect.forEach(given, identify), (callers) => callers.some((caller) => caller !== undefined))

const noKey = new ApiKey.Unauthorized(
  Problem.says("This endpoint needs a key: send \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\".")
)

const wrongKey = new ApiKey.Forbidden(Problem.says("This key does not open this endpoint."))
