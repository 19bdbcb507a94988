/** How the chain of models goes from one route to the next. */
import type * as Failure from "effect-resilience/Failure"
import type * as FallbackChain from "effect-resilience/FallbackChain"
import * as Retry from "effect-resilience/Retry"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { values } from "./values.ts"

const { budget, haltFor, limited, maxWait } = values.chain

/**
 * A route rests when its provider limits us, and not for an outage: that is what its breaker is for, which counts more than
 * one failure before it shuts anybody out.
 */
export const cooldown: Schedule.Schedule<unknown, Failure.Info> = Retry.backoff({ ...limited, jitter: "none" }).pipe(
  Schedule.setInputType<Failure.Info>(),
  Schedule.modifyDelay(({ duration, input }) => Effect.succeed(input.kind === "RateLimited" ? duration : Duration.zero))
)

/** The options of a chain that may spend so many dollars a day. */
export const chainOptions = (usdPerDay: number): FallbackChain.Options => ({
  cooldown,
  haltFor,
  maxWait,
  budget: { limit: usdPerDay, ...budget }
})
