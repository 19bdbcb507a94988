/** Options of the rooms, from data. Timings become schedules here. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Bulkhead from "../../Bulkhead.ts"
import * as CircuitBreaker from "../../CircuitBreaker.ts"
import type * as FallbackChain from "../../FallbackChain.ts"
import * as Hedge from "../../Hedge.ts"
import * as RateLimiter from "../../RateLimiter.ts"
import * as Retry from "../../Retry.ts"
import * as RetryBudget from "../../RetryBudget.ts"
import type { LimitOptions } from "./options.ts"
import type { Config } from "./schema.ts"

type Given<Name extends keyof Config> = NonNullable<Config[Name]>

const growing = ({ base, cap, factor }: { base: Duration.Duration; cap: Duration.Duration; factor?: number }) =>
  Retry.backoff({ base, cap, jitter: "none", ...(factor === undefined ? {} : { factor }) })

const isTime = <A>(value: Duration.Duration | A): value is Duration.Duration => Duration.isDuration(value)

type TripData = Given<"breaker">["trip"]

const tripOf = (trip: TripData): CircuitBreaker.Trip => {
  switch (trip.kind) {
    case "consecutive":
      return CircuitBreaker.consecutive(trip.failures)
    case "failureRate":
      return CircuitBreaker.failureRate({ ...trip, window: windowOf(trip.window) })
    case "slowCallRate":
      return CircuitBreaker.slowCallRate({ ...trip, window: windowOf(trip.window) })
    case "anyOf": {
      const [first, ...rest] = trip.rules
      return CircuitBreaker.anyOf(tripOf(first), ...rest.map(tripOf))
    }
  }
}

const windowOf = (window: Duration.Duration | { readonly calls: number }) =>
  isTime(window) ? window : CircuitBreaker.calls(window.calls)

/** Every option is there, so that a breaker that is reconfigured with it keeps none of before. */
export const breakerOf = (data: Given<"breaker">): Omit<CircuitBreaker.Options, "name"> => ({
  trip: tripOf(data.trip),
  openFor: data.openFor === undefined || isTime(data.openFor) ? data.openFor : growing(data.openFor),
  maxOpenFor: data.maxOpenFor,
  halfOpen: data.halfOpen,
  recovery: data.recovery === undefined
    ? undefined
    : CircuitBreaker.ramp(data.recovery.fractions, data.recovery.every),
  inFlight: data.inFlight,
  shadow: data.shadow,
  capacity: data.capacity,
  idleTimeToLive: data.idleTimeToLive
})

export const bulkheadOf = (data: Given<"bulkhead">): Bulkhead.UnnamedOptions => data

type RuleData = Given<"limit">["rules"][number]

const ruleOf = (rule: RuleData): RateLimiter.Rule => {
  const { onStoreError } = rule
  const common = {
    onStoreError: typeof onStoreError === "object" ? RateLimiter.local(onStoreError) : onStoreError
  }
  switch (rule.algorithm) {
    case "tokenBucket":
      return RateLimiter.tokenBucket({ ...rule, ...common })
    case "slidingWindow":
      return RateLimiter.slidingWindow({ ...rule, ...common })
    case "fixedWindow":
      return RateLimiter.fixedWindow({ ...rule, ...common })
    case "leakyBucket":
      return RateLimiter.leakyBucket({ ...rule, ...common })
    case "concurrency":
      return RateLimiter.concurrency({ ...rule, ...common })
  }
}

export const limitOf = ({ maxQueue, maxWait, rules }: Given<"limit">): LimitOptions => ({
  rules: rules.map(ruleOf),
  maxQueue,
  maxWait
})

export const hedgeOf = ({ delay, max, maxExtraLoad }: Given<"hedge">): Omit<Hedge.Options, "name"> => ({
  delay: isTime(delay) ? delay : Hedge.quantile(delay.quantile, delay),
  max,
  maxExtraLoad
})

/** Those of `Retry.standard`. */
const standardKinds: NonNullable<Given<"retry">["kinds"]> = {
  Transient: { base: Duration.millis(100), cap: Duration.seconds(5) },
  Timeout: { base: Duration.millis(100), cap: Duration.seconds(5) },
  Overloaded: { base: Duration.seconds(1), cap: Duration.seconds(20) },
  RateLimited: { base: Duration.seconds(1), cap: Duration.seconds(20) }
}

type Schedules = { readonly [K in Retry.Retryable]?: Schedule.Schedule<Duration.Duration> }

const schedulesOf = (kinds: NonNullable<Given<"retry">["kinds"]>): Schedules =>
  Object.fromEntries(Object.entries(kinds).map(([kind, backoff]) => [kind, Retry.backoff(backoff)]))

/** What is not said is as in `Retry.standard`. */
export const retryOf = (
  { kinds = standardKinds, retryAfterCap = Duration.seconds(30), times = 2 }: Given<"retry">
): Schedule.Schedule<Duration.Duration, unknown, never, RetryBudget.RetryBudget> =>
  Retry.byKind(schedulesOf(kinds)).pipe(
    Schedule.upTo({ times }),
    Retry.respectRetryAfter({ cap: retryAfterCap }),
    Retry.withinDeadline,
    Retry.withBudget
  )

export const budgetOf = (data: Given<"retry">["budget"]) => {
  switch (data?.rule) {
    case "tokens":
      return RetryBudget.layerTokens(data)
    case "inFlight":
      return RetryBudget.layerInFlight(data)
    case "unlimited":
      return RetryBudget.layerUnlimited
    default:
      return RetryBudget.layer(data)
  }
}

/** The same policy, drawing on this budget and no other. */
export const drawingOn = <Output, Input, Error, Env>(
  policy: Schedule.Schedule<Output, Input, Error, Env | RetryBudget.RetryBudget>,
  budget: RetryBudget.RetryBudget["Service"]
): Schedule.Schedule<Output, Input, Error, Exclude<Env, RetryBudget.RetryBudget>> =>
  Schedule.fromStep(
    Effect.provideService(Schedule.toStep(policy), RetryBudget.RetryBudget, budget)
  ) as Schedule.Schedule<
    Output,
    Input,
    Error,
    // Its steps hold the budget that they began with and ask for none.
    Exclude<Env, RetryBudget.RetryBudget>
  >

export const chainOptionsOf = (
  { budget, cooldown, haltFor, maxWait, order }: Given<"fallback">
): FallbackChain.Options => ({
  order,
  haltFor,
  maxWait,
  budget,
  cooldown: cooldown === undefined ? undefined : growing(cooldown)
})
