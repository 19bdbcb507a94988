/** What a prompt says, for counting. */
import type * as Prompt from "effect/ai/Prompt"

/** The texts of its messages, a line each. */
export const promptText = (prompt: Prompt.Prompt): string =>
  prompt.content.map(({ content }) =>
    typeof content === "string"
      ? content
      : content.map((part) => part.type === "text" || part.type === "reasoning" ? part.text : "").join("\n")
  ).join("\n")
