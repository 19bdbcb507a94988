/** A turn that failed for good and is kept, and which failures that is said of. */
import * as Failure from "effect-resilience/Failure"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** The turn failed, and is the dead letter `letterId` now. Redriving that will complete it in its session. */
export class DeadTurn<E> extends Data.TaggedError("DeadTurn")<{
  readonly letterId: string
  readonly sessionId: string
  readonly cause: Cause.Cause<E>
}> {}

/** What the request itself is to blame for; trying again would not help, or is the client's to do. */
const ofTheRequest: ReadonlySet<unknown> = new Set(["SessionMissing", "WrongAgent", "SessionBusy", "NameInUse"])

/**
 * Whether work that ended like this is worth keeping. It is not where the client went away, and where the request can
 * never succeed: its content was refused, or is too long.
 */
export const isWorthKeeping = (cause: Cause.Cause<unknown>): Effect.Effect<boolean> => {
  if (Cause.hasInterrupts(cause)) return Effect.succeed(false)
  const error = Cause.findErrorOption(cause)
  // Bugs are kept: whatever the server did wrong, the client was not answered.
  if (Option.isNone(error)) return Effect.succeed(true)
  const { value } = error
  if (typeof value === "object" && value !== null && "_tag" in value && ofTheRequest.has(value._tag)) {
    return Effect.succeed(false)
  }
  return Effect.map(
    Failure.classify(value),
    ({ code, kind, scope }) =>
      code !== "ContextTooLong" && code !== "ContentPolicyError" && !(kind === "Permanent" && scope === "request")
  )
}
