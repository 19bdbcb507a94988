/** The deadline a fiber runs under. */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import { monotonicMillis } from "../monotonic.ts"

export interface Current {
  readonly scope: "attempt" | "total"
  /** All in monotonic milliseconds. */
  readonly start: number
  readonly budget: number
  readonly end: number
  /** Whether a signal has said that it passed: every call below it may be the first to notice. */
  told: boolean
}

/** The tightest of the enclosing deadlines; `undefined` when nobody waits with a watch. */
export const CurrentDeadline = Context.Reference<Current | undefined>("effect-resilience/Deadline/CurrentDeadline", {
  defaultValue: () => undefined
})

/** Milliseconds left, never below zero; `Infinity` without a deadline. */
export const remainingMillis = (fiber: Fiber.Fiber<unknown, unknown>): number => {
  const deadline = fiber.getRef(CurrentDeadline)
  return deadline === undefined ? Infinity : Math.max(0, deadline.end - monotonicMillis(fiber))
}
