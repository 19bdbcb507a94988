/**
 * How the speech services are treated. Every time in here is part of a `Schedule`, a deadline or a budget.
 *
 * A service is tried again once or twice and soon, because somebody is waiting for an answer on the phone; then the other one is
 * asked. One that goes on failing is left alone by its breaker, and the other one is asked at once.
 */
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Deadline from "effect-resilience/Deadline"
import type * as FallbackChain from "effect-resilience/FallbackChain"
import * as Retry from "effect-resilience/Retry"
import type * as RetryBudget from "effect-resilience/RetryBudget"
import * as Tracing from "effect-resilience/Tracing"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { cooldown } from "../policies/chain.ts"
import { breaker } from "../policies/guards.ts"

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

/**
 * What an attempt gets of the time that is left. A primary that hangs leaves time for the backup; after the backup there is nobody
 * to leave time for.
 */
const shareOf = (dependency: SpeechDependency): number => dependency.endsWith("-primary") ? 1 / 3 : 0.9

/**
 * Goes around a call to a service. As with models the breaker is outside of the retries: it counts calls that failed for
 * good.
 */
export const atService = (dependency: SpeechDependency) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Deadline.DeadlineExceeded | CircuitBreaker.CircuitOpen, R | SpeechGuards> =>
  Effect.flatMap(shareOfRest(shareOf(dependency)), (time) => Deadline.attempt(self, time)).pipe(
    Tracing.attempt,
    Retry.retry(again, { name: dependency }),
    SpeechBreakers.protect(dependency),
    Tracing.pipeline(dependency)
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

/** What speech may become, in bytes: more than twice what so many characters are, read slowly and in good quality. */
export const maxSpeechBytes = 32_000_000
