/**
 * The listening socket: Node's HTTP server with limits on how long a request may take to arrive, and a problem as the
 * reply to what is not HTTP.
 *
 * When the server stops it takes no new connections, lets the requests that are under way finish for up to
 * `shutdownTimeout`, and interrupts those that are left.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { says } from "effect-resilience/http/Problem"
import * as RequestId from "effect-resilience/http/RequestId"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import * as ProblemDetails from "effect/http/ProblemDetails"
import * as Predicate from "effect/Predicate"
import { createServer, type Server, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import * as Problems from "../api/Problems.ts"
import { orCannotStart } from "../startup/CannotStart.ts"

/** Where to listen, and how long to wait for requests that are under way when the server stops. */
export interface Options {
  readonly host: string
  readonly port: number
  readonly shutdownTimeout: Duration.Input
}

/** How long a client may take to send its request, and an idle connection may stay open, in milliseconds. */
const limits = { headersTimeout: 15_000, requestTimeout: 60_000, keepAliveTimeout: 65_000 }

/** Listens; fails with a line that says why when it cannot. */
export const layer = (options: Options) =>
  orCannotStart(
    NodeHttpServer.layer(() => closingIdleConnections(answeringEveryone(createServer(limits))), {
      host: options.host,
      port: options.port,
      gracefulShutdownTimeout: options.shutdownTimeout
    }),
    (error) => cannotListen(error, options)
  )

const cannotListen = (error: HttpServerError.ServeError, { host, port }: Options): string => {
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

/** A connection that falls idle while the server stops would keep it from stopping, as long as its client likes. */
const closingIdleConnections = (server: Server): Server =>
  server.on("request", (_, response) =>
    response.on("close", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    }))

/** Node's own replies to what it cannot parse have no body and no id. */
const answeringEveryone = (server: Server): Server =>
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // Writing into a reply that has begun would corrupt it, and to a client that has gone would be in vain.
    if (error.code === "ECONNRESET" || !socket.writable || hasBegunToReply(socket)) {
      socket.destroy(error)
      return
    }
    socket.end(rawReply(problemOf(error.code)))
  })

/** Node keeps the reply that a socket is busy with in this member, and its own default handler looks at it too. */
const hasBegunToReply = (socket: Duplex): boolean =>
  Predicate.hasProperty(socket, "_httpMessage") && Predicate.hasProperty(socket._httpMessage, "headersSent")
  && socket._httpMessage.headersSent === true

const problemOf = (code: string | undefined) => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return new Problems.HeadersTooLarge(says("The request's headers are too large."))
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return new Problems.RequestTimeout(says("The request did not arrive in time."))
    default:
      return new Problems.MalformedRequest(says("This is not a request in HTTP/1.1."))
  }
}

const rawReply = (problem: HttpServerRespondable.Respondable): string => {
  const id = RequestId.makeUnsafe()
  const { body, status } = Effect.runSync(
    Effect.provideService(HttpServerRespondable.toResponse(problem), RequestId.RequestId, id)
  )
  const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    `Content-Type: ${ProblemDetails.contentType}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
    `X-Request-ID: ${id}`,
    "Connection: close",
    "",
    text
  ].join("\r\n")
}
