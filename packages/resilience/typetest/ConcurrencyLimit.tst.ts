import * as ConcurrencyLimit from "effect-resilience/ConcurrencyLimit"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"

class Busy extends Data.TaggedError("Busy")<{ readonly queue: number }> {}
class Weather extends Context.Service<Weather, { readonly calm: boolean }>()("Weather") {}

const call: Effect.Effect<number, Busy, Weather> = Effect.fail(new Busy({ queue: 1 }))

describe("ConcurrencyLimit.run", () => {
  test("adds its error and its service to the call's", () => {
    type Guarded = Effect.Effect<
      number,
      Busy | ConcurrencyLimit.ConcurrencyLimited,
      Weather | ConcurrencyLimit.ConcurrencyLimit
    >
    expect(ConcurrencyLimit.run(call)).type.toBe<Guarded>()
    expect(call.pipe(ConcurrencyLimit.run)).type.toBe<Guarded>()
  })

  test("a limit of one's own needs no service", () => {
    const guarded = Effect.flatMap(ConcurrencyLimit.make({ name: "a" }), (limit) => call.pipe(limit.run))
    expect(guarded).type.toBe<Effect.Effect<number, Busy | ConcurrencyLimit.ConcurrencyLimited, Weather>>()
  })
})

describe("the options of a concurrency limit", () => {
  test("take an algorithm, or its name", () => {
    expect(ConcurrencyLimit.layer).type.toBeCallableWith({ name: "a" })
    expect(ConcurrencyLimit.layer).type.toBeCallableWith({ name: "a", algorithm: "vegas" })
    expect(ConcurrencyLimit.layer).type.toBeCallableWith({ name: "a", algorithm: ConcurrencyLimit.aimd() })
    expect(ConcurrencyLimit.layer).type.not.toBeCallableWith({ name: "a", algorithm: "best" })
    expect(ConcurrencyLimit.layer).type.not.toBeCallableWith({ min: 1 })
    expect(ConcurrencyLimit.vegas).type.not.toBeCallableWith({ tolerance: 2 })
  })

  test("come from Config, too", () => {
    const name = Config.succeed("a")
    expect(ConcurrencyLimit.layerConfig).type.toBeCallableWith({
      name,
      algorithm: Config.Literals(["vegas", "aimd"], "ALGORITHM")
    })
    expect(ConcurrencyLimit.layerConfig).type.toBeCallableWith({
      name,
      algorithm: Config.succeed(ConcurrencyLimit.vegas())
    })
    expect<ReturnType<typeof ConcurrencyLimit.layerConfig>>().type.toBe<
      Layer.Layer<ConcurrencyLimit.ConcurrencyLimit, Config.ConfigError>
    >()
  })
})

describe("ConcurrencyLimit.shed", () => {
  test("adds its error and its service to the call's, data first and data last", () => {
    type Guarded = Effect.Effect<number, Busy | ConcurrencyLimit.CallShed, Weather | ConcurrencyLimit.Shedder>
    expect(ConcurrencyLimit.shed(call)).type.toBe<Guarded>()
    expect(ConcurrencyLimit.shed(call, { criticality: "Sheddable" })).type.toBe<Guarded>()
    expect(call.pipe(ConcurrencyLimit.shed())).type.toBe<Guarded>()
    expect(call.pipe(ConcurrencyLimit.shed({ criticality: "Critical" }))).type.toBe<Guarded>()
    expect(ConcurrencyLimit.shed).type.not.toBeCallableWith(call, { criticality: "Urgent" })
  })

  test("a shedder of one's own needs no service", () => {
    const guarded = Effect.flatMap(ConcurrencyLimit.shedder({ name: "a" }), (shedder) => call.pipe(shedder.run))
    expect(guarded).type.toBe<Effect.Effect<number, Busy | ConcurrencyLimit.CallShed, Weather>>()
  })
})
