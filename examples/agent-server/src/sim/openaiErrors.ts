/** How OpenAI's API says no, whatever was asked of it. */
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Refusal } from "./provider.ts"

/** An error of this shape. */
const errorReply = (
  status: number,
  error: { readonly message: string; readonly type: string; readonly code: string | null; readonly param?: string },
  headers: Readonly<Record<string, string>> = {}
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.jsonUnsafe({ error: { param: null, ...error } }, { status, headers })

/** The request itself is wrong. */
export const invalid = (
  message: string,
  more: { readonly code?: string; readonly param?: string } = {}
): HttpServerResponse.HttpServerResponse =>
  errorReply(400, { message, type: "invalid_request_error", code: null, ...more })

/** What the provider refuses of itself. */
export const refusal: Refusal = (status, retryAfter) => {
  const headers: Readonly<Record<string, string>> = retryAfter === undefined
    ? {}
    : { "retry-after": String(Math.ceil(retryAfter)), "retry-after-ms": String(Math.round(retryAfter * 1000)) }
  if (status === 429) {
    const error = { message: "Rate limit reached.", type: "requests", code: "rate_limit_exceeded" }
    return errorReply(status, error, headers)
  }
  if (status >= 500) {
    return errorReply(status, { message: "The server had an error.", type: "server_error", code: null }, headers)
  }
  return errorReply(status, { message: "The request was refused.", type: "invalid_request_error", code: null }, headers)
}

/** What does not exist. */
export const notFound: HttpServerResponse.HttpServerResponse = errorReply(404, {
  message: "Unknown request URL.",
  type: "invalid_request_error",
  code: "unknown_url"
})
