/** Asks a language model for the next reply of a conversation, under the server's policies. */
import * as Failure from "effect-resilience/Failure"
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Record, Spending } from "../limits/Spending.ts"
import * as policies from "../policies.ts"
import { estimateOf, promptTokensOf, usedBy, usedByDelta } from "./usage.ts"

/** What a model replied, and what it took. */
export interface Answer {
  readonly text: string
  /** The model that says it answered. */
  readonly model: string | undefined
  readonly promptTokens: number
  readonly completionTokens: number
  /** How many calls it took. */
  readonly attempts: number
}

/** The reply broke off after its beginning had been passed on, so it could not be asked for again. */
class ReplyCutShort extends Data.TaggedError("ReplyCutShort")<{ readonly cause: unknown }> {
  override readonly message = "The reply broke off";

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "dependency", code: "ReplyCutShort", message: this.message }
  }
}

/** The model will not reply to this. */
class ReplyRefused extends Data.TaggedError("ReplyRefused") {
  override readonly message = "The provider's content policy refused the reply";

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "ContentPolicyError", message: this.message }
  }
}

/** Everything that asking can fail with. */
export type AskError = AiError.AiError | policies.Refusal | ReplyCutShort | ReplyRefused

/** There is one provider yet. */
const dependency: policies.Dependency = "llm-primary"

type Asked = Effect.Effect<Answer, AskError, policies.Guards | Spending>

/** Asks for a whole reply. */
export const ask = (
  model: LanguageModel.LanguageModel,
  prompt: Prompt.RawInput,
  options: { readonly maxRun: Duration.Duration; readonly model: string }
): Asked =>
  Effect.flatMap(Spending, (spending) => {
    let attempts = 0
    const attempt = Effect.suspend(() => {
      attempts++
      return model.generateText({ prompt })
    })
    const call = Effect.flatMap(policies.wholeReply(dependency, options.maxRun)(attempt), (response) => {
      const reply = new Reply()
      for (const part of response.content) reply.take(part)
      return reply.answer(attempts)
    })
    return spending.during(dependency, estimateOf(prompt, options.model), () =>
      call, (answer) =>
      usedBy(options.model, answer))
  })

/** Asks for a reply that is passed on bit by bit. What came of a stream that is left is charged. */
export const askBitByBit = (
  model: LanguageModel.LanguageModel,
  prompt: Prompt.RawInput,
  options: {
    readonly maxRun: Duration.Duration
    readonly model: string
    readonly onDelta: (text: string) => Effect.Effect<void>
  }
): Asked =>
  Effect.gen(function*() {
    const spending = yield* Spending
    const begun = yield* Deferred.make<void>()
    const promptTokens = promptTokensOf(prompt)
    let attempts = 0
    const attempt = (record: Record) =>
      Effect.suspend(() => {
        attempts++
        const reply = new Reply()
        return model.streamText({ prompt }).pipe(
          Stream.runForEach((part) => {
            const prompted = reply.isEmpty ? promptTokens : 0
            const delta = reply.take(part)
            if (delta === "") return Effect.void
            Deferred.doneUnsafe(begun, Effect.void)
            return Effect.andThen(record(usedByDelta(options.model, prompted, delta)), options.onDelta(delta))
          }),
          Effect.mapError((cause) => reply.isEmpty ? cause : new ReplyCutShort({ cause })),
          Effect.flatMap(() => reply.answer(attempts))
        )
      })
    return yield* spending.during(
      dependency,
      estimateOf(prompt, options.model),
      (record) => policies.streamedReply(dependency, options.maxRun, Deferred.await(begun))(attempt(record)),
      (answer) => usedBy(options.model, answer)
    )
  })

/** A reply while it comes in. */
class Reply {
  private text = ""
  private model: string | undefined
  private usage: Response.Usage | undefined
  private refused = false

  get isEmpty(): boolean {
    return this.text === ""
  }

  /** Takes the next part, and returns the text in it. */
  take(part: Response.AnyPart): string {
    switch (part.type) {
      case "text":
        this.text += part.text
        return part.text
      case "text-delta":
        this.text += part.delta
        return part.delta
      case "response-metadata":
        this.model = part.modelId ?? this.model
        return ""
      case "finish":
        this.usage = part.usage
        this.refused = part.reason === "content-filter"
        return ""
      default:
        return ""
    }
  }

  answer(attempts: number): Effect.Effect<Answer, ReplyRefused> {
    if (this.refused && this.isEmpty) return Effect.fail(new ReplyRefused())
    return Effect.succeed({
      text: this.text,
      model: this.model,
      promptTokens: this.usage?.inputTokens.total ?? 0,
      completionTokens: this.usage?.outputTokens.total ?? 0,
      attempts
    })
  }
}
