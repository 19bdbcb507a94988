import * as Metrics from "effect-resilience/Metrics"
import type * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import type * as Layer from "effect/Layer"
import { describe, expect, test } from "tstyche"

describe("the labels of a metric", () => {
  const calls = Metrics.counter("calls_total", { labels: ["method", "status"] })

  test("are those it was made with, all of them", () => {
    expect(calls).type.toBe<Metrics.Counter<"method" | "status">>()
    expect(calls.add).type.toBeCallableWith(1, { method: "GET", status: "200" })
    expect(calls.add).type.not.toBeCallableWith(1, { method: "GET" })
    expect(calls.add).type.not.toBeCallableWith(1, { method: "GET", status: "200", user: "a" })
    expect(calls.add).type.not.toBeCallableWith(1)
    expect(calls.add(1, { method: "GET", status: "200" })).type.toBe<Effect.Effect<void>>()
  })

  test("are none where none were named", () => {
    expect(Metrics.counter("hits_total")).type.toBe<Metrics.Counter>()
    expect(Metrics.counter("hits_total").add).type.toBeCallableWith(1)
    expect(Metrics.counter("hits_total").add).type.not.toBeCallableWith(1, { method: "GET" })
    expect(Metrics.gauge("active").set).type.toBeCallableWith(1)
    expect(Metrics.histogram("took_seconds").observe).type.toBeCallableWith(1)
  })

  test("are gone once they are bound", () => {
    expect(calls.with({ method: "GET", status: "200" })).type.toBe<Metrics.Counter>()
    expect(calls.with).type.not.toBeCallableWith({ method: "GET" })
  })

  test("have values only where they are named", () => {
    expect(Metrics.gauge).type.toBeCallableWith("a", { labels: ["b"], values: { b: ["c"] } })
    expect(Metrics.gauge).type.not.toBeCallableWith("a", { labels: ["b"], values: { c: ["d"] } })
  })
})

describe("Metrics.instrument", () => {
  test("has the kind and the labels of its entry", () => {
    expect(Metrics.instrument("llm_cost_usd_total")).type.toBe<Metrics.Counter<"provider" | "model">>()
    expect(Metrics.instrument("dlq_depth")).type.toBe<Metrics.Gauge<"queue" | "state">>()
    expect(Metrics.instrument("health_ready")).type.toBe<Metrics.Gauge>()
    expect(Metrics.instrument("health_check_duration_seconds")).type.toBe<Metrics.Histogram<"check">>()
    expect(Metrics.instrument).type.not.toBeCallableWith("no_such_metric")
  })
})

describe("the layers", () => {
  test("need a router to be served, and nothing else", () => {
    expect(Metrics.layer).type.toBe<Layer.Layer<never>>()
    expect(Metrics.layerDeclare(Metrics.counter("a", { labels: ["b"] }), Metrics.gauge("c"))).type.toBe<
      Layer.Layer<never>
    >()
    expect(Metrics.layerHttp()).type.toBe<Layer.Layer<never, never, HttpRouter.HttpRouter>>()
  })
})
