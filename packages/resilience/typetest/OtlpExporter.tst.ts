import * as OtlpExporter from "effect-resilience/OtlpExporter"
import type * as Config from "effect/Config"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Layer from "effect/Layer"
import type * as EffectExporter from "effect/observability/OtlpExporter"
import { describe, expect, test } from "tstyche"

describe("OtlpExporter", () => {
  test("needs a client, and fails only where the environment is read", () => {
    expect(OtlpExporter.layer({ url: "http://localhost:4318/v1/traces" })).type.toBe<
      Layer.Layer<EffectExporter.Flusher, never, HttpClient.HttpClient>
    >()
    expect(OtlpExporter.layerFromEnv).type.toBe<
      Layer.Layer<EffectExporter.Flusher, Config.ConfigError, HttpClient.HttpClient>
    >()
  })

  test("has a URL, and a protocol that is spoken", () => {
    expect(OtlpExporter.layer).type.not.toBeCallableWith({})
    expect(OtlpExporter.layer).type.not.toBeCallableWith({ url: "http://localhost", protocol: "grpc" })
    expect(OtlpExporter.layer).type.toBeCallableWith({ url: "http://localhost", interval: "1 second", concurrency: 2 })
  })

  test("what the environment says are options", () => {
    expect<OtlpExporter.OptionsFromEnv>().type.toBeAssignableTo<OtlpExporter.Options>()
  })
})
