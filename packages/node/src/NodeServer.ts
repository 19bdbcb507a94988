/**
 * An HTTP server for Node that can be taken out of service without failing a request.
 *
 * {@link layer} provides effect's `HttpServer`. When its scope closes, or {@link runMain} hears `SIGTERM`, it goes through
 * these phases, each of them once:
 *
 * | phase | for | what happens |
 * | --- | --- | --- |
 * | `Serving` | | |
 * | `Draining` | `preStopDelay` | `onDrain` is run, to take readiness down. All is served as before, with `Connection: close`, while load balancers learn of it |
 * | `Closing` | up to `drainTimeout` | the listener and idle connections are closed; what is under way goes on; what comes now on a connection that is still open gets 503 with `Retry-After` |
 * | `Deadline` | up to 0.75 seconds | streams made by {@link endAtDeadline} end with their last words |
 * | `Cutting` | up to 0.75 seconds | event streams that are left get a terminal `error` event and a clean end; then handlers are interrupted, which answers 503 with `Retry-After`, or closes a WebSocket with 1001 |
 * | `Closed` | | every connection is closed, read or not |
 *
 * Phases that nobody needs are skipped. A client that takes its time over sending a request is no request under way, so
 * it holds nothing up.
 *
 * The listening socket is Node's: with limits on how long a request may take to arrive, and with problem details as
 * the reply to what is not HTTP.
 *
 * **Example** (A server that answers, and is shut down)
 *
 * ```ts
 * import { NodeServer } from "@effect-resilience/node"
 * import { Effect } from "effect"
 * import { HttpServer, HttpServerResponse } from "effect/http"
 *
 * const program = Effect.gen(function*() {
 *   yield* HttpServer.serveEffect(Effect.succeed(HttpServerResponse.text("hello")))
 *   const { address } = yield* HttpServer.HttpServer
 *   const text = yield* Effect.promise(() => fetch(HttpServer.formatAddress(address)).then((reply) => reply.text()))
 *   const server = yield* NodeServer.NodeServer
 *   return [text, yield* server.shutdown]
 * }).pipe(Effect.scoped)
 *
 * const layer = NodeServer.layer({ port: 0, host: "127.0.0.1", preStopDelay: 0 })
 * await Effect.runPromise(Effect.provide(program, layer)) // => ["hello", { inFlight: 0, cut: 0, refused: 0 }]
 * ```
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import type * as NodeServices from "@effect/platform-node/NodeServices"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import type * as Etag from "effect/http/Etag"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerError from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import { Connections } from "./internal/nodeServer/connections.ts"
import { endAt } from "./internal/nodeServer/endings.ts"
import { Gate } from "./internal/nodeServer/gate.ts"
import * as Main from "./internal/nodeServer/main.ts"
import { type Phase, Phases } from "./internal/nodeServer/phases.ts"
import * as Refusals from "./internal/nodeServer/refusals.ts"
import * as Shutdown from "./internal/nodeServer/shutdown.ts"
import { millisOf, portOf } from "./internal/options.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~@effect-resilience/node/NodeServer"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~@effect-resilience/node/NodeServer"

export type {
  /**
   * How far the shutdown has come; see the table above.
   *
   * @category models
   * @since 0.1.0
   */
  Phase
} from "./internal/nodeServer/phases.ts"

export type {
  /**
   * The reply to what could not be read as a request.
   *
   * @category models
   * @since 0.1.0
   */
  RawReply,
  /**
   * What could not be read as a request: `"HeadersTooLarge"` (431), `"RequestTimeout"` (408), `"MalformedRequest"` (400).
   *
   * @category models
   * @since 0.1.0
   */
  Unreadable
} from "./internal/nodeServer/refusals.ts"

export type {
  /**
   * How a shutdown went.
   *
   * - `inFlight`: requests and upgraded connections that were under way when the server was closed.
   * - `cut`: those of them that were not done in time.
   * - `refused`: requests that came too late, and were asked to come again.
   *
   * @category models
   * @since 0.1.0
   */
  Summary
} from "./internal/nodeServer/shutdown.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** 0 for any that is free. */
  readonly port: number
  /** Default: all addresses of the machine. */
  readonly host?: string | undefined
  /** How long to go on serving while load balancers learn that this instance is leaving. Default 5 seconds. */
  readonly preStopDelay?: Duration.Input | undefined
  /** How long requests that are under way may take after that. Default 20 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /**
   * After how long the process is killed: Kubernetes' `terminationGracePeriodSeconds`. Default 30 seconds, as there.
   * `preStopDelay` and `drainTimeout` must leave 3 seconds of it, for last words and for what else the program has to close.
   */
  readonly terminationGracePeriod?: Duration.Input | undefined
  /** When clients that are refused should come again, to another instance. Whole seconds, rounded up. Default 1 second. */
  readonly retryAfter?: Duration.Input | undefined
  /** How long the headers of a request may take to arrive, looked at three times in that time. Default 15 seconds. */
  readonly headersTimeout?: Duration.Input | undefined
  /** How long a whole request may take to arrive. Default 60 seconds. */
  readonly requestTimeout?: Duration.Input | undefined
  /** How long an idle connection stays open. Longer than a load balancer keeps one. Default 65 seconds. */
  readonly keepAliveTimeout?: Duration.Input | undefined
}

