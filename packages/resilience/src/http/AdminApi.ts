/**
 * What the operator of a server does over HTTP, as groups that any `HttpApi` can mount.
 *
 * | group | layer | what |
 * | --- | --- | --- |
 * | {@link DeadLetters} | {@link layerDeadLetters} | list, open, redrive, discard, report, export dead letters |
 * | {@link CircuitBreakers} | {@link layerCircuitBreakers} | look at circuits; open, close, release, reset them |
 * | {@link RateLimits} | {@link layerRateLimits} | look at limits, reset them |
 * | {@link Policies} | {@link layerPolicies} | look at the policies that are data; replace them while the server runs |
 *
 * - Each asks for the operator's key: provide `http/AdminKey`.
 * - Errors are problems (`http/Problem`) that are part of the endpoints' types. Wrong input is {@link InvalidRequest}, with
 *   every field named; a name that is misspelt is wrong, too.
 * - Nothing is to be cached.
 * - A group keeps working under a prefix and with more middleware: its layer takes the API that it was added to.
 *
 * **Example** (Letters of an API)
 *
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Effect, Layer, Redacted, Schema } from "effect"
 * import { AdminApi, AdminKey, DeadLetterQueue } from "effect-resilience"
 * import { HttpApi, HttpApiBuilder } from "effect/http-api"
 * import { HttpRouter } from "effect/http"
 *
 * class FailedMails extends DeadLetterQueue.Service<FailedMails>()("app/FailedMails", {
 *   name: "mails",
 *   schema: Schema.Struct({ to: Schema.String })
 * }) {}
 *
 * class Api extends HttpApi.make("app").add(AdminApi.DeadLetters) {}
 *
 * const routes = HttpApiBuilder.layer(Api).pipe(
 *   Layer.provide(AdminApi.layerDeadLetters(Api, { queue: FailedMails, handler: ({ to }) => Effect.log(`mail to ${to}`) })),
 *   Layer.provide(AdminKey.layer(Redacted.make("s3cret"))),
 *   Layer.provide(Layer.provide(FailedMails.layer, DeadLetterQueue.layerStoreMemory)),
 *   Layer.provide(NodeHttpServer.layerHttpServices)
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
 *
 * const reply = await handler(new Request("http://app.test/admin/dlq?state=Dead", { headers: { "x-api-key": "s3cret" } }))
 * const page = await reply.json()
 * await dispose()
 * page // => { letters: [], cursor: null }
 * ```
 *
 * @since 0.1.0
 */
import * as Circuits from "../internal/http/adminApi/circuitBreakers.ts"
import type { DeadLetters } from "../internal/http/adminApi/deadLetters.ts"
import type { Like, Mounting, Served } from "../internal/http/adminApi/mounted.ts"
import * as Documents from "../internal/http/adminApi/policies.ts"
import * as Limits from "../internal/http/adminApi/rateLimits.ts"
import * as Letters from "../internal/http/adminApi/serveDeadLetters.ts"
import type { RateLimiter } from "../RateLimiter.ts"

export { CircuitBreakers, type CircuitBreakersOptions } from "../internal/http/adminApi/circuitBreakers.ts"
export { DeadLetters, RedriveEvent, RedriveReport, RedriveRequest } from "../internal/http/adminApi/deadLetters.ts"
export type { Like, Mounting, Served } from "../internal/http/adminApi/mounted.ts"
export type { Named } from "../internal/http/adminApi/named.ts"
export { Policies, type PoliciesOptions } from "../internal/http/adminApi/policies.ts"
export {
  CircuitBreakerNotFound,
  InvalidRequest,
  LetterNotFound,
  LetterRefused,
  PolicyDocumentRefused,
  RateLimitPolicyNotFound,
  StorageUnavailable
} from "../internal/http/adminApi/problems.ts"
export { RateLimits, type RateLimitsOptions } from "../internal/http/adminApi/rateLimits.ts"
export { Replies } from "../internal/http/adminApi/replies.ts"
export type { DeadLettersOptions } from "../internal/http/adminApi/serveDeadLetters.ts"

/**
 * Serves {@link DeadLetters} for one queue, whatever its payloads are.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDeadLetters: <ApiId extends string, Group extends Like<typeof DeadLetters>, Self, A, E, R>(
  api: Mounting<ApiId, "deadLetters", Group>,
  options: Letters.DeadLettersOptions<Self, A, E, R>
) => Served<ApiId, Group, Self | R> = Letters.layer

/**
 * Serves {@link CircuitBreakers}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCircuitBreakers: <
  ApiId extends string,
  Group extends Like<typeof Circuits.CircuitBreakers>,
  R = never
>(
  api: Mounting<ApiId, "circuitBreakers", Group>,
  options: Circuits.CircuitBreakersOptions<R>
) => Served<ApiId, Group, R> = Circuits.layer

/**
 * Serves {@link RateLimits}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRateLimits: <ApiId extends string, Group extends Like<typeof Limits.RateLimits>, R = never>(
  api: Mounting<ApiId, "rateLimits", Group>,
  options: Limits.RateLimitsOptions<R>
) => Served<ApiId, Group, R | RateLimiter> = Limits.layer

/**
 * Serves {@link Policies}.
 *
 * **Example** (A document that is refused)
 *
 * ```ts
 * import { NodeHttpServer } from "@effect/platform-node"
 * import { Layer, Redacted } from "effect"
 * import { AdminApi, AdminKey, CircuitBreaker, Policy, RateLimiter } from "effect-resilience"
 * import { HttpApi, HttpApiBuilder } from "effect/http-api"
 * import { HttpRouter } from "effect/http"
 *
 * class Api extends HttpApi.make("app").add(AdminApi.Policies) {}
 *
 * const policies = Policy.layerFromText("policies: { payments: { deadline: 5 seconds } }")
 * const routes = HttpApiBuilder.layer(Api).pipe(
 *   Layer.provide(AdminApi.layerPolicies(Api, { documents: Policy.Policies })),
 *   Layer.provide(AdminKey.layer(Redacted.make("s3cret"))),
 *   Layer.provide(policies),
 *   Layer.provide(CircuitBreaker.layerStoreMemory),
 *   Layer.provide(Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory())),
 *   Layer.provide(NodeHttpServer.layerHttpServices)
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
 *
 * const reply = await handler(new Request("http://app.test/admin/policies", {
 *   method: "PUT",
 *   headers: { "x-api-key": "s3cret", "content-type": "application/yaml" },
 *   body: "policies: { payments: { deadline: soon } }"
 * }))
 * const { errors } = await reply.json()
 * await dispose()
 * const refused = [reply.status, errors[0].path] // => [422, "policies.payments.deadline"]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPolicies: <
  ApiId extends string,
  Group extends Like<typeof Documents.Policies>,
  R = never,
  R2 = never
>(
  api: Mounting<ApiId, "policies", Group>,
  options: Documents.PoliciesOptions<R, R2>
) => Served<ApiId, Group, R | R2> = Documents.layer
