/**
 * Rate limits on HTTP requests, for `HttpRouter` and `HttpApi`.
 *
 * You say which checks a request has to pass, from whom and where to it is; all of them are decided in one step, and a request that
 * is refused takes nothing. Every reply to a limited request tells how the limits stand, in the headers of
 * `RateLimitHeaders`.
 *
 * | decision | reply |
 * | --- | --- |
 * | allowed | the handler's |
 * | denied | 429 problem+json: {@link RateLimitExceeded} |
 * | the store does not answer, and a rule is `onStoreError: "closed"` | 503 problem+json: {@link RateLimiterDown} |
 * | the store does not answer, else | the handler's |
 *
 * What it does not do: it does not know who calls (`ClientAddress` and `ApiKey` do), and a handler that fails is not given back what it
 * took. A rule of `concurrency` is not for here: a request would hold its lease until that runs out.
 *
 * **Example** (Two requests a minute for each client)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { RateLimiter, RateLimitMiddleware } from "effect-resilience"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 *
 * const perClient = RateLimiter.policy("perClient", [RateLimiter.perMinute(2)])
 *
 * const limits = RateLimitMiddleware.layer({
 *   checks: (request) => [{ policy: perClient, key: request.headers["x-client"] ?? "anybody" }]
 * })
 * const routes = HttpRouter.add("GET", "/", HttpServerResponse.text("hello")).pipe(Layer.provide(limits))
 *
 * const { dispose, handler } = HttpRouter.toWebHandler(routes.pipe(
 *   Layer.provide(RateLimiter.layer),
 *   Layer.provide(RateLimiter.layerStoreMemory())
 * ))
 * const statuses: Array<number> = []
 * for (let i = 0; i < 3; i++) statuses.push((await handler(new Request("http://localhost/"))).status)
 * await dispose()
 *
 * statuses // => [200, 200, 429]
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpApiError from "effect/http-api/HttpApiError"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { provideOver } from "../internal/provideOver.ts"
import type * as RateLimiter from "../RateLimiter.ts"
import { RateLimiter as Limiter } from "../RateLimiter.ts"
import * as Problem from "./Problem.ts"
import * as RateLimitHeaders from "./RateLimitHeaders.ts"

/**
 * 429: a limit refused the request, and nothing was taken of any.
 *
 * - `retry_after`: in so many whole seconds the same request has room, if nobody else comes.
 * - `limit`, `remaining`, `reset`: of the limit that has to be waited for longest; `reset` in whole seconds.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimitExceeded extends HttpApiError.Problem<RateLimitExceeded>()("RateLimitExceeded", {
  type: "/problems/rate_limit_exceeded",
  status: 429,
  title: "Rate limit exceeded"
}, {
  ...Problem.members("rate_limit_exceeded"),
  error: Schema.tag("rate_limit_exceeded"),
  retry_after: Problem.RetryAfter,
  limit: Schema.Finite,
  remaining: Schema.Finite,
  reset: Schema.Int
}) {}

/**
 * 503: nobody knows whether there was room, and a rule says that then there is none.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimiterDown extends HttpApiError.Problem<RateLimiterDown>()("RateLimiterDown", {
  type: "/problems/rate_limiter_unavailable",
  status: 503,
  title: "Rate limiter unavailable"
}, {
  ...Problem.members("rate_limiter_unavailable"),
  retry_after: Problem.RetryAfter
}) {}

/**
 * Options of {@link decide}, {@link layer} and {@link layerApi}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R = never> {
  /** What a request has to pass. No checks: it is not limited, and its reply says nothing of limits. */
  readonly checks: (
    request: HttpServerRequest.HttpServerRequest
  ) => ReadonlyArray<RateLimiter.Check> | Effect.Effect<ReadonlyArray<RateLimiter.Check>, never, R>
  /** In which dialects replies tell of the limits. Default `["x-ratelimit", "ratelimit"]`. */
  readonly dialects?: ReadonlyArray<RateLimitHeaders.Dialect> | undefined
}

