/**
 * How one route of the chain is asked: deadlines, retries, and what stands in front of its provider.
 *
 * Every time in here is part of a `Schedule`, a deadline or a budget; nothing else in the server retries anything.
 */
import type * as Bulkhead from "effect-resilience/Bulkhead"
import type * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Deadline from "effect-resilience/Deadline"
import type * as RateLimiter from "effect-resilience/RateLimiter"
import * as Retry from "effect-resilience/Retry"
import * as Tracing from "effect-resilience/Tracing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { atProvider, type Dependency, type Guards } from "./guards.ts"
import { values } from "./values.ts"

/**
 * When a call to a language model is tried again at the same provider.
 *
 * - What may pass, a reset connection or a 500, is tried again soon.
 * - A provider that cannot cope gets more time, and never less than it asks for; one that asks for long is not waited for.
 * - One that limits us, or let an attempt's time pass, is not tried again: the next route is there at once.
 * - A wrong request, a wrong key or a spent quota is not tried again.
 */
const again = Retry.byKind({
  Transient: Retry.backoff(values.retry.transient),
  Overloaded: Retry.backoff(values.retry.overloaded)
}).pipe(
  Schedule.upTo({ times: values.retry.times }),
  Retry.respectRetryAfter({ cap: values.retry.retryAfterCap }),
  Retry.withinDeadline,
  Retry.withBudget
)

/** What a policy may refuse or cut a call with. */
export type Refusal =
  | Deadline.DeadlineExceeded
  | CircuitBreaker.CircuitOpen
  | Bulkhead.BulkheadRejected
  | RateLimiter.RateLimited
  | RateLimiter.RateLimiterUnavailable

/** The whole of a turn: waiting for its place, asking the models, storing. */
export const wholeTurn: {
  (maxRun: Duration.Duration): <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Deadline.DeadlineExceeded, R>
} = Deadline.within

type InTime = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Deadline.DeadlineExceeded, R>

/** What an attempt and what all of the models together have time for. */
export interface Timing {
  readonly attempt: InTime
  readonly models: InTime
}

const share = (maxRun: Duration.Duration, part: number): Duration.Duration => Duration.times(maxRun, part)

const { attempt, models } = values.deadlines

/** For a whole reply: from the call to its end. */
export const untilDone = (maxRun: Duration.Duration): Timing => ({
  attempt: Deadline.attempt(share(maxRun, attempt)),
  models: Deadline.within(share(maxRun, models))
})

/**
 * For a reply that comes bit by bit: to its first bit, which `begun` waits for. How long the rest takes is up to the client
 * that reads it, and to the deadline of the turn.
 */
export const untilBegun = (maxRun: Duration.Duration, begun: Effect.Effect<void>): Timing => ({
  attempt: unlessLate(Deadline.attempt(begun, share(maxRun, attempt))),
  models: unlessLate(Deadline.within(begun, share(maxRun, models)))
})

/** Fails when `inTime` does, and is else not concerned with how long it takes. */
const unlessLate = (inTime: Effect.Effect<void, Deadline.DeadlineExceeded>): InTime => (self) =>
  Effect.raceFirst(self, Effect.andThen(inTime, Effect.never))

/** Asks one provider, with retries, behind its bulkhead and its breaker. */
export const atRoute =
  (dependency: Dependency, timing: Timing) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Refusal, R | Guards> =>
    self.pipe(
      timing.attempt,
      Tracing.attempt,
      Retry.retry(again, { name: dependency }),
      atProvider(dependency),
      Tracing.pipeline(dependency)
    )
