import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as Deadline from "effect-resilience/Deadline"
import * as Metrics from "effect-resilience/Metrics"
import * as Retry from "effect-resilience/Retry"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as Signal from "effect-resilience/Signal"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import { parse } from "./support/exposition.ts"
import { fault } from "./support/faults.ts"
import { strangeMetrics } from "./support/strangeMetrics.ts"

/** In a registry of its own. */
const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const samples = Effect.map(Metrics.format(), (text) => parse(text).samples)

/** The samples whose series contains the text. */
const samplesOf = (text: string) =>
  Effect.map(samples, (all) => Object.fromEntries([...all].filter(([series]) => series.includes(text))))

describe("a metric", () => {
  it.effect("counts by its labels, whatever their order", () =>
    Effect.gen(function*() {
      const calls = Metrics.counter("calls_total", { labels: ["method", "status"] })
      yield* calls.add(1, { method: "GET", status: "200" })
      yield* calls.add(2, { status: "200", method: "GET" })
      yield* calls.with({ method: "PUT", status: "500" }).add(0.5)
      assert.deepStrictEqual(yield* samplesOf("calls_total"), {
        "calls_total{method=GET,status=200}": 3,
        "calls_total{method=PUT,status=500}": 0.5
      })
    }).pipe(apart))

  it.effect("that is defined twice is one", () =>
    Effect.gen(function*() {
      yield* Metrics.counter("jobs_total", { labels: ["queue"] }).add(1, { queue: "a" })
      yield* Metrics.counter("jobs_total", { labels: ["queue"] }).add(1, { queue: "a" })
      assert.deepStrictEqual(yield* samplesOf("jobs_total"), { "jobs_total{queue=a}": 2 })
    }).pipe(apart))

  it.effect("that is defined twice in different ways loses nothing", () =>
    Effect.gen(function*() {
      yield* Metrics.counter("twice_total", { labels: ["a", "b"], help: "one" }).add(1, { a: "1", b: "2" })
      yield* Metrics.counter("twice_total", { labels: ["b", "a"], help: "two" }).add(1, { a: "1", b: "2" })
      yield* Metrics.histogram("sizes", { buckets: [1, 2] }).observe(1)
      yield* Metrics.histogram("sizes", { buckets: [1, 5] }).observe(4)
      assert.deepStrictEqual(Object.fromEntries(yield* samples), {
        "twice_total{a=1,b=2}": 2,
        "sizes_bucket{le=1}": 1,
        "sizes_bucket{le=2}": 1,
        "sizes_bucket{le=+Inf}": 2,
        "sizes_sum{}": 5,
        "sizes_count{}": 2
      })
    }).pipe(apart))

  it.effect("goes up and down when it is a gauge", () =>
    Effect.gen(function*() {
      const active = Metrics.gauge("active", { labels: ["pool"] })
      yield* active.set(5, { pool: "a" })
      yield* active.add(-2, { pool: "a" })
      yield* active.with({ pool: "b" }).set(-1)
      yield* active.with({ pool: "b" }).add(0.5)
      assert.deepStrictEqual(yield* samplesOf("active"), { "active{pool=a}": 3, "active{pool=b}": -0.5 })
    }).pipe(apart))

  it.effect("counts a value in each bucket whose bound it does not pass", () =>
    Effect.gen(function*() {
      const sizes = Metrics.histogram("sizes", { labels: ["kind"], buckets: [1, 2, 4] })
      for (const value of [0, 1, 1.5, 2, 4, 5]) yield* sizes.observe(value, { kind: "a" })
      assert.deepStrictEqual(yield* samplesOf("sizes"), {
        "sizes_bucket{kind=a,le=1}": 2,
        "sizes_bucket{kind=a,le=2}": 4,
        "sizes_bucket{kind=a,le=4}": 5,
        "sizes_bucket{kind=a,le=+Inf}": 6,
        "sizes_sum{kind=a}": 13.5,
        "sizes_count{kind=a}": 6
      })
    }).pipe(apart))

  it.effect("follows the registry of whoever updates it", () =>
    Effect.gen(function*() {
      const hits = Metrics.counter("hits_total").with()
      const count = Effect.andThen(hits.add(1), samplesOf("hits_total"))
      const both = [yield* apart(Effect.andThen(hits.add(1), count)), yield* apart(count)]
      assert.deepStrictEqual(both, [{ "hits_total{}": 2 }, { "hits_total{}": 1 }])
    }))

  it.effect("is seen by Effect's own readers", () =>
    Effect.gen(function*() {
      yield* Metrics.counter("read_total", { labels: ["a"], help: "Read" }).add(3, { a: "b" })
      const own = Metric.counter("read_total", { attributes: { a: "b" }, description: "Read", incremental: true })
      assert.strictEqual((yield* Metric.value(own)).count, 3)
    }).pipe(apart))

  it("refuses options that are none", () => {
    assert.throws(() => Metrics.counter("a", { limit: 0 }), RangeError, /^limit must be a positive integer, got 0$/)
    assert.throws(() => Metrics.gauge("a", { labels: ["b", "b"] }), RangeError, /^labels must differ, got "b" twice$/)
    for (const buckets of [[], [1, 1], [2, 1], [1, Infinity], [NaN]]) {
      assert.throws(() => Metrics.histogram("a", { buckets }), RangeError, /^buckets must be rising finite numbers/)
    }
  })

  it("is told from other things", () => {
    assert.isTrue(Metrics.isMetric(Metrics.counter("a")))
    assert.isFalse(Metrics.isMetric(Metric.counter("a")))
  })
})

