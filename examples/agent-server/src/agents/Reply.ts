/** A model's reply while it comes in, whole or bit by bit. */
import * as Failure from "effect-resilience/Failure"
import type * as Response from "effect/ai/Response"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { type Tokens, tokensIn } from "./usage.ts"

/** The model will not reply to this. */
export class ReplyRefused extends Data.TaggedError("ReplyRefused") {
  override readonly message = "The provider's content policy refused the reply";

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "ContentPolicyError", message: this.message }
  }
}

/** What a model said in the end. */
export interface Said {
  readonly text: string
  /** The model that says it answered. */
  readonly model: string
  readonly tokens: Tokens
}

/** A reply of `model` to a prompt of about so many tokens. */
export class Reply {
  private readonly configuredModel: string
  private readonly promptTokens: number
  private text = ""
  private reportedModel: string | undefined
  private usage: Response.Usage | undefined
  private begun = false
  private refused = false

  constructor(model: string, promptTokens: number) {
    this.configuredModel = model
    this.promptTokens = promptTokens
  }

  /** Whether nothing was said yet. */
  get isEmpty(): boolean {
    return this.text === ""
  }

  get model(): string {
    return this.reportedModel ?? this.configuredModel
  }

  /** Takes the next part, and returns the text in it. */
  take(part: Response.AnyPart): string {
    this.begun = true
    switch (part.type) {
      case "text":
        this.text += part.text
        return part.text
      case "text-delta":
        this.text += part.delta
        return part.delta
      case "response-metadata":
        this.reportedModel = part.modelId ?? this.reportedModel
        return ""
      case "finish":
        this.usage = part.usage
        this.refused = part.reason === "content-filter"
        return ""
      default:
        return ""
    }
  }

  /**
   * What it used: what the provider says, or where it does not come to that, what was heard. A reply that never began used
   * nothing.
   */
  get tokens(): Tokens | undefined {
    if (!this.begun) return undefined
    return {
      prompt: this.usage?.inputTokens.total ?? this.promptTokens,
      completion: this.usage?.outputTokens.total ?? tokensIn(this.text)
    }
  }

  /** The whole reply. */
  get said(): Effect.Effect<Said, ReplyRefused> {
    if (this.refused && this.isEmpty) return Effect.fail(new ReplyRefused())
    return Effect.succeed({
      text: this.text,
      model: this.model,
      tokens: this.tokens ?? { prompt: 0, completion: 0 }
    })
  }
}
