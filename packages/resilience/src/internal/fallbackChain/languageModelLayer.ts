/** The public side of the language model. */
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { FallbackChain } from "../../FallbackChain.ts"
import { languageModelOf } from "./languageModel.ts"
import type { Request } from "./route.ts"

/**
 * Options of {@link languageModel}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LanguageModelOptions {
  /** How many tokens a text is, about. Default: a quarter of its characters. */
  readonly tokens?: ((text: string) => number) | undefined
  /** What a prompt asks of the routes. What it leaves out is filled in: the tokens of the prompt as input. */
  readonly request?: ((prompt: Prompt.Prompt) => Request) | undefined
}

/**
 * Effect's own `LanguageModel` in front of a chain of language models: every caller of `LanguageModel` gets the chain, for text,
 * objects and streams.
 *
 * A stream changes its route only before its first content, and fails with its own error after that. What a model used is
 * written into the ledger: the provider's own figures, or for a stream that does not come to them, an estimate of what was heard.
 * When no route answered, the `AiError` has the {@link FallbackExhausted} as its cause and is of the same kind. Errors of the caller's
 * own tools are no failures of a route.
 *
 * @category layers
 * @since 0.1.0
 */
export const languageModel = <E, R>(
  chain: FallbackChain<LanguageModel.LanguageModel, E, R>,
  options: LanguageModelOptions = {}
): Layer.Layer<LanguageModel.LanguageModel, never, R> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.map(Effect.context<R>(), (context) =>
      languageModelOf(chain, context, {
        tokens: options.tokens ?? ((text) => Math.ceil(text.length / 4)),
        request: options.request
      }))
  )
