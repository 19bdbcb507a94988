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
export * as Hedge from "./Hedge.ts"
export * as Admission from "./http/Admission.ts"
export * as ApiKey from "./http/ApiKey.ts"
export * as ClientAddress from "./http/ClientAddress.ts"
export * as Problem from "./http/Problem.ts"
export * as ProblemReplies from "./http/ProblemReplies.ts"
export * as RateLimitHeaders from "./http/RateLimitHeaders.ts"
export * as RequestId from "./http/RequestId.ts"
export * as Retry from "./Retry.ts"
export * as RetryBudget from "./RetryBudget.ts"
export * as Signal from "./Signal.ts"
