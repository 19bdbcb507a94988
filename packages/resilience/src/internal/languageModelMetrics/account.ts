/** What one call to a language model took, while it runs and at its end. */
import type * as Response from "effect/ai/Response"
import type * as Exit from "effect/Exit"
import { type Outcome, outcomeOf } from "../outcome.ts"

/** What a call used, in tokens. */
export interface Tokens {
  readonly input: number
  readonly output: number
}

/** How a call ended, and what it took. Times are in seconds. */
export interface Summary {
  readonly outcome: Outcome
  readonly duration: number
  /** `undefined`: nothing was heard, so nothing is known. */
  readonly tokens: Tokens | undefined
  /** The model that says it answered. */
  readonly model: string | undefined
  readonly finishReason: string | undefined
}

/** How long a chunk took: the first one since the start, others since the one before. */
export interface Pause {
  readonly isFirst: boolean
  readonly seconds: number
}

/** What says nothing yet, or nothing any more. */
const noContent = new Set([
  "response-metadata",
  "text-start",
  "text-end",
  "reasoning-start",
  "reasoning-end",
  "tool-params-start",
  "tool-params-end",
  "finish"
])

export class Account {
  private readonly startedAt: number
  private lastChunkAt: number | undefined
  private heard: string | undefined
  private usage: Response.Usage | undefined
  private finishReason: string | undefined
  private model: string | undefined
  private endedByItself = false

  constructor(startedAt: number) {
    this.startedAt = startedAt
  }

  /** A part of a stream came. `undefined`: it says nothing. */
  chunk(part: Response.AnyPart, at: number): Pause | undefined {
    this.take(part)
    if (noContent.has(part.type)) return undefined
    const isFirst = this.lastChunkAt === undefined
    const seconds = at - (this.lastChunkAt ?? this.startedAt)
    this.lastChunkAt = at
    return { isFirst, seconds }
  }

  /** A part of a reply, streamed or whole. With the first one the provider has read the prompt. */
  take(part: Response.AnyPart): void {
    this.heard ??= ""
    switch (part.type) {
      case "response-metadata":
        this.model = part.modelId ?? this.model
        return
      case "finish":
        this.usage = part.usage
        this.finishReason = part.reason
        return
      case "text":
      case "reasoning":
        this.heard += part.text
        return
      case "text-delta":
      case "reasoning-delta":
      case "tool-params-delta":
        this.heard += part.delta
    }
  }

  /** The provider has no more to say, which is not the same as that nobody listens any more. */
  ended(): void {
    this.endedByItself = true
  }

  settle(
    exit: Exit.Exit<unknown, unknown>,
    at: number,
    estimate: { readonly prompt: () => string; readonly tokens: (text: string) => number }
  ): Summary {
    return {
      outcome: this.outcomeOf(exit),
      duration: at - this.startedAt,
      tokens: this.tokensBy(estimate),
      model: this.model,
      finishReason: this.finishReason
    }
  }

  /** A reply that came to its end was a success, also for a reader who did not wait for the line to be closed. */
  private outcomeOf(exit: Exit.Exit<unknown, unknown>): Outcome {
    if (this.finishReason !== undefined) return "success"
    if (exit._tag === "Success") return this.endedByItself ? "success" : "interrupted"
    return outcomeOf(exit)
  }

  /** What the provider says; where it does not come to that, what was heard. */
  private tokensBy(
    { prompt, tokens }: { readonly prompt: () => string; readonly tokens: (text: string) => number }
  ): Tokens | undefined {
    const input = this.usage?.inputTokens.total
    const output = this.usage?.outputTokens.total
    if (input !== undefined || output !== undefined) return { input: input ?? 0, output: output ?? 0 }
    return this.heard === undefined ? undefined : { input: tokens(prompt()), output: tokens(this.heard) }
  }
}
