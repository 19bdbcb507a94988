/**
 * How the speech services are treated. Every time in here is part of a `Schedule`, a deadline or a budget.
 *
 * A service is tried again once or twice and soon, because somebody is waiting for an answer on the phone; then the other one is
 * asked. One that goes on failing is left alone by its breaker, and the other one is asked at once.
 */
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Deadline from "effect-resilience/Deadline"
import type * as Failure from "effect-resilience/Failure"
import type * as FallbackChain from "effect-resilience/FallbackChain"
import * as Retry from "effect-resilience/Retry"
import type * as RetryBudget from "effect-resilience/RetryBudget"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Availability from "../health/Availability.ts"

const breaker = (name: string) =>
  ({
    trip: CircuitBreaker.anyOf(
      CircuitBreaker.consecutive(5),
      CircuitBreaker.failureRate({ threshold: 0.5, window: "30 seconds", minimumCalls: 20 })
    ),
    openFor: Schedule.exponential("30 seconds"),
    maxOpenFor: "5 minutes",
    recovery: CircuitBreaker.ramp([0.1, 0.25, 0.5, 0.75], "7.5 seconds"),
    health: () => Availability.changes(name)
  }) as const

/** A breaker for each speech service. */
export class SpeechBreakers extends CircuitBreaker.Service<SpeechBreakers>()("agent-server/voice/SpeechBreakers", {
  "stt-primary": breaker("stt-primary"),
  "stt-backup": breaker("stt-backup"),
  "tts-primary": breaker("tts-primary"),
  "tts-backup": breaker("tts-backup")
}) {}

/** A speech service that has policies of its own. */
export type SpeechDependency = (typeof SpeechBreakers)["names"][number]

/** What the policies stand on. */
export type SpeechGuards = RetryBudget.RetryBudget | SpeechBreakers

/** When a service is asked again before the other one is. One that limits us or takes too long is not. */
const again = Retry.byKind({
  Transient: Retry.backoff({ base: "50 millis", cap: "500 millis" }),
  Overloaded: Retry.backoff({ base: "100 millis", cap: "1 second" })
}).pipe(
  Schedule.upTo({ times: 2 }),
  Retry.respectRetryAfter({ cap: "1 second" }),
  Retry.withinDeadline,
  Retry.withBudget
)

/** One attempt gets a third of what is left, so that one which hangs leaves time for the other service. */
const inTime = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(shareOfRest(1 / 3), (time) => Deadline.attempt(self, time))

/**
 * Goes around a call to a service. As with models the breaker is outside of the retries: it counts calls that failed for
 * good.
 */
export const atService = (dependency: SpeechDependency) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Deadline.DeadlineExceeded | CircuitBreaker.CircuitOpen, R | SpeechGuards> =>
  self.pipe(inTime, Retry.retry(again, { name: dependency }), SpeechBreakers.protect(dependency))

/**
 * A service rests when it limits us, and not for an outage: that is what its breaker is for, which counts more than one
 * failure before it shuts anybody out.
 */
const cooldown: Schedule.Schedule<unknown, Failure.Info> = Retry.backoff({
  base: "1 second",
  cap: "30 seconds",
  jitter: "none"
}).pipe(
  Schedule.setInputType<Failure.Info>(),
  Schedule.modifyDelay(({ duration, input }) => Effect.succeed(input.kind === "RateLimited" ? duration : Duration.zero))
)

/** How one asks the other service. When both rest, a short rest is waited for. */
export const chainOptions: FallbackChain.Options = { cooldown, maxWait: "2 seconds" }

/** The speech of an answer gets a little less than what is left: without it, there is still the text to be sent in time. */
export const leavingTimeForText = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Deadline.DeadlineExceeded, R> =>
  Effect.flatMap(shareOfRest(0.9), (time) => Deadline.within(self, time))

const shareOfRest = (share: number): Effect.Effect<Duration.Duration> =>
  Effect.map(
    Deadline.remaining,
    (rest) => Option.match(rest, { onNone: () => Duration.infinity, onSome: (left) => Duration.times(left, share) })
  )

/** What is quieter than this share of full scale is silence. */
export const silence = 0.001

/** How much of a reply is spoken, in characters: what OpenAI's speech takes at once. */
export const maxSpoken = 4_096
