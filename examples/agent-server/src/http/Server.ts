/**
 * The listening socket: Node's HTTP server with limits on how long a request may take to arrive, with problems as the reply
 * to what is not HTTP, and with a way out of service that fails no request.
 *
 * `NodeServer` says what happens when it is told to stop. What it says by itself is a problem of ours.
 */
import * as NodeServer from "@effect-resilience/node/NodeServer"
import * as HealthProbes from "effect-resilience/HealthProbes"
import * as Problem from "effect-resilience/http/Problem"
import * as RequestId from "effect-resilience/http/RequestId"
import * as Effect from "effect/Effect"
import type * as HttpServerError from "effect/http/HttpServerError"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { kind, type ProblemCode } from "../api/problemKinds.ts"
import { type CannotStart, orCannotStart } from "../startup/CannotStart.ts"
import type { ShutdownTimes } from "../startup/shutdownTimes.ts"

/** Where to listen, and how to leave. */
export interface Options {
  readonly host: string
  readonly port: number
  readonly shutdown: ShutdownTimes
}

/** Listens; fails with a line that says why when it cannot. Readiness goes down as soon as the server is told to stop. */
export const layer = (
  { host, port, shutdown }: Options
): Layer.Layer<NodeServer.Provided, CannotStart, HealthProbes.HealthProbes> =>
  orCannotStart(
    NodeServer.layer({
      host,
      port,
      preStopDelay: shutdown.preStopDelay,
      drainTimeout: shutdown.drainTimeout,
      terminationGracePeriod: shutdown.gracePeriod
    }, {
      onDrain: HealthProbes.drain,
      refusal: () => shuttingDown,
      unreadable: (what) => unreadable[what]()
    }),
    (error) => cannotListen(error, { host, port })
  )

const cannotListen = (
  error: HttpServerError.ServeError,
  { host, port }: Pick<Options, "host" | "port">
): string => {
  const code = Predicate.hasProperty(error.cause, "code") ? error.cause.code : undefined
  switch (code) {
    case "EADDRINUSE":
      return `PORT: another program is listening on port ${port} of ${host} already`
    case "EACCES":
      return `PORT: this user may not listen on port ${port}`
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `HOST: this machine has no address ${JSON.stringify(host)}`
    default:
      return `HOST, PORT: cannot listen on ${host}:${port} (${String(code ?? error.cause)})`
  }
}

const problem = (
  code: ProblemCode,
  saying: Problem.Saying
): Effect.Effect<HttpServerResponse.HttpServerResponse> => Problem.reply({ code, ...kind(code) }, saying)

/** To a request that comes on a connection which is about to be closed. */
const shuttingDown = problem("shutting_down", {
  message: "This server is shutting down. Send the request again, and another one will answer.",
  retryAfter: "1 second"
})

/** A reply without a request: it gets an id of its own, which nothing else has. */
const raw = (code: ProblemCode, message: string) => (): NodeServer.RawReply => {
  const id = RequestId.makeUnsafe()
  const { body, headers } = Effect.runSync(
    Effect.provideService(problem(code, { message }), RequestId.RequestId, id)
  )
  return {
    contentType: headers["content-type"] ?? "",
    body: body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : "",
    headers: { "X-Request-ID": id }
  }
}

const unreadable: { readonly [What in NodeServer.Unreadable]: () => NodeServer.RawReply } = {
  HeadersTooLarge: raw("headers_too_large", "The request's headers are too large."),
  RequestTimeout: raw("request_timeout", "The request did not arrive in time."),
  MalformedRequest: raw("malformed_request", "This is not a request in HTTP/1.1.")
}
