import * as Logging from "effect-resilience/Logging"
import type * as Config from "effect/Config"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"

declare const call: Effect.Effect<number, "failed", "service">

describe("Logging.category", () => {
  test("leaves the effect's type as it is, data first and data last", () => {
    expect(Logging.category(call, "llm")).type.toBe<typeof call>()
    expect(call.pipe(Logging.category("storage"))).type.toBe<typeof call>()
    expect(Logging.category).type.not.toBeCallableWith(call, "misc")
  })
})

describe("the layers", () => {
  test("need nothing, and may fail only where Config does", () => {
    expect(Logging.layerJson).type.not.toBeCallableWith({ service: "a" })
    expect(Logging.layerJson({ service: "a", version: "b", sample: { info: 0.5 } })).type.toBe<Layer.Layer<never>>()
    expect<ReturnType<typeof Logging.layerJsonConfig>>().type.toBe<Layer.Layer<never, Config.ConfigError>>()
    expect(Logging.layerSignals).type.toBe<Layer.Layer<never>>()
  })
})
