/** The shapes of OpenAI's chat completions API, as far as this server sends or reads them. */
import * as Schema from "effect/Schema"

export const Message = Schema.Struct({
  role: Schema.Literals(["system", "developer", "user", "assistant", "tool"]),
  content: Schema.String
})
export type Message = typeof Message.Type

export const ChatRequest = Schema.Struct({
  model: Schema.String,
  messages: Schema.NonEmptyArray(Message),
  stream: Schema.optional(Schema.Boolean),
  stream_options: Schema.optional(Schema.Struct({ include_usage: Schema.optional(Schema.Boolean) })),
  max_completion_tokens: Schema.optional(Schema.Int),
  temperature: Schema.optional(Schema.Finite)
})
export type ChatRequest = typeof ChatRequest.Type

export const Usage = Schema.Struct({
  prompt_tokens: Schema.Int,
  completion_tokens: Schema.Int,
  total_tokens: Schema.Int
})
export type Usage = typeof Usage.Type

/** Compatible servers have their own finish reasons, so it is not a closed set. */
const FinishReason = Schema.NullOr(Schema.String)

/** Compatible servers leave these out, or set them to `null`. */
const head = {
  id: Schema.optional(Schema.NullOr(Schema.String)),
  model: Schema.optional(Schema.NullOr(Schema.String))
}

export const ChatCompletion = Schema.Struct({
  ...head,
  choices: Schema.NonEmptyArray(Schema.Struct({
    message: Schema.Struct({ content: Schema.optional(Schema.NullOr(Schema.String)) }),
    finish_reason: Schema.optional(FinishReason)
  })),
  usage: Schema.optional(Schema.NullOr(Usage))
})
export type ChatCompletion = typeof ChatCompletion.Type

export const ChatChunk = Schema.Struct({
  ...head,
  choices: Schema.Array(Schema.Struct({
    delta: Schema.Struct({ content: Schema.optional(Schema.NullOr(Schema.String)) }),
    finish_reason: Schema.optional(FinishReason)
  })),
  usage: Schema.optional(Schema.NullOr(Usage))
})
export type ChatChunk = typeof ChatChunk.Type

/** The body of an error reply, and of an error event in a stream. */
export const ErrorBody = Schema.Struct({
  error: Schema.Struct({
    message: Schema.String,
    type: Schema.optional(Schema.NullOr(Schema.String)),
    code: Schema.optional(Schema.NullOr(Schema.Union([Schema.String, Schema.Finite]))),
    param: Schema.optional(Schema.NullOr(Schema.String))
  })
})
export type ErrorBody = typeof ErrorBody.Type
