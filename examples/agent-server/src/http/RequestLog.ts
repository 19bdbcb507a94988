/**
 * One log line for every request, when its last byte is out: method, route, status and how long it took.
 *
 * A client that goes away before that is logged with status 499. Probes and scrapes are logged at level DEBUG.
 */
import { isClientAbort } from "effect-resilience/http/Problem"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import { isPolled, type Routes } from "./Routes.ts"

/** The middleware, for a server that has these routes. Goes around everything, inside of the request's id. */
export const middleware = (routes: Routes) =>
<E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.clockWith((clock) => {
    const start = clock.monotonicTimeNanosUnsafe()
    return Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.onExit(app, (exit) => {
        const route = routes.find(request.url)
        const nanos = clock.monotonicTimeNanosUnsafe() - start
        const log = route !== undefined && isPolled(route) ? Effect.logDebug("request") : Effect.logInfo("request")
        return Effect.annotateLogs(log, {
          method: request.method,
          route: route?.path ?? "_unmatched",
          status: statusOf(exit),
          duration_ms: Math.round(Number(nanos) / 10_000) / 100
        })
      }))
  })

const statusOf = <E>(exit: Exit.Exit<HttpServerResponse.HttpServerResponse, E>): number => {
  if (Exit.isFailure(exit) && isClientAbort(exit.cause)) return 499
  return HttpServerError.exitResponse(exit).status
}
