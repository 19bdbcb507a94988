/** Puts the routes on the listening socket, with what every request and every reply has in common. */
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as Admission from "effect-resilience/http/Admission"
import * as ClientAddress from "effect-resilience/http/ClientAddress"
import * as HttpMetrics from "effect-resilience/http/HttpMetrics"
import * as Problem from "effect-resilience/http/Problem"
import * as ProblemReplies from "effect-resilience/http/ProblemReplies"
import * as RequestId from "effect-resilience/http/RequestId"
import * as ByteSize from "effect/ByteSize"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import type * as HttpServerError from "effect/http/HttpServerError"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { kind } from "../api/problemKinds.ts"
import * as Traces from "../telemetry/traces.ts"
import * as Cors from "./Cors.ts"
import { withFew } from "./fewServices.ts"
import * as NotStored from "./NotStored.ts"
import * as RequestLog from "./RequestLog.ts"
import { isProbe, type Routes } from "./Routes.ts"

/** What is let in, and from where. */
export interface Options {
  readonly table: Routes
  /** A body larger than this is refused before it is read to its end, unless it is a recording. */
  readonly maxBodyBytes: number
  /** The same for endpoints that take sound. */
  readonly maxAudioBytes: number
  /** How many requests are served at once. More are refused at the door; probes are let in all the same. */
  readonly maxInFlight: number
  readonly corsOrigins: ReadonlyArray<string>
  readonly trustedProxies: ReadonlyArray<string>
  /** What requests find besides what they are given on their way. */
  readonly base: Context.Context<never>
}

/** No client of ours needs more, and each costs memory before anything is known of who sends it. */
const maxHeaders = 100

/**
 * Serves what the routes' layer adds to the router.
 *
 * From the outside in: the client's address, the request's id, its line in the log, what browsers are told of other sites, what
 * caches are, the door, and a problem for everything that goes wrong.
 */
export const serve = <A, E, R>(routes: Layer.Layer<A, E, R>, options: Options) =>
  Layer.unwrap(Effect.gen(function*() {
    // No global middleware asks for services: what the routes need is in them already.
    const app = (yield* HttpRouter.toHttpEffect(routes)) as Effect.Effect<
      HttpServerResponse.HttpServerResponse,
      HttpServerError.HttpServerError,
      HttpServerRequest.HttpServerRequest | Scope.Scope
    >
    const maxBodySize = ByteSize.bytes(options.maxBodyBytes)
    const door = yield* Admission.make({
      limit: yield* Bulkhead.make({ name: "requests", limit: options.maxInFlight }),
      // What no endpoint takes is refused by what it says to be, and nobody reads it.
      maxBodyBytes: Math.max(options.maxBodyBytes, options.maxAudioBytes),
      maxHeaders,
      exempt: isProbeRequest(options.table)
    })
    return HttpServer.serve(
      door.admit(Effect.provideService(problems(options.table)(app), HttpIncomingMessage.MaxBodySize, maxBodySize)),
      flow(
        NotStored.middleware,
        HttpMetrics.timed("cors", Cors.middleware(options.corsOrigins)),
        HttpMetrics.timed("request_log", RequestLog.middleware(options.table)),
        HttpMetrics.timed("request_id", RequestId.middleware),
        HttpMetrics.timed("client_address", ClientAddress.middleware(options)),
        HttpMetrics.middleware({ route: ({ url }) => options.table.find(url)?.path }),
        Effect.provideService(Problem.Described, describe)
      )
    ).pipe(
      Layer.provide(Traces.ofRequests(options.table)),
      // Replies are compressed by the platform.
      withFew(options.base, HttpServer.HttpServer, HttpPlatform.HttpPlatform)
    )
  }))

const isProbeRequest = (table: Routes) => (request: HttpServerRequest.HttpServerRequest): boolean => {
  const route = table.find(request.url)
  return route !== undefined && isProbe(route)
}

const problems = (table: Routes) =>
  ProblemReplies.middleware({
    findRoute: table.find,
    notFound: "There is no endpoint at this path. GET /docs lists those there are."
  })

/** The package's own codes are rows of our table. */
const describe = (code: Problem.Code) => kind(code)
