/** The shapes of Anthropic's Messages API, as far as this server sends or reads them. */
import * as Schema from "effect/Schema"

export const Message = Schema.Struct({
  role: Schema.Literals(["user", "assistant"]),
  content: Schema.String
})
export type Message = typeof Message.Type

/** What is sent. */
export interface MessagesRequest {
  readonly model: string
  readonly max_tokens: number
  readonly messages: ReadonlyArray<Message>
  readonly system?: string
  readonly stream?: boolean
}

/** Tokens that were read from the cache, or written to it, are not among the `input_tokens`. */
const usage = {
  cache_read_input_tokens: Schema.optional(Schema.NullOr(Schema.Int)),
  cache_creation_input_tokens: Schema.optional(Schema.NullOr(Schema.Int))
}

export const Usage = Schema.Struct({ ...usage, input_tokens: Schema.Int, output_tokens: Schema.Int })
export type Usage = typeof Usage.Type

/** Later figures replace earlier ones, and need not repeat all. */
const UsageDelta = Schema.Struct({
  ...usage,
  input_tokens: Schema.optional(Schema.NullOr(Schema.Int)),
  output_tokens: Schema.Int
})
export type UsageDelta = typeof UsageDelta.Type

/** Of what a reply consists of, texts are read; what else there may be has a type too. */
const Block = Schema.Struct({ type: Schema.String, text: Schema.optional(Schema.String) })

export const MessageReply = Schema.Struct({
  id: Schema.String,
  type: Schema.Literal("message"),
  model: Schema.String,
  content: Schema.Array(Block),
  stop_reason: Schema.NullOr(Schema.String),
  usage: Usage
})
export type MessageReply = typeof MessageReply.Type

/** The body of an error reply, and of an error event in a stream. */
export const ErrorBody = Schema.Struct({
  type: Schema.Literal("error"),
  error: Schema.Struct({ type: Schema.String, message: Schema.String })
})
export type ErrorBody = typeof ErrorBody.Type

/** The events of a stream that say something we need. */
export const StreamEvent = Schema.Union([
  Schema.Struct({
    type: Schema.Literal("message_start"),
    message: Schema.Struct({ id: Schema.String, model: Schema.String, usage: Usage })
  }),
  Schema.Struct({
    type: Schema.Literal("content_block_delta"),
    delta: Schema.Struct({ type: Schema.String, text: Schema.optional(Schema.String) })
  }),
  Schema.Struct({
    type: Schema.Literal("message_delta"),
    delta: Schema.Struct({ stop_reason: Schema.NullOr(Schema.String) }),
    usage: Schema.optional(UsageDelta)
  }),
  Schema.Struct({ type: Schema.Literal("message_stop") }),
  ErrorBody
])
export type StreamEvent = typeof StreamEvent.Type

/** The types of {@link StreamEvent}: what has another one is a ping, or newer than this server, and passed over. */
export const knownEvents: ReadonlySet<string> = new Set(
  ["message_start", "content_block_delta", "message_delta", "message_stop", "error"]
)
