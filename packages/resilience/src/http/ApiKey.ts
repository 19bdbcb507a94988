/**
 * API keys: who calls, with which tier and which scopes.
 *
 * Keys come as `Authorization: Bearer <key>` or `X-API-Key: <key>`. They are kept as SHA-256 digests only and compared in
 * constant time, each request with all of them, so that the time it takes tells nothing of a key.
 *
 * | the request has | it gets |
 * | --- | --- |
 * | a known key | served, with {@link Caller} |
 * | no key | 401; with `anonymous: true` served as {@link anonymous} |
 * | an unknown key | 401, anonymous or not: somebody thinks to be known |
 * | a known key without a scope that {@link requireScope} asks for | 403 |
 *
 * - {@link middleware} and {@link layer} guard a router, {@link Authentication} the endpoints of an `HttpApi`.
 * - {@link parse} and {@link config} read keys of text such as `alice:s3cret:free,bob:sha256=2bb8...:unlimited:read+write`.
 *
 * **Gotchas**
 *
 * A digest without salt and work is right for keys that are random and long (128 bits and more), and wrong for passwords.
 * Two keys may have one name, as long as tier and scopes are the same: so a key is replaced without a gap.
 *
 * **Example** (Two keys)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { HttpEffect, HttpServerResponse } from "effect/http"
 * import { ApiKey } from "effect-resilience"
 *
 * const app = Effect.map(ApiKey.Caller, ({ name, tier }) => HttpServerResponse.text(`${name}, ${tier}`))
 *
 * const handler = HttpEffect.toWebHandler(app.pipe(
 *   ApiKey.middleware(),
 *   Effect.provide(ApiKey.layerKeys([
 *     { name: "alice", key: Redacted.make("s3cret"), tier: "free" },
 *     { name: "bob", key: Redacted.make("s4cret"), tier: "unlimited", scopes: ["write"] }
 *   ]))
 * ))
 *
 * const reply = await handler(new Request("http://app.test/", { headers: { authorization: "Bearer s4cret" } }))
 * await reply.text() // => "bob, unlimited"
 *
 * const refused = await handler(new Request("http://app.test/"))
 * refused.status // => 401
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Mac from "effect/crypto/Mac"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import { dual } from "effect/Function"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { hashed, parse as parseText } from "../internal/http/apiKeyText.ts"
import { authenticationFailed } from "../internal/http/authenticationFailed.ts"
import { challenged } from "../internal/http/challenged.ts"
import { layerFromConfig } from "../internal/layerFromConfig.ts"
import { sha256 } from "../internal/sha256.ts"
import type * as Signal from "../Signal.ts"
import * as Problem from "./Problem.ts"

// -----------------------------------------------------------------------------
// Models
// -----------------------------------------------------------------------------

/**
 * Who sent a request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Caller {
  readonly name: string
  readonly tier: string
  readonly scopes: ReadonlyArray<string>
}

/**
 * Who sent a request without a key: name and tier are `"anonymous"`, and there are no scopes.
 *
 * @category models
 * @since 0.1.0
 */
export const anonymous: Caller = { name: "anonymous", tier: "anonymous", scopes: [] }

/**
 * Who sent the request that is being served; {@link anonymous} outside of one.
 *
 * @category services
 * @since 0.1.0
 */
export const Caller: Context.Reference<Caller> = Context.Reference<Caller>("effect-resilience/http/ApiKey/Caller", {
  defaultValue: () => anonymous
})

/**
 * A key.
 *
 * - `key`: the key itself, or `sha256=` and its digest in 64 hexadecimal digits.
 * - `tier`: default `"standard"`.
 * - `scopes`: default none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Key {
  readonly name: string
  readonly key: Redacted.Redacted
  readonly tier?: string | undefined
  readonly scopes?: ReadonlyArray<string> | undefined
}

// -----------------------------------------------------------------------------
// Keys of text
// -----------------------------------------------------------------------------

/**
 * Options of {@link parse} and {@link config}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParseOptions {
  /** The tiers there are. Default: any. */
  readonly tiers?: ReadonlyArray<string> | undefined
  /** The tier of an entry without one. Default `"standard"`. */
  readonly defaultTier?: string | undefined
}

