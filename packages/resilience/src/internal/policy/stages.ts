/** What each part of a policy does to a call. None knows of the others. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as CircuitBreaker from "../../CircuitBreaker.ts"
import type * as DeadLetterQueue from "../../DeadLetterQueue.ts"
import * as Deadline from "../../Deadline.ts"
import * as Failure from "../../Failure.ts"
import * as FallbackChain from "../../FallbackChain.ts"
import type * as Hedge from "../../Hedge.ts"
import type * as RateLimiter from "../../RateLimiter.ts"
import type * as ResponseCache from "../../ResponseCache.ts"
import * as Retry from "../../Retry.ts"
import * as Signal from "../../Signal.ts"
import { attemptSpan, pipelinePrefix, pipelineSpan, toldAttempt, toldPipeline } from "../pipelineSpans.ts"
import type { Bulkheads } from "./bulkheads.ts"
import { type AnyEffect, type Call, defaultKey, onRoute } from "./call.ts"

/** One part of a policy. */
export type Stage = (self: AnyEffect, call: Call) => AnyEffect

export const within = (duration: Duration.Duration): Stage => (self) => Deadline.within(self, duration)

/** Cuts nothing: each attempt is cut when this is over, and retries that would be later are not made. */
export const announced = (duration: Duration.Duration): Stage => (self) => Deadline.announce(self, duration)

export const attemptWithin = (duration: Duration.Duration): Stage => (self) => Deadline.attempt(self, duration)

export const limited = (
  limiter: RateLimiter.RateLimiter["Service"],
  policy: RateLimiter.Policy,
  wait: RateLimiter.WaitOptions | undefined
): Stage => {
  // What is asked is worked out when it is first known, and most policies ask for one key only.
  const plain = limiter.limit({ policy, key: defaultKey }, wait)
  return (self, { cost, limitKey }) =>
    limitKey === defaultKey && cost === undefined
      ? plain(self)
      : Effect.suspend(() => limiter.limit({ policy, key: limitKey, cost }, wait)(self))
}

export const broken = (breaker: CircuitBreaker.Breaker): Stage => (self, { key }) => breaker.protect(self, { key })

export const placed = (bulkheads: Bulkheads): Stage => (self, { bulkhead, key }) =>
  Effect.suspend(() => bulkheads.at(key).run(self, bulkhead))

/** How long a dependency may ask a call to wait that has no deadline: beyond that, nobody is waiting any more. */
const patience = "10 minutes"

/** What may not be done twice is not retried, and nothing is earlier than the dependency asked. */
export const retried = (
  name: string,
  policy: Schedule.Schedule<unknown, unknown, unknown, unknown>,
  hasDeadline: boolean
): Stage => {
  const asked = Retry.respectRetryAfter(policy, { cap: hasDeadline ? Infinity : patience })
  const around = Retry.retry(Retry.withinDeadline(asked), { name })
  return (self, { idempotent }) => idempotent ? around(self) : self
}

export const hedged = (hedge: Hedge.Hedge["Service"]): Stage => (self, { idempotent }) =>
  idempotent ? hedge.run(self) : self

/** The look-up of the call that runs. */
const CurrentLookUp = Context.Reference<AnyEffect | undefined>("effect-resilience/Policy/CurrentLookUp", {
  defaultValue: () => undefined
})

/** One look-up for all calls, so that those of one request at the same time share it. */
export const cached = (cache: ResponseCache.ResponseCache<unknown, unknown>): Stage => {
  const through = cache.through((_request) =>
    Effect.withFiber((fiber) => fiber.getRef(CurrentLookUp) ?? Effect.die("A cached policy looks up within its calls"))
  )
  return (self, { request }) =>
    request === undefined ? self : Effect.provideService(through(request), CurrentLookUp, self)
}

/** What a call does on a route, besides what all routes have. */
export type OnRoute = (route: string, self: AnyEffect, call: Call) => AnyEffect

/** Each route of a chain is a dependency of its own. */
export const chained = (
  chain: FallbackChain.FallbackChain<unknown, unknown, unknown>,
  inner: Stage,
  there: OnRoute | undefined
): Stage =>
(self, call) =>
  chain.run(
    Effect.flatMap(FallbackChain.currentRoute, (route) => {
      if (Option.isNone(route)) return inner(self, call)
      const at = route.value
      return inner(there === undefined ? self : there(at, self, call), onRoute(call, at))
    }),
    call.route
  )

/** The letter is kept before anybody hears that the call has failed; where it cannot be kept, that is said too. */
export const kept = (queue: DeadLetterQueue.DeadLetterQueue<unknown>): Stage => (self, { letter }) =>
  letter === undefined ?
    self :
    Effect.catchCause(self, (cause) =>
      Cause.hasInterruptsOnly(cause) ?
        Effect.failCause(cause) :
        Effect.matchCauseEffect(queue.offer(letter, { cause }), {
          onSuccess: () => Effect.failCause(cause),
          onFailure: (unkept) => Effect.failCause(Cause.combine(unkept, cause))
        }))

/** A bad request stays the caller's to mend. */
export const replied = (reply: (error: unknown) => AnyEffect): Stage => (self) =>
  Effect.catch(self, (error) =>
    Effect.withFiber((fiber) => {
      const { kind, scope } = Failure.infoUnsafe(fiber, error)
      return kind === "Cancelled" || kind === "Permanent" && scope === "request" ? Effect.fail(error) : reply(error)
    }))

/** One attempt, counted, and timed and traced where somebody wants to know. */
export const observedAttempt = (name: string): Stage => (self, call) =>
  Effect.withFiber((fiber) => {
    const attempt = ++call.attempts
    const told = Signal.isHeardUnsafe(fiber) ? toldAttempt(name, attempt)(self) : self
    // Without a pipeline's span around it an attempt's span would be nobody's.
    return fiber.cache.span?._tag === "Span" && fiber.cache.span.name === `${pipelinePrefix}${name}`
      ? attemptSpan(name, attempt)(told)
      : told
  })

export const isObserved = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.cache.span !== undefined || Signal.isHeardUnsafe(fiber)

/** The whole call, for those who listen, and for those who trace what is around it. */
export const observed = (
  fiber: Fiber.Fiber<unknown, unknown>,
  name: string,
  self: AnyEffect
): AnyEffect => {
  const told = Signal.isHeardUnsafe(fiber) ? toldPipeline(name)(self) : self
  return fiber.cache.span === undefined ? told : pipelineSpan(name)(told)
}