/**
 * Decides about the request that is being served, and sets the headers of its reply. Gives the problem that refuses it.
 *
 * @category decisions
 * @since 0.1.0
 */
export const decide = <R = never>(
  options: Options<R>
): Effect.Effect<
  RateLimitExceeded | RateLimiterDown | undefined,
  never,
  R | Limiter | HttpServerRequest.HttpServerRequest
> =>
  Effect.gen(function*() {
    const given = options.checks(yield* HttpServerRequest.HttpServerRequest)
    const checks = Effect.isEffect(given) ? yield* given : given
    if (checks.length === 0) return undefined
    const decision = yield* (yield* Limiter).consume(checks)
    yield* setHeaders(headersOf(decision, yield* Clock.currentTimeMillis, options.dialects))
    if (decision._tag === "Denied") return exceeded(decision)
    return decision._tag === "StoreUnavailable" && decision.mode === "closed" ? down : undefined
  })

/**
 * Limits the routes that it is provided to. Refusals are replies.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(options: Options<R>) =>
  HttpRouter.middleware(
    Effect.map(Effect.context<Limiter | R>(), (context) => {
      const decided = provideOver(context)(decide(options))
      return (app) =>
        Effect.flatMap(
          decided,
          (refusal) => refusal === undefined ? app : HttpServerRespondable.toResponse(refusal)
        )
    })
  ).layer

/**
 * The middleware of an `HttpApi`: endpoints that have it can fail with its problems, and their documents say so.
 *
 * @category middleware
 * @since 0.1.0
 */
export class RateLimits extends HttpApiMiddleware.Service<RateLimits>()("effect-resilience/http/RateLimits", {
  error: [RateLimitExceeded, RateLimiterDown]
}) {}

/**
 * Provides {@link RateLimits}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerApi = <R = never>(options: Options<R>): Layer.Layer<RateLimits, never, Limiter | R> =>
  Layer.effect(
    RateLimits,
    Effect.map(
      Effect.context<Limiter | R>(),
      (context) => {
        const decided = Effect.flatMap(
          provideOver(context)(decide(options)),
          (refusal) => refusal === undefined ? Effect.void : Effect.fail(refusal)
        )
        return RateLimits.of((endpoint) => Effect.andThen(decided, endpoint))
      }
    )
  )

const headersOf = (
  decision: RateLimiter.Decision,
  now: number,
  dialects: ReadonlyArray<RateLimitHeaders.Dialect> | undefined
): Readonly<Record<string, string>> =>
  RateLimitHeaders.encode(
    decision.rules.map(({ limit, policy, remaining, resetAfter, rule, unit }) => ({
      name: `${policy}-${rule}`,
      unit,
      limit,
      remaining,
      resetAfter
    })),
    {
      now,
      dialects,
      retryAfter: decision._tag === "Denied"
        ? decision.retryAfter
        : decision._tag === "StoreUnavailable" && decision.mode === "closed"
        ? "1 second"
        : undefined
    }
  )

const setHeaders = (headers: Readonly<Record<string, string>>) =>
  HttpEffect.appendPreResponseHandler((_, response) => Effect.succeed(HttpServerResponse.setHeaders(response, headers)))

/** Whole seconds, rounded up, and never more than an integer can say. */
const seconds = (duration: Duration.Duration): number =>
  Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, Math.ceil(Duration.toSeconds(duration))))

const exceeded = (denied: RateLimiter.Denied): RateLimitExceeded => {
  const wait = seconds(denied.retryAfter)
  return new RateLimitExceeded({
    ...Problem.says(
      denied.never
        ? "Rate limit exceeded. This request asks for more than can ever be had."
        : `Rate limit exceeded. Try again in ${wait} ${wait === 1 ? "second" : "seconds"}.`
    ),
    retry_after: wait,
    limit: denied.limit,
    remaining: denied.remaining,
    reset: seconds(denied.reset)
  })
}

const down = new RateLimiterDown({
  ...Problem.says("Limits cannot be checked at the moment. Try again in 1 second."),
  retry_after: 1
})
