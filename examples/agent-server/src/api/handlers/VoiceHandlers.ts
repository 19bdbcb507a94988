/** Serves `POST /v1/speech_to_speech`. */
import * as EventStream from "effect-resilience/http/EventStream"
import { failWith, says } from "effect-resilience/http/Problem"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { SpeechFailed, type VoiceReply as Reply, type VoiceTurn, VoiceTurns } from "../../voice/VoiceTurns.ts"
import { Api } from "../Api.ts"
import * as Problems from "../Problems.ts"
import { sayLetter } from "../sayLetter.ts"
import { sayWhoServed } from "../sayWhoServed.ts"
import type { VoiceEvent, VoiceReply } from "../VoiceApi.ts"
import { speechProblem, type VoiceFailure, voiceProblem } from "../voiceProblem.ts"

/** The handlers, for recordings of at most so many bytes. */
export const layer = (options: { readonly maxAudioBytes: number }) =>
  HttpApiBuilder.group(
    Api,
    "voice",
    Effect.fnUntraced(function*(handlers) {
      const voice = yield* VoiceTurns
      return handlers.handle(
        "speechToSpeech",
        Effect.fnUntraced(function*({ headers, payload, query, request }) {
          const recording = yield* bytesOf(payload, options.maxAudioBytes)
          const turn = yield* failingWithProblem(
            voice.begin({
              recording,
              agent: query.agent ?? headers["x-agent"],
              sessionId: query.session_id ?? headers["x-session-id"]
            })
          )
          if (EventStream.accepts(request.headers["accept"])) {
            yield* EventStream.passOn()
            return events(turn)
          }
          const reply = yield* toReply(yield* failingWithProblem(turn(() => Effect.void)))
          yield* sayWhoServed(reply.served)
          yield* sayLetter(reply)
          return reply
        })
      )
    })
  )

/** All of a body, unless it is too large. One that breaks off is a problem of the request's, which is told elsewhere. */
const bytesOf = (
  body: Stream.Stream<Uint8Array, unknown>,
  limit: number
): Effect.Effect<Uint8Array, Problems.BodyTooLarge> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let length = 0
    return Stream.orDie(body).pipe(
      Stream.runForEach((chunk) => {
        chunks.push(chunk)
        length += chunk.length
        return length <= limit ? Effect.void : Effect.fail(tooLarge(limit))
      }),
      Effect.map(() => new Uint8Array(Buffer.concat(chunks)))
    )
  })

const tooLarge = (limit: number) =>
  new Problems.BodyTooLarge({ ...says(`The recording is larger than ${limit} bytes.`), limit })

const failingWithProblem = <A>(self: Effect.Effect<A, VoiceFailure>) =>
  Effect.catch(
    self,
    (error) => Effect.flatMap(voiceProblem(error), (problem) => Effect.andThen(sayLetter(problem), failWith(problem)))
  )

/** Runs the turn while the client listens, and interrupts it when the client goes away. */
const events = (turn: VoiceTurn): Stream.Stream<VoiceEvent> =>
  Stream.callback<VoiceEvent>((queue) => {
    const emit = (event: VoiceEvent) => Effect.asVoid(Queue.offer(queue, event))
    return turn((step) => emit({ event: "step", data: step })).pipe(
      Effect.matchEffect({
        onSuccess: (reply) => Effect.flatMap(toReply(reply), (data) => emit({ event: "done", data })),
        onFailure: (error) => Effect.flatMap(voiceProblem(error), (data) => emit({ event: "error", data }))
      }),
      Effect.catchDefect((defect) =>
        Effect.andThen(
          Effect.logError("Unexpected error", defect),
          emit({ event: "error", data: new Problems.InternalError(says("Something went wrong on our side.")) })
        )
      ),
      Effect.andThen(Queue.end(queue))
    )
  })

const toReply = ({ heard, latencies, speech, transcript, turn }: Reply): Effect.Effect<VoiceReply> =>
  Effect.gen(function*() {
    const failed = speech instanceof SpeechFailed
      ? yield* speechProblem(speech, "The reply could not be spoken")
      : undefined
    const spoken = speech instanceof SpeechFailed ? undefined : speech
    const stages = { asr: heard, llm: turn.served, tts: spoken?.served ?? null }
    const served = [heard, turn.served, ...(spoken === undefined ? [] : [spoken.served])]
    return {
      session_id: turn.sessionId,
      agent: turn.agent,
      transcript,
      reply: turn.text,
      audio_base64: spoken === undefined ? null : Base64.encode(spoken.bytes),
      speech_error: failed === undefined ? null : { code: failed.code, message: failed.message },
      latency_ms: latencies,
      model: turn.model,
      usage: {
        prompt_tokens: turn.usage.promptTokens,
        completion_tokens: turn.usage.completionTokens,
        total_tokens: turn.usage.promptTokens + turn.usage.completionTokens,
        cost_usd: turn.usage.costUsd
      },
      served: {
        route: served.map(({ route }) => route).join(", "),
        // A reply without its sound is a lesser one.
        degraded: failed !== undefined || served.some(({ degraded }) => degraded),
        attempts: served.reduce((sum, { attempts }) => sum + attempts, 0),
        stages
      },
      ...(turn.letterId === undefined ? {} : { letter_id: turn.letterId })
    }
  })
