/** Effect's prompt as OpenAI's messages. */
import * as AiError from "effect/ai/AiError"
import type * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import type { Message } from "./wire.ts"

/** Text only: what this adapter cannot carry is an error, never silently left out. */
export const messagesOf = (
  prompt: Prompt.Prompt
): Effect.Effect<ReadonlyArray<Message>, AiError.InvalidUserInputError> =>
  Effect.forEach(prompt.content, (message) => {
    switch (message.role) {
      case "system":
        return Effect.succeed<Message>({ role: "system", content: message.content })
      case "tool":
        return unsupported("tool results")
      default:
        return Effect.map(
          Effect.forEach(
            message.content,
            (part) => part.type === "text" ? Effect.succeed(part.text) : unsupported(`parts of type "${part.type}"`)
          ),
          (texts): Message => ({ role: message.role, content: texts.join("\n") })
        )
    }
  })

const unsupported = (what: string) =>
  Effect.fail(new AiError.InvalidUserInputError({ description: `this provider takes text only, not ${what}` }))
