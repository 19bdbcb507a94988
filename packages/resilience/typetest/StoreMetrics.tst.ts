import type * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as StoreMetrics from "effect-resilience/StoreMetrics"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { describe, expect, test } from "tstyche"

declare const pool: Effect.Effect<{ readonly idle: number; readonly used: number }, "away", "pool">
declare const queue: DeadLetterQueue.DeadLetterQueue<string>

describe("StoreMetrics", () => {
  test("statements need nothing but the name of the system", () => {
    expect(StoreMetrics.layerSql({ system: "sqlite" })).type.toBe<Layer.Layer<never>>()
    expect(StoreMetrics.layerSql).type.not.toBeCallableWith({})
  })

  test("a pool that cannot be read fails nothing, and keeps what it needs", () => {
    expect(StoreMetrics.layerConnections(pool)).type.toBe<Layer.Layer<never, never, "pool">>()
    expect(StoreMetrics.layerConnections).type.toBeCallableWith(pool, { every: Schedule.spaced("1 minute") })
    expect(StoreMetrics.layerConnections).type.not.toBeCallableWith(pool, { every: "1 minute" })
  })

  test("a queue of the package is one whose letters are counted", () => {
    expect(StoreMetrics.layerDeadLetters("mail", queue)).type.toBe<Layer.Layer<never>>()
    expect(StoreMetrics.layerDeadLetters).type.not.toBeCallableWith("mail", {})
  })
})