/**
 * Reads `name:key:tier:scope+scope,...`; tier and scopes may be left out. Fails with a line for everything that is wrong, by
 * the number of the entry. No line repeats any part of an entry: what stands in the wrong place may be a key.
 *
 * **Example** (Two complaints)
 *
 * ```ts
 * import { Result } from "effect"
 * import { ApiKey } from "effect-resilience"
 *
 * const complaints = Result.flip(ApiKey.parse("alice:s3cret:gold,s4cret", { tiers: ["free", "unlimited"] }))
 * Result.getOrThrow(complaints) // => ["entry 1 must have one of the tiers free, unlimited", "entry 2 must be name:key, name:key:tier or name:key:tier:scope+scope"]
 * ```
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (
  text: string,
  options: ParseOptions = {}
): Result.Result<ReadonlyArray<Key>, ReadonlyArray<string>> => parseText(text, options)

/**
 * Keys of a variable, as {@link parse} reads them. All that is wrong is in one `ConfigError`, and no secret is.
 *
 * @category decoding
 * @since 0.1.0
 */
export const config = (variable: string, options: ParseOptions = {}): Config.Config<ReadonlyArray<Key>> =>
  Config.mapEffect(Config.String(variable), (text) =>
    Effect.mapError(
      Effect.fromResult(parse(text, options)),
      (complaints) =>
        new Config.ConfigError(
          new Schema.SchemaError(
            new SchemaIssue.InvalidValue({ message: `${variable}: ${complaints.join("; ")}` })
          )
        )
    ))

// -----------------------------------------------------------------------------
// Known keys
// -----------------------------------------------------------------------------

/**
 * The keys that are known.
 *
 * - `identify`: whose key it is; `undefined` when it is nobody's.
 *
 * @category services
 * @since 0.1.0
 */
export class ApiKeys extends Context.Service<ApiKeys, {
  readonly identify: (key: Redacted.Redacted) => Effect.Effect<Caller | undefined>
}>()("effect-resilience/http/ApiKey/ApiKeys") {}

/**
 * Knows these keys. Throws a `RangeError` for a key that is empty or a digest that is none; the key is not in its message.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeKeys = (keys: ReadonlyArray<Key>): Effect.Effect<ApiKeys["Service"]> => {
  const written = keys.map((key, index) => {
    const secret = Redacted.value(key.key)
    const digest = secret.startsWith(hashed)
      ? Result.getOrUndefined(Hex.decode(secret.slice(hashed.length)))
      : undefined
    if (secret === "" || (secret.startsWith(hashed) && digest?.length !== 32)) {
      throw new RangeError(`keys[${index}].key must be a key or "sha256=" and 64 hexadecimal digits; it is not shown`)
    }
    const caller: Caller = { name: key.name, tier: key.tier ?? "standard", scopes: key.scopes ?? [] }
    return { caller, key: key.key, digest }
  })
  const known = written.map(({ caller, digest, key }) => ({ caller, digest: digest ?? digestOf(key) }))
  return Effect.succeed(knowing(known))
}

const digestOf = (key: Redacted.Redacted): Uint8Array => sha256(new TextEncoder().encode(Redacted.value(key)))

/** By itself, so that the service holds on to digests and not to the keys that they were made of. */
const knowing = (
  known: ReadonlyArray<{ readonly caller: Caller; readonly digest: Uint8Array }>
): ApiKeys["Service"] => ({
  identify: (key) =>
    Effect.sync(() => {
      const digest = digestOf(key)
      let found: Caller | undefined
      // All of them, also after one has matched: how long it takes says nothing.
      for (const each of known) {
        if (Mac.timingSafeEqual(each.digest, digest)) found = each.caller
      }
      return found
    })
})

