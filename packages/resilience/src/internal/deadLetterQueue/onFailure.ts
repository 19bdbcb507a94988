/** A handler whose failures are kept. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import { monotonicMillis } from "../monotonic.ts"
import type { Engine } from "./engine.ts"
import type { DeadLetterStoreError, PayloadUnencodable } from "./errors.ts"
import { offer } from "./offer.ts"

/**
 * What came of work whose failures are kept.
 *
 * @category models
 * @since 0.1.0
 */
export type Kept<B> =
  | { readonly _tag: "Done"; readonly value: B }
  | { readonly _tag: "DeadLettered"; readonly id: string }

/**
 * Options of `deadLetterOnFailure`.
 *
 * @category models
 * @since 0.1.0
 */
export interface OnFailureOptions<A, E, Afterwards extends "succeed" | "fail", E2, R2> {
  /** When and how often to try again before the letter is dead. Default: not at all. */
  readonly retry?: Schedule.Schedule<unknown, E, E2, R2> | undefined
  /**
   * How it ends when the letter is kept: `"succeed"` (default) with what came of it, so that the source is
   * acknowledged, or `"fail"` with the last error.
   */
  readonly afterwards?: Afterwards | undefined
  readonly dedupeKey?: ((payload: A) => string | undefined) | undefined
  readonly headers?: ((payload: A) => Readonly<Record<string, string>>) | undefined
}

interface Tried {
  readonly error: unknown
  readonly at: number
  readonly duration: Duration.Duration
}

const maxAttempts = 20

/**
 * Interruption is not a failure of the work: it is passed on and nothing is kept, so whoever had the work has it still.
 * Where the letter cannot be stored the effect fails, so the source is not acknowledged.
 */
export const onFailure = <A, B, E, R, E2 = never, R2 = never>(
  engine: Engine<A>,
  handler: (payload: A) => Effect.Effect<B, E, R>,
  options: OnFailureOptions<A, E, "succeed" | "fail", E2, R2>
) =>
(payload: A): Effect.Effect<B | Kept<B>, E | E2 | DeadLetterStoreError | PayloadUnencodable, R | R2> =>
  Effect.withFiber((fiber) => {
    const tried: Array<Tried> = []
    const attempt = Effect.suspend(() => {
      const startedAt = monotonicMillis(fiber)
      return Effect.tapError(handler(payload), (error) =>
        Effect.sync(() => {
          // The first ones and the last ones tell most.
          if (tried.length >= maxAttempts) tried.splice(maxAttempts / 2, 1)
          tried.push({
            error,
            at: fiber.getRef(Clock.Clock).currentTimeMillisUnsafe(),
            duration: Duration.millis(Math.round(monotonicMillis(fiber) - startedAt))
          })
        }))
    })
    const work: Effect.Effect<B, E | E2, R | R2> = options.retry === undefined
      ? attempt
      : Effect.retry(attempt, options.retry)
    return Effect.matchCauseEffect(work, {
      onSuccess: (value): Effect.Effect<B | Kept<B>, E | E2 | DeadLetterStoreError | PayloadUnencodable> =>
        Effect.succeed(options.afterwards === "fail" ? value : { _tag: "Done", value }),
      onFailure: (cause) => {
        if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
        const offered = offer(engine, payload, {
          cause,
          attempts: tried,
          dedupeKey: options.dedupeKey?.(payload),
          headers: options.headers?.(payload)
        })
        return options.afterwards === "fail"
          ? Effect.matchCauseEffect(offered, {
            onSuccess: () => Effect.failCause(cause),
            onFailure: (unkept) => Effect.failCause(Cause.combine(unkept, cause))
          })
          : Effect.map(offered, (id): Kept<B> => ({ _tag: "DeadLettered", id }))
      }
    })
  })
