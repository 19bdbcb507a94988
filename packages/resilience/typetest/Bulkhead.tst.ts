import * as Bulkhead from "effect-resilience/Bulkhead"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"

class Busy extends Data.TaggedError("Busy")<{ readonly queue: number }> {}
class Weather extends Context.Service<Weather, { readonly calm: boolean }>()("Weather") {}

const call: Effect.Effect<number, Busy, Weather> = Effect.fail(new Busy({ queue: 1 }))

class Bulkheads extends Bulkhead.Service<Bulkheads>()("app/Bulkheads", {
  openai: { limit: 50, queue: 100, maxWait: "2 seconds" },
  database: { limit: 10 }
}) {}

describe("Bulkhead.run", () => {
  test("adds its error and its service to the call's, data first and data last", () => {
    type Guarded = Effect.Effect<number, Busy | Bulkhead.BulkheadRejected, Weather | Bulkhead.Bulkhead>
    expect(Bulkhead.run(call)).type.toBe<Guarded>()
    expect(Bulkhead.run(call, { priority: 1 })).type.toBe<Guarded>()
    expect(call.pipe(Bulkhead.run())).type.toBe<Guarded>()
    expect(call.pipe(Bulkhead.run({ priority: 1 }))).type.toBe<Guarded>()
    expect(Bulkhead.run).type.not.toBeCallableWith(call, { importance: 1 })
  })

  test("a bulkhead of one's own needs no service", () => {
    expect(Bulkhead.make({ name: "a", limit: 1 })).type.toBe<Effect.Effect<Bulkhead.Bulkhead["Service"]>>()
    const guarded = Effect.flatMap(Bulkhead.make({ name: "a", limit: 1 }), (bulkhead) => call.pipe(bulkhead.run))
    expect(guarded).type.toBe<Effect.Effect<number, Busy | Bulkhead.BulkheadRejected, Weather>>()
  })

  test("the reason is one of two", () => {
    expect<Bulkhead.BulkheadRejected["reason"]>().type.toBe<"Full" | "WaitTimeout">()
  })
})

describe("the options of a bulkhead", () => {
  test("need a name and a limit", () => {
    expect(Bulkhead.layer).type.toBeCallableWith({ name: "a", limit: 1 })
    expect(Bulkhead.layer).type.not.toBeCallableWith({ limit: 1 })
    expect(Bulkhead.layer).type.not.toBeCallableWith({ name: "a" })
    expect(Bulkhead.layer).type.not.toBeCallableWith({ name: "a", limit: 1, order: "random" })
  })

  test("from Config may fail", () => {
    expect<ReturnType<typeof Bulkhead.layerConfig>>().type.toBe<
      Layer.Layer<Bulkhead.Bulkhead, Config.ConfigError>
    >()
  })
})

describe("Bulkhead.Service", () => {
  test("knows the names that were declared", () => {
    type Guarded = Effect.Effect<number, Busy | Bulkhead.BulkheadRejected, Weather | Bulkheads>
    expect(Bulkheads.run(call, "openai")).type.toBe<Guarded>()
    expect(Bulkheads.run(call, "openai", { priority: 1 })).type.toBe<Guarded>()
    expect(call.pipe(Bulkheads.run("openai"))).type.toBe<Guarded>()
    expect(call.pipe(Bulkheads.run("database", { priority: 1 }))).type.toBe<Guarded>()
    expect(Bulkheads.run).type.not.toBeCallableWith("opnai")
    expect(Bulkheads.run).type.not.toBeCallableWith(call, "opnai")
  })

  test("is provided by its layers", () => {
    expect(Bulkheads.layer).type.toBe<Layer.Layer<Bulkheads>>()
    expect(Bulkheads.layerNoop).type.toBe<Layer.Layer<Bulkheads>>()
    expect<ReturnType<typeof Bulkheads.layerConfig>>().type.toBe<Layer.Layer<Bulkheads, Config.ConfigError>>()
    expect(Bulkheads.use((all) => Effect.succeed(all.database))).type.toBe<
      Effect.Effect<Bulkhead.Bulkhead["Service"], never, Bulkheads>
    >()
  })

  test("takes no option that there is not", () => {
    expect(Bulkhead.Service<Bulkheads>()).type.not.toBeCallableWith("app/Wrong", { a: { queue: 1 } })
  })
})