/**
 * What of the server can be replaced. Nothing of it comes from `Config`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Custom<R = never> {
  /** Run as soon as the shutdown begins, to take readiness down. Nobody waits for it; its failure is logged. */
  readonly onDrain?: Effect.Effect<void, unknown, R> | undefined
  /**
   * The reply to a request that comes too late, or could not be finished; `Retry-After` is added. Default: problem details
   * with status 503. Middleware of the router does not see it; that of `HttpServer.serve` is around it, and an effect is run
   * inside of it.
   */
  readonly refusal?:
    | ((
      request: HttpServerRequest.HttpServerRequest
    ) => HttpServerResponse.HttpServerResponse | Effect.Effect<HttpServerResponse.HttpServerResponse>)
    | undefined
  /** What an event stream that could not be finished ends with, on the wire. Default: an event `error` with JSON. */
  readonly terminalEvent?: string | undefined
  /** The reply to what is not HTTP. Default: problem details. */
  readonly unreadable?: ((unreadable: Refusals.Unreadable) => Refusals.RawReply) | undefined
  /** Makes the server, for TLS: `(options) => https.createServer({ ...options, key, cert })`. */
  readonly createServer?: ((options: Http.ServerOptions) => Http.Server) | undefined
  /** Passed on to the `ws` server. */
  readonly websocket?: NodeHttpServer.Options["websocket"]
}

/**
 * Ends a stream with an element of its own.
 *
 * @category models
 * @since 0.1.0
 */
export type EndWith = <A, E, R, B>(stream: Stream.Stream<A, E, R>, last: () => B) => Stream.Stream<A | B, E, R>

/**
 * The server behind the program's `HttpServer`.
 *
 * - `phase`: how far its shutdown has come.
 * - `until(phase)`: waits until it has come there.
 * - `draining`: whether it has begun.
 * - `shutdown`: begins it and waits for its end; a second one waits for the first. What is left then is interrupted
 *   when the scope of the server closes.
 * - `connections`: how many are open, and how much on them is under way.
 * - `endAtClosing`, `endAtDeadline`: {@link endAtClosing} and {@link endAtDeadline} for a handler that has the server at
 *   hand, as a reply's stream may need no services.
 *
 * @category services
 * @since 0.1.0
 */
export class NodeServer extends Context.Service<NodeServer, {
  readonly [TypeId]: TypeId
  readonly phase: Effect.Effect<Phase>
  readonly until: (phase: Phase) => Effect.Effect<void>
  readonly draining: Effect.Effect<boolean>
  readonly shutdown: Effect.Effect<Shutdown.Summary>
  readonly connections: Effect.Effect<{ readonly open: number; readonly inFlight: number }>
  readonly endAtClosing: EndWith
  readonly endAtDeadline: EndWith
}>()("@effect-resilience/node/NodeServer") {}

/**
 * @category guards
 * @since 0.1.0
 */
export const isNodeServer = (u: unknown): u is NodeServer["Service"] => Predicate.hasProperty(u, TypeId)

/**
 * What {@link layer} provides.
 *
 * @category models
 * @since 0.1.0
 */
export type Provided =
  | NodeServer
  | HttpServer.HttpServer
  | HttpPlatform.HttpPlatform
  | Etag.Generator
  | NodeServices.NodeServices

