import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Retry from "effect-resilience/Retry"
import type { RetryBudget } from "effect-resilience/RetryBudget"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as ExecutionPlan from "effect/ExecutionPlan"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { describe, expect, test } from "tstyche"

class Model extends Context.Service<Model, { readonly name: string }>()("Model") {}
class Extra extends Context.Service<Extra, {}>()("Extra") {}
class Http extends Context.Service<Http, {}>()("Http") {}
class Breaker extends Context.Service<Breaker, {}>()("Breaker") {}
class Open extends Data.TaggedError("Open")<{}> {}
class Unbuilt extends Data.TaggedError("Unbuilt")<{}> {}
class Down extends Data.TaggedError("Down")<{}> {}

declare const plain: Layer.Layer<Model>
declare const needsHttp: Layer.Layer<Model | Extra, Unbuilt, Http>
declare const context: Context.Context<Model>
declare const protect: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Open, R | Breaker>

declare const ask: Effect.Effect<number, Down, Model | Http>
declare const asks: Stream.Stream<number, Down, Model | Http>

describe("FallbackChain.route", () => {
  test("says what it provides, fails with, is built from and needs", () => {
    expect(FallbackChain.route("a", plain)).type.toBe<FallbackChain.Route<Model, never, never, never>>()
    expect(FallbackChain.route("a", context)).type.toBe<FallbackChain.Route<Model, never, never, never>>()
    expect(FallbackChain.route("a", needsHttp)).type.toBe<FallbackChain.Route<Model | Extra, Unbuilt, Http, never>>()
    expect(FallbackChain.route("a", plain, { retry: Retry.standard })).type.toBe<
      FallbackChain.Route<Model, never, never, RetryBudget>
    >()
    expect(FallbackChain.route("a", needsHttp, { guard: protect, retry: Retry.standard })).type.toBe<
      FallbackChain.Route<Model | Extra, Unbuilt | Open, Http, Breaker | RetryBudget>
    >()
  })
})

describe("FallbackChain.make", () => {
  const made = FallbackChain.make("models", [
    FallbackChain.route("a", plain, { guard: protect }),
    FallbackChain.route("b", needsHttp)
  ])

  test("needs what its routes are built from, and provides what all of them do", () => {
    expect(made).type.toBe<
      Effect.Effect<FallbackChain.FallbackChain<Model, Open | Unbuilt, Breaker>, never, Scope.Scope | Http>
    >()
  })

  test("wants at least one route", () => {
    expect(FallbackChain.make).type.not.toBeCallableWith("models", [])
  })
})

describe("a chain", () => {
  test("takes from an effect what its routes provide, and adds what they fail with and need", () => {
    expect<FallbackChain.FallbackChain<Model, Open, Breaker>>().type.toBeAssignableTo<{
      readonly run: (self: typeof ask) => Effect.Effect<
        number,
        Down | Open | FallbackChain.FallbackExhausted,
        Http | Breaker
      >
      readonly runServed: (self: typeof ask) => Effect.Effect<
        readonly [number, FallbackChain.Served],
        Down | Open | FallbackChain.FallbackExhausted,
        Http | Breaker
      >
      readonly stream: (self: typeof asks) => Stream.Stream<
        number,
        Down | Open | FallbackChain.FallbackExhausted,
        Http | Breaker
      >
    }>()
  })

  test("is an ExecutionPlan that provides the same", () => {
    expect<FallbackChain.FallbackChain<Model, Open, Breaker>["plan"]>().type.toBe<
      ExecutionPlan.ExecutionPlan<{ provides: Model; input: unknown; error: Open; requirements: Breaker }>
    >()
  })
})

declare const chain: FallbackChain.FallbackChain<Model, never, never>

describe("a stream along a chain", () => {
  test("needs to be told how it restarts or goes on", () => {
    expect(chain.stream).type.toBeCallableWith(asks)
    expect(chain.stream).type.toBeCallableWith(asks, { midStream: "fail" })
    expect(chain.stream).type.toBeCallableWith(asks, { midStream: "restart", restarted: () => -1 })
    expect(chain.stream).type.toBeCallableWith(asks, { midStream: "continue", resume: () => asks })
    expect(chain.stream).type.not.toBeCallableWith(asks, { midStream: "restart" })
    expect(chain.stream).type.not.toBeCallableWith(asks, { midStream: "continue" })
    expect(chain.stream).type.not.toBeCallableWith(asks, { midStream: "restart", restarted: () => "other" })
  })
})
