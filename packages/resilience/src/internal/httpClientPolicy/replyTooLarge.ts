/** Why a reply was not read to its end. */
import * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Schema from "effect/Schema"
import * as Failure from "../../Failure.ts"
import { withoutStack } from "../withoutStack.ts"

/**
 * The body of a reply is larger than `maxBodyBytes`: the cause of an `HttpClientError` whose reason is a `DecodeError`. The reply was
 * not read to its end, and its connection is closed.
 *
 * A `Permanent` failure of the request: it says nothing of the server's health, and the next reply would be as large.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReplyTooLarge extends Schema.TaggedError<ReplyTooLarge>("effect-resilience/ReplyTooLarge")(
  "ReplyTooLarge",
  { limit: Schema.Int }
) {
  override get message(): string {
    return `The reply's body is larger than ${this.limit} bytes`
  }
}

/** The failure of the request. It says itself what it is: by its shape it would be one that may pass. */
export const tooLarge = (
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): HttpClientError.HttpClientError => {
  const cause = withoutStack(() => new ReplyTooLarge({ limit }))
  const { request } = response
  const error = withoutStack(() =>
    new HttpClientError.HttpClientError({
      reason: new HttpClientError.DecodeError({ request, response, cause, description: cause.message })
    })
  )
  const info: Failure.Info = { kind: "Permanent", scope: "request", code: "ReplyTooLarge", message: cause.message }
  return Object.assign(error, { [Failure.symbol]: () => info })
}
