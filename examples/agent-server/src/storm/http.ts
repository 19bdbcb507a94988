/** Requests as the storm's clients send them, and replies as they see them. */
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Predicate from "effect/Predicate"

/** A request to one of the instances, whichever. */
export interface Request {
  readonly method: "GET" | "POST" | "PUT"
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Text is sent as JSON, bytes as a recording. */
  readonly body?: string | Uint8Array
}

/** A reply, read to its end. */
export interface Reply {
  readonly status: number
  readonly contentType: string
  readonly text: string
}

/** Sends a request to the instance there. */
export const send = (
  origin: string,
  { body, headers = {}, method, path }: Request
): Effect.Effect<Reply, HttpClientError.HttpClientError, HttpClient.HttpClient> => {
  const bare = HttpClientRequest.make(method)(`${origin}${path}`, { headers })
  const request = body === undefined
    ? bare
    : typeof body === "string"
    ? HttpClientRequest.bodyText(bare, body, "application/json")
    : HttpClientRequest.bodyUint8Array(bare, body, "audio/wav")
  return Effect.flatMap(HttpClient.execute(request), (response) =>
    Effect.map(response.text, (text) => ({
      status: response.status,
      contentType: response.headers["content-type"] ?? "",
      text
    })))
}

/** Whether nobody was there to be asked, so that somebody else may be. */
export const isRefusedConnection = (error: unknown): boolean => {
  let at = error
  for (let depth = 0; depth < 5 && at !== undefined; depth++) {
    if (Predicate.hasProperty(at, "code") && at.code === "ECONNREFUSED") return true
    at = Predicate.hasProperty(at, "cause") ? at.cause : undefined
  }
  return false
}

/** What a reply comes to: the JSON of its body, or of the last event of its stream. */
export const outcomeOf = ({ contentType, text }: Reply): unknown => {
  if (!contentType.startsWith("text/event-stream")) return parsed(text)
  let last: unknown
  const parser = Sse.makeParser((event) => {
    if (event._tag === "Event" && (event.event === "done" || event.event === "error")) last = parsed(event.data)
  })
  parser.feed(text)
  return last
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
