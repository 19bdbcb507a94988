/** A reply whose body has been read. */
import * as Effect from "effect/Effect"
import * as HttpClientResponse from "effect/http/HttpClientResponse"

type Reply = HttpClientResponse.HttpClientResponse

/** Statuses of replies that have no body, and that no web response with one can be made of. */
const bodiless = new Set([101, 204, 205, 304])

/** What reads a body. */
const readers = ["stream", "text", "json", "arrayBuffer", "urlParamsBody", "formData"] as const

/**
 * The same reply with its body in memory. Connections that were switched to another protocol have none that could be read.
 *
 * Only what reads the body is another's: status, headers, cookies and addresses are those of the reply itself.
 */
export const buffered = (reply: Reply): Effect.Effect<Reply, Effect.Error<Reply["arrayBuffer"]>> =>
  reply.status === 101 ? Effect.succeed(reply) : Effect.map(reply.arrayBuffer, (bytes) => {
    const read = HttpClientResponse.fromWeb(
      reply.request,
      new Response(bodiless.has(reply.status) ? null : bytes, {
        status: statusOf(reply),
        headers: { ...reply.headers }
      })
    )
    // An object that inherits the rest: responses of different clients have nothing but the interface in common.
    return Object.create(
      reply,
      Object.fromEntries(readers.map((name) => [name, { enumerable: true, get: () => read[name] }]))
    )
  })

/** A web response can only have these. */
const statusOf = ({ status }: Reply): number => status >= 200 && status <= 599 ? status : 200
