/** Asks the chain of language models for the next reply of a conversation, under the server's policies. */
import * as Failure from "effect-resilience/Failure"
import type * as FallbackChain from "effect-resilience/FallbackChain"
import type * as AiError from "effect/ai/AiError"
import type * as Prompt from "effect/ai/Prompt"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { Spending } from "../limits/Spending.ts"
import * as policies from "../policies.ts"
import { ModelRoute, Models } from "../providers/Models.ts"
import type { Served } from "../sessions/Sessions.ts"
import { costUsd } from "./prices.ts"
import { Reply, type ReplyRefused, type Said } from "./Reply.ts"
import { estimateOf, Meter, promptTokensOf, usualReply } from "./usage.ts"

/** What a model replied, which one, and what it took. */
export interface ModelAnswer {
  readonly text: string
  /** The model that says it answered. */
  readonly model: string
  /** Of the call that answered. What others used on the way is in the chain's ledger only. */
  readonly promptTokens: number
  readonly completionTokens: number
  /** `null` where the model's price is not known. */
  readonly costUsd: number | null
  readonly served: Served
}

/** The reply broke off after its beginning had been passed on, so nobody else could be asked. */
class ReplyCutShort extends Data.TaggedError("ReplyCutShort")<{ readonly cause: unknown }> {
  override readonly message = "The reply broke off";

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "dependency", code: "ReplyCutShort", message: this.message }
  }
}

/** Everything that asking the models can fail with. */
export type ModelsError =
  | AiError.AiError
  | policies.Refusal
  | ReplyCutShort
  | ReplyRefused
  | FallbackChain.FallbackExhausted

/** How models are asked. */
export interface Options {
  /** The time that the whole turn has. */
  readonly maxRun: Duration.Duration
  /** Hears the reply bit by bit. Without it the reply comes as a whole. */
  readonly onDelta?: ((text: string) => Effect.Effect<void>) | undefined
}

/** How many calls were made to providers, those that failed included. */
export class Calls {
  count = 0
}

/** What asking needs. */
export type Services = Models | Spending | policies.Policies

/** Asks one model once. What the attempt used is charged however it ends. */
const attempt = (
  { languageModel, model }: ModelRoute["Service"],
  prompt: Prompt.RawInput,
  promptTokens: number,
  meter: Meter,
  onDelta: ((text: string) => Effect.Effect<void>) | undefined
): Effect.Effect<Said, AiError.AiError | ReplyCutShort | ReplyRefused> =>
  Effect.suspend(() => {
    meter.attempt()
    const reply = new Reply(model, promptTokens)
    const hearing = onDelta === undefined
      ? Effect.map(languageModel.generateText({ prompt }), ({ content }) => {
        for (const part of content) reply.take(part)
      })
      : languageModel.streamText({ prompt }).pipe(
        Stream.runForEach((part) => {
          const delta = reply.take(part)
          return delta === "" ? Effect.void : onDelta(delta)
        }),
        Effect.mapError((cause) => reply.isEmpty ? cause : new ReplyCutShort({ cause }))
      )
    return hearing.pipe(
      Effect.onExit(() => {
        const { tokens } = reply
        return tokens === undefined ? Effect.void : meter.charge(reply.model, tokens)
      }),
      Effect.andThen(Effect.suspend(() => reply.said))
    )
  })

/**
 * Asks one model after the other until one answers, and fails when none does. A reply that is passed on bit by bit changes its
 * model only before its first bit.
 */
export const askModels = (
  prompt: Prompt.RawInput,
  { maxRun, onDelta }: Options,
  calls: Calls = new Calls()
): Effect.Effect<ModelAnswer, ModelsError, Services> =>
  Effect.gen(function*() {
    const { chain } = yield* Models
    const spending = yield* Spending
    const { models: known, turns: { deadlines } } = yield* policies.Policies.use(({ now }) => now)
    const promptTokens = promptTokensOf(prompt)
    const begun = yield* Deferred.make<void>()
    const timing = onDelta === undefined
      ? policies.untilDone(deadlines, maxRun)
      : policies.untilBegun(deadlines, maxRun, Deferred.await(begun))
    const heard = onDelta === undefined ? undefined : (text: string) => {
      Deferred.doneUnsafe(begun, Effect.void)
      return onDelta(text)
    }

    const onRoute = Effect.flatMap(ModelRoute, (route) => {
      const meter = new Meter(known)
      return attempt(route, prompt, promptTokens, meter, heard).pipe(
        policies.atRoute(route.dependency, timing),
        spending.during(route.dependency, estimateOf(known, route.model, promptTokens), () => meter.used),
        Effect.ensuring(Effect.sync(() => (calls.count += meter.used.requests))),
        Effect.map((said) => Result.succeed(said)),
        // To the chain a reply that began is the answer, even if it broke off: nobody else may be asked.
        Effect.catchTag("ReplyCutShort", (error) => Effect.succeed(Result.fail(error)))
      )
    })

    const request: FallbackChain.Request = { usage: { input: promptTokens, output: usualReply } }
    const [result, { degraded, route }] = yield* timing.models(chain.runServed(onRoute, request))
    const { model, text, tokens } = yield* Effect.fromResult(result)
    return {
      text,
      model,
      promptTokens: tokens.prompt,
      completionTokens: tokens.completion,
      costUsd: costUsd(known, model, tokens),
      served: { route, degraded, attempts: calls.count }
    }
  })
