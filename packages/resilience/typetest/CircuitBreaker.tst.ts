import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import type * as Core from "effect/persistence/CircuitBreaker"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { describe, expect, test } from "tstyche"

class Declined extends Data.TaggedError("Declined")<{ readonly code: string }> {}
class Ledger extends Context.Service<Ledger, { readonly balance: number }>()("Ledger") {}

declare const breaker: CircuitBreaker.Breaker
declare const charge: Effect.Effect<number, Declined, Ledger>

type Guarded = Effect.Effect<number, Declined | CircuitBreaker.CircuitOpen, Ledger>

describe("protect", () => {
  test("adds its error and nothing else, data first and data last", () => {
    expect(breaker.protect(charge)).type.toBe<Guarded>()
    expect(breaker.protect(charge, { key: "a" })).type.toBe<Guarded>()
    expect(charge.pipe(breaker.protect())).type.toBe<Guarded>()
    expect(charge.pipe(breaker.protect({ key: "a" }))).type.toBe<Guarded>()
  })

  test("gives a classifier the exits of its call", () => {
    expect(breaker.protect(charge, {
      classify: (exit) => {
        expect(exit).type.toBe<Exit.Exit<number, Declined>>()
        return CircuitBreaker.ignored
      }
    })).type.toBe<Guarded>()
    expect(charge.pipe(breaker.protect({
      classify: (exit: Exit.Exit<number, Declined>) =>
        exit._tag === "Success" ? CircuitBreaker.success : CircuitBreaker.failure({ retryAfter: "1 second" })
    }))).type.toBe<Guarded>()
  })

  test("does not take the classifier of other exits", () => {
    const strings = (_: Exit.Exit<string, Declined>) => CircuitBreaker.ignored
    expect(breaker.protect).type.not.toBeCallableWith(charge, { classify: strings })
  })
})

describe("make and the layers", () => {
  const options = { name: "a", trip: CircuitBreaker.consecutive(1) }

  test("need a store", () => {
    expect(CircuitBreaker.make(options)).type.toBe<
      Effect.Effect<CircuitBreaker.Breaker, never, CircuitBreaker.CircuitBreakerStore | Scope.Scope>
    >()
    expect(CircuitBreaker.layer(options)).type.toBe<
      Layer.Layer<CircuitBreaker.CircuitBreaker, never, CircuitBreaker.CircuitBreakerStore>
    >()
    expect(CircuitBreaker.layerCore(options)).type.toBe<
      Layer.Layer<Core.CircuitBreaker, never, CircuitBreaker.CircuitBreakerStore>
    >()
    expect(CircuitBreaker.layerStoreMemory).type.toBe<Layer.Layer<CircuitBreaker.CircuitBreakerStore>>()
  })

  test("layerConfig may fail on its configuration", () => {
    expect(CircuitBreaker.layerConfig).type.toBe<
      (
        options: Config.Wrap<CircuitBreaker.Options>
      ) => Layer.Layer<CircuitBreaker.CircuitBreaker, Config.ConfigError, CircuitBreaker.CircuitBreakerStore>
    >()
  })

  test("a trip policy is not optional", () => {
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ name: "a" })
  })

  test("times are schedules that need nothing and cannot fail", () => {
    const failing = Schedule.recurs(1).pipe(Schedule.while(() => Effect.fail("no")))
    const needy = Schedule.recurs(1).pipe(Schedule.while(() => Effect.map(Ledger, ({ balance }) => balance > 0)))
    expect(CircuitBreaker.make).type.toBeCallableWith({ ...options, openFor: Schedule.exponential("1 second") })
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ ...options, openFor: failing })
    expect(CircuitBreaker.make).type.not.toBeCallableWith({ ...options, openFor: needy })
    expect(CircuitBreaker.make).type.toBeCallableWith({
      ...options,
      recovery: CircuitBreaker.ramp([0.1, 0.5], "10 seconds")
    })
    expect(CircuitBreaker.make).type.not.toBeCallableWith({
      ...options,
      recovery: Schedule.recurs(1).pipe(Schedule.map(() => Effect.succeed("half")))
    })
  })
})

describe("Service", () => {
  class Breakers extends CircuitBreaker.Service<Breakers>()("test/Breakers", {
    llm: { trip: CircuitBreaker.consecutive(1) },
    tts: { trip: CircuitBreaker.consecutive(1), openFor: "5 seconds" }
  }) {}

  test("knows its names", () => {
    expect(Breakers.protect).type.toBeCallableWith("llm")
    expect(Breakers.protect).type.toBeCallableWith("tts", { key: "eu" })
    expect(Breakers.protect).type.not.toBeCallableWith("lmm")
    expect(Breakers.get).type.not.toBeCallableWith("lmm")
    expect(Breakers.names).type.toBe<ReadonlyArray<"llm" | "tts">>()
  })

  test("adds itself to what a call needs", () => {
    expect(charge.pipe(Breakers.protect("llm"))).type.toBe<
      Effect.Effect<number, Declined | CircuitBreaker.CircuitOpen, Ledger | Breakers>
    >()
    expect(Breakers.get("tts")).type.toBe<Effect.Effect<CircuitBreaker.Breaker, never, Breakers>>()
    expect(Breakers.layer).type.toBe<Layer.Layer<Breakers, never, CircuitBreaker.CircuitBreakerStore>>()
  })

  test("its options have no name of their own", () => {
    expect(CircuitBreaker.Service<Breakers>()).type.not.toBeCallableWith("test/Wrong", { llm: { openFor: "1 second" } })
  })
})