/**
 * Listens, and provides effect's `HttpServer` with what it needs on Node.
 *
 * Fails with a `ServeError` when it cannot listen. Throws a `RangeError` for an option out of its range, and when
 * `preStopDelay` and `drainTimeout` leave less than 3 seconds of `terminationGracePeriod`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  options: Options,
  custom: Custom<R> = {}
): Layer.Layer<Provided, HttpServerError.ServeError, Exclude<R, Scope.Scope>> => {
  const settings = check(options)
  return Layer.merge(Layer.effectContext(start(settings, custom)), NodeHttpServer.layerHttpServices)
}

/**
 * {@link layer} with its options from `Config`. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = <R = never>(
  options: Config.Wrap<Options>,
  custom?: Custom<R>
): Layer.Layer<Provided, HttpServerError.ServeError | Config.ConfigError, Exclude<R, Scope.Scope>> =>
  Layer.unwrap(Effect.flatMap(Config.unwrap<Options>(options), (found) =>
    Effect.try({
      try: () => layer(found, custom),
      catch: (error) =>
        new Config.ConfigError(
          new Schema.SchemaError(
            new SchemaIssue.InvalidValue({ message: error instanceof RangeError ? error.message : String(error) })
          )
        )
    })))

/**
 * Ends a stream with `last` when the server closes, for what has no end of its own, such as a subscription: its client is
 * told, and comes back to another instance.
 *
 * **Example** (A subscription that says goodbye)
 *
 * ```ts
 * import { NodeServer } from "@effect-resilience/node"
 * import { Effect, Stream } from "effect"
 *
 * const updates = Stream.concat(Stream.make("update"), Stream.never).pipe(NodeServer.endAtClosing(() => "goodbye"))
 *
 * const program = Effect.gen(function*() {
 *   const server = yield* NodeServer.NodeServer
 *   const [received] = yield* Effect.all([Stream.runCollect(updates), server.shutdown], { concurrency: "unbounded" })
 *   return received
 * })
 * const layer = NodeServer.layer({ port: 0, host: "127.0.0.1", preStopDelay: 0 })
 * await Effect.runPromise(Effect.provide(program, layer)) // => ["update", "goodbye"]
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const endAtClosing: {
  <B>(last: () => B): <A, E, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A | B, E, R | NodeServer>
  <A, E, R, B>(self: Stream.Stream<A, E, R>, last: () => B): Stream.Stream<A | B, E, R | NodeServer>
} = dual(
  2,
  <A, E, R, B>(self: Stream.Stream<A, E, R>, last: () => B): Stream.Stream<A | B, E, R | NodeServer> =>
    Stream.unwrap(Effect.map(NodeServer, (server) => server.endAtClosing(self, last)))
)

/**
 * Ends a stream with `last` when its time is up: `drainTimeout` after the server closed. For what should finish, such as
 * the reply of a language model, in words of its own protocol that it did not.
 *
 * @category streams
 * @since 0.1.0
 */
export const endAtDeadline: {
  <B>(last: () => B): <A, E, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A | B, E, R | NodeServer>
  <A, E, R, B>(self: Stream.Stream<A, E, R>, last: () => B): Stream.Stream<A | B, E, R | NodeServer>
} = dual(
  2,
  <A, E, R, B>(self: Stream.Stream<A, E, R>, last: () => B): Stream.Stream<A | B, E, R | NodeServer> =>
    Stream.unwrap(Effect.map(NodeServer, (server) => server.endAtDeadline(self, last)))
)

/**
 * Runs a program until it ends or is told to stop.
 *
 * At the first `SIGTERM` its {@link NodeServer}s shut down while all else still works, and then the program is interrupted,
 * which closes the rest. `SIGINT` does the same without the `preStopDelay`. A second signal ends the process at once.
 *
 * The exit code is 0 when it was told to stop and did. It is 1 when the program failed, or when the shutdown was not done
 * half a second before the `terminationGracePeriod` of its servers, which is logged; after a second signal it is 128 plus the
 * number of the signal.
 *
 * **Example** (A whole program)
 *
 * ```ts no-run
 * import { NodeServer } from "@effect-resilience/node"
 * import { Layer } from "effect"
 * import { HealthProbes, HealthRoutes } from "effect-resilience"
 * import { HttpRouter } from "effect/http"
 *
 * const server = HttpRouter.serve(HealthRoutes.layer()).pipe(
 *   Layer.provide(NodeServer.layer({ port: 8080 }, { onDrain: HealthProbes.drain })),
 *   Layer.provide(HealthProbes.layer([]))
 * )
 * NodeServer.runMain(Layer.launch(server))
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const runMain = <A, E>(effect: Effect.Effect<A, E>, options?: {
  /** For a program without a server. Default 30 seconds. */
  readonly terminationGracePeriod?: Duration.Input | undefined
  /** Leaves it to the program to say why it failed. Default `false`. */
  readonly disableErrorReporting?: boolean | undefined
}): void =>
  Main.run(effect, {
    graceMillis: millisOf("terminationGracePeriod", options?.terminationGracePeriod ?? defaultGrace),
    disableErrorReporting: options?.disableErrorReporting ?? false
  })

const defaultGrace = "30 seconds"
/** What the last phases and the rest of the program need. */
const reserveMillis = 3_000

interface Settings extends Shutdown.Settings {
  readonly port: number
  readonly host: string | undefined
  readonly graceMillis: number
  readonly retryAfterSeconds: number
  readonly limits: Http.ServerOptions
}