/**
 * {@link makeKeys} as a layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerKeys = (keys: ReadonlyArray<Key>): Layer.Layer<ApiKeys> => Layer.effect(ApiKeys, makeKeys(keys))

/**
 * {@link layerKeys} with keys from `Config`, such as {@link config} reads.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerKeysConfig = (
  keys: Config.Wrap<ReadonlyArray<Key>>
): Layer.Layer<ApiKeys, Config.ConfigError> => layerFromConfig(keys, layerKeys)

// -----------------------------------------------------------------------------
// Requests
// -----------------------------------------------------------------------------

/**
 * The keys in the headers of a request, lower-case names: the bearer token first, then `X-API-Key`. Other ways to
 * authenticate are no key.
 *
 * @category accessors
 * @since 0.1.0
 */
export const fromHeaders = (
  headers: Readonly<Record<string, string | undefined>>
): ReadonlyArray<Redacted.Redacted> =>
  [/^Bearer +(\S+) *$/i.exec(headers["authorization"] ?? "")?.[1], headers["x-api-key"]]
    .filter((key) => key !== undefined && key !== "")
    .map((key) => Redacted.make(key!))

/**
 * The request has no key, or one that nobody has. Status 401.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthorized extends HttpApiError.Problem<Unauthorized>()(
  "Unauthorized",
  { type: "/problems/unauthorized", status: 401, title: "Unauthorized" },
  Problem.members("unauthorized")
) {}

/**
 * The request's key does not have the scope that is asked for. Status 403.
 *
 * @category errors
 * @since 0.1.0
 */
export class Forbidden extends HttpApiError.Problem<Forbidden>()(
  "Forbidden",
  { type: "/problems/forbidden", status: 403, title: "Forbidden" },
  Problem.members("forbidden")
) {}

/**
 * Options of {@link middleware}, {@link layer} and {@link layerAuthentication}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Whether a request without a key is served, as {@link anonymous}. Default false. */
  readonly anonymous?: boolean | undefined
}

/** Why a request is refused, and the challenge that goes with it (RFC 6750, 3). */
interface Refusal {
  readonly reason: Signal.AuthenticationFailed["reason"]
  readonly message: string
  readonly challenge: string
}

const noKey: Refusal = {
  reason: "missing",
  message: "There is no key in the request: send \"Authorization: Bearer <key>\" or \"X-API-Key: <key>\".",
  challenge: "Bearer"
}
const unknownKey: Refusal = {
  reason: "unknown",
  message: "Nobody has this key.",
  challenge: "Bearer error=\"invalid_token\""
}

const callerOf = (
  request: HttpServerRequest.HttpServerRequest,
  options: Options | undefined
): Effect.Effect<Caller, Refusal, ApiKeys> =>
  Effect.gen(function*() {
    const keys = fromHeaders(request.headers)
    if (keys.length === 0) return options?.anonymous === true ? anonymous : yield* refused(request, noKey)
    const { identify } = yield* ApiKeys
    for (const key of keys) {
      const caller = yield* identify(key)
      if (caller !== undefined) return caller
    }
    return yield* refused(request, unknownKey)
  })

const refused = (
  request: HttpServerRequest.HttpServerRequest,
  refusal: Refusal
): Effect.Effect<never, Refusal> => Effect.andThen(authenticationFailed(request, refusal.reason), Effect.fail(refusal))

