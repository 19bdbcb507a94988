/** Reading replies that come bit by bit, as events of a stream. */
import type * as AiError from "effect/ai/AiError"
import type * as Response from "effect/ai/Response"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { reasonOfClientError, reasonOfSseError } from "./send.ts"

type Parts = ReadonlyArray<Response.StreamPartEncoded>

/** What an event comes to; nothing, where it says that the reply is over. */
export type Taken = Result.Result<Parts, AiError.AiErrorReason> | undefined

/** The event says nothing that is of interest. */
export const nothing: Taken = Result.succeed([])

/**
 * The parts of a reply, in the order of its events. What has come together is read together, and what comes before an event that
 * fails is passed on before that.
 */
export const readParts = (
  response: HttpClientResponse.HttpClientResponse,
  take: (event: Sse.Event) => Taken
): Stream.Stream<Response.StreamPartEncoded, AiError.AiErrorReason> =>
  Stream.transformPull(eventsOf(response), (pull) =>
    Effect.sync(() => {
      let ended: Effect.Effect<never, AiError.AiErrorReason | Cause.Done> | undefined
      const takeAll = (events: ReadonlyArray<Sse.Event>): Parts => {
        const parts: Array<Response.StreamPartEncoded> = []
        for (const event of events) {
          const taken = take(event)
          if (taken === undefined || Result.isFailure(taken)) {
            ended = taken === undefined ? Cause.done() : Effect.fail(taken.failure)
            break
          }
          parts.push(...taken.success)
        }
        return parts
      }
      const next: Effect.Effect<
        Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>,
        AiError.AiErrorReason | Cause.Done
      > = Effect.suspend(() =>
        ended ?? Effect.flatMap(pull, (events) => {
          const parts = takeAll(events)
          return Arr.isReadonlyArrayNonEmpty(parts) ? Effect.succeed(parts) : next
        })
      )
      return next
    }))

const eventsOf = (response: HttpClientResponse.HttpClientResponse): Stream.Stream<Sse.Event, AiError.AiErrorReason> =>
  response.stream.pipe(
    Stream.mapError(reasonOfClientError),
    Stream.decodeText,
    Stream.pipeThroughChannel(Sse.decode<AiError.AiErrorReason, unknown>()),
    Stream.mapError(reasonOfSseError)
  )
