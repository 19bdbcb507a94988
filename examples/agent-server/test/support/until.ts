/** Waiting for what a server does a moment later. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import type * as Effect from "effect/Effect"

/** Asks again until it is so: often enough for a test, and seldom enough for a server on a busy machine. */
export const until = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  isSo: (answer: A) => boolean,
  options?: Eventually.Options
): Effect.Effect<A, E, R> => Eventually.answers(ask, isSo, { every: "50 millis", within: "1 minute", ...options })
