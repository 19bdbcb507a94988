/**
 * How the server treats its providers, all in one place.
 *
 * Every time in here is part of a `Schedule`, a deadline or a budget; nothing else in the server retries anything.
 */
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Deadline from "effect-resilience/Deadline"
import type * as RateLimiter from "effect-resilience/RateLimiter"
import * as Retry from "effect-resilience/Retry"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as Tracing from "effect-resilience/Tracing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Availability from "./health/Availability.ts"

/**
 * When a call to a language model is tried again.
 *
 * With 35 of 100 calls failing by chance, six attempts leave 2 of 1,000 chats without an answer.
 *
 * - What may pass, a reset connection or a 500, is tried again soon.
 * - A provider that cannot cope or limits us gets more time, and never less than it asks for.
 * - A wrong request, a wrong key or a spent quota is not tried again.
 */
const again = Retry.byKind({
  Transient: Retry.backoff({ base: "100 millis", cap: "2 seconds" }),
  Timeout: Retry.backoff({ base: "100 millis", cap: "2 seconds" }),
  Overloaded: Retry.backoff({ base: "500 millis", cap: "8 seconds" }),
  RateLimited: Retry.backoff({ base: "500 millis", cap: "8 seconds" })
}).pipe(
  Schedule.upTo({ times: 5 }),
  Retry.respectRetryAfter({ cap: "20 seconds" }),
  Retry.withinDeadline,
  Retry.withBudget
)

/**
 * What the retries of all chats together may add to the providers' load: as much again as the chats themselves, and 10 a
 * second besides. It is more than is usual, because a provider that fails at random is best asked again; when all calls
 * fail, it is what keeps six attempts from becoming six times the load.
 */
const retryBudget = RetryBudget.layer({ ratio: 1, floor: 10, window: "10 seconds" })

/**
 * A breaker for each provider. Five calls in a row that failed for good, or half of those of the last 30 seconds, and the
 * provider is left alone: for 30 seconds, then a minute, up to five. When a probe has succeeded, the load comes back in
 * steps within half a minute. One whose health checks fail is left alone too, and asked again as soon as they do not.
 */
export class Breakers extends CircuitBreaker.Service<Breakers>()("agent-server/policies/Breakers", {
  "llm-primary": {
    trip: CircuitBreaker.anyOf(
      CircuitBreaker.consecutive(5),
      CircuitBreaker.failureRate({ threshold: 0.5, window: "30 seconds", minimumCalls: 20 })
    ),
    health: () => Availability.changes("llm-primary"),
    openFor: Schedule.exponential("30 seconds"),
    maxOpenFor: "5 minutes",
    recovery: CircuitBreaker.ramp([0.1, 0.25, 0.5, 0.75], "7.5 seconds")
  }
}) {}

/** How many calls each provider is asked for at once, and how many may wait for their turn, and how long. */
export class Bulkheads extends Bulkhead.Service<Bulkheads>()("agent-server/policies/Bulkheads", {
  "llm-primary": { limit: 512, queue: 4096, maxWait: "20 seconds" }
}) {}

/** A dependency that has policies of its own. */
export type Dependency = (typeof Breakers)["names"][number]

/** What the policies stand on. */
export type Guards = RetryBudget.RetryBudget | Breakers | Bulkheads

/** Provides it: a budget for all retries, the circuits, the bulkheads. */
export const guards: Layer.Layer<Guards, never, CircuitBreaker.CircuitBreakerStore> = Layer.mergeAll(
  retryBudget,
  Breakers.layer,
  Bulkheads.layer
)

/** What a policy may refuse or cut a call with. */
export type Refusal =
  | Deadline.DeadlineExceeded
  | CircuitBreaker.CircuitOpen
  | Bulkhead.BulkheadRejected
  | RateLimiter.RateLimited
  | RateLimiter.RateLimiterUnavailable

type Guarded = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refusal, R | Guards>

/** The whole of a turn: waiting for its place, asking the model, storing. */
export const wholeTurn: {
  (maxRun: Duration.Duration): <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Deadline.DeadlineExceeded, R>
} = Deadline.within

/** The model gets a little less than the turn: its time must be up, and count, before the turn is cut. */
const modelTime = (maxRun: Duration.Duration): Duration.Duration => Duration.times(maxRun, 0.9)

/** One attempt gets a third of that, so that one which hangs leaves time for another two. */
const attemptTime = (maxRun: Duration.Duration): Duration.Duration => Duration.times(maxRun, 0.3)

/**
 * Goes around a call with all of its retries. The breaker is outermost: it counts calls that failed for good, and not each
 * attempt of a provider that has bad luck now and then.
 */
const atProvider =
  (dependency: Dependency) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Refusal, R | Breakers | Bulkheads> =>
    self.pipe(Bulkheads.run(dependency), Breakers.protect(dependency))

/** Calls a model for a whole reply. */
export const wholeReply = (dependency: Dependency, maxRun: Duration.Duration): Guarded => (self) =>
  self.pipe(
    Deadline.attempt(attemptTime(maxRun)),
    Tracing.attempt,
    Retry.retry(again, { name: dependency }),
    Deadline.within(modelTime(maxRun)),
    atProvider(dependency),
    Tracing.pipeline(dependency)
  )

/**
 * Calls a model for a reply that comes bit by bit. Both times are those to the first bit, and `begun` waits for that: how
 * long the rest takes is up to the client that reads it. Nothing is repeated once a bit is out: `self` must then fail with
 * an error of kind `Permanent`.
 */
export const streamedReply =
  (dependency: Dependency, maxRun: Duration.Duration, begun: Effect.Effect<void>): Guarded => (self) =>
    self.pipe(
      unlessLate(Deadline.attempt(begun, attemptTime(maxRun))),
      Tracing.attempt,
      Retry.retry(again, { name: dependency }),
      unlessLate(Deadline.within(begun, modelTime(maxRun))),
      atProvider(dependency),
      Tracing.pipeline(dependency)
    )

/** Fails when `inTime` does, and is else not concerned with how long it takes. */
const unlessLate =
  <E2, R2>(inTime: Effect.Effect<void, E2, R2>) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R | R2> =>
    Effect.raceFirst(self, Effect.andThen(inTime, Effect.never))

/**
 * How much of a session's history a model is told: the last messages, at most this many of them and this many characters.
 * The oldest are left out first. What the user says now is always told in full.
 */
export const history = { messages: 40, characters: 48_000 } as const

/** How many turns of one session may wait for the one that is running. */
export const waitingTurns = 8

/** How many connections to each provider there are at most. Calls beyond that wait for a free one. */
export const providerConnections = 128
