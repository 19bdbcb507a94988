/** What the errors of all providers have in common: what of a reply is kept in an error, and when to come back. */
import * as Failure from "effect-resilience/Failure"
import type * as AiError from "effect/ai/AiError"
import type * as Duration from "effect/Duration"

type Headers = Readonly<Record<string, string | undefined>>

/** Bodies end up in logs: enough to see what it was, not enough to fill a disk. */
const maxBodyLength = 1_000

/** What of a reply is kept. */
export const httpContext = (status: number, headers: Headers, body: string): typeof AiError.HttpContext.Type => ({
  response: { status, headers: waitHeaders(headers) },
  body: body.slice(0, maxBodyLength)
})

/** The headers that say when to come back. The others stay out of errors, and so out of logs. */
const waitHeaders = (headers: Headers): Record<string, string> => {
  const kept: Record<string, string> = {}
  for (const name of ["retry-after", "retry-after-ms", "x-ms-retry-after-ms", "date"]) {
    const value = headers[name]
    if (value !== undefined) kept[name] = value
  }
  return kept
}

/** When to come back, where the reply says so. */
export const retryAfterOf = (status: number, headers: Headers): { readonly retryAfter?: Duration.Duration } => {
  const { retryAfter } = Failure.fromHttpStatus(status, headers)
  return retryAfter === undefined ? {} : { retryAfter }
}