const servedFor = (caller: Caller) => <A, E, R>(app: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  app.pipe(Effect.provideService(Caller, caller), Effect.annotateLogs("caller", caller.name))

/**
 * Serves a request with its {@link Caller} known, and with its name as `caller` in the log, or refuses it with a problem of
 * status 401.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = (options?: Options) =>
<E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | ApiKeys | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.matchEffect(callerOf(request, options), {
      onFailure: ({ challenge, message }) =>
        Problem.reply("unauthorized", { message, headers: { "www-authenticate": challenge } }),
      onSuccess: (caller) => servedFor(caller)(app)
    }))

/**
 * {@link middleware} for every route of a router.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never, never, HttpRouter.HttpRouter | ApiKeys> =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const keys = yield* ApiKeys
      const router = yield* HttpRouter.HttpRouter
      yield* router.addGlobalMiddleware((app) => Effect.provideService(middleware(options)(app), ApiKeys, keys))
    })
  )

/**
 * The middleware of `HttpApi` endpoints that ask for a key. It is in their OpenAPI description, and {@link Unauthorized} among
 * their errors. {@link layerAuthentication} implements it.
 *
 * @category services
 * @since 0.1.0
 */
export class Authentication extends HttpApiMiddleware.Service<Authentication>()(
  "effect-resilience/http/ApiKey/Authentication",
  {
    error: Unauthorized,
    security: {
      bearer: HttpApiSecurity.bearer,
      apiKey: HttpApiSecurity.apiKey({ key: "X-API-Key", in: "header" })
    }
  }
) {}

/**
 * Implements {@link Authentication} with the keys that are known.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerAuthentication = (options?: Options): Layer.Layer<Authentication, never, ApiKeys> =>
  Layer.effect(
    Authentication,
    Effect.map(ApiKeys, (keys) => {
      // Whichever of the two schemes is tried, the same rule holds, so it does not matter which one comes first.
      const check = <A, E, R>(endpoint: Effect.Effect<A, E, R>) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
          callerOf(request, options).pipe(
            Effect.provideService(ApiKeys, keys),
            Effect.catch(({ challenge, message }) => challenged(new Unauthorized(Problem.says(message)), challenge)),
            Effect.flatMap((caller) => servedFor(caller)(endpoint))
          ))
      return { bearer: check, apiKey: check }
    })
  )

/**
 * Runs an effect only for a caller with this scope: {@link Forbidden} without it, {@link Unauthorized} for {@link anonymous}.
 *
 * **Example** (One who may write)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpEffect, HttpServerResponse } from "effect/http"
 * import { ApiKey } from "effect-resilience"
 *
 * const write = Effect.succeed(HttpServerResponse.text("written")).pipe(ApiKey.requireScope("write"))
 * const as = (scopes: ReadonlyArray<string>) =>
 *   HttpEffect.toWebHandler(Effect.provideService(write, ApiKey.Caller, { name: "bob", tier: "free", scopes }))
 *
 * const [may, mayNot] = [await as(["write"])(new Request("http://app.test/")), await as([])(new Request("http://app.test/"))]
 * may.status // => 200
 * mayNot.status // => 403
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const requireScope: {
  (scope: string): <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Unauthorized | Forbidden, R | HttpServerRequest.HttpServerRequest>
  <A, E, R>(
    self: Effect.Effect<A, E, R>,
    scope: string
  ): Effect.Effect<A, E | Unauthorized | Forbidden, R | HttpServerRequest.HttpServerRequest>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, scope: string) =>
  Effect.flatMap(Caller, (caller): Effect.Effect<
    A,
    E | Unauthorized | Forbidden,
    R | HttpServerRequest.HttpServerRequest
  > => {
    if (caller.scopes.includes(scope)) return self
    const reason = caller === anonymous ? "missing" : "forbidden"
    const refusal: Effect.Effect<never, Unauthorized | Forbidden, HttpServerRequest.HttpServerRequest> =
      caller === anonymous
        ? challenged(new Unauthorized(Problem.says(noKey.message)), noKey.challenge)
        : challenged(
          new Forbidden(Problem.says("This key does not open this endpoint.")),
          "Bearer error=\"insufficient_scope\""
        )
    const tell = Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      (request) => authenticationFailed(request, reason)
    )
    return Effect.andThen(tell, refusal)
  }))
