import * as Hedge from "effect-resilience/Hedge"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { describe, expect, test } from "tstyche"

class Busy extends Data.TaggedError("Busy")<{ readonly queue: number }> {}
class Weather extends Context.Service<Weather, { readonly calm: Effect.Effect<boolean> }>()("Weather") {}

const call: Effect.Effect<number, Busy, Weather> = Effect.fail(new Busy({ queue: 1 }))

describe("Hedge.run", () => {
  test("changes nothing about the call's type, data first and data last", () => {
    expect(Hedge.run(call, { delay: "1 second" })).type.toBe<Effect.Effect<number, Busy, Weather>>()
    expect(call.pipe(Hedge.run({ delay: "1 second" }))).type.toBe<Effect.Effect<number, Busy, Weather>>()
  })

  test("a function of Hedge.run(options) takes every effect", () => {
    const hedged = Hedge.run({ delay: Hedge.quantile(0.95) })
    expect(hedged(call)).type.toBe<Effect.Effect<number, Busy, Weather>>()
    expect(hedged(Effect.succeed("a"))).type.toBe<Effect.Effect<string>>()
  })

  test("needs a delay", () => {
    expect(Hedge.run).type.not.toBeCallableWith(call, {})
    expect(Hedge.run).type.not.toBeCallableWith(call, { max: 1 })
  })
})

describe("a delay", () => {
  test("is a duration, a quantile or a schedule", () => {
    expect<Hedge.Delay>().type.toBeAssignableFrom<number>()
    expect<Hedge.Delay>().type.toBeAssignableFrom<Hedge.Quantile>()
    expect<Hedge.Delay>().type.toBeAssignableFrom<Schedule.Schedule<unknown>>()
    expect(Hedge.quantile(0.95)).type.toBe<Hedge.Quantile>()
  })

  test("is no schedule that may fail or needs a service", () => {
    const failing = Schedule.recurs(1).pipe(Schedule.while(() => Effect.fail(new Busy({ queue: 1 }))))
    const needing = Schedule.recurs(1).pipe(Schedule.while(() => Effect.flatMap(Weather, ({ calm }) => calm)))
    expect(Hedge.make).type.not.toBeCallableWith({ delay: failing })
    expect(Hedge.make).type.not.toBeCallableWith({ delay: needing })
  })

  test("of a schedule knows the attempts and nothing of the call", () => {
    const byAttempts = Schedule.recurs(1).pipe(Schedule.setInputType<number>())
    const byErrors = Schedule.recurs(1).pipe(Schedule.setInputType<Busy>())
    expect(Hedge.make).type.toBeCallableWith({ delay: byAttempts })
    expect(Hedge.make).type.not.toBeCallableWith({ delay: byErrors })
  })
})

describe("Hedge.make and its layers", () => {
  test("need nothing", () => {
    expect(Hedge.make({ delay: "1 second" })).type.toBe<Effect.Effect<Hedge.Hedge["Service"]>>()
    expect(Hedge.layer({ delay: "1 second" })).type.toBe<Layer.Layer<Hedge.Hedge>>()
    expect(Hedge.layerNoop).type.toBe<Layer.Layer<Hedge.Hedge>>()
  })

  test("from Config may fail with a ConfigError", () => {
    expect(Hedge.layerConfig({ delay: Config.Duration("DELAY") })).type.toBe<
      Layer.Layer<Hedge.Hedge, Config.ConfigError>
    >()
    expect(Hedge.layerConfig).type.toBeCallableWith({
      delay: Config.all({ quantile: Config.Number("P") })
    })
    expect(Hedge.layerConfig).type.not.toBeCallableWith({ delay: Config.Boolean("DELAY") })
  })
})
