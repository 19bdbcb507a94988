/** What callers of a provider see of its failures, and what it sees of callers that leave. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { expect } from "@effect/vitest"
import * as Failure from "effect-resilience/Failure"
import type * as AiError from "effect/ai/AiError"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Upstream } from "./upstream.ts"

/** What the failure of a call says, and what the toolkit makes of it. The call was made with this key. */
export const failureWith = (key: string) => <A>(call: Effect.Effect<A, AiError.AiError>) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(call)
    const info = yield* Failure.classify(error)
    // The key is sent, and is in nothing that may be shown.
    expect(`${error.message} ${JSON.stringify(error)} ${info.message}`).not.toContain(key)
    return {
      reason: error.reason._tag,
      kind: info.kind,
      scope: info.scope,
      code: info.code,
      retryAfter: info.retryAfter
    }
  })

/** Makes calls that are not answered to their end, and leaves each: the provider sees that they are given up. */
export const leaveEach = (
  server: Upstream,
  calls: ReadonlyArray<Effect.Effect<unknown, AiError.AiError>>
): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const [index, call] of calls.entries()) {
      const fiber = yield* Effect.forkChild(call)
      yield* Eventually.met(() => server.calls.length > index)
      yield* Effect.sleep("20 millis")
      yield* Fiber.interrupt(fiber)
      yield* Eventually.met(() => server.calls[index]?.aborted() === true)
    }
    expect(server.calls.every((call) => call.aborted())).toBe(true)
  })
