/** What a model is told. */
import type * as Prompt from "effect/ai/Prompt"
import type { History, Message } from "../sessions/Sessions.ts"
import type { Agent } from "./Agents.ts"

/** The history of a session that has not begun. */
export const nothingSaid: History = { messages: [], next: 0 }

/** How the agent behaves, of what was said before the last so many characters, and what is said now. */
export const promptOf = (
  agent: Agent,
  history: ReadonlyArray<Message>,
  message: string,
  characters: number
): Prompt.RawInput => [
  { role: "system", content: agent.system },
  ...within(characters, history).map(({ content, role }) => ({ role, content })),
  { role: "user", content: message }
]

/** The last messages that together have at most so many characters, from something that the user said on. */
const within = (characters: number, history: ReadonlyArray<Message>): ReadonlyArray<Message> => {
  let left = characters
  const tooMuch = history.findLastIndex(({ content }) => (left -= content.length) < 0)
  const start = history.findIndex(({ role }, index) => index > tooMuch && role === "user")
  return start === -1 ? [] : history.slice(start)
}
