import * as LanguageModelMetrics from "effect-resilience/LanguageModelMetrics"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"

declare const model: LanguageModel.LanguageModel
declare const call: Effect.Effect<number, "no", "service">

const labels = { provider: "openai", model: "gpt-4o" } as const

describe("LanguageModelMetrics", () => {
  test("goes around the model that is in scope", () => {
    expect(LanguageModelMetrics.layer(labels)).type.toBe<
      Layer.Layer<LanguageModel.LanguageModel, never, LanguageModel.LanguageModel>
    >()
    expect(LanguageModelMetrics.layer).type.not.toBeCallableWith({ provider: "openai" })
  })

  test("a model that counts is a model, either way round", () => {
    expect(LanguageModelMetrics.measure(model, labels)).type.toBe<LanguageModel.LanguageModel>()
    expect(LanguageModelMetrics.measure(labels)(model)).type.toBe<LanguageModel.LanguageModel>()
  })

  test("a price may be unknown, and is never a promise", () => {
    const priced = (price: LanguageModelMetrics.Options["price"]) => LanguageModelMetrics.layer({ ...labels, price })
    expect(priced).type.toBeCallableWith(() => undefined)
    expect(priced).type.toBeCallableWith((name: string, { input, output }: LanguageModelMetrics.Tokens) =>
      name === "" ? undefined : input + output
    )
    expect(priced).type.not.toBeCallableWith(() => Promise.resolve(1))
  })

  test("speech is heard or said, and keeps its type", () => {
    expect(LanguageModelMetrics.speech("stt", labels)(call)).type.toBe<Effect.Effect<number, "no", "service">>()
    expect(LanguageModelMetrics.speech).type.not.toBeCallableWith("asr", labels)
    expect(LanguageModelMetrics.declareSpeech("tts", labels)).type.toBe<Effect.Effect<void>>()
  })

  test("what is declared or shown cannot fail", () => {
    expect(LanguageModelMetrics.declare(labels)).type.toBe<Effect.Effect<void>>()
    expect(LanguageModelMetrics.budget("day", 10)).type.toBe<Effect.Effect<void>>()
  })
})
