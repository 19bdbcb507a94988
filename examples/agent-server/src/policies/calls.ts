/**
 * How one route of the chain is asked: deadlines, and what the document says of its provider.
 *
 * Every time in here is a share of a turn's, which the document cannot know; what does not depend on that is in the
 * provider's policy. Nothing else in the server retries anything.
 */
import type * as Bulkhead from "effect-resilience/Bulkhead"
import type * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Deadline from "effect-resilience/Deadline"
import type * as RateLimiter from "effect-resilience/RateLimiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Dependency, SpeechDependency } from "./document.ts"
import { Policies, type ProviderRefusal } from "./Policies.ts"
import type { Values } from "./values.ts"

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

type Shares = Values["turns"]["deadlines"]

const share = (maxRun: Duration.Duration, part: number): Duration.Duration => Duration.times(maxRun, part)

/** For a whole reply: from the call to its end. */
export const untilDone = ({ attempt, models }: Shares, maxRun: Duration.Duration): Timing => ({
  attempt: Deadline.attempt(share(maxRun, attempt)),
  models: Deadline.within(share(maxRun, models))
})

/**
 * For a reply that comes bit by bit: to its first bit, which `begun` waits for. How long the rest takes is up to the client
 * that reads it, and to the deadline of the turn.
 */
export const untilBegun = (
  { attempt, models }: Shares,
  maxRun: Duration.Duration,
  begun: Effect.Effect<void>
): Timing => ({
  attempt: unlessLate(Deadline.attempt(begun, share(maxRun, attempt))),
  models: unlessLate(Deadline.within(begun, share(maxRun, models)))
})

/** Fails when `inTime` does, and is else not concerned with how long it takes. */
const unlessLate = (inTime: Effect.Effect<void, Deadline.DeadlineExceeded>): InTime => (self) =>
  Effect.raceFirst(self, Effect.andThen(inTime, Effect.never))

/** Asks one provider, with retries, behind its bulkhead and its breaker. */
export const atRoute =
  (dependency: Dependency, timing: Timing) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Refusal, R | Policies> =>
    Policies.use((policies) => policies.at(dependency)(timing.attempt(self)))

/** Asks a speech service, with retries, behind its breaker. One attempt gets a share of what is left of the turn. */
export const atService = (dependency: SpeechDependency) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Deadline.DeadlineExceeded | ProviderRefusal, R | Policies> =>
  Policies.use((policies) =>
    Effect.flatMap(policies.now, ({ voice }) =>
      policies.at(dependency)(
        Effect.flatMap(shareOfRest(voice.attempts[placeOf(dependency)]), (time) => Deadline.attempt(self, time))
      ))
  )

/** The speech of an answer gets a little less than what is left: without it, there is still the text to be sent in time. */
export const leavingTimeForText = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Deadline.DeadlineExceeded, R | Policies> =>
  Effect.flatMap(
    Policies.use(({ now }) => now),
    ({ voice }) => Effect.flatMap(shareOfRest(voice.speaking), (time) => Deadline.within(self, time))
  )

const placeOf = (dependency: SpeechDependency): "primary" | "backup" =>
  dependency.endsWith("-primary") ? "primary" : "backup"

const shareOfRest = (share: number): Effect.Effect<Duration.Duration> =>
  Effect.map(
    Deadline.remaining,
    (rest) => Option.match(rest, { onNone: () => Duration.infinity, onSome: (left) => Duration.times(left, share) })
  )
