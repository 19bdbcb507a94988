/**
 * What a reply costs, by the prices of the policies: US dollars for a million tokens.
 *
 * A model that is not among them has no known price, and its cost is `null`: an unknown cost is not zero.
 */
import type { Values } from "../policies.ts"

/** What is known of models, by their names without a date. */
export type Known = Values["models"]

/** Providers append the date of a version: `gpt-4o-2024-08-06` costs what `gpt-4o` costs. */
const datedVersion = /-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$/

/** The name of a model without the date of its version. */
const undated = (model: string): string => model.replace(datedVersion, "")

/** What is known of a model; nothing of one that is not there. */
export const factsOf = (known: Known, model: string): Known[string] => known[undated(model)] ?? {}

/** The cost in US dollars, to a millionth of a cent, or `null` where the price is not known. */
export const costUsd = (
  known: Known,
  model: string,
  tokens: { readonly prompt: number; readonly completion: number }
): number | null => {
  const { price } = factsOf(known, model)
  if (price === undefined) return null
  const cost = (tokens.prompt * price.input + tokens.completion * price.output) / 1_000_000
  return Math.round(cost * 1e8) / 1e8
}