describe("the guard of cardinality", () => {
  it.effect("MT2: 100,000 values make limit + 1 series, and the overflow is counted", () =>
    Effect.gen(function*() {
      const limit = 500
      const users = Metrics.counter("users_total", { labels: ["tenant", "user"], limit })
      yield* Effect.withFiber((fiber) => {
        for (let user = 0; user < 100_000; user++) users.addUnsafe(fiber, 1, { tenant: `${user % 7}`, user: `${user}` })
        return Effect.void
      })
      const all = yield* samplesOf("users_total{")
      assert.strictEqual(Object.keys(all).length, limit + 1)
      assert.strictEqual(all["users_total{tenant=_overflow,user=_overflow}"], 100_000 - limit)
      const total = Object.values(all).reduce((sum, value) => sum + value, 0)
      assert.strictEqual(total, 100_000)
      assert.deepStrictEqual(yield* samplesOf("cardinality_overflow"), {
        "metrics_cardinality_overflow_total{metric=users_total}": 100_000 - limit
      })
    }).pipe(apart))

  it.effect("MT2: a label set that has its series keeps it", () =>
    Effect.gen(function*() {
      const tries = Metrics.counter("tries_total", { labels: ["a"], limit: 2 })
      for (const a of ["1", "2", "3", "4", "1", "2"]) yield* tries.add(1, { a })
      assert.deepStrictEqual(yield* samplesOf("tries_total{a"), {
        "tries_total{a=1}": 2,
        "tries_total{a=2}": 2,
        "tries_total{a=_overflow}": 2
      })
    }).pipe(apart))
})

describe("series at 0 and the guard", () => {
  it.effect("MT2: what is only declared takes nobody's place and is no overflow", () =>
    Effect.gen(function*() {
      const calls = Metrics.counter("calls_total", {
        labels: ["name", "kind"],
        values: { kind: ["a", "b", "c"] },
        limit: 4
      })
      yield* calls.add(1, { name: "first", kind: "a" })
      yield* calls.add(1, { name: "second", kind: "a" })
      assert.deepStrictEqual(yield* samplesOf("overflow"), {})
      yield* calls.add(1, { name: "second", kind: "b" })
      assert.deepStrictEqual(yield* samplesOf("overflow_total"), {
        "metrics_cardinality_overflow_total{metric=calls_total}": 1
      })
    }).pipe(apart))
})

