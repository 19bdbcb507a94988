/** `POST /v1/agents/{agent}/chat`: says something to an agent and gets its reply, at once or bit by bit. */
import { Authentication } from "effect-resilience/http/ApiKey"
import { RateLimits } from "effect-resilience/http/RateLimitMiddleware"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Schema from "effect/Schema"
import * as Problems from "./Problems.ts"

const isBlank = /^\s*$/

/** What a client may say. How long it may be is a matter of configuration, and checked when it arrives. */
const Message = Schema.String.check(
  Schema.makeFilter((text) => !isBlank.test(text), { message: "must not be empty" }),
  Schema.makeFilter((text) => text.isWellFormed(), { message: "must be well-formed Unicode" })
)

/** The id that the server gave a session. */
export const SessionId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9_-]{1,128}$/, { message: "must be a session id that this server gave out" })
)

/** What a client says to an agent. `null` is the same as leaving a member out. */
const ChatRequest = Schema.Struct({
  message: Message.annotate({ description: "At most MAX_MESSAGE_CHARS characters" }),
  session_id: Schema.optionalKey(Schema.NullOr(SessionId)).annotate({
    description: "The session to go on with; without it a new one begins"
  }),
  stream: Schema.optionalKey(Schema.NullOr(Schema.Boolean)).annotate({
    description: "Reply with server-sent events; the header `Accept: text/event-stream` asks for the same"
  }),
  idempotency_key: Schema.optionalKey(Schema.NullOr(Schema.String)).annotate({
    description: "The same as the header `Idempotency-Key`"
  })
}).annotate({ identifier: "ChatRequest" })

/** What a reply took. The cost is `null` where the model's price is not known. */
const Usage = Schema.Struct({
  prompt_tokens: Schema.Int,
  completion_tokens: Schema.Int,
  total_tokens: Schema.Int,
  cost_usd: Schema.NullOr(Schema.Finite)
}).annotate({ identifier: "Usage" })

/**
 * How a reply came about: the route that answered, whether that was a lesser one than the first choice, and how many
 * calls to a provider it took.
 */
export const Served = Schema.Struct({
  route: Schema.String,
  degraded: Schema.Boolean,
  attempts: Schema.Int
}).annotate({ identifier: "Served" })

/** A reply. When a client has it, it is stored. */
export const ChatReply = Schema.Struct({
  session_id: SessionId,
  reply: Schema.String,
  agent: Schema.String,
  model: Schema.String,
  usage: Usage,
  served: Served,
  letter_id: Schema.optionalKey(Schema.String.annotate({
    description:
      "Where the reply is an apology: the dead letter that the turn has become; also in the header X-Dead-Letter"
  }))
}).annotate({ identifier: "ChatReply" })
export type ChatReply = typeof ChatReply.Type

/** What can end a turn, spoken or written. */
export const turnProblems = [
  Problems.SessionNotFound,
  Problems.WrongAgent,
  Problems.SessionBusy,
  Problems.IdempotencyKeyInUse,
  Problems.IdempotencyKeyReused,
  Problems.ContentRefused,
  Problems.ContextTooLong,
  Problems.ProviderRateLimited,
  Problems.InternalError,
  Problems.BadUpstream,
  Problems.UpstreamUnavailable,
  Problems.StorageUnavailable,
  Problems.ShuttingDown,
  Problems.DeadlineExceeded
] as const

/** Every error that can end a turn. */
export const TurnProblem = Schema.Union(turnProblems)
export type TurnProblem = typeof TurnProblem.Type

/** An event of a stream. Its data is JSON. */
export const event = <const Name extends string, Data extends Schema.Constraint>(name: Name, data: Data) =>
  Schema.Struct({ event: Schema.tag(name), data: Schema.fromJsonString(data) })

/** The agent has begun with a part of its work. */
const StepEvent = event("step", Schema.Struct({ step: Schema.Literals(["Thinking", "Answering"]) }))

/** The next bit of the reply. */
const DeltaEvent = event("delta", Schema.Struct({ text: Schema.String }))

/** The reply is complete and stored. The last event of a turn that succeeded. */
const DoneEvent = event("done", ChatReply)

/** The turn failed, and nothing of it is in the session. The last event of a turn that failed. */
const ErrorEvent = event("error", TurnProblem)

/** What a streamed reply consists of. */
export const ChatEvent = Schema.Union([StepEvent, DeltaEvent, DoneEvent, ErrorEvent])
export type ChatEvent = typeof ChatEvent.Type

/** Talking to an agent. */
export class ChatApi extends HttpApiGroup.make("chat").add(
  HttpApiEndpoint.post("chat", "/v1/agents/:agent/chat", {
    params: { agent: Schema.String },
    payload: ChatRequest,
    success: [ChatReply, HttpApiSchema.StreamSse({ events: ChatEvent })],
    error: [
      Problems.InvalidRequest,
      Problems.AgentNotFound,
      Problems.BodyTooLarge,
      Problems.MessageTooLong,
      Problems.UnsupportedMediaType,
      ...turnProblems
    ]
  }).annotateMerge(OpenApi.annotations({
    summary: "Say something to an agent",
    description:
      "With `stream: true` or `Accept: text/event-stream` the reply is a stream of the events `step`, `delta`, "
      + "`done` and `error`. Each has a JSON object as its data; the last one is `done` or `error`.\n\n"
      + "With the header `Idempotency-Key` the same request can be sent again: within 24 hours of its reply it gets that reply "
      + "again, with `Idempotency-Replayed: true`."
  }))
).middleware(RateLimits).middleware(Authentication).annotateMerge(OpenApi.annotations({ title: "Chat" })) {}
