/** What the tests of stores of rate limits have in common. */
import type { Vitest } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"

export type Limiter = RateLimiter.RateLimiter["Service"]

let policies = 0

/** A policy that no other test has. */
export const fresh = (...rules: ReadonlyArray<RateLimiter.Rule>): RateLimiter.Policy =>
  RateLimiter.policy(`suite-${Date.now().toString(36)}-${policies++}`, rules)

export const tags = (decisions: ReadonlyArray<RateLimiter.Decision>) => decisions.map(({ _tag }) => _tag)

/** How many of so many requests are let through. */
export const admitted = (limiter: Limiter, checks: RateLimiter.Checks, times: number, concurrency: number) =>
  Effect.map(
    Effect.all(Array.from({ length: times }, () => limiter.consume(checks)), { concurrency }),
    (decisions) => tags(decisions).filter((tag) => tag === "Allowed").length
  )

/** What is left of each rule. */
export const remaining = (limiter: Limiter, check: RateLimiter.Check) =>
  Effect.map(limiter.peek({ ...check, cost: 0 }), ({ rules }) => rules.map(({ remaining }) => remaining))

/** Long enough not to pass while a test runs. */
export const long = "1 hour"

/** The tests of a layer that provides the store and the limiter over it. */
export type It = Vitest.MethodsNonLive<RateLimiter.RateLimiter | RateLimiter.RateLimiterStore>

/** Registers a test that is given the limiter over the store. */
export type Test = (
  title: string,
  body: (limiter: Limiter) => Effect.Effect<void, unknown, RateLimiter.RateLimiterStore>
) => void