const check = (options: Options): Settings => {
  const preStopMillis = millisOf("preStopDelay", options.preStopDelay ?? "5 seconds")
  const drainMillis = millisOf("drainTimeout", options.drainTimeout ?? "20 seconds")
  const graceMillis = millisOf("terminationGracePeriod", options.terminationGracePeriod ?? defaultGrace)
  if (preStopMillis + drainMillis + reserveMillis > graceMillis) {
    const shown = (millis: number) => Duration.format(Duration.millis(millis))
    throw new RangeError(
      `preStopDelay and drainTimeout must leave ${shown(reserveMillis)} of terminationGracePeriod (${
        shown(graceMillis)
      }), got ${shown(preStopMillis)} and ${shown(drainMillis)}`
    )
  }
  const headersTimeout = millisOf("headersTimeout", options.headersTimeout ?? "15 seconds")
  const requestTimeout = millisOf("requestTimeout", options.requestTimeout ?? "60 seconds")
  return {
    port: portOf(options.port),
    host: options.host,
    preStopMillis,
    drainMillis,
    graceMillis,
    retryAfterSeconds: Math.ceil(millisOf("retryAfter", options.retryAfter ?? "1 second") / 1_000),
    limits: {
      headersTimeout,
      requestTimeout,
      connectionsCheckingInterval: checkingInterval(headersTimeout, requestTimeout),
      keepAliveTimeout: millisOf("keepAliveTimeout", options.keepAliveTimeout ?? "65 seconds")
    }
  }
}

/** Node looks for what is late every 30 seconds unless told otherwise, which would make a limit of 15 one of 45. */
const checkingInterval = (headersTimeout: number, requestTimeout: number): number => {
  // To Node, no time at all is no limit.
  const shortest = Math.min(headersTimeout || Infinity, requestTimeout || Infinity)
  return Math.min(30_000, Math.max(50, Math.ceil(shortest / 3)))
}

const start = Effect.fnUntraced(function*<R>(settings: Settings, custom: Custom<R>) {
  const context = yield* Effect.context<R>()
  const phases = new Phases()
  const server = (custom.createServer ?? Http.createServer)(settings.limits)
  const connections = new Connections(server, phases)
  Refusals.answerUnreadable(server, custom.unreadable)
  const gate = new Gate(phases, {
    retryAfterSeconds: settings.retryAfterSeconds,
    refusal: (request) => {
      const refusal = custom.refusal?.(request) ?? Refusals.shuttingDown
      return Effect.isEffect(refusal) ? refusal : Effect.succeed(refusal)
    },
    terminalEvent: custom.terminalEvent ?? Refusals.terminalEvent(settings.retryAfterSeconds)
  })
  const shutdown = new Shutdown.Shutdown({
    settings,
    phases,
    connections,
    refused: () => gate.refused,
    onDrain: Effect.provideContext(Effect.asVoid(Effect.orDie(custom.onDrain ?? Effect.void)), context)
  })

  // Registered first, so that it runs last: WebSockets are still being closed while the connections go.
  let parting: Fiber.Fiber<void> | undefined
  yield* Effect.addFinalizer(() => parting === undefined ? Effect.void : Fiber.await(parting))
  const node = yield* NodeHttpServer.make(() => server, {
    port: settings.port,
    host: settings.host,
    disablePreemptiveShutdown: true,
    websocket: custom.websocket
  })
  const close = Effect.gen(function*() {
    yield* shutdown.run({ now: false })
    parting ??= yield* Effect.forkDetach(Shutdown.part(connections, phases))
  })
  // Also for a server that never served.
  yield* Effect.addFinalizer(() => close)
  const servers = yield* Main.CurrentServers
  if (servers !== undefined) {
    const self: Main.Server = { shutDown: (options) => shutdown.run(options), graceMillis: settings.graceMillis }
    servers.add(self)
    yield* Effect.addFinalizer(() => Effect.sync(() => servers.delete(self)))
  }

  return Context.make(NodeServer, {
    [TypeId]: TypeId,
    phase: Effect.sync(() => phases.current),
    until: (phase) => phases.until(phase),
    draining: Effect.sync(() => phases.has("Draining")),
    shutdown: shutdown.run({ now: false }),
    connections: Effect.sync(() => ({ open: connections.open, inFlight: connections.inFlight })),
    endAtClosing: (stream, last) => endAt(stream, phases, "Closing", last),
    endAtDeadline: (stream, last) => endAt(stream, phases, "Deadline", last)
  }).pipe(Context.add(
    HttpServer.HttpServer,
    HttpServer.make({
      address: node.address,
      serve: (app, middleware) =>
        Effect.andThen(
          middleware === undefined ? node.serve(gate.guard(app)) : node.serve(gate.guard(app), middleware),
          // Runs before the requests of this application are interrupted.
          Effect.addFinalizer(() => close)
        )
    })
  ))
})
