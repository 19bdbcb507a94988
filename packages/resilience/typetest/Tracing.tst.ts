import * as Tracing from "effect-resilience/Tracing"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"

declare const call: Effect.Effect<number, "no", "service">

describe("Tracing", () => {
  test("a pipeline and its attempts keep the type of the call, either way round", () => {
    expect(Tracing.pipeline(call, "llm")).type.toBe<Effect.Effect<number, "no", "service">>()
    expect(call.pipe(Tracing.attempt, Tracing.pipeline("llm"))).type.toBe<Effect.Effect<number, "no", "service">>()
    expect(Tracing.attempt(Effect.void)).type.toBe<Effect.Effect<void>>()
    expect(Tracing.pipeline).type.not.toBeCallableWith(call)
  })

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
