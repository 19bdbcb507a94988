/** What calls to a model use, in tokens and money: thought before, and known, or guessed from what was heard, after. */
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Prompt from "effect/ai/Prompt"
import type * as Effect from "effect/Effect"
import type { Used } from "../limits/Spending.ts"
import { costUsd, type Known } from "./prices.ts"

/** The tokens of a call. */
export interface Tokens {
  readonly prompt: number
  readonly completion: number
}

/** The length of a usual reply, in tokens. */
export const usualReply = 300

/** Four characters are about a token. */
export const tokensIn = (text: string): number => Math.ceil(text.length / 4)

const textIn = ({ content }: Prompt.Message): string =>
  typeof content === "string"
    ? content
    : content.map((part) => part.type === "text" ? part.text : "").join("\n")

/** The tokens of a prompt, about: those of its texts, three for the frame of each message, and three for that of the reply. */
export const promptTokensOf = (prompt: Prompt.RawInput): number =>
  Prompt.make(prompt).content.reduce((sum, message) => sum + tokensIn(textIn(message)) + 3, 3)

/** What a call is thought to use before it is made; a model without a known price, only tokens. */
export const estimateOf = (known: Known, model: string, promptTokens: number): Used => ({
  requests: 1,
  tokens: promptTokens + usualReply,
  costUsd: costUsd(known, model, { prompt: promptTokens, completion: usualReply }) ?? 0
})

/** Adds up what the attempts of one call use: for its provider's limits, and for the chain's ledger. */
export class Meter {
  private readonly known: Known
  private requests = 0
  private tokens = 0
  private costUsd = 0

  constructor(known: Known) {
    this.known = known
  }

  /** An attempt is made. */
  attempt(): void {
    this.requests++
  }

  /** An attempt used this, whatever became of it. */
  charge(model: string, { completion, prompt }: Tokens): Effect.Effect<void> {
    this.tokens += prompt + completion
    this.costUsd += costUsd(this.known, model, { prompt, completion }) ?? 0
    return FallbackChain.charge({ input: prompt, output: completion })
  }

  get used(): Used {
    return { requests: this.requests, tokens: this.tokens, costUsd: this.costUsd }
  }
}
