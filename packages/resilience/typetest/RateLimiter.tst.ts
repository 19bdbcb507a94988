import * as RateLimiter from "effect-resilience/RateLimiter"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as CoreRateLimiter from "effect/persistence/RateLimiter"
import type * as Scope from "effect/Scope"
import { describe, expect, test } from "tstyche"

class Busy extends Data.TaggedError("Busy")<{}> {}
declare const busy: Effect.Effect<number, Busy, Weather>
interface Weather extends Context.Key<"Weather", "Weather"> {}

declare const limiter: RateLimiter.RateLimiter["Service"]

const api = RateLimiter.policy("api", [RateLimiter.perMinute(10)])

class Limits extends RateLimiter.Service<Limits>()("Limits", {
  perUser: api,
  openai: [RateLimiter.perMinute(10), RateLimiter.concurrency({ limit: 2 })]
}) {}

describe("a limiter", () => {
  test("decides without an error of its own", () => {
    expect(limiter.consume({ policy: api, key: "k" })).type.toBe<Effect.Effect<RateLimiter.Decision>>()
    expect(limiter.peek([{ policy: api, key: "k", cost: { tokens: 1, cost: undefined } }])).type.toBe<
      Effect.Effect<RateLimiter.Decision>
    >()
  })

  test("adds its errors to those of the call, and nothing to what it needs", () => {
    expect(busy.pipe(limiter.limit({ policy: api, key: "k" }))).type.toBe<
      Effect.Effect<number, Busy | RateLimiter.RateLimited | RateLimiter.RateLimiterUnavailable, Weather>
    >()
    expect(limiter.reserve({ policy: api, key: "k" }, { estimate: 1 })).type.toBe<
      Effect.Effect<
        RateLimiter.Reservation,
        RateLimiter.RateLimited | RateLimiter.RateLimiterUnavailable,
        Scope.Scope
      >
    >()
  })

  test("takes a policy, not a name", () => {
    expect(limiter.consume).type.not.toBeCallableWith({ policy: "api", key: "k" })
    expect(limiter.consume).type.not.toBeCallableWith({ policy: api })
  })

  test("needs a store", () => {
    expect(RateLimiter.layer).type.toBe<
      Layer.Layer<RateLimiter.RateLimiter, never, RateLimiter.RateLimiterStore>
    >()
    expect(RateLimiter.layerCore).type.toBe<
      Layer.Layer<CoreRateLimiter.RateLimiter, never, RateLimiter.RateLimiterStore>
    >()
  })
})

describe("a registry", () => {
  test("knows its names: a misspelt one does not compile", () => {
    expect(Limits.consume).type.toBeCallableWith({ policy: "perUser", key: "k" })
    expect(Limits.consume).type.not.toBeCallableWith({ policy: "perUsr", key: "k" })
    expect(Limits.limit).type.not.toBeCallableWith([{ policy: "perUser", key: "k" }, { policy: "openia", key: "k" }])
  })

  test("is needed by what it limits", () => {
    expect(busy.pipe(Limits.limit({ policy: "openai", key: "k" }))).type.toBe<
      Effect.Effect<number, Busy | RateLimiter.RateLimited | RateLimiter.RateLimiterUnavailable, Weather | Limits>
    >()
    expect(Limits.layer).type.toBe<Layer.Layer<Limits, never, RateLimiter.RateLimiterStore>>()
  })
})

describe("a decision", () => {
  test("is one of three", () => {
    const decision = {} as RateLimiter.Decision
    expect(decision._tag).type.toBe<"Allowed" | "Denied" | "StoreUnavailable">()
    if (decision._tag === "StoreUnavailable") expect(decision.mode).type.toBe<"open" | "closed" | "local">()
  })
})
