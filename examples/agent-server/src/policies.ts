/**
 * How the server treats its providers, all in one place.
 *
 * Every time in here is part of a `Schedule`, a deadline or a budget; nothing else in the server retries anything.
 */
import * as Deadline from "effect-resilience/Deadline"
import * as Retry from "effect-resilience/Retry"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

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
export const retryBudget = RetryBudget.layer({ ratio: 1, floor: 10, window: "10 seconds" })

/** The whole of a turn: waiting for its place, asking the model, storing. */
export const wholeTurn: {
  (maxRun: Duration.Duration): <A, E, R>(
    self: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | Deadline.DeadlineExceeded, R>
} = Deadline.within

/** One attempt gets a third of a turn, so that one which hangs leaves time for another two. */
const attemptTime = (maxRun: Duration.Duration): Duration.Duration => Duration.times(maxRun, 1 / 3)

/** Calls a model for a whole reply. */
export const wholeReply = (maxRun: Duration.Duration) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Deadline.DeadlineExceeded, R | RetryBudget.RetryBudget> =>
  self.pipe(Deadline.attempt(attemptTime(maxRun)), Retry.retry(again, { name: "llm" }))

/**
 * Calls a model for a reply that comes bit by bit. An attempt's time is what it may take to the first bit; `begun` waits
 * for that. Nothing is repeated once a bit is out: `self` must then fail with an error of kind `Permanent`.
 */
export const streamedReply = (maxRun: Duration.Duration, begun: Effect.Effect<void>) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Deadline.DeadlineExceeded, R | RetryBudget.RetryBudget> =>
  Effect.raceFirst(self, begun.pipe(Deadline.attempt(attemptTime(maxRun)), Effect.andThen(Effect.never))).pipe(
    Retry.retry(again, { name: "llm" })
  )

/**
 * How much of a session's history a model is told: the last messages, at most this many of them and this many characters.
 * The oldest are left out first. What the user says now is always told in full.
 */
export const history = { messages: 40, characters: 48_000 } as const

/** How many turns of one session may wait for the one that is running. */
export const waitingTurns = 8

/** How many connections to each provider there are at most. Calls beyond that wait for a free one. */
export const providerConnections = 128
