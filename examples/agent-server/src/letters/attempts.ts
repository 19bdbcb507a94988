/** What a dead letter is told of the routes that were asked before it. */
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import type { Failed } from "./FailedTurns.ts"

/** A turn that was answered with an apology, because of this. */
export const ofError = (error: unknown): Failed => ({ error, ...attemptsOf(error) })

/** A turn that was not answered at all. */
export const ofCause = (cause: Cause.Cause<unknown>): Failed => ({
  cause,
  ...attemptsOf(Option.getOrUndefined(Cause.findErrorOption(cause)))
})

/** One for each route, oldest first. */
const attemptsOf = (error: unknown): Pick<Failed, "attempts"> =>
  FallbackChain.isFallbackExhausted(error)
    ? { attempts: error.attempts.map(({ duration, error }) => ({ error, duration })) }
    : {}
