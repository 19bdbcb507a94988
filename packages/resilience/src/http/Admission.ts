/**
 * Decides at the door whether a request comes in, before anything is spent on it.
 *
 * | what | reply |
 * | --- | --- |
 * | headers larger or more than allowed | 431 `headers_too_large` |
 * | a body that says to be larger than allowed | 413 `body_too_large`, and the connection closes |
 * | a body that turns out to be larger | reading it fails; `ProblemReplies` makes the same of it |
 * | the {@link Limit} refuses: too much to do | 503 `overloaded` with `Retry-After` |
 * | the server drains | 503 `shutting_down` with `Retry-After` and `Connection: close` |
 *
 * The limit is a `Bulkhead`, a `ConcurrencyLimit` or a `Shedder` of it, or whatever has their `run`.
 *
 * {@link Admission} also drains: from the start of {@link drain} on every reply has `Connection: close`, so that
 * clients go elsewhere; after a while, in which the load balancer hears of it, nobody is let in any more; and when the
 * last request is out, it is done.
 *
 * It does not close the listening socket and does not cut what is under way: the server does, and how long `drain` may
 * take is up to whoever calls it.
 *
 * **Gotchas**
 *
 * Give it to `HttpServer.serve`, around the application and inside of `RequestId`. There, a request counts until the last
 * byte of its reply is out. Around the handlers of a router the limit would lose sight of replies that stream.
 *
 * **Example** (One at a time, and then no more)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpEffect, HttpServerResponse } from "effect/http"
 * import { Admission } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const admission = yield* Admission.make({ maxBodyBytes: 1000 })
 *   const handler = HttpEffect.toWebHandler(admission.admit(Effect.succeed(HttpServerResponse.text("hello"))))
 *   const status = () => Effect.promise(() => handler(new Request("http://app.test/")).then((reply) => reply.status))
 *   const before = yield* status()
 *   yield* admission.drain()
 *   return [before, yield* status()]
 * })
 * await Effect.runPromise(program) // => [200, 503]
 * ```
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Failure from "../Failure.ts"
import { durationMillis, positiveInteger } from "../internal/options.ts"
import * as Problem from "./Problem.ts"

/**
 * What bounds the requests under way: a `Bulkhead`, a `ConcurrencyLimit`, a `Shedder`. What it refuses it must not start.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limit {
  readonly run: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
}

/**
 * An error that says what kind of failure it is, as the refusals of this package do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refused {
  readonly [Failure.symbol]: () => Failure.Info
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Bounds the requests under way. Default: nothing does. */
  readonly limit?: Limit | undefined
  /** The most bytes that a body may have. A positive integer. Default: what `MaxBodySize` says. */
  readonly maxBodyBytes?: number | undefined
  /** The most bytes that all headers may have together, names and values. A positive integer. Default: the server's limit. */
  readonly maxHeaderBytes?: number | undefined
  /** How many headers there may be. A positive integer. Default: the server's limit. */
  readonly maxHeaders?: number | undefined
  /** Requests that pass limit and drain, and are not waited for: the probes. Default: none. */
  readonly exempt?: ((request: HttpServerRequest.HttpServerRequest) => boolean) | undefined
  /** How long those that are refused shall stay away, unless the limit knows better. Default: 1 second. */
  readonly retryAfter?: Duration.Input | undefined
}

/**
 * How things stand.
 *
 * - `phase`: `"Serving"`; `"Closing"` when replies close their connections; `"Draining"` when nobody is let in any more.
 * - `inFlight`: requests under way, without those that are exempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  readonly phase: "Serving" | "Closing" | "Draining"
  readonly inFlight: number
}

/**
 * The door.
 *
 * - `admit`: serves a request, or refuses it.
 * - `drain`: stops letting requests in after `after` (default: at once), and is done when none is under way. There is no way
 *   back; interrupting it only ends the wait. A `RangeError` when `after` is no duration of zero or more.
 * - `state`: how things stand.
 *
 * @category services
 * @since 0.1.0
 */
export class Admission extends Context.Service<Admission, {
  readonly admit: <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ) => Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    E,
    R | HttpServerRequest.HttpServerRequest | Scope.Scope
  >
  readonly drain: (options?: { readonly after?: Duration.Input | undefined }) => Effect.Effect<void>
  readonly state: Effect.Effect<State>
}>()("effect-resilience/http/Admission") {}

/**
 * A door of one's own.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Admission["Service"]> => {
  const settings = check(options)
  return Effect.sync(() => door(settings))
}

/**
 * {@link make} as a layer.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Admission> => Layer.effect(Admission, make(options))

/**
 * Serves requests through the program's {@link Admission}.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  E,
  R | Admission | HttpServerRequest.HttpServerRequest | Scope.Scope
> => Effect.flatMap(Admission, ({ admit }) => admit(app))

/**
 * Drains the program's {@link Admission}.
 *
 * @category combinators
 * @since 0.1.0
 */
export const drain = (
  options?: { readonly after?: Duration.Input | undefined }
): Effect.Effect<void, never, Admission> => Effect.flatMap(Admission, ({ drain }) => drain(options))

