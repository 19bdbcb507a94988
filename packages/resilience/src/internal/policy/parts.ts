/** The rooms that a policy is composed of, made from its options. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Bulkhead from "../../Bulkhead.ts"
import * as CircuitBreaker from "../../CircuitBreaker.ts"
import type * as DeadLetterQueue from "../../DeadLetterQueue.ts"
import * as FallbackChain from "../../FallbackChain.ts"
import * as Hedge from "../../Hedge.ts"
import * as RateLimiter from "../../RateLimiter.ts"
import type * as ResponseCache from "../../ResponseCache.ts"
import { durationMillis, positiveMillis } from "../options.ts"
import { type Bulkheads, PerKey, shared } from "./bulkheads.ts"
import type { AnyEffect } from "./call.ts"
import type { LimitOptions, Options, Times } from "./options.ts"
import type { OnRoute } from "./stages.ts"

/** The times of a policy, in milliseconds. `call` is `Infinity` where only the other two count. */
export interface Limits {
  readonly total: number
  readonly call: number
  readonly attempt: number
}

export interface Limit {
  readonly limiter: RateLimiter.RateLimiter["Service"]
  readonly policy: RateLimiter.Policy
  readonly wait: RateLimiter.WaitOptions | undefined
}

/** What a policy has, ready to be composed. */
export interface Parts {
  readonly name: string
  readonly times: Limits
  readonly retry: Schedule.Schedule<unknown, unknown, unknown, unknown> | undefined
  readonly breaker: CircuitBreaker.Breaker | undefined
  readonly bulkheads: Bulkheads | undefined
  readonly limit: Limit | undefined
  readonly hedge: Hedge.Hedge["Service"] | undefined
  readonly chain: FallbackChain.FallbackChain<unknown, unknown, unknown> | undefined
  /** What else is done on each of its routes. */
  readonly onRoute: OnRoute | undefined
  readonly reply: ((error: unknown) => AnyEffect) | undefined
  readonly deadLetter: DeadLetterQueue.DeadLetterQueue<unknown> | undefined
  readonly cache: ResponseCache.ResponseCache<unknown, unknown> | undefined
  readonly idempotent: boolean
}

/** What a breaker and a chain leave of the total for the call, unless somebody says how much. */
const callShare = 0.9

/** Throws a `RangeError` for a time that is none. */
export const timesOf = (options: Pick<Options, "deadline" | "breaker" | "fallback">): Limits => {
  const { deadline } = options
  const given: Times = deadline === undefined ? {} : isTimes(deadline) ? deadline : { total: deadline }
  const millis = (name: keyof Times, otherwise: number): number => {
    const time = given[name]
    return time === undefined ? otherwise : positiveMillis(`deadline.${name}`, time, { infinite: true })
  }
  const total = millis("total", Infinity)
  const needsRoom = options.breaker !== undefined || FallbackChain.isFallbackChain(options.fallback)
  return { total, call: millis("call", needsRoom ? total * callShare : Infinity), attempt: millis("attempt", Infinity) }
}

const isTimes = (deadline: NonNullable<Options["deadline"]>): deadline is Times =>
  typeof deadline === "object" && ("total" in deadline || "call" in deadline || "attempt" in deadline)

/** Throws a `RangeError` for options out of their range; making what is left may need services. */
export const partsOf = (
  options: Options
): Effect.Effect<Parts, never, CircuitBreaker.CircuitBreakerStore | RateLimiter.RateLimiter | Scope.Scope> => {
  const { bulkhead, cache, deadLetter, fallback, hedge, idempotent = true, name, retry } = options
  if (name === "") throw new RangeError("name must not be empty")
  const breaker = breakerOf(name, options.breaker)
  const limit = limitOf(name, options.limit)
  const known = {
    name,
    times: timesOf(options),
    // What it understands and needs is in the policy's type.
    retry: retry as Parts["retry"],
    bulkheads: bulkhead === undefined ? undefined : bulkheadsOf(name, bulkhead),
    chain: FallbackChain.isFallbackChain(fallback) ? fallback : undefined,
    onRoute: undefined,
    reply: typeof fallback === "function" ? fallback : undefined,
    deadLetter,
    cache,
    idempotent
  }
  const madeHedge = hedge === undefined || Hedge.isHedge(hedge)
    ? Effect.succeed(hedge)
    : Hedge.make({ ...hedge, name })
  return Effect.map(
    Effect.all([breaker, limit, madeHedge]),
    ([breaker, limit, hedge]) => ({ ...known, breaker, limit, hedge })
  )
}

const breakerOf = (name: string, breaker: Options["breaker"]) =>
  breaker === undefined || CircuitBreaker.isCircuitBreaker(breaker)
    ? Effect.succeed(breaker)
    : CircuitBreaker.make({ ...breaker, name })

export const bulkheadsOf = (name: string, bulkhead: NonNullable<Options["bulkhead"]>): Bulkheads =>
  Bulkhead.isBulkhead(bulkhead)
    ? shared(bulkhead)
    : new PerKey((_key, options) => Effect.runSync(Bulkhead.make({ ...options, name })), bulkhead)

export const limitOf = (
  name: string,
  limit: Options["limit"]
): Effect.Effect<Limit | undefined, never, RateLimiter.RateLimiter> => {
  if (limit === undefined) return Effect.undefined
  const { policy, wait } = rulesOf(name, limit)
  if (wait?.maxWait !== undefined) durationMillis("limit.maxWait", wait.maxWait)
  return Effect.map(RateLimiter.RateLimiter, (limiter) => ({ limiter, policy, wait }))
}

/** A rule, rules, a policy of rules, and each of these with how long to wait. */
const rulesOf = (
  name: string,
  limit: NonNullable<Options["limit"]>
): Pick<Limit, "policy" | "wait"> => {
  if (isRules(limit)) return { policy: RateLimiter.policy(name, limit), wait: undefined }
  if ("algorithm" in limit) return { policy: RateLimiter.policy(name, [limit]), wait: undefined }
  if ("bareUnit" in limit) return { policy: limit, wait: undefined }
  const { maxQueue, maxWait, rules } = limit
  const policy = isRules(rules) ? RateLimiter.policy(name, rules) : rules
  return { policy, wait: maxWait === undefined && maxQueue === undefined ? undefined : { maxWait, maxQueue } }
}

const isRules = (limit: NonNullable<Options["limit"]> | LimitOptions["rules"]): limit is ReadonlyArray<
  RateLimiter.Rule
> => Array.isArray(limit)

export const formatMillis = (millis: number): string => Duration.format(Duration.millis(millis))
