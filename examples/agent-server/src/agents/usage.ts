/** What calls to a model use, in tokens and money: thought before, known after, and guessed while a stream runs. */
import type * as Prompt from "effect/ai/Prompt"
import type { Used } from "../limits/Spending.ts"
import type { Answer } from "./ask.ts"
import { costUsd } from "./prices.ts"

/** The length of a usual reply, in tokens. */
const usualReply = 300

/** Four characters are about a token. */
const tokensIn = (text: string): number => Math.ceil(text.length / 4)

/** The tokens of a prompt, about. */
export const promptTokensOf = (prompt: Prompt.RawInput): number => tokensIn(JSON.stringify(prompt))

/** What is charged; a model without a known price is charged its tokens only. */
const usedFor = (model: string, tokens: { readonly prompt: number; readonly completion: number }): Used => ({
  tokens: tokens.prompt + tokens.completion,
  costUsd: costUsd(model, tokens) ?? 0
})

/** What a call is thought to use before it is made. */
export const estimateOf = (prompt: Prompt.RawInput, model: string): Used =>
  usedFor(model, { prompt: promptTokensOf(prompt), completion: usualReply })

/** What a bit of a stream adds. The prompt is counted with the first one. */
export const usedByDelta = (model: string, promptTokens: number, delta: string): Used =>
  usedFor(model, { prompt: promptTokens, completion: tokensIn(delta) })

/** What a call has used, as the provider says. */
export const usedBy = (model: string, answer: Answer): Used =>
  usedFor(answer.model ?? model, { prompt: answer.promptTokens, completion: answer.completionTokens })
