import { assert, describe, it } from "@effect/vitest"
import * as Metrics from "effect-resilience/Metrics"
import * as Retry from "effect-resilience/Retry"
import * as Tracing from "effect-resilience/Tracing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { parse } from "./support/exposition.ts"
import { fault } from "./support/faults.ts"
import { recordingTracer } from "./support/spans.ts"

const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const samples = Effect.map(Metrics.format(), (text) => parse(text).samples)

/** Spans that are kept behind our tracer. */
const recording = () => {
  const { spans, tracer } = recordingTracer()
  const layer = Tracing.layer({ sampler: Tracing.sampler.always }).pipe(
    Layer.provide(Layer.succeed(Tracer.Tracer, tracer))
  )
  return { spans, layer }
}

const policy = Retry.backoff({ base: "1 second", jitter: "none", times: 5 })

describe("Tracing.pipeline", () => {
  it.effect("is one span with its attempts beneath it, and what policies say upon it", () => {
    const { layer, spans } = recording()
    let calls = 0
    const flaky = Effect.suspend(() => ++calls < 3 ? Effect.fail(fault("Transient")) : Effect.void)
    return Effect.gen(function*() {
      const call = Tracing.attempt(flaky).pipe(Retry.retry(policy, { name: "llm" }), Tracing.pipeline("llm"))
      const running = yield* Effect.forkChild(call, { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(running)
      const [pipeline, ...attempts] = spans
      assert.deepStrictEqual(spans.map(({ name }) => name), [
        "resilience.pipeline llm",
        "resilience.attempt",
        "resilience.attempt",
        "resilience.attempt"
      ])
      assert.deepStrictEqual(attempts.map(({ attributes }) => attributes.get("resilience.attempt.number")), [1, 2, 3])
      for (const { parent } of attempts) assert.strictEqual(Option.getOrThrow(parent).spanId, pipeline!.spanId)
      assert.deepStrictEqual(pipeline!.events.map(([name]) => name), [
        "resilience.retry.scheduled",
        "resilience.retry.scheduled"
      ])
    }).pipe(Effect.provide(layer), apart)
  })

  it.effect("MT3: is timed by its outcome, and an interruption is none of ours", () =>
    Effect.gen(function*() {
      const call = (self: Effect.Effect<unknown, unknown>) => Tracing.pipeline(Tracing.attempt(self), "llm")
      yield* call(Effect.void)
      yield* Effect.exit(call(Effect.fail("down")))
      const running = yield* Effect.forkChild(call(Effect.sleep("1 hour")), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(running)
      const all = yield* samples
      const of = (kind: string, outcome: string, what: string) =>
        kind === "pipeline"
          ? all.get(`resilience_pipeline_duration_seconds_${what}{name=llm,outcome=${outcome}}`)
          : all.get(`resilience_attempt_duration_seconds_${what}{attempt=1,name=llm,outcome=${outcome}}`)
      for (const kind of ["pipeline", "attempt"]) {
        assert.deepStrictEqual(["success", "failure", "interrupted"].map((outcome) => of(kind, outcome, "count")), [
          1,
          1,
          1
        ])
        assert.strictEqual(of(kind, "interrupted", "sum"), 2)
      }
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("counts attempts above the third as one, and those outside of a pipeline as first ones", () =>
    Effect.gen(function*() {
      yield* Effect.replicateEffect(Tracing.attempt(Effect.void), 5).pipe(Tracing.pipeline("many"))
      yield* Tracing.attempt(Effect.void)
      const all = yield* samples
      const count = (name: string, attempt: string) =>
        all.get(`resilience_attempt_duration_seconds_count{attempt=${attempt},name=${name},outcome=success}`)
      assert.deepStrictEqual(["1", "2", "3", "4+"].map((attempt) => count("many", attempt)), [1, 1, 1, 2])
      assert.strictEqual(count("unnamed", "1"), 1)
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("one within another counts for itself", () =>
    Effect.gen(function*() {
      const inner = Tracing.pipeline(Tracing.attempt(Effect.void), "inner")
      yield* Tracing.pipeline(Effect.andThen(Tracing.attempt(inner), Tracing.attempt(inner)), "outer")
      const all = yield* samples
      const count = (name: string, attempt: number) =>
        all.get(`resilience_attempt_duration_seconds_count{attempt=${attempt},name=${name},outcome=success}`)
      assert.deepStrictEqual([count("outer", 1), count("outer", 2), count("inner", 1), count("inner", 2)], [1, 1, 2, 0])
    }).pipe(Effect.provide(Metrics.layer), apart))
})
