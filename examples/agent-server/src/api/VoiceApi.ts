/** `POST /v1/speech_to_speech`: says something to an agent aloud, and hears its reply. */
import { Authentication } from "effect-resilience/http/ApiKey"
import { RateLimits } from "effect-resilience/http/RateLimitMiddleware"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import { ChatReply, event, Served, SessionId, turnProblems } from "./ChatApi.ts"
import * as Problems from "./Problems.ts"

/** How long a stage took. */
const Millis = Schema.NullOr(Schema.Finite)

/** What was said, what was replied, and the reply's sound. */
export const VoiceReply = Schema.Struct({
  session_id: SessionId,
  agent: Schema.String,
  transcript: Schema.String,
  reply: Schema.String,
  audio_base64: Schema.NullOr(Schema.String).annotate({
    description: "A WAV file; null where the reply could not be spoken"
  }),
  speech_error: Schema.NullOr(Schema.Struct({ code: Schema.String, message: Schema.String })).annotate({
    description: "Why the reply could not be spoken, by the code of the problem; null where it could"
  }),
  latency_ms: Schema.Struct({ asr: Schema.Finite, llm: Schema.Finite, tts: Millis, e2e: Millis }).annotate({
    description: "How long each stage took, and `e2e` from the end of the request's body to the first byte of audio"
  }),
  model: Schema.String,
  usage: ChatReply.fields.usage,
  served: Schema.Struct({
    ...Served.fields,
    stages: Schema.Struct({ asr: Served, llm: Served, tts: Schema.NullOr(Served) })
  }).annotate({ description: "How the reply came about: all routes, and those of each stage" }),
  letter_id: ChatReply.fields.letter_id
}).annotate({ identifier: "VoiceReply" })
export type VoiceReply = typeof VoiceReply.Type

const voiceTurnProblems = [
  ...turnProblems,
  Problems.AgentNotFound,
  Problems.NoSpeech,
  Problems.InvalidAudio,
  Problems.TurnInterrupted
] as const

/** Every error that can end a voice turn. */
export const VoiceTurnProblem = Schema.Union(voiceTurnProblems)
export type VoiceTurnProblem = typeof VoiceTurnProblem.Type

/** A stage has begun, with what the one before it came to. */
const StepEvent = event(
  "step",
  Schema.Union([
    Schema.Struct({ step: Schema.Literal("Transcribing"), session_id: SessionId }),
    Schema.Struct({ step: Schema.Literal("Thinking"), session_id: SessionId, transcript: Schema.String }),
    Schema.Struct({ step: Schema.Literal("Speaking"), session_id: SessionId, reply: Schema.String })
  ])
)

/** The reply is complete. The last event of a turn that succeeded. */
const DoneEvent = event("done", VoiceReply)

/** The turn failed, or was interrupted by a newer one. The last event of a turn that did not succeed. */
const ErrorEvent = event("error", VoiceTurnProblem)

/** What a streamed turn consists of. */
export const VoiceEvent = Schema.Union([StepEvent, DoneEvent, ErrorEvent])
export type VoiceEvent = typeof VoiceEvent.Type

/** Talking to an agent aloud. */
export class VoiceApi extends HttpApiGroup.make("voice").add(
  HttpApiEndpoint.post("speechToSpeech", "/v1/speech_to_speech", {
    query: {
      session_id: Schema.optionalKey(SessionId).annotate({
        description: "The session to go on with; without it a new one begins. The header X-Session-ID says the same"
      }),
      agent: Schema.optionalKey(Schema.String).annotate({
        description: "Default: the session's, or the first one. The header X-Agent says the same"
      })
    },
    headers: {
      "x-session-id": Schema.optionalKey(SessionId),
      "x-agent": Schema.optionalKey(Schema.String)
    },
    payload: HttpApiSchema.StreamUint8Array({
      contentType: ["audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"]
    }),
    success: [VoiceReply, HttpApiSchema.StreamSse({ events: VoiceEvent })],
    error: [
      Problems.InvalidRequest,
      Problems.BodyTooLarge,
      Problems.UnsupportedMediaType,
      ...voiceTurnProblems
    ]
  }).annotateMerge(OpenApi.annotations({
    summary: "Say something to an agent aloud",
    description:
      "The body is a WAV file of at most MAX_AUDIO_BYTES. With `Accept: text/event-stream` the reply is a stream of the "
      + "events `step` (Transcribing, Thinking, Speaking), and `done` or `error`. A newer turn of the session "
      + "interrupts one that is under way. A reply that cannot be spoken comes as text, with a `speech_error`."
  }))
).middleware(RateLimits).middleware(Authentication).annotateMerge(OpenApi.annotations({ title: "Voice" })) {}
