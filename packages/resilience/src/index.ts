/**
 * Resilience for Effect 4: policies as Layers, timings as Schedules, errors typed, decisions observable.
 *
 * @since 0.1.0
 */
export * as Bulkhead from "./Bulkhead.ts"
export * as CircuitBreaker from "./CircuitBreaker.ts"
export * as ConcurrencyLimit from "./ConcurrencyLimit.ts"
export * as Deadline from "./Deadline.ts"
export * as Failure from "./Failure.ts"
export * as FallbackChain from "./FallbackChain.ts"
export * as Hedge from "./Hedge.ts"
export * as ResponseCache from "./ResponseCache.ts"
export * as Retry from "./Retry.ts"
export * as RetryBudget from "./RetryBudget.ts"
export * as Signal from "./Signal.ts"
