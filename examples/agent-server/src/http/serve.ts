/** Puts the routes on the listening socket, with what every request and every reply has in common. */
import * as ClientAddress from "effect-resilience/http/ClientAddress"
import * as Problem from "effect-resilience/http/Problem"
import * as ProblemReplies from "effect-resilience/http/ProblemReplies"
import * as RequestId from "effect-resilience/http/RequestId"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import { flow } from "effect/Function"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import { kind } from "../api/problemKinds.ts"
import * as RequestLog from "./RequestLog.ts"
import type { Routes } from "./Routes.ts"

/**
 * Serves what the routes' layer adds to the router.
 *
 * From the outside in: the client's address, the request's id, its line in the log, and a problem for everything that goes wrong. A body
 * larger than `maxBodyBytes` is refused before it is read to its end.
 */
export const serve = <A, E, R>(
  routes: Layer.Layer<A, E, R>,
  options: {
    readonly table: Routes
    readonly maxBodyBytes: number
    readonly trustedProxies: ReadonlyArray<string>
  }
) =>
  Layer.unwrap(Effect.map(HttpRouter.toHttpEffect(routes), (app) =>
    HttpServer.serve(
      problems(options.table)(app),
      flow(
        RequestLog.middleware(options.table),
        RequestId.middleware,
        ClientAddress.middleware(options),
        Effect.provideService(Problem.Described, describe),
        Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(options.maxBodyBytes))
      )
    )))

const problems = (table: Routes) =>
  ProblemReplies.middleware({
    findRoute: table.find,
    notFound: "There is no endpoint at this path. GET /docs lists those there are."
  })

/** The package's own codes are rows of our table. */
const describe = (code: Problem.Code) => kind(code)
