/** What the errors of all providers have in common: what a status says, what of a reply is kept, and when to come back. */
import * as Failure from "effect-resilience/Failure"
import * as AiError from "effect/ai/AiError"
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

/** The reason for a reply whose status says enough. What providers say of the others is their own: then there is none. */
export const reasonOfStatus = (
  status: number,
  headers: Headers,
  description: string,
  http: typeof AiError.HttpContext.Type
): AiError.AiErrorReason | undefined => {
  switch (status) {
    case 401:
      return new AiError.AuthenticationError({ kind: "InvalidKey", http })
    case 402:
      return new AiError.QuotaExhaustedError({ http })
    case 403:
      return new AiError.AuthenticationError({ kind: "InsufficientPermissions", http })
    case 429:
      return new AiError.RateLimitError({ http, ...retryAfterOf(status, headers) })
  }
  return status >= 500 || status === 408 ? new AiError.InternalProviderError({ description, http }) : undefined
}

/** When to come back, where the reply says so. */
const retryAfterOf = (status: number, headers: Headers): { readonly retryAfter?: Duration.Duration } => {
  const { retryAfter } = Failure.fromHttpStatus(status, headers)
  return retryAfter === undefined ? {} : { retryAfter }
}
