/** What a dead letter is told of the tries that were made before it. */
import * as Failure from "effect-resilience/Failure"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Option from "effect/Option"
import type { Failed } from "./FailedTurns.ts"

/** The tries of a turn that failed for good, oldest first: one for each route that was asked. */
export const attemptsIn = (cause: Cause.Cause<unknown>): Pick<Failed, "attempts"> =>
  attemptsOf(Option.getOrUndefined(Cause.findErrorOption(cause)))

const attemptsOf = (error: unknown): Pick<Failed, "attempts"> =>
  error instanceof FallbackChain.FallbackExhausted
    ? { attempts: error.attempts.map(({ duration, error }) => ({ error, duration })) }
    : {}

/** No model answered, and the client got an apology. */
class Apologised extends Data.TaggedError("Apologised")<{ readonly cause?: unknown }> {
  override readonly message = "No model answered, the client got an apology";

  [Failure.symbol](): Failure.Info {
    return { kind: "Overloaded", scope: "dependency", code: "Apologised", message: this.message }
  }
}

/** Why a turn that was answered with an apology is a dead letter. */
export const apologised = (cause?: unknown): Failed => ({ error: new Apologised({ cause }), ...attemptsOf(cause) })
