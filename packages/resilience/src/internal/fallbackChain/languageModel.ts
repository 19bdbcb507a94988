/** Effect's `LanguageModel` in front of a chain of language models. */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Failure from "../../Failure.ts"
import type { FallbackChain } from "../../FallbackChain.ts"
import { promptText } from "../promptText.ts"
import { type Charge, CurrentAttempt } from "./engine.ts"
import type { Usage } from "./order.ts"
import type { Request } from "./route.ts"

export interface Settings {
  readonly tokens: (text: string) => number
  readonly request: ((prompt: Prompt.Prompt) => Request) | undefined
}

interface Options {
  readonly prompt: Prompt.RawInput
}

type Part = Response.AnyPart

/**
 * A model as this file sees it. The signatures of the real one follow the tools and the schema in the options, which go
 * through here untouched, and with them errors and services of the caller's own.
 */
interface AnyModel {
  readonly generateText: (options: Options) => Effect.Effect<{ readonly usage: Response.Usage }, unknown>
  readonly generateObject: (options: Options) => Effect.Effect<{ readonly usage: Response.Usage }, unknown>
  readonly streamText: (options: Options) => Stream.Stream<Part, unknown>
}

/** A model's answer, or an error of the caller's own tools, which is no failure of a route. */
type Answer<A> = Result.Result<A, unknown>

// The service is generic in its tools; a chain passes calls on and looks at none of that.
const anyModel = Effect.map(LanguageModel.LanguageModel, (model) => model as unknown as AnyModel)

export const languageModelOf = <E, R>(
  chain: FallbackChain<LanguageModel.LanguageModel, E, R>,
  context: Context.Context<R>,
  settings: Settings
): LanguageModel.LanguageModel => {
  const requestOf = (prompt: Prompt.Prompt): Request => ({
    usage: { input: settings.tokens(promptText(prompt)) },
    ...settings.request?.(prompt)
  })

  const along = (method: "generateText" | "generateObject") => (options: Options) => {
    // A prompt may be an iterator, which gives its messages once.
    const prompt = Prompt.make(options.prompt)
    const answer = Effect.matchEffect(
      Effect.flatMap(anyModel, (model) => model[method]({ ...options, prompt })),
      {
        onSuccess: (value) => Effect.as(chargeNow(usageOf(value.usage)), Result.succeed(value)),
        onFailure: (error): Effect.Effect<Answer<never>, AiError.AiError> =>
          AiError.isAiError(error) ? Effect.fail(error) : Effect.succeed(Result.fail(error))
      }
    )
    return Effect.suspend(() => chain.run(answer, requestOf(prompt))).pipe(
      Effect.mapError((error) => aiErrorOf(method, error)),
      Effect.flatMap((answer) => Effect.fromResult(answer)),
      Effect.updateContext(beneath(context))
    )
  }

  const streamText = (options: Options) => {
    const prompt = Prompt.make(options.prompt)
    const answer = Stream.unwrap(Effect.gen(function*() {
      const model = yield* anyModel
      const charge = yield* currentCharge
      return metered(model.streamText({ ...options, prompt }), prompt, settings.tokens, charge).pipe(
        Stream.map((part): Answer<Part> => Result.succeed(part)),
        Stream.catch((error): Stream.Stream<Answer<Part>, AiError.AiError> =>
          AiError.isAiError(error) ? Stream.fail(error) : Stream.succeed(Result.fail(error))
        )
      )
    }))
    return Stream.suspend(() => chain.stream(answer, { request: requestOf(prompt), isContent })).pipe(
      Stream.mapError((error) => aiErrorOf("streamText", error)),
      Stream.mapEffect((part) => Effect.fromResult(part)),
      Stream.updateContext(beneath(context))
    )
  }

  const model: AnyModel = { generateText: along("generateText"), generateObject: along("generateObject"), streamText }
  // What came in as the service goes out as it: see `anyModel`.
  return { [LanguageModel.TypeId]: LanguageModel.TypeId, ...model } as unknown as LanguageModel.LanguageModel
}

/** What the chain needs, below what the caller has: its span and its deadline are those of the call. */
const beneath = <R>(own: Context.Context<R>) => (caller: Context.Context<never>): Context.Context<R> =>
  Context.merge(own, caller)

/** What opens a reply and says nothing yet. A route that fails after it can still be changed. */
const openings = new Set(["response-metadata", "text-start", "reasoning-start"])

const isContent = (part: Answer<Part>): boolean => Result.isFailure(part) || !openings.has(part.success.type)

const currentCharge: Effect.Effect<Charge> = Effect.withFiber((fiber) =>
  Effect.succeed(fiber.getRef(CurrentAttempt)?.charge ?? (() => Effect.void))
)

const chargeNow = (usage: Usage): Effect.Effect<void> => Effect.flatMap(currentCharge, (charge) => charge(usage))

const usageOf = ({ inputTokens, outputTokens }: Response.Usage): Usage => ({
  input: inputTokens.total ?? 0,
  output: outputTokens.total ?? 0
})

/** Charges what a stream used: what its end says, or, where it does not come to it, what was heard of it. */
const metered = <E, R>(
  parts: Stream.Stream<Part, E, R>,
  prompt: Prompt.Prompt,
  tokens: (text: string) => number,
  charge: Charge
): Stream.Stream<Part, E, R> =>
  Stream.suspend(() => {
    let heard: string | undefined
    let finished = false
    return parts.pipe(
      Stream.tap((part) => {
        heard ??= ""
        if (part.type === "text-delta" || part.type === "reasoning-delta") heard += part.delta
        if (part.type !== "finish") return Effect.void
        finished = true
        const { input, output } = usageOf(part.usage)
        // A provider that tells no figures is charged by what was heard, too.
        return charge(
          part.usage.inputTokens.total === undefined && part.usage.outputTokens.total === undefined
            ? { input: tokens(promptText(prompt)), output: tokens(heard) }
            : { input, output }
        )
      }),
      Stream.onExit(() =>
        finished || heard === undefined
          ? Effect.void
          : charge({ input: tokens(promptText(prompt)), output: tokens(heard) })
      )
    )
  })

/** An `AiError`, as the service promises, that still says of itself what the chain's error did. */
const aiErrorOf = (method: string, error: unknown): unknown => {
  if (AiError.isAiError(error)) return error
  const info = Failure.classifyUnsafe(Failure.defaultClassifier, error)
  const aiError = AiError.make({ module: "FallbackChain", method, reason: reasonOf(info) })
  return Object.assign(aiError, { [Failure.symbol]: () => info, cause: error })
}

const reasonOf = ({ kind, message, retryAfter }: Failure.Info): AiError.AiErrorReason => {
  switch (kind) {
    case "RateLimited":
      return new AiError.RateLimitError(retryAfter === undefined ? {} : { retryAfter })
    case "Transient":
    case "Overloaded":
    case "Timeout":
      return new AiError.InternalProviderError({ description: message })
    default:
      return new AiError.UnknownError({ description: message })
  }
}