interface Settings {
  readonly limit: Limit | undefined
  readonly maxBodyBytes: number
  readonly maxHeaderBytes: number
  readonly maxHeaders: number
  readonly exempt: (request: HttpServerRequest.HttpServerRequest) => boolean
  readonly retryAfter: Duration.Duration
}

const check = (options: Options): Settings => {
  const atMost = (name: "maxBodyBytes" | "maxHeaderBytes" | "maxHeaders"): number =>
    options[name] === undefined ? Infinity : positiveInteger(name, options[name])
  return {
    limit: options.limit,
    maxBodyBytes: atMost("maxBodyBytes"),
    maxHeaderBytes: atMost("maxHeaderBytes"),
    maxHeaders: atMost("maxHeaders"),
    exempt: options.exempt ?? (() => false),
    retryAfter: Duration.millis(durationMillis("retryAfter", options.retryAfter ?? "1 second"))
  }
}

const closing = { connection: "close" }

const door = (settings: Settings): Admission["Service"] => {
  const { exempt, limit, maxBodyBytes, retryAfter } = settings
  let phase: State["phase"] = "Serving"
  let inFlight = 0
  const empty = Latch.makeUnsafe(true)

  const enter = Effect.sync(() => {
    if (phase === "Draining") return false
    inFlight++
    empty.closeUnsafe()
    return true
  })
  const leave = Effect.sync(() => {
    inFlight--
    if (inFlight === 0) empty.openUnsafe()
  })

  /** `Effect.acquireRelease` would join all services of the fiber to those that its scope closes with; leaving needs none. */
  const entering = Effect.uninterruptible(Effect.tap(
    enter,
    (isIn) => isIn ? Effect.flatMap(Effect.scope, (scope) => Scope.addFinalizer(scope, leave)) : Effect.void
  ))

  const shuttingDown = Problem.reply("shutting_down", {
    message: "The server is shutting down. Try again, and another one will answer.",
    retryAfter,
    headers: closing
  })

  /** The application, when the limit has room for it. */
  const limited = <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R> => {
    if (limit === undefined) return app
    return Effect.suspend(() => {
      let started = false
      const noted = Effect.suspend(() => {
        started = true
        return app
      })
      return Effect.catch(limit.run(noted), (error) =>
        // What was not started has no errors of its own: this one is the limit's.
        started ? Effect.fail(error as E) : overloaded((error as Refused)[Failure.symbol](), retryAfter))
    })
  }

  const withPhase = (response: HttpServerResponse.HttpServerResponse) =>
    phase === "Serving" ? response : HttpServerResponse.setHeaders(response, closing)

  const admit: Admission["Service"]["admit"] = (app) => {
    const sized = maxBodyBytes === Infinity
      ? app
      : Effect.provideService(app, HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxBodyBytes))
    const entered = Effect.flatMap(
      entering,
      (isIn) => isIn ? limited(sized) : shuttingDown
    )
    return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const tooLarge = refuseSize(request, settings)
      if (tooLarge !== undefined) return tooLarge
      return (exempt(request) ? sized : entered).pipe(
        HttpEffect.withPreResponseHandler((_, response) => Effect.succeed(withPhase(response))),
        Effect.map(withPhase)
      )
    })
  }

  return {
    admit,
    drain: (options) => {
      const after = durationMillis("after", options?.after ?? 0)
      return Effect.gen(function*() {
        if (phase === "Serving") phase = "Closing"
        yield* Effect.sleep(after)
        phase = "Draining"
        yield* empty.await
      })
    },
    state: Effect.sync(() => ({ phase, inFlight }))
  }
}

const overloaded = (info: Failure.Info, retryAfter: Duration.Duration) =>
  Problem.reply("overloaded", {
    message: "The server has too much to do. Try again a little later.",
    retryAfter: info.retryAfter ?? retryAfter
  })

/** The reply to a request that is too large by what its headers are and say. */
const refuseSize = (
  { headers }: HttpServerRequest.HttpServerRequest,
  { maxBodyBytes, maxHeaderBytes, maxHeaders }: Settings
): Effect.Effect<HttpServerResponse.HttpServerResponse> | undefined => {
  if (maxHeaderBytes !== Infinity || maxHeaders !== Infinity) {
    const found = Object.entries(headers)
    const count = found.length
    const bytes = found.reduce((sum, [name, value]) => sum + name.length + (value?.length ?? 0), 0)
    if (count > maxHeaders || bytes > maxHeaderBytes) {
      const limit = count > maxHeaders ? maxHeaders : maxHeaderBytes
      return Problem.reply("headers_too_large", {
        message: `The request has more than ${limit} ${count > maxHeaders ? "headers" : "bytes of headers"}.`,
        members: { limit }
      })
    }
  }
  return Number(headers["content-length"] ?? 0) > maxBodyBytes
    ? Problem.reply("body_too_large", {
      message: `The body is larger than ${maxBodyBytes} bytes.`,
      members: { limit: maxBodyBytes },
      // Nobody reads the rest of it.
      headers: closing
    })
    : undefined
}
