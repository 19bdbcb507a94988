import * as CircuitBreakerStoreSuite from "@effect-resilience/testing/CircuitBreakerStoreSuite"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"

const subject = Layer.effect(
  CircuitBreakerStoreSuite.Subject,
  Effect.map(CircuitBreaker.CircuitBreakerStore, (store) => ({
    store,
    now: Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000),
    advance: (millis) => TestClock.adjust(millis)
  }))
).pipe(Layer.provide(CircuitBreaker.layerStoreMemory), Layer.provideMerge(TestClock.layer()))

CircuitBreakerStoreSuite.suite("CircuitBreaker.layerStoreMemory", subject, { histories: 2_000 })
