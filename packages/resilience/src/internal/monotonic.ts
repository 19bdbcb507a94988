/** The monotonic clock: a step of the wall clock moves nothing that is measured with it. */
import * as Clock from "effect/Clock"
import type * as Fiber from "effect/Fiber"

/** Milliseconds of the monotonic clock, with their fraction. Only differences mean anything. */
export const monotonicMillis = (fiber: Fiber.Fiber<unknown, unknown>): number =>
  Number(fiber.getRef(Clock.Clock).monotonicTimeNanosUnsafe()) / 1_000_000
