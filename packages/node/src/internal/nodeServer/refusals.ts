/** What the server says by itself: to requests that come too late, and to what is not HTTP. */
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ProblemDetails from "effect/http/ProblemDetails"
import { type Server, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"

/** What could not be read as a request. */
export type Unreadable = "HeadersTooLarge" | "RequestTimeout" | "MalformedRequest"

/** A reply with a body, for a client that is not understood. */
export interface RawReply {
  readonly contentType: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>> | undefined
}

const problem = (status: number, code: string, detail: string) => ({
  type: "about:blank",
  title: STATUS_CODES[status],
  status,
  detail,
  code
})

export const shuttingDown = HttpServerResponse.jsonUnsafe(
  problem(503, "shutting_down", "This instance is shutting down. Send the request again."),
  { status: 503, contentType: ProblemDetails.contentType }
)

export const terminalEvent = (retryAfterSeconds: number): string => {
  const data = JSON.stringify({
    code: "shutting_down",
    message: "This instance is shutting down. Send the request again.",
    retry_after: retryAfterSeconds
  })
  return `event: error\ndata: ${data}\n\n`
}

const statuses: Readonly<Record<Unreadable, number>> = {
  HeadersTooLarge: 431,
  RequestTimeout: 408,
  MalformedRequest: 400
}

const asProblem = (unreadable: Unreadable): RawReply => {
  const [code, detail] = unreadable === "HeadersTooLarge"
    ? ["headers_too_large", "The request's headers are too large."]
    : unreadable === "RequestTimeout"
    ? ["request_timeout", "The request did not arrive in time."]
    : ["malformed_request", "This is not a request in HTTP/1.1."]
  return {
    contentType: ProblemDetails.contentType,
    body: JSON.stringify(problem(statuses[unreadable], code, detail))
  }
}

/** Node's own replies to what it cannot parse have no body. */
export const answerUnreadable = (server: Server, reply: (unreadable: Unreadable) => RawReply = asProblem): void => {
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // Writing into a reply that has begun would corrupt it, and to a client that has gone would be in vain.
    if (error.code === "ECONNRESET" || !socket.writable || hasBegunToReply(socket)) {
      socket.destroy(error)
      return
    }
    const unreadable = unreadableOf(error.code)
    socket.end(onTheWire(statuses[unreadable], reply(unreadable)))
  })
}

const unreadableOf = (code: string | undefined): Unreadable => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return "HeadersTooLarge"
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return "RequestTimeout"
    default:
      return "MalformedRequest"
  }
}

/** Node keeps the reply that a socket is busy with in this member, and its own default handler looks at it too. */
const hasBegunToReply = (socket: Duplex & { readonly _httpMessage?: { readonly headersSent?: boolean } | null }) =>
  socket._httpMessage?.headersSent === true

const onTheWire = (status: number, { body, contentType, headers = {} }: RawReply): string => {
  const fields = {
    ...headers,
    "Content-Type": contentType,
    "Content-Length": String(Buffer.byteLength(body)),
    Connection: "close"
  }
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...Object.entries(fields).map(([name, value]) => `${name}: ${value}`),
    "",
    body
  ].join("\r\n")
}
