/** A reply whose body has been read. */
import * as Effect from "effect/Effect"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"

import * as Stream from "effect/Stream"
import { tooLarge } from "./replyTooLarge.ts"

type Reply = HttpClientResponse.HttpClientResponse
type Failed = HttpClientError.HttpClientError

/** Statuses of replies that have no body, and that no web response with one can be made of. */
const bodiless = new Set([101, 204, 205, 304])

/** What reads a body. */
const readers = ["stream", "text", "json", "arrayBuffer", "urlParamsBody", "formData"] as const

/**
 * The same reply with its body in memory. Connections that were switched to another protocol have none that could be read.
 *
 * Only what reads the body is another's: status, headers, cookies and addresses are those of the reply itself.
 */
export const buffered = (maxBytes: number) => (reply: Reply): Effect.Effect<Reply, Failed> =>
  reply.status === 101 ? Effect.succeed(reply) : Effect.map(bytesOf(reply, maxBytes), (bytes) => {
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

/** How long the body says that it is. Whoever unpacks one makes it longer. */
const lengthOf = ({ headers }: Reply): number | undefined => {
  const { "content-encoding": encoding = "", "content-length": length = "" } = headers
  return encoding === "" && /^\d+$/.test(length) ? Number(length) : undefined
}

type Bytes = ArrayBuffer | Uint8Array<ArrayBuffer>

const bytesOf = (reply: Reply, maxBytes: number): Effect.Effect<Bytes, Failed> =>
  Effect.suspend((): Effect.Effect<Bytes, Failed> => {
    const isBodiless = bodiless.has(reply.status) || reply.request.method === "HEAD"
    const told = lengthOf(reply)
    if (isBodiless || told !== undefined && told <= maxBytes) return reply.arrayBuffer
    // One that says that it is too large is let go at its first bytes: what is not read at all would keep its connection.
    const most = told === undefined ? maxBytes : 0
    const chunks: Array<Uint8Array> = []
    let length = 0
    const all = Stream.runForEach(reply.stream, (chunk) => {
      length += chunk.length
      if (length > most) return Effect.fail(tooLarge(reply, maxBytes))
      chunks.push(chunk)
      return Effect.void
    })
    return Effect.map(all, () => joined(chunks, length))
  })

const joined = (chunks: ReadonlyArray<Uint8Array>, length: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/** A web response can only have these. */
const statusOf = ({ status }: Reply): number => status >= 200 && status <= 599 ? status : 200
