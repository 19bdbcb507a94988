/** A trace that stands for many: which call put a number into a bucket last. */
import * as Clock from "effect/Clock"
import type * as Fiber from "effect/Fiber"

export interface Exemplar {
  readonly traceId: string
  readonly spanId: string
  readonly value: number
  /** Milliseconds since 1970. */
  readonly time: number
}

/** One a second and bucket is enough to find a trace, and spares the others the cost of their ids. */
const everyMillis = 1000

/** The exemplar of an update made by this fiber; the old one where it is young, or no trace is recorded. */
export const exemplarOf = (
  fiber: Fiber.Fiber<unknown, unknown>,
  value: number,
  last: Exemplar | undefined
): Exemplar | undefined => {
  const span = fiber.cache.span
  if (span === undefined || !span.sampled) return last
  const time = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
  if (last !== undefined && time - last.time < everyMillis && time >= last.time) return last
  return { traceId: span.traceId, spanId: span.spanId, value, time }
}
