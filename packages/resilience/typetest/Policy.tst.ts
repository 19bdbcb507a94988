import type * as Bulkhead from "effect-resilience/Bulkhead"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import type * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import type * as Deadline from "effect-resilience/Deadline"
import type * as FallbackChain from "effect-resilience/FallbackChain"
import * as HttpClientPolicy from "effect-resilience/HttpClientPolicy"
import * as Policy from "effect-resilience/Policy"
import * as RateLimiter from "effect-resilience/RateLimiter"
import type * as ResponseCache from "effect-resilience/ResponseCache"
import * as Retry from "effect-resilience/Retry"
import type * as RetryBudget from "effect-resilience/RetryBudget"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { describe, expect, test } from "tstyche"

class Busy extends Data.TaggedError("Busy")<{ readonly queue: number }> {}
class Sorry extends Data.TaggedError("Sorry")<{}> {}
class Weather extends Context.Service<Weather, { readonly calm: boolean }>()("Weather") {}
class Model extends Context.Service<Model, { readonly ask: Effect.Effect<string> }>()("Model") {}

declare const call: Effect.Effect<number, Busy, Weather>
declare const chain: FallbackChain.FallbackChain<Model, Sorry, Weather>
declare const queue: DeadLetterQueue.DeadLetterQueue<{ readonly order: number }>
declare const cache: ResponseCache.ResponseCache<string, number>
declare const onlyBusy: Schedule.Schedule<unknown, Busy>

const made = <E, R, T extends Policy.Traits, R2>(_: Effect.Effect<Policy.Policy<E, R, T>, never, R2>) =>
  undefined as unknown as Policy.Policy<E, R, T>

type Limited = RateLimiter.RateLimited | RateLimiter.RateLimiterUnavailable

describe("Policy.make", () => {
  test("adds the errors of what is given, and of nothing else", () => {
    expect(made(Policy.make({ name: "a" })).run(call)).type.toBe<Effect.Effect<number, Busy, Weather>>()
    expect(made(Policy.make({ name: "a", deadline: "1 second" })).run(call)).type.toBe<
      Effect.Effect<number, Busy | Deadline.DeadlineExceeded, Weather>
    >()
    expect(
      made(Policy.make({
        name: "a",
        deadline: { total: "1 second" },
        breaker: { trip: CircuitBreaker.consecutive(1) },
        bulkhead: { limit: 1 },
        limit: RateLimiter.perSecond(1),
        retry: Retry.standard,
        hedge: { delay: "1 second" }
      })).run(call)
    ).type.toBe<
      Effect.Effect<
        number,
        Busy | Deadline.DeadlineExceeded | CircuitBreaker.CircuitOpen | Bulkhead.BulkheadRejected | Limited,
        Weather | RetryBudget.RetryBudget
      >
    >()
  })

  test("needs what its parts are made with", () => {
    type Needs<T> = T extends Effect.Effect<infer _A, infer _E, infer R> ? R : never
    const plain = Policy.make({ name: "a", deadline: "1 second", bulkhead: { limit: 1 } })
    expect<Needs<typeof plain>>().type.toBe<never>()
    const broken = Policy.make({ name: "a", breaker: { trip: CircuitBreaker.consecutive(1) } })
    expect<Needs<typeof broken>>().type.toBe<CircuitBreaker.CircuitBreakerStore | Scope.Scope>()
    const limited = Policy.make({ name: "a", limit: RateLimiter.perSecond(1) })
    expect<Needs<typeof limited>>().type.toBe<RateLimiter.RateLimiter>()
    const given = Policy.make({ name: "a", breaker: undefined as unknown as CircuitBreaker.Breaker })
    expect<Needs<typeof given>>().type.toBe<never>()
  })

  test("a chain gives its service, and adds what its routes fail with and need", () => {
    const ask: Effect.Effect<string, Busy, Model> = Effect.fail(new Busy({ queue: 1 }))
    expect(made(Policy.make({ name: "a", fallback: chain })).run(ask)).type.toBe<
      Effect.Effect<string, Busy | Sorry | FallbackChain.FallbackExhausted, Weather>
    >()
  })

  test("a function may answer with something else", () => {
    const policy = made(Policy.make({ name: "a", fallback: () => Effect.succeed("sorry") }))
    expect(policy.run(call)).type.toBe<Effect.Effect<number | string, Busy, Weather>>()
  })

  test("a cache and a queue ask for what they need, and a cache for its values", () => {
    const cached = made(Policy.make({ name: "a", cache }))
    expect(cached.run(call, { request: "why?" })).type.toBe<Effect.Effect<number, Busy, Weather>>()
    expect(cached.run).type.not.toBeCallableWith(call)
    expect(cached.run).type.not.toBeCallableWith(call, { request: 1 })
    expect(cached.run).type.not.toBeCallableWith(Effect.succeed("text"), { request: "why?" })
    const kept = made(Policy.make({ name: "a", deadLetter: queue }))
    expect(kept.run(call, { letter: { order: 1 } })).type.toBe<
      Effect.Effect<
        number,
        Busy | DeadLetterQueue.DeadLetterStoreError | DeadLetterQueue.PayloadUnencodable,
        Weather
      >
    >()
    expect(kept.run).type.not.toBeCallableWith(call, { key: "a" })
  })

  test("retries understand the errors of the call", () => {
    const policy = made(Policy.make({ name: "a", retry: onlyBusy }))
    expect(policy.run).type.toBeCallableWith(call)
    expect(policy.run).type.not.toBeCallableWith(Effect.fail(new Sorry()))
  })

  test("takes no option that there is not", () => {
    expect(Policy.make).type.not.toBeCallableWith({ name: "a", bulkhed: { limit: 1 } })
    expect(Policy.make).type.not.toBeCallableWith({ deadline: "1 second" })
  })
})

describe("HttpClientPolicy.apply", () => {
  test("adds the policy's errors to the client's", () => {
    const client = undefined as unknown as HttpClient.HttpClient
    const policy = made(Policy.make({ name: "a", deadline: "1 second", bulkhead: { limit: 1 } }))
    expect(HttpClientPolicy.apply(client, policy)).type.toBe<
      HttpClient.HttpClient.With<
        HttpClientError.HttpClientError | Deadline.DeadlineExceeded | Bulkhead.BulkheadRejected
      >
    >()
    expect(HttpClientPolicy.apply(policy)(client)).type.toBe<
      HttpClient.HttpClient.With<
        HttpClientError.HttpClientError | Deadline.DeadlineExceeded | Bulkhead.BulkheadRejected
      >
    >()
  })

  test("refuses a policy that answers with something that is no reply", () => {
    const client = undefined as unknown as HttpClient.HttpClient
    const policy = made(Policy.make({ name: "a", fallback: () => Effect.succeed("sorry") }))
    expect(HttpClientPolicy.apply).type.not.toBeCallableWith(client, policy)
    expect(HttpClientPolicy.apply).type.not.toBeCallableWith(client, made(Policy.make({ name: "a", cache })))
  })
})