describe("series at 0", () => {
  const outcomes = Metrics.counter("outcomes_total", {
    labels: ["kind", "outcome"],
    values: { kind: ["a", "b"], outcome: ["good", "bad"] }
  })

  it.effect("MT5: closed labels have all their series before the first event", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* samplesOf("outcomes_total"), {
        "outcomes_total{kind=a,outcome=good}": 0,
        "outcomes_total{kind=a,outcome=bad}": 0,
        "outcomes_total{kind=b,outcome=good}": 0,
        "outcomes_total{kind=b,outcome=bad}": 0
      })
    }).pipe(Effect.provide(Metrics.layerDeclare(outcomes)), apart))

  it.effect("MT5: an open label brings those of the closed ones with its first value", () =>
    Effect.gen(function*() {
      const byModel = Metrics.counter("by_model_total", {
        labels: ["outcome", "model"],
        values: { outcome: ["good", "bad"] }
      })
      yield* byModel.add(1, { outcome: "bad", model: "m" })
      assert.deepStrictEqual(yield* samplesOf("by_model"), {
        "by_model_total{model=m,outcome=bad}": 1,
        "by_model_total{model=m,outcome=good}": 0
      })
    }).pipe(apart))

  it.effect("MT5: a metric of the catalogue that signals feed and whose labels are closed is there from the start", () =>
    Effect.gen(function*() {
      const all = yield* samples
      for (const [name, entry] of Object.entries(Metrics.catalogue)) {
        const { from, labels, values = {} }: { from: string; labels: ReadonlyArray<string>; values?: object } = entry
        if (from !== "Metrics.layer" || !labels.every((label) => label in values)) continue
        assert.isTrue([...all.keys()].some((series) => series.startsWith(name)), name)
      }
      assert.strictEqual(all.get("resilience_timeouts_total{scope=total}"), 0)
      assert.strictEqual(all.get("signals_listener_errors_total{}"), 0)
    }).pipe(Effect.provide(Metrics.layer), apart))
})

describe("what would poison a sum", () => {
  it.effect("MT6: is refused and counted", () =>
    Effect.gen(function*() {
      const paid = Metrics.counter("paid_total")
      const spent = Metrics.histogram("spent", { buckets: [1] })
      const level = Metrics.gauge("level")
      for (const wrong of [NaN, Infinity, -Infinity, -1]) {
        yield* paid.add(wrong)
        yield* spent.observe(wrong)
      }
      for (const wrong of [NaN, Infinity, -Infinity]) {
        yield* level.set(wrong)
        yield* level.add(wrong)
      }
      yield* paid.add(2)
      yield* spent.observe(2)
      yield* level.add(-2)
      const all = yield* samples
      assert.strictEqual(all.get("paid_total{}"), 2)
      assert.strictEqual(all.get("spent_sum{}"), 2)
      assert.strictEqual(all.get("spent_count{}"), 1)
      assert.strictEqual(all.get("level{}"), -2)
      assert.deepStrictEqual(yield* samplesOf("invalid"), {
        "metrics_invalid_updates_total{metric=paid_total}": 4,
        "metrics_invalid_updates_total{metric=spent}": 4,
        "metrics_invalid_updates_total{metric=level}": 6
      })
    }).pipe(apart))

  it.effect("MT6: and so is a sum that grows beyond all numbers", () =>
    Effect.gen(function*() {
      const huge = Metrics.counter("huge_total")
      yield* huge.add(Number.MAX_VALUE)
      yield* huge.add(Number.MAX_VALUE)
      assert.strictEqual((yield* samples).get("huge_total{}"), Number.MAX_VALUE)
    }).pipe(apart))
})

