/** What a call that has ended says of the dependency, when nobody else says it. */
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Failure from "../../Failure.ts"
import type { Outcome } from "./limiter.ts"

export type AnyFiber = Fiber.Fiber<unknown, unknown>

export type Classify = (exit: Exit.Exit<unknown, unknown>) => Outcome

/** For a limit: its latency is worth nothing where the call failed. */
export const latencyOutcome = (fiber: AnyFiber, exit: Exit.Exit<unknown, unknown>): Outcome => {
  if (Exit.isSuccess(exit)) return "answered"
  const { kind, scope } = Failure.infoUnsafe(fiber, exit.cause)
  return isOverload(kind) && scope === "dependency" ? "dropped" : "ignored"
}

/** For a shedder: a call that failed for another reason than overload was accepted. */
export const acceptanceOutcome = (fiber: AnyFiber, exit: Exit.Exit<unknown, unknown>): Outcome => {
  if (Exit.isSuccess(exit)) return "answered"
  const { kind, scope } = Failure.infoUnsafe(fiber, exit.cause)
  if (kind === "Cancelled") return "ignored"
  if (!isOverload(kind)) return "answered"
  // What we refused ourselves has scope "request": the dependency has not seen it.
  return scope === "dependency" ? "dropped" : "ignored"
}

const isOverload = (kind: Failure.Kind): boolean =>
  kind === "Overloaded" || kind === "RateLimited" || kind === "Timeout"
