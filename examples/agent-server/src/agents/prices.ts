/**
 * What a reply costs. The prices are the providers' public list prices in US dollars for a million tokens.
 *
 * A model that is not in the list has no known price, and its cost is `null`: an unknown cost is not zero.
 */

interface Price {
  readonly prompt: number
  readonly completion: number
}

const perMillionTokens: Readonly<Record<string, Price>> = {
  "gpt-4o": { prompt: 2.5, completion: 10 },
  "gpt-4o-mini": { prompt: 0.15, completion: 0.6 },
  "gpt-4.1": { prompt: 2, completion: 8 },
  "gpt-4.1-mini": { prompt: 0.4, completion: 1.6 },
  "gpt-4.1-nano": { prompt: 0.1, completion: 0.4 },
  "claude-3-5-haiku": { prompt: 0.8, completion: 4 },
  "claude-haiku-4-5": { prompt: 1, completion: 5 }
}

/** Providers append the date of a version: `gpt-4o-2024-08-06` costs what `gpt-4o` costs. */
const datedVersion = /-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$/

/** The name of a model without the date of its version. */
export const undated = (model: string): string => model.replace(datedVersion, "")

/** What a million tokens of a model cost, or `undefined` where that is not known. */
export const priceOf = (model: string): Price | undefined => perMillionTokens[undated(model)]

/** The cost in US dollars, to a millionth of a cent, or `null` where the price is not known. */
export const costUsd = (
  model: string,
  tokens: { readonly prompt: number; readonly completion: number }
): number | null => {
  const price = priceOf(model)
  if (price === undefined) return null
  const cost = (tokens.prompt * price.prompt + tokens.completion * price.completion) / 1_000_000
  return Math.round(cost * 1e8) / 1e8
}
