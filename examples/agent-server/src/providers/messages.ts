/** Effect's prompt as messages of text, which is what all providers take. */
import * as AiError from "effect/ai/AiError"
import type * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"

/** A message of text. */
export interface TextMessage {
  readonly role: "system" | "user" | "assistant"
  readonly content: string
}

/** Text only: what is not text is an error, never silently left out. */
export const textMessages = (
  prompt: Prompt.Prompt
): Effect.Effect<ReadonlyArray<TextMessage>, AiError.InvalidUserInputError> =>
  Effect.forEach(prompt.content, (message) => {
    switch (message.role) {
      case "system":
        return Effect.succeed<TextMessage>({ role: "system", content: message.content })
      case "tool":
        return unsupported("tool results")
      default:
        return Effect.map(
          Effect.forEach(
            message.content,
            (part) => part.type === "text" ? Effect.succeed(part.text) : unsupported(`parts of type "${part.type}"`)
          ),
          (texts): TextMessage => ({ role: message.role, content: texts.join("\n") })
        )
    }
  })

const unsupported = (what: string) =>
  Effect.fail(new AiError.InvalidUserInputError({ description: `this provider takes text only, not ${what}` }))
