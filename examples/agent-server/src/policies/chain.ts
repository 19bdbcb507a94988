/** How a chain goes from one route to the next. */
import type * as Failure from "effect-resilience/Failure"
import type * as FallbackChain from "effect-resilience/FallbackChain"
import * as Retry from "effect-resilience/Retry"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Values } from "./values.ts"

/**
 * A route rests when its provider limits us, and not for an outage: that is what its breaker is for, which counts more than
 * one failure before it shuts anybody out.
 */
const cooldownOf = (
  waits: { readonly base: Duration.Duration; readonly cap: Duration.Duration }
): Schedule.Schedule<unknown, Failure.Info> =>
  Retry.backoff({ ...waits, jitter: "none" }).pipe(
    Schedule.setInputType<Failure.Info>(),
    Schedule.modifyDelay(({ duration, input }) =>
      Effect.succeed(input.kind === "RateLimited" ? duration : Duration.zero)
    )
  )

/** The options of the chain of language models. */
export const chainOptions = (
  { chain: { budget, cooldown, haltFor, maxWait, order } }: Pick<Values, "chain">
): FallbackChain.Options => ({ order, haltFor, maxWait, budget, cooldown: cooldownOf(cooldown) })

/** The options of the chains of speech services. When both rest, a short rest is waited for. */
export const speechChainOptions = (
  { voice: { cooldown, maxWait } }: Pick<Values, "voice">
): FallbackChain.Options => ({ maxWait, cooldown: cooldownOf(cooldown) })
