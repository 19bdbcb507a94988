/** Asks for the next reply of a conversation, and has one whatever becomes of the models. */
import * as Deadline from "effect-resilience/Deadline"
import * as Failure from "effect-resilience/Failure"
import * as FallbackChain from "effect-resilience/FallbackChain"
import type * as Prompt from "effect/ai/Prompt"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { Models } from "../providers/Models.ts"
import { askModels, Calls, type ModelAnswer, type ModelsError, type Options, type Services } from "./askModels.ts"
import { Replies, standIn } from "./replies.ts"
import { ReplyRefused } from "./Reply.ts"

/** Why no model answered, when no other request would have fared better. */
type NoAnswer = FallbackChain.FallbackExhausted | Deadline.DeadlineExceeded

/** What is to be replied to. */
export interface Question {
  readonly agent: string
  /** What the user said, which is the end of `prompt`. */
  readonly message: string
  readonly prompt: Prompt.RawInput
}

/** What is replied. The model of a reply that no model gave is `none`. */
export interface Answer extends ModelAnswer {
  /**
   * Set when all that was left to say is an apology: the turn failed for good, and this is why. A model may be asked again,
   * with `askModels`, when there is one that answers.
   */
  readonly exhausted: NoAnswer | undefined
}

/** No model that there is takes a conversation of this length. */
class ConversationTooLong extends Data.TaggedError("ConversationTooLong") {
  override readonly message = "The conversation fits into none of the models";

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "ContextTooLong", message: this.message }
  }
}

/** Everything that asking can fail with. */
export type AskError = Exclude<ModelsError, FallbackChain.FallbackExhausted> | ConversationTooLong

/**
 * Asks the models; when none of them answers, there is a reply that was given before, a canned one, or an apology. It fails
 * when the request is to blame, and when a reply broke off that had been passed on in part.
 */
export const ask = (
  question: Question,
  options: Options
): Effect.Effect<Answer, AskError, Services | Replies> =>
  Effect.gen(function*() {
    const models = yield* Models
    const replies = yield* Replies
    const { agent, message, prompt } = question
    const conversation = { agent, prompt, model: models.preferred }
    const calls = new Calls()
    return yield* askModels(prompt, options, calls).pipe(
      Effect.tap(({ model, text }) => text === "" ? Effect.void : replies.set(conversation, { text, model })),
      Effect.map((answer): Answer => ({ ...answer, exhausted: undefined })),
      Effect.catchIf(isNoAnswer, (error) => {
        const refused = refusalIn(error)
        if (refused !== undefined) return Effect.fail(refused)
        return Effect.gen(function*() {
          const { model, route, text } = yield* standIn(conversation, message)
          yield* Effect.annotateLogs(Effect.logWarning("No model answered"), { route, reason: error.message })
          if (options.onDelta !== undefined) yield* options.onDelta(text)
          return {
            text,
            model,
            promptTokens: 0,
            completionTokens: 0,
            costUsd: 0,
            served: { route, degraded: true, attempts: calls.count },
            exhausted: route === "static" ? error : undefined
          }
        })
      })
    )
  })

const isNoAnswer = (error: ModelsError): error is NoAnswer =>
  FallbackChain.isFallbackExhausted(error) || Deadline.isDeadlineExceeded(error)

/** Routes that were left out for a time only: one of them might have answered. */
const temporary: ReadonlySet<string> = new Set(["Cooling", "Limited", "Halted", "Budget"])

/** What is wrong with the request, where that is why nobody answered it. */
const refusalIn = (error: NoAnswer): ReplyRefused | ConversationTooLong | undefined => {
  if (!FallbackChain.isFallbackExhausted(error)) return undefined
  const { attempts, skipped } = error
  if (skipped.some(({ reason }) => temporary.has(reason))) return undefined
  const last = attempts.at(-1)
  if (last?.code === "ContentPolicyError") return new ReplyRefused()
  const isTooLong = last === undefined
    ? skipped.some(({ reason }) => reason === "ContextWindow")
    : last.code === "ContextTooLong" || last.code === "413"
  return isTooLong ? new ConversationTooLong() : undefined
}
