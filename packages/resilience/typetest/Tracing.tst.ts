import * as Tracing from "effect-resilience/Tracing"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"

describe("Tracing", () => {
  test("reads the environment without failing", () => {
    expect(Tracing.fromEnv).type.toBe<Effect.Effect<Tracing.Sampler>>()
  })

  test("is a layer that needs nothing", () => {
    expect(Tracing.layer()).type.toBe<Layer.Layer<never>>()
    expect(Tracing.layer).type.toBeCallableWith({ sampler: Tracing.sampler.ratio(0.5), tail: false })
    expect(Tracing.layer).type.toBeCallableWith({ tail: { slow: "5 seconds" } })
    expect(Tracing.layer).type.not.toBeCallableWith({ tail: { quick: true } })
  })

  test("takes a sampler of one's own", () => {
    expect<Tracing.Sampler>().type.toBeAssignableFrom<{ description: string; isSampled: () => boolean }>()
  })
})
