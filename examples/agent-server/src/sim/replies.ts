/** What a simulated model replies, and how many tokens it says that took. */
import type { Message } from "../providers/openai/wire.ts"

/** A rule of thumb that is good enough for figures that must add up: four characters are a token. */
export const countTokens = (text: string): number => Math.ceil(text.length / 4)

/** The tokens of a prompt, with a few for each message's frame. */
export const countPromptTokens = (messages: ReadonlyArray<Message>): number =>
  messages.reduce((sum, { content }) => sum + countTokens(content) + 3, 3)

/** The same conversation always gets the same reply. It shows what the model was told: how much, and what came last. */
export const replyTo = (messages: ReadonlyArray<Message>): string => {
  const said = messages.filter(({ role }) => role === "user").map(({ content }) => content)
  const last = said.at(-1) ?? ""
  const isExaminer = messages.some(({ content, role }) => role === "system" && /examin/i.test(content))
  const opening = said.length > 1
    ? `This is the ${ordinal(said.length)} thing you say; you began with "${excerpt(said[0] ?? "")}".`
    : "A good place to begin."
  return isExaminer
    ? `${opening} You said "${excerpt(last)}". Why is that so, and when would it not be?`
    : `${opening} For "${
      excerpt(last)
    }" I would take two days, walk a lot, and keep one evening free. What is your budget?`
}

const excerpt = (text: string): string => text.length <= 80 ? text : `${[...text].slice(0, 79).join("")}…`

const ordinal = (n: number): string => {
  const suffix = n % 100 >= 11 && n % 100 <= 13 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th"
  return `${n}${suffix}`
}

/** A reply in the pieces in which it is streamed: a word with the space after it. */
export const piecesOf = (reply: string): ReadonlyArray<string> => reply.match(/\S+\s*/g) ?? []

/** The first `tokens` tokens of a reply. */
export const cutToTokens = (reply: string, tokens: number): string => reply.slice(0, tokens * 4)