describe("Metrics.format", () => {
  it.effect("MT1: 10,000 strange metrics can be read, each series once", () =>
    Effect.gen(function*() {
      yield* strangeMetrics(10_000, 1)
      const { samples, types } = parse(yield* Metrics.format())
      assert.isAbove(samples.size, 10_000)
      assert.isAbove(types.size, 100)
      parse(yield* Metrics.format({ format: "openMetrics" }))
    }).pipe(apart))

  it.effect("MT1: series that become equal are added up, gauges take the last", () =>
    Effect.gen(function*() {
      const attributes = [{ "a.b": "1" }, { a_b: "1" }]
      for (const each of attributes) {
        yield* Metric.update(Metric.counter("sum", { attributes: each, incremental: true }), 2)
        yield* Metric.update(Metric.gauge("last", { attributes: each }), each.a_b === undefined ? 5 : 7)
        yield* Metric.update(Metric.frequency("words", { attributes: each }), "w")
        const boundaries = each.a_b === undefined ? [1, 2, 3] : [2, 3, 4]
        yield* Metric.update(Metric.histogram("sizes", { attributes: each, boundaries }), 2.5)
      }
      assert.deepStrictEqual(Object.fromEntries(yield* samples), {
        "sum{a_b=1}": 4,
        "last{a_b=1}": 7,
        "words{a_b=1,key=w}": 2,
        "sizes_bucket{a_b=1,le=2}": 0,
        "sizes_bucket{a_b=1,le=3}": 2,
        "sizes_bucket{a_b=1,le=+Inf}": 2,
        "sizes_sum{a_b=1}": 5,
        "sizes_count{a_b=1}": 2
      })
    }).pipe(apart))

  it.effect("MT1: a name with several types becomes several names", () =>
    Effect.gen(function*() {
      yield* Metric.update(Metric.histogram("x", { boundaries: [1] }), 1)
      yield* Metric.update(Metric.gauge("x"), 2)
      yield* Metric.update(Metric.counter("x_count", { incremental: true }), 3)
      const all = yield* samples
      assert.strictEqual(all.get("x_count{}"), 1)
      assert.strictEqual(all.get("x_gauge{}"), 2)
      assert.strictEqual(all.get("x_count_counter{}"), 3)
    }).pipe(apart))

  it.effect("MT1: a label of the format's own is exported under another name", () =>
    Effect.gen(function*() {
      yield* Metric.update(Metric.histogram("h", { boundaries: [1], attributes: { le: "mine" } }), 1)
      assert.strictEqual((yield* samples).get("h_bucket{exported_le=mine,le=1}"), 1)
    }).pipe(apart))

  it.effect("MT1: a reader that throws costs its own series and no other", () =>
    Effect.gen(function*() {
      const broken = {
        get: () => {
          throw new Error("broken")
        },
        update: () => {},
        modify: () => {}
      }
      const context = yield* Effect.context<never>()
      Metric.registerUnsafe(Metric.gauge("broken"), context, broken)
      yield* Metric.update(Metric.gauge("whole"), 1)
      assert.deepStrictEqual(Object.fromEntries(yield* samples), { "whole{}": 1 })
    }).pipe(apart))

  it.effect("says gauge of a counter that may go down", () =>
    Effect.gen(function*() {
      yield* Metric.update(Metric.counter("both_ways"), -1)
      yield* Metric.update(Metric.counter("one_way", { incremental: true }), 1)
      const { types } = parse(yield* Metrics.format())
      assert.deepStrictEqual(Object.fromEntries(types), { both_ways: "gauge", one_way: "counter" })
    }).pipe(apart))

  it.effect("is empty where there is nothing", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Metrics.format(), "")
      assert.strictEqual(yield* Metrics.format({ format: "openMetrics" }), "# EOF\n")
    }).pipe(apart))

  it.effect("OpenMetrics names a counter without its suffix, keeps every sample's name, and shows traces", () =>
    Effect.gen(function*() {
      const took = Metrics.histogram("took_seconds", { buckets: [1, 2], help: "A \"time\"" })
      const span = Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" })
      yield* TestClock.setTime(1_500)
      yield* Metrics.counter("seen_total").add(1).pipe(Effect.withParentSpan(span))
      yield* took.observe(1.5).pipe(Effect.withParentSpan(span))
      yield* took.observe(3).pipe(Effect.withParentSpan(Tracer.externalSpan({ ...span, sampled: false })))
      yield* Metric.update(Metric.counter("odd", { incremental: true }), 1)
      const exemplar = "# {trace_id=\"0af7651916cd43dd8448eb211c80319c\",span_id=\"b7ad6b7169203331\"}"
      assert.deepStrictEqual((yield* Metrics.format({ format: "openMetrics" })).split("\n"), [
        "# TYPE seen counter",
        `seen_total 1 ${exemplar} 1 1.500`,
        "# HELP took_seconds A \\\"time\\\"",
        "# TYPE took_seconds histogram",
        "took_seconds_bucket{le=\"1\"} 0",
        `took_seconds_bucket{le="2"} 1 ${exemplar} 1.5 1.500`,
        "took_seconds_bucket{le=\"+Inf\"} 2",
        "took_seconds_sum 4.5",
        "took_seconds_count 2",
        "# TYPE odd unknown",
        "odd 1",
        "# EOF",
        ""
      ])
      assert.notInclude(yield* Metrics.format(), "trace_id")
    }).pipe(apart))
})

