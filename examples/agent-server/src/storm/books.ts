/** What the models used, by the servers' accounting and by what their simulated providers bill. */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Operator } from "./Operator.ts"

/** Tokens of a model. */
export interface Tokens {
  readonly prompt: number
  readonly completion: number
}

/** Both sides of a model's book. */
export interface Line {
  readonly route: string
  readonly ours: Tokens
  readonly theirs: Tokens
}

/** The models in the order of the chain, and which provider has which. */
const providers = [["gpt-4o", "llm-primary"], ["gpt-4o-mini", "llm-secondary"], [
  "claude-haiku",
  "llm-anthropic"
]] as const

const none: Tokens = { prompt: 0, completion: 0 }

const plus = (one: Tokens, other: Tokens): Tokens => ({
  prompt: one.prompt + other.prompt,
  completion: one.completion + other.completion
})

const tokensOf = (page: { readonly prompt_tokens: number; readonly completion_tokens: number } | undefined): Tokens =>
  page === undefined ? none : { prompt: page.prompt_tokens, completion: page.completion_tokens }

/** The book of one instance, as it is now. */
const read = (operator: Operator) =>
  Effect.map(
    Effect.all([operator.fallbackChains.list(), operator.sim.ledger()]),
    ([{ fallback_chains }, bills]): ReadonlyArray<Line> =>
      providers.map(([route, provider]) => ({
        route,
        ours: tokensOf(fallback_chains[0]?.routes.find((line) => line.route === route)),
        theirs: tokensOf(bills[provider])
      }))
  )

/** The book of one instance when it does not change any more: what clients left behind ends a moment after them. */
export const settled = (operator: Operator) =>
  Effect.gen(function*() {
    let before = ""
    return yield* Effect.repeat(read(operator), {
      schedule: Schedule.spaced("200 millis"),
      until: (lines) => {
        const now = JSON.stringify(lines)
        const same = now === before
        before = now
        return same
      }
    })
  })

/** The books of several as one. */
export const total = (books: ReadonlyArray<ReadonlyArray<Line>>): ReadonlyArray<Line> =>
  providers.map(([route]) =>
    books.flat().filter((line) => line.route === route).reduce(
      (sum, { ours, theirs }) => ({ route, ours: plus(sum.ours, ours), theirs: plus(sum.theirs, theirs) }),
      { route, ours: none, theirs: none }
    )
  )
