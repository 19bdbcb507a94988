/** What Anthropic's API means by its error replies. */
import * as AiError from "effect/ai/AiError"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { httpContext, reasonOfStatus } from "../errors.ts"
import type { ReasonOf } from "../send.ts"
import { ErrorBody } from "./wire.ts"

const decodeBody = Schema.decodeUnknownOption(Schema.fromJsonString(ErrorBody))

/** The reason for a reply of status 400 or more. */
export const reasonOf: ReasonOf = (status, headers, body) => {
  const description = Option.match(decodeBody(body), {
    onNone: () => `HTTP status ${status}`,
    onSome: ({ error }) => error.message
  })
  const http = httpContext(status, headers, body)
  const reason = reasonOfStatus(status, headers, description, http)
  if (reason !== undefined) return reason
  // An account without money is told so as if the request were wrong.
  if (/credit balance is too low/i.test(description)) return new AiError.QuotaExhaustedError({ http })
  return rejected(description, http)
}

const rejected = (description: string, http?: typeof AiError.HttpContext.Type): AiError.AiErrorReason => {
  const more = http === undefined ? {} : { http }
  return /prompt is too long/i.test(description)
    ? new AiError.InvalidRequestError({ description, constraint: "context_length", parameter: "messages", ...more })
    : new AiError.InvalidRequestError({ description, ...more })
}

/** The reason for an error event in a stream that had begun with status 200. */
export const reasonOfEvent = ({ error }: ErrorBody): AiError.AiErrorReason => {
  switch (error.type) {
    case "rate_limit_error":
      return new AiError.RateLimitError({})
    case "billing_error":
      return new AiError.QuotaExhaustedError({})
    case "invalid_request_error":
      return rejected(error.message)
    // The status says what kind of an internal error it is, and a stream has none: it is the one that it would have been.
    case "overloaded_error":
      return new AiError.InternalProviderError({
        description: error.message,
        http: httpContext(529, {}, "")
      })
    default:
      return new AiError.InternalProviderError({ description: error.message })
  }
}
