/** Runs calls within a limiter. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Signal from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"
import type { AnyLimiter } from "./algorithms.ts"
import type { Outcome } from "./limiter.ts"
import { type AnyFiber, type Classify, latencyOutcome } from "./outcome.ts"

const policy = "concurrencyLimit"

export const limiting = <Rejected>(options: {
  readonly name: string
  readonly limiter: AnyLimiter
  readonly classify: Classify | undefined
  readonly rejected: (limit: number) => Rejected
}) => {
  const { classify, limiter, name } = options

  /** Made anew only when the limit is another one. */
  let rejection = { limit: limiter.limit, error: options.rejected(limiter.limit) }
  const rejected = (): Rejected => {
    const { limit } = limiter
    if (rejection.limit !== limit) rejection = { limit, error: options.rejected(limit) }
    return rejection.error
  }

  const tell = (fiber: AnyFiber, admitted: boolean): void => {
    if (!Signal.isHeardUnsafe(fiber)) return
    Signal.emitUnsafe(fiber, {
      _tag: "ConcurrencyDecided",
      name,
      policy,
      decision: admitted ? "admitted" : "rejected",
      reason: admitted ? undefined : "Limit",
      waited: Duration.zero,
      limit: limiter.limit,
      inFlight: limiter.inFlight,
      queued: 0
    })
  }

  const leave = (fiber: AnyFiber, place: number, since: number, exit: Exit.Exit<unknown, unknown>): void => {
    let outcome: Outcome = "ignored"
    try {
      outcome = classify === undefined ? latencyOutcome(fiber, exit) : classify(exit)
    } finally {
      // Also when the classifier throws, which surfaces as a defect of the call.
      const now = monotonicMillis(fiber)
      limiter.leave(now, now - since, place, outcome)
      if (Signal.isHeardUnsafe(fiber)) {
        const { inFlight, limit } = limiter
        Signal.emitUnsafe(fiber, { _tag: "ConcurrencyReleased", name, policy, limit, inFlight, queued: 0 })
      }
    }
  }

  return <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Rejected, R> =>
    Effect.withFiber((fiber) => {
      let place = 0
      let since = 0
      // Entered below the finalizer: what is taken before it is in place can be lost to an interruption.
      return Effect.onExitPrimitive(
        Effect.suspend((): Effect.Effect<A, E | Rejected, R> => {
          place = limiter.enter()
          tell(fiber, place > 0)
          if (place === 0) return Effect.fail(rejected())
          since = monotonicMillis(fiber)
          return self
        }),
        (exit) => {
          if (place > 0) leave(fiber, place, since, exit)
          return undefined
        }
      )
    })
}
