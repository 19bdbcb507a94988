/** What an OpenAI-compatible endpoint means by its error replies. */
import * as AiError from "effect/ai/AiError"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { httpContext, reasonOfStatus } from "../errors.ts"
import type { ReasonOf } from "../send.ts"
import { ErrorBody } from "./wire.ts"

const decodeBody = Schema.decodeUnknownOption(Schema.fromJsonString(ErrorBody))

/** The reason for a reply of status 400 or more. Its body may be no JSON. */
export const reasonOf: ReasonOf = (status, headers, body) => {
  const error = Option.getOrUndefined(Option.map(decodeBody(body), (decoded) => decoded.error))
  const description = error?.message ?? `HTTP status ${status}`
  const code = String(error?.code ?? error?.type ?? "")
  const http = httpContext(status, headers, body)
  if (status === 429 && /insufficient_quota|billing/.test(code)) return new AiError.QuotaExhaustedError({ http })
  return reasonOfStatus(status, headers, description, http) ?? rejected(code, description, http)
}

/** The reason for an error event in a stream that had begun with status 200. */
export const reasonOfEvent = ({ error }: ErrorBody): AiError.AiErrorReason => {
  const code = String(error.code ?? error.type ?? "")
  if (/rate_limit/.test(code)) return new AiError.RateLimitError({})
  if (/insufficient_quota/.test(code)) return new AiError.QuotaExhaustedError({})
  return /invalid_request|context_length|content_(filter|policy)/.test(code)
    ? rejected(code, error.message)
    : new AiError.InternalProviderError({ description: error.message })
}

const rejected = (
  code: string,
  description: string,
  http?: typeof AiError.HttpContext.Type
): AiError.AiErrorReason => {
  const more = http === undefined ? {} : { http }
  if (/content_(filter|policy)/.test(code)) return new AiError.ContentPolicyError({ description, ...more })
  if (/context_length_exceeded/.test(code)) {
    return new AiError.InvalidRequestError({
      description,
      constraint: "context_length",
      parameter: "messages",
      ...more
    })
  }
  return new AiError.InvalidRequestError({ description, ...more })
}
