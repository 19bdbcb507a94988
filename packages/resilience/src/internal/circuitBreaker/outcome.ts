/** What the end of a call says about the dependency. */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Failure from "../../Failure.ts"

/**
 * What the end of a call says about the dependency: that it is well, ill, or nothing.
 *
 * A failure may carry the wait that the dependency asked for. The shapes are those of Effect's own circuit breaker, so
 * `HttpClient.circuitBreakerClassifier` fits.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | { readonly _tag: "Success" }
  | { readonly _tag: "Failure"; readonly retryAfter?: Duration.Duration | undefined }
  | { readonly _tag: "Ignored" }

export const success: Outcome = { _tag: "Success" }

export const ignored: Outcome = { _tag: "Ignored" }

const plainFailure: Outcome = { _tag: "Failure" }

export const failure = (options?: { readonly retryAfter?: Duration.Input | undefined }): Outcome =>
  options?.retryAfter === undefined
    ? plainFailure
    : { _tag: "Failure", retryAfter: Duration.fromInputUnsafe(options.retryAfter) }

/**
 * Ignored is what says nothing of the dependency's health: the caller went away, the request was wrong or refused by one
 * of our own policies, or we asked too often, to which a healthy dependency says 429.
 */
export const byKind = (fiber: Fiber.Fiber<unknown, unknown>, exit: Exit.Exit<unknown, unknown>): Outcome => {
  if (Exit.isSuccess(exit)) return success
  const { kind, retryAfter, scope } = Failure.infoUnsafe(fiber, exit.cause)
  if (kind === "Cancelled" || kind === "RateLimited" || scope === "request") return ignored
  return retryAfter === undefined ? plainFailure : { _tag: "Failure", retryAfter }
}

export const isInterruption = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)

export const verdictOf = (outcome: Outcome): "success" | "failure" | "ignored" =>
  outcome._tag === "Success" ? "success" : outcome._tag === "Failure" ? "failure" : "ignored"

/** The wait that was asked for, in milliseconds; zero for none. */
export const hintOf = (outcome: Outcome): number =>
  outcome._tag === "Failure" && outcome.retryAfter !== undefined ? Duration.toMillis(outcome.retryAfter) : 0
