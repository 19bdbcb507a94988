/** Metrics, tracing and log beside each other, over real policies. */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as ConcurrencyLimit from "effect-resilience/ConcurrencyLimit"
import * as Hedge from "effect-resilience/Hedge"
import * as Logging from "effect-resilience/Logging"
import * as Metrics from "effect-resilience/Metrics"
import * as Policy from "effect-resilience/Policy"
import * as Retry from "effect-resilience/Retry"
import * as Tracing from "effect-resilience/Tracing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { parse } from "./support/exposition.ts"

const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const samples = Effect.map(Metrics.format(), (text) => parse(text).samples)

/** The states that are shown as 1. */
const states = Effect.map(samples, (all) =>
  [...all].flatMap(([series, value]) => {
    const state = /^resilience_circuit_breaker_state\{.*state=(\w+)\}$/.exec(series)?.[1]
    return state !== undefined && value === 1 ? [state] : []
  }))

describe("the observers", () => {
  it.effect("MT3: a real breaker's life is in its metrics: closed, open, half open, closed", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({
        name: "openai",
        trip: CircuitBreaker.consecutive(3),
        openFor: "10 seconds"
      })
      yield* breaker.protect(Effect.succeed("fine"))
      assert.deepStrictEqual(yield* states, ["Closed"])
      for (let failed = 0; failed < 3; failed++) yield* Effect.exit(breaker.protect(Effect.fail("down")))
      assert.deepStrictEqual(yield* states, ["Open"])
      for (let refused = 0; refused < 5; refused++) yield* Effect.exit(breaker.protect(Effect.succeed("never")))
      yield* TestClock.adjust("10 seconds")
      yield* breaker.protect(Effect.succeed("again"))
      assert.deepStrictEqual(yield* states, ["Closed"])
      const all = yield* samples
      const calls = (kind: string) => all.get(`resilience_circuit_breaker_calls_total{kind=${kind},name=openai}`)
      assert.deepStrictEqual(["successful", "failed", "ignored", "not_permitted"].map(calls), [2, 3, 0, 5])
      const moved = (from: string, to: string) =>
        all.get(`resilience_circuit_breaker_transitions_total{from=${from},name=openai,to=${to}}`)
      assert.deepStrictEqual([moved("Closed", "Open"), moved("Open", "HalfOpen"), moved("HalfOpen", "Closed")], [
        1,
        1,
        1
      ])
    }).pipe(Effect.scoped, Effect.provide([Metrics.layer, CircuitBreaker.layerStoreMemory]), apart))

  it.effect("MT3: a hedge and an adaptive limit are in theirs", () =>
    Effect.gen(function*() {
      let calls = 0
      const slowOnce = Effect.suspend(() => calls++ === 0 ? Effect.never : Effect.succeed("quick"))
      const running = yield* Effect.forkChild(
        Hedge.run(slowOnce, { name: "search", delay: "1 second", maxExtraLoad: 1 }),
        {
          startImmediately: true
        }
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(running), "quick")
      const limit = yield* ConcurrencyLimit.make({
        name: "db",
        algorithm: ConcurrencyLimit.aimd(),
        initial: 1,
        min: 1,
        max: 1
      })
      const busy = yield* Effect.forkChild(limit.run(Effect.never), { startImmediately: true })
      yield* Effect.exit(limit.run(Effect.void))
      yield* Fiber.interrupt(busy)
      const all = yield* samples
      assert.strictEqual(all.get("resilience_hedges_total{name=search,winner=hedge}"), 1)
      assert.strictEqual(all.get("resilience_concurrency_limit{name=db}"), 1)
      assert.strictEqual(all.get("resilience_concurrency_limit_active{name=db}"), 0)
      const rejected = [...all].filter(([series]) =>
        series.startsWith("resilience_concurrency_limit_rejected_total{name=db")
      )
      assert.deepStrictEqual(rejected.map(([, value]) => value), [1])
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("MT3: a policy's calls and attempts are in its metrics, by how they ended", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({ name: "payments", retry: Retry.backoff({ base: "1 second", times: 4 }) })
      let attempts = 0
      const running = yield* Effect.forkChild(
        policy.run(Effect.suspend(() => ++attempts < 5 ? Effect.fail("down") : Effect.void))
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(running)
      const all = yield* samples
      const of = (attempt: string, outcome: string) =>
        all.get(`resilience_attempt_duration_seconds_count{attempt=${attempt},name=payments,outcome=${outcome}}`)
      assert.deepStrictEqual(["1", "2", "3", "4+"].map((attempt) => of(attempt, "failure")), [1, 1, 1, 1])
      assert.strictEqual(of("4+", "success"), 1)
      assert.strictEqual(
        all.get("resilience_pipeline_duration_seconds_count{name=payments,outcome=success}"),
        1
      )
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("LG1 TR2 MT3: a refused call is in the metrics, in its trace and in the log, under one trace id", () => {
    const written: Array<string> = []
    const ended: Array<Tracer.NativeSpan> = []
    class Recorded extends Tracer.NativeSpan {
      override end(...ending: Parameters<Tracer.NativeSpan["end"]>) {
        super.end(...ending)
        ended.push(this)
      }
    }
    const log = Logging.layerJson({
      service: "agent",
      version: "1",
      sample: 1,
      write: (lines) => Effect.sync(() => written.push(lines))
    })
    const tracing = Layer.provide(
      Tracing.layer({ sampler: Tracing.sampler.never }),
      Layer.merge(Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new Recorded(options) })), log)
    )
    return Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "openai", trip: CircuitBreaker.consecutive(1) })
      yield* Effect.exit(breaker.protect(Effect.fail("down")))
      yield* Effect.exit(breaker.protect(Effect.succeed("never"))).pipe(
        Effect.withSpan("turn", { root: true }),
        Effect.annotateLogs("request_id", "r-1")
      )
      const all = yield* samples
      assert.strictEqual(all.get("resilience_circuit_breaker_calls_total{kind=not_permitted,name=openai}"), 1)
      const [turn] = ended
      assert.deepStrictEqual(turn?.events.map(([name]) => name), ["resilience.circuit_breaker.rejected"])
      return turn!.traceId
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.mergeAll(Metrics.layer, tracing, Logging.layerSignals, CircuitBreaker.layerStoreMemory).pipe(
          Layer.provideMerge(log)
        )
      ),
      Effect.provideService(References.MinimumLogLevel, "Debug"),
      Effect.map((traceId) => {
        const lines = written.join("").trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>)
        const refused = lines.filter(({ signal }) => signal === "CallRejected")
        assert.deepStrictEqual(
          refused.map(({ level, logger, request_id, trace_id }) => [level, logger, request_id, trace_id]),
          [["DEBUG", "resilience", "r-1", traceId]]
        )
        assert.strictEqual(
          lines.filter(({ level, signal }) => level === "WARN" && signal === "CircuitTransition").length,
          1
        )
      }),
      apart
    )
  })
})
