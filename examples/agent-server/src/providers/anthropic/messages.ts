/** Effect's prompt as Anthropic's messages. */
import * as AiError from "effect/ai/AiError"
import type * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import { textMessages } from "../messages.ts"
import type { Message } from "./wire.ts"

/** What is said, and apart from it what the model was told beforehand. */
export interface Conversation {
  readonly system: string | undefined
  readonly messages: ReadonlyArray<Message>
}

/** Text only: what this adapter cannot carry is an error, never silently left out. */
export const conversationOf = (
  prompt: Prompt.Prompt
): Effect.Effect<Conversation, AiError.InvalidUserInputError> =>
  Effect.flatMap(textMessages(prompt), (all) => {
    const system = all.flatMap(({ content, role }) => role === "system" ? [content] : [])
    const messages = all.flatMap(({ content, role }): ReadonlyArray<Message> =>
      role === "system" ? [] : [{ role, content }]
    )
    return messages.length === 0
      ? Effect.fail(new AiError.InvalidUserInputError({ description: "the prompt is empty" }))
      : Effect.succeed({ system: system.length === 0 ? undefined : system.join("\n\n"), messages })
  })
