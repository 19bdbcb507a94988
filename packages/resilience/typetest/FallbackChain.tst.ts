import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Retry from "effect-resilience/Retry"
import type { RetryBudget } from "effect-resilience/RetryBudget"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as ExecutionPlan from "effect/ExecutionPlan"
import type * as Layer from "effect/Layer"
import type * as KeyValueStore from "effect/persistence/KeyValueStore"
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

declare const primary: Layer.Layer<KeyValueStore.KeyValueStore, Unbuilt, Http>
declare const models: FallbackChain.FallbackChain<LanguageModel.LanguageModel, Open, Breaker>

describe("what a chain provides in front of others", () => {
  test("a language model that needs what its chain does", () => {
    expect(FallbackChain.languageModel(models)).type.toBe<Layer.Layer<LanguageModel.LanguageModel, never, Breaker>>()
    expect(FallbackChain.languageModel).type.not.toBeCallableWith(chain)
  })

  test("a store whose first one may fail to be built later", () => {
    expect(FallbackChain.storage({ primary })).type.toBe<
      Layer.Layer<
        KeyValueStore.KeyValueStore | FallbackChain.FallbackStorage,
        KeyValueStore.KeyValueStoreError,
        Http
      >
    >()
  })

  test("replies of any of the effects' types, whatever they failed with", () => {
    expect(FallbackChain.effects("replies", [["a", ask], ["b", Effect.succeed("none")]])).type.toBe<
      Effect.Effect<number | string, FallbackChain.FallbackExhausted, Model | Http>
    >()
    expect(FallbackChain.effectsServed("replies", [["a", ask]])).type.toBe<
      Effect.Effect<readonly [number, FallbackChain.Served], FallbackChain.FallbackExhausted, Model | Http>
    >()
  })
})

class Models extends FallbackChain.Service<Models>()("app/Models", [
  FallbackChain.route("a", plain, { guard: protect }),
  FallbackChain.route("b", needsHttp)
]) {}

describe("FallbackChain.Service", () => {
  test("is provided by its layers, which need what the routes are built from", () => {
    expect(Models.layer).type.toBe<Layer.Layer<Models, never, Http>>()
    expect<ReturnType<typeof Models.layerConfig>>().type.toBe<Layer.Layer<Models, Config.ConfigError, Http>>()
    expect(Effect.flatMap(Models, (models) => models.run(ask))).type.toBe<
      Effect.Effect<number, Down | Open | Unbuilt | FallbackChain.FallbackExhausted, Http | Breaker | Models>
    >()
  })
})
