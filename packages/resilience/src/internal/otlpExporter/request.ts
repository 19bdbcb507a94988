/** One batch on its way to the collector: within its time, again where that may help, and no further. */
import * as ByteSize from "effect/ByteSize"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type { HttpBody } from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { rejectedSpans } from "./partialSuccess.ts"

/** The collector did not take a batch. */
export class NotTaken extends Data.TaggedError("NotTaken")<{
  readonly message: string
  readonly retryable: boolean
  /** How long the collector asked to be left alone. */
  readonly retryAfterMillis: number
}> {}

export interface Options {
  readonly client: HttpClient.HttpClient
  readonly url: string
  readonly headers: Headers.Headers
  readonly gzip: boolean
  readonly timeoutMillis: number
  readonly retry: Schedule.Schedule<unknown, unknown>
}

/** A collector that wants to be left alone for longer is not waited for: the batch would keep others from their turn. */
const longestRetryAfter = 60_000

/** What OTLP says may be tried again. */
const retryable = new Set([429, 502, 503, 504])

/** An answer of OTLP is some bytes long; a proxy may say anything. */
const longestAnswer = ByteSize.kibibytes(64)

/** Sends a body of so many spans, and says how many of them were taken. */
export const sending = (options: Options): (body: HttpBody, spans: number) => Effect.Effect<number, NotTaken> => {
  const { client, gzip, headers, timeoutMillis, url } = options
  const blank = HttpClientRequest.post(url, { headers })
  const schedule = withRetryAfter(options.retry)
  const attempt = (request: HttpClientRequest.HttpClientRequest, spans: number) =>
    client.execute(request).pipe(
      Effect.mapError(({ reason }) => notTaken(reasonOf(reason), reason._tag === "TransportError")),
      Effect.timeoutOrElse({
        duration: timeoutMillis,
        orElse: () => Effect.fail(notTaken(`no answer within ${timeoutMillis} ms`, true))
      }),
      Effect.flatMap((response) => judge(response, spans, timeoutMillis))
    )
  return (body, spans) => {
    const plain = HttpClientRequest.setBody(blank, body)
    const request = gzip ? HttpClientRequest.compressBody(plain, "gzip") : Effect.succeed(plain)
    return Effect.flatMap(
      request,
      (ready) => Effect.retry(attempt(ready, spans), { schedule, while: (error) => error.retryable })
    ).pipe(
      // What sends traces is not traced, and takes no trace along.
      Effect.provideService(HttpClient.TracerPropagationEnabled, false),
      Effect.provideService(HttpIncomingMessage.MaxBodySize, longestAnswer),
      Effect.withTracerEnabled(false)
    )
  }
}

const notTaken = (message: string, retryable: boolean, retryAfterMillis = 0): NotTaken =>
  new NotTaken({ message, retryable: retryable && retryAfterMillis <= longestRetryAfter, retryAfterMillis })

/** Without the URL, which may have a key in it, and the headers, which often do. */
const reasonOf = (reason: HttpClientError.HttpClientErrorReason): string => {
  const cause = "cause" in reason ? reason.cause : undefined
  const said = cause instanceof Error ? cause.message : reason.description
  return said === undefined ? reason._tag : `${reason._tag}, ${said}`
}

/**
 * The answer is read to its end, so that its connection can be used again. The status alone decides whether the batch goes
 * out once more: where the rest does not come, the collector has the spans all the same.
 */
const judge = (
  response: HttpClientResponse.HttpClientResponse,
  spans: number,
  timeoutMillis: number
): Effect.Effect<number, NotTaken> => {
  const { headers, status } = response
  const nothing = () => new ArrayBuffer(0)
  const answer = response.arrayBuffer.pipe(
    Effect.orElseSucceed(nothing),
    Effect.timeoutOrElse({ duration: timeoutMillis, orElse: () => Effect.sync(nothing) })
  )
  if (status >= 200 && status < 300) {
    return Effect.map(
      answer,
      (body) => spans - Math.min(spans, rejectedSpans(headers["content-type"] ?? "", new Uint8Array(body)))
    )
  }
  return Effect.flatMap(
    Effect.andThen(answer, Clock.currentTimeMillis),
    (now) =>
      Effect.fail(notTaken(`status ${status}`, retryable.has(status), retryAfterMillis(headers["retry-after"], now)))
  )
}

const retryAfterMillis = (value: string | undefined, now: number): number => {
  const parsed = value === undefined ? undefined : Headers.parseRetryAfter(value)
  return parsed === undefined || Result.isFailure(parsed)
    ? 0
    : Duration.toMillis(Headers.retryAfterDelay(parsed.success, now))
}

/** Not before the collector wants to hear of it again. */
const withRetryAfter = (retry: Schedule.Schedule<unknown, unknown>): Schedule.Schedule<unknown, unknown> =>
  Schedule.modifyDelay(retry, ({ duration, input }) =>
    Effect.succeed(
      input instanceof NotTaken ? Duration.max(duration, Duration.millis(input.retryAfterMillis)) : duration
    ))