describe("an exemplar", () => {
  it.effect("is replaced after a second, not with each call", () =>
    Effect.gen(function*() {
      const seen = Metrics.counter("seen_total")
      const within = (spanId: string) =>
        Effect.withParentSpan(seen.add(1), Tracer.externalSpan({ traceId: "a".repeat(32), spanId }))
      const shown = Effect.map(
        Metrics.format({ format: "openMetrics" }),
        (text) => /span_id="(\w+)"/.exec(text)?.[1]
      )
      yield* within("1".repeat(16))
      yield* TestClock.adjust("999 millis")
      yield* within("2".repeat(16))
      assert.strictEqual(yield* shown, "1".repeat(16))
      yield* TestClock.adjust("1 millis")
      yield* within("3".repeat(16))
      assert.strictEqual(yield* shown, "3".repeat(16))
    }).pipe(apart))
})

describe("Metrics.layer", () => {
  it.effect("MT3: counts equal what happened in a storm, and an interruption is no error", () =>
    Effect.gen(function*() {
      const truth = {
        successful_without_retry: 0,
        successful_with_retry: 0,
        failed_without_retry: 0,
        failed_with_retry: 0
      }
      let retries = 0
      let full = 0
      const policy = Retry.backoff({ base: "10 millis", jitter: "none", times: 2 })
      const bulkhead = yield* Bulkhead.make({ name: "storm", limit: 20 })
      const call = Effect.gen(function*() {
        const failures = yield* Random.nextIntBetween(0, 5)
        const permanent = yield* Random.nextBoolean
        const interrupted = (yield* Random.nextIntBetween(0, 4)) === 0
        let left = failures
        let attempts = 0
        const dependency = Effect.suspend(() => {
          attempts++
          return left-- > 0 ? Effect.fail(fault(permanent ? "Permanent" : "Transient")) : Effect.void
        })
        const work = Effect.andThen(
          Effect.yieldNow,
          Retry.retry(dependency, Retry.byKind({ Transient: policy }), { name: "storm" })
        )
        const running = yield* Effect.forkChild(bulkhead.run(interrupted ? Effect.andThen(work, Effect.never) : work))
        if (interrupted) yield* Effect.andThen(TestClock.adjust("100 millis"), Fiber.interrupt(running))
        else yield* TestClock.adjust("100 millis")
        const exit = yield* Fiber.await(running)
        if (attempts === 0) {
          full++
          return
        }
        retries += attempts - 1
        const won = Exit.isSuccess(exit) || (interrupted && !permanent && failures <= 2) || failures === 0
        truth[`${won ? "successful" : "failed"}_${attempts > 1 ? "with" : "without"}_retry`]++
      })
      yield* Effect.forEach(Array.from({ length: 400 }), () => call, { concurrency: 40, discard: true })
      const all = yield* samples
      for (const [kind, count] of Object.entries(truth)) {
        assert.strictEqual(all.get(`resilience_retry_calls_total{kind=${kind},name=storm}`), count, kind)
      }
      assert.strictEqual(all.get("resilience_retry_attempts_total{name=storm,reason=Transient}"), retries)
      assert.strictEqual(all.get("resilience_retry_backoff_seconds_count{name=storm}"), retries)
      assert.strictEqual(all.get("resilience_bulkhead_rejected_total{name=storm,reason=Full}"), full)
      assert.strictEqual(all.get("resilience_bulkhead_active{name=storm}"), 0)
      assert.strictEqual(all.get("resilience_bulkhead_limit{name=storm}"), 20)
      assert.strictEqual(all.get("resilience_bulkhead_queue_wait_seconds_count{name=storm}"), 400 - full)
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("MT3: a retried call that is interrupted while it waits is counted as neither", () =>
    Effect.gen(function*() {
      const call = Retry.retry(Effect.fail(fault("Transient")), Retry.backoff({ base: "1 hour" }), { name: "slow" })
      const running = yield* Effect.forkChild(call, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(running)
      const calls = yield* samplesOf("resilience_retry_calls_total")
      assert.deepStrictEqual(Object.values(calls), [0, 0, 0, 0])
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("counts deadlines and refused retries", () =>
    Effect.gen(function*() {
      yield* Effect.never.pipe(Deadline.within("1 second"), Effect.exit, Effect.forkChild)
      yield* TestClock.adjust("1 second")
      const call = Retry.retry(Effect.fail(fault("Transient")), Retry.withBudget(Retry.backoff({ base: "1 second" })))
      yield* Effect.exit(call).pipe(Effect.provide(RetryBudget.layerTokens({ capacity: 1, retryCost: 5 })))
      const all = yield* samples
      assert.strictEqual(all.get("resilience_timeouts_total{scope=total}"), 1)
      assert.strictEqual(all.get("resilience_timeouts_total{scope=attempt}"), 0)
      assert.strictEqual(all.get("resilience_retry_budget_exhausted_total{budget=tokens}"), 1)
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("shows a breaker's state one-hot, its calls by kind and its transitions", () =>
    Effect.gen(function*() {
      const circuit = { name: "b", key: "k" } as const
      const states = Effect.map(samplesOf("circuit_breaker_state"), (all) =>
        Object.keys(all).filter((series) => all[series] !== 0).map((series) => /state=(\w+)/.exec(series)![1]))
      yield* Signal.emit({ _tag: "CallPermitted", ...circuit, state: "Closed" })
      assert.deepStrictEqual(yield* states, ["Closed"])
      const duration = Duration.millis(5)
      yield* Signal.emit({ _tag: "CallSettled", ...circuit, outcome: "failure", slow: true, duration })
      yield* Signal.emit({ _tag: "CircuitTransition", ...circuit, from: "Closed", to: "Open", reason: "rate" })
      assert.deepStrictEqual(yield* states, ["Open"])
      yield* Signal.emit({ _tag: "CallRejected", ...circuit, state: "Open", retryAfter: duration, shadow: false })
      yield* Signal.emit({ _tag: "CallRejected", ...circuit, state: "Open", retryAfter: duration, shadow: true })
      yield* Signal.emit({
        _tag: "CircuitTransition",
        ...circuit,
        key: "other",
        from: "Closed",
        to: "Open",
        reason: "rate"
      })
      yield* Signal.emit({ _tag: "CircuitTransition", ...circuit, from: "Open", to: "HalfOpen", reason: "time" })
      assert.deepStrictEqual(yield* states, ["Open", "HalfOpen"])
      yield* Signal.emit({ _tag: "CircuitTransition", ...circuit, from: "HalfOpen", to: "Closed", reason: "probe" })
      yield* Signal.emit({
        _tag: "CircuitTransition",
        ...circuit,
        key: "other",
        from: "Open",
        to: "Closed",
        reason: "reset"
      })
      assert.deepStrictEqual(yield* states, ["Closed"])
      assert.deepStrictEqual(yield* samplesOf("circuit_breaker_calls"), {
        "resilience_circuit_breaker_calls_total{kind=successful,name=b}": 0,
        "resilience_circuit_breaker_calls_total{kind=failed,name=b}": 1,
        "resilience_circuit_breaker_calls_total{kind=ignored,name=b}": 0,
        "resilience_circuit_breaker_calls_total{kind=slow,name=b}": 1,
        "resilience_circuit_breaker_calls_total{kind=not_permitted,name=b}": 1,
        "resilience_circuit_breaker_calls_total{kind=shadow_not_permitted,name=b}": 1
      })
      const transitions = yield* samplesOf("circuit_breaker_transitions")
      assert.strictEqual(transitions["resilience_circuit_breaker_transitions_total{from=Closed,name=b,to=Open}"], 2)
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("counts what limits, chains, hedges, caches, dead letters and checks say", () =>
    Effect.gen(function*() {
      yield* Signal.emit({ _tag: "LimitDecided", policy: "p", rule: "r", decision: "denied" })
      yield* Signal.emit({
        _tag: "FallbackServed",
        chain: "c",
        route: "b",
        index: 1,
        degraded: true,
        reason: "Timeout"
      })
      yield* Signal.emit({ _tag: "FallbackServed", chain: "c", route: "a", index: 0, degraded: false })
      yield* Signal.emit({ _tag: "Hedged", name: "h", winner: 1, launched: 1 })
      yield* Signal.emit({ _tag: "Hedged", name: "h", winner: 0, launched: 0, refused: true })
      yield* Signal.emit({ _tag: "CacheServed", cache: "replies", result: "stale" })
      yield* Signal.emit({ _tag: "DeadLettered", queue: "q", id: "1", kind: "Permanent" })
      yield* Signal.emit({ _tag: "HealthChanged", check: "db", from: "Healthy", to: "Degraded" })
      const shed = { inFlight: 1, limit: 1, queued: 0, waited: Duration.zero, name: "s" }
      yield* Signal.emit({
        _tag: "ConcurrencyDecided",
        policy: "shedder",
        decision: "rejected",
        reason: "Shed",
        ...shed
      })
      yield* Signal.emit({
        _tag: "ConcurrencyDecided",
        policy: "concurrencyLimit",
        decision: "admitted",
        ...shed,
        limit: 7
      })
      const all = yield* samples
      for (
        const [series, value] of [
          ["resilience_rate_limiter_decisions_total{decision=denied,name=p,rule=r}", 1],
          ["resilience_rate_limiter_decisions_total{decision=allowed,name=p,rule=r}", 0],
          ["resilience_fallbacks_total{chain=c,reason=Timeout,route=b}", 1],
          ["resilience_fallback_served_total{chain=c,degraded=true,route=b}", 1],
          ["resilience_fallback_served_total{chain=c,degraded=false,route=a}", 1],
          ["resilience_hedges_total{name=h,winner=hedge}", 1],
          ["resilience_hedges_total{name=h,winner=primary}", 0],
          ["resilience_hedges_refused_total{name=h}", 1],
          ["cache_requests_total{cache=replies,result=stale}", 1],
          ["dlq_messages_total{kind=Permanent,queue=q}", 1],
          ["health_check_status{check=db}", 0.5],
          ["load_shed_total{reason=Shed}", 1],
          ["resilience_concurrency_limit{name=s}", 7]
        ] as const
      ) assert.strictEqual(all.get(series), value, series)
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("says how many series there are", () =>
    Effect.gen(function*() {
      const registry = yield* Metric.MetricRegistry
      assert.strictEqual((yield* samples).get("metrics_series{}"), registry.size)
    }).pipe(Effect.provide(Metrics.layer), apart))

  it.effect("stops with its scope", () =>
    Effect.gen(function*() {
      yield* Effect.void.pipe(Effect.provide(Layer.fresh(Metrics.layer)))
      assert.isUndefined((yield* samples).get("metrics_series{}"))
      assert.isFalse(yield* Effect.withFiber((fiber) => Effect.succeed(Signal.isHeardUnsafe(fiber))))
    }).pipe(apart))
})

describe("Metrics.catalogue", () => {
  it("MT1: has names, labels and buckets that Prometheus takes as they are", () => {
    for (const [name, entry] of Object.entries(Metrics.catalogue)) {
      assert.match(name, /^[a-z][a-z0-9_]*$/)
      assert.strictEqual(name.endsWith("_total"), entry.type === "counter", name)
      for (const label of entry.labels) assert.match(label, /^[a-z][a-z0-9_]*$/)
      assert.strictEqual("buckets" in entry, entry.type === "histogram", name)
    }
  })

  it.effect("gives the instrument of each entry", () =>
    Effect.gen(function*() {
      yield* Metrics.instrument("llm_tokens_total").add(12, { provider: "p", model: "m", type: "input" })
      yield* Metrics.instrument("health_ready").set(1)
      yield* Metrics.instrument("db_client_operation_duration_seconds").observe(0.02, {
        db_system_name: "sqlite",
        db_operation_name: "SELECT",
        error_type: ""
      })
      const all = yield* samples
      assert.strictEqual(all.get("llm_tokens_total{model=m,provider=p,type=input}"), 12)
      assert.strictEqual(all.get("health_ready{}"), 1)
      const le = "db_client_operation_duration_seconds_bucket{db_operation_name=SELECT,db_system_name=sqlite,le=0.05}"
      assert.strictEqual(all.get(le), 1)
    }).pipe(apart))
})
