import { assert, describe, it } from "@effect/vitest"
import * as Deadline from "effect-resilience/Deadline"
import * as Signal from "effect-resilience/Signal"
import * as Tracing from "effect-resilience/Tracing"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as HttpTraceContext from "effect/http/HttpTraceContext"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"

/** A tracer that keeps what ends, in the order in which it does. */
const recorder = () => {
  const ended: Array<Tracer.NativeSpan> = []
  class Recorded extends Tracer.NativeSpan {
    override end(...ending: Parameters<Tracer.NativeSpan["end"]>) {
      super.end(...ending)
      ended.push(this)
    }
  }
  const layer = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new Recorded(options) }))
  return { ended, layer, names: () => ended.map(({ name }) => name) }
}

const quiet = Logger.layer([])

const traced = (options: Tracing.Options, record = recorder()) =>
  Layer.provide(Tracing.layer(options), Layer.merge(record.layer, quiet))

const root = (name: string) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.withSpan(self, name, { root: true })

const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const spanCount = (result: string) =>
  Effect.map(
    Metric.value(Metric.counter("telemetry_spans_total", {
      description: "Spans that ended, by what became of them",
      attributes: { result },
      incremental: true
    })),
    ({ count }) => count
  )

const { always, never, parentBased, ratio } = Tracing.sampler

describe("the head", () => {
  it.effect("TR1: of 100,000 traces at 1 % about 1,000 are kept, with all of their spans", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const turn = root("turn")(Effect.withSpan(Effect.void, "child"))
      for (let made = 0; made < 100_000; made++) yield* turn
      const traces = new Set(record.ended.map(({ traceId }) => traceId))
      assert.approximately(traces.size, 1_000, 150)
      assert.strictEqual(record.ended.length, 2 * traces.size)
      assert.strictEqual(yield* spanCount("exported"), record.ended.length)
      assert.strictEqual(yield* spanCount("unsampled"), 200_000 - record.ended.length)
    }).pipe(Effect.provide(traced({ sampler: parentBased(ratio(0.01)), tail: false }, record)), apart)
  })

  it("TR1: the traces that are kept at 1 % are among those that are kept at 10 %", () => {
    const isIn = (share: number, traceId: string) =>
      ratio(share).isSampled({ traceId, name: "a", kind: "internal", parent: undefined })
    const digits = (seed: number) => (Math.imul(seed, 2_654_435_761) >>> 0).toString(16).padStart(8, "0")
    const ids = Array.from(
      { length: 20_000 },
      (_, index) => [1, 7, 13, 29].map((by) => digits(index * by + by)).join("")
    )
    const few = ids.filter((id) => isIn(0.01, id))
    assert.isAbove(few.length, 100)
    assert.isTrue(few.every((id) => isIn(0.1, id)))
    assert.isFalse(ids.some((id) => isIn(0, id)))
    assert.isTrue(ids.every((id) => isIn(1, id)))
    // The largest of all: at a share of nothing not even this one.
    assert.isFalse(isIn(0, "f".repeat(32)))
  })

  it("TR1: the last 56 bits decide, against the threshold of the specification", () => {
    const isIn = (traceId: string) => ratio(0.25).isSampled({ traceId, name: "a", kind: "internal", parent: undefined })
    // A quarter: from 0xc0000000000000 on.
    assert.isTrue(isIn(`${"0".repeat(18)}c0000000000000`))
    assert.isFalse(isIn(`${"f".repeat(18)}bfffffffffff00`))
    assert.isFalse(isIn("not hexadecimal"))
  })

  it.effect("TR1: children and other processes are told what the root decided", () =>
    Effect.gen(function*() {
      for (let made = 0; made < 500; made++) {
        yield* root("here")(Effect.gen(function*() {
          const here = yield* Effect.currentSpan
          yield* Effect.withSpan(
            Effect.gen(function*() {
              const child = yield* Effect.currentSpan
              assert.strictEqual(child.sampled, here.sampled)
              const headers = HttpTraceContext.toHeaders(child)
              assert.match(headers["traceparent"]!, here.sampled ? /-01$/ : /-00$/)
              // What the process that is called makes of it.
              const there = Option.getOrThrow(HttpTraceContext.fromHeaders(headers))
              const served = yield* Effect.currentSpan.pipe(Effect.withSpan("there", { parent: there }))
              assert.strictEqual(served.sampled, here.sampled)
              assert.strictEqual(served.traceId, here.traceId)
            }),
            "child"
          )
        }))
      }
    }).pipe(Effect.provide(traced({ sampler: parentBased(ratio(0.5)) })), apart))

  it.effect("the caller's decision is followed, or not, as the sampler says", () =>
    Effect.gen(function*() {
      const ids = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }
      const under = (sampler: Tracing.Sampler, sampled: boolean) =>
        Effect.map(
          Effect.currentSpan.pipe(Effect.withSpan("a", { parent: Tracer.externalSpan({ ...ids, sampled }) })),
          (span) => span.sampled
        ).pipe(Effect.provide(Layer.fresh(traced({ sampler }))))
      assert.isTrue(yield* under(parentBased(never), true))
      assert.isFalse(yield* under(parentBased(always), false))
      assert.isTrue(yield* under(always, false))
      assert.isFalse(yield* under(never, true))
    }).pipe(apart))

  it.effect("whoever begins a trace and says no is heard", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const span = yield* Effect.currentSpan.pipe(Effect.withSpan("secret", { root: true, sampled: false }))
      assert.isFalse(span.sampled)
      assert.isTrue(record.ended.every(({ sampled }) => !sampled))
    }).pipe(Effect.provide(traced({ sampler: always }, record)), apart)
  })

  it.effect("a span whose level is below the minimum is not recorded", () => {
    const record = recorder()
    return Effect.void.pipe(
      Effect.withSpan("fine", { level: "Debug" }),
      root("turn"),
      Effect.provideService(Tracer.MinimumTraceLevel, "Info"),
      Effect.provide(traced({ sampler: always }, record)),
      Effect.andThen(Effect.sync(() => {
        assert.deepStrictEqual(record.ended.filter(({ sampled }) => sampled).map(({ name }) => name), ["turn"])
      })),
      apart
    )
  })
})

describe("the tail", () => {
  it.effect("TR2: every failed trace is exported at 1 % head, whole and in order, and few others", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const failed = new Set<string>()
      for (let made = 0; made < 5_000; made++) {
        const fails = made % 10 === 0
        yield* Effect.gen(function*() {
          const { traceId } = yield* Effect.currentSpan
          if (fails) failed.add(traceId)
          yield* Effect.withSpan(Effect.void, "before")
          yield* Effect.ignore(Effect.withSpan(fails ? Effect.fail("no") : Effect.void, "work"))
          yield* Effect.withSpan(Effect.void, "after")
        }).pipe(root("turn"))
      }
      const byTrace = Map.groupBy(record.ended, ({ traceId }) => traceId)
      for (const traceId of failed) {
        assert.deepStrictEqual(byTrace.get(traceId)?.map(({ name }) => name), ["before", "work", "after", "turn"])
      }
      // Four standard deviations of 4,500 draws at a hundredth.
      assert.approximately(byTrace.size - failed.size, 45, 27)
    }).pipe(Effect.provide(traced({ sampler: ratio(0.01) }, record)), apart)
  })

  it.effect("TR2: an interruption is no failure", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const running = yield* Effect.forkChild(root("turn")(Effect.never), { startImmediately: true })
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(record.names(), [])
    }).pipe(Effect.provide(traced({ sampler: never }, record)), apart)
  })

  it.effect("TR2: a defect and a failure of the root itself are", () => {
    const record = recorder()
    return Effect.gen(function*() {
      yield* Effect.exit(root("dead")(Effect.die("bug")))
      yield* Effect.exit(root("failed")(Effect.fail("no")))
      assert.deepStrictEqual(record.names(), ["dead", "failed"])
    }).pipe(Effect.provide(traced({ sampler: never }, record)), apart)
  })

  it.effect("TR2: a span that fails after its root has ended is exported, and what follows it", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const late = yield* root("turn")(Effect.forkDetach(Effect.gen(function*() {
        yield* Effect.sleep("1 second")
        yield* Effect.withSpan(Effect.void, "still good")
        yield* Effect.ignore(Effect.withSpan(Effect.fail("no"), "late"))
        yield* Effect.withSpan(Effect.void, "later")
      })))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(late)
      assert.deepStrictEqual(record.names(), ["late", "later"])
    }).pipe(Effect.provide(traced({ sampler: never }, record)), apart)
  })

  it.effect("TR2: a slow trace is kept, a quick one is not", () => {
    const record = recorder()
    return Effect.gen(function*() {
      for (const [name, millis] of [["quick", 999], ["slow", 1_000]] as const) {
        const running = yield* Effect.forkChild(root(name)(Effect.sleep(millis)))
        yield* TestClock.adjust(millis)
        yield* Fiber.join(running)
      }
      assert.deepStrictEqual(record.names(), ["slow"])
    }).pipe(Effect.provide(traced({ sampler: never, tail: { slow: "1 second" } }, record)), apart)
  })

  it.effect("TR2: memory is bounded at 10,000 open traces, and their failures are exported all the same", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const open: Array<Tracer.Span> = []
      for (let made = 0; made < 10_000; made++) {
        const parent = yield* Effect.makeSpan("turn", { root: true })
        open.push(parent)
        for (let child = 0; child < 4; child++) yield* Effect.withSpan(Effect.void, "child", { parent })
      }
      const queue = Metric.gauge("telemetry_queue_size", { description: "Spans that wait to be exported" })
      assert.strictEqual((yield* Metric.value(queue)).value, 5_000)
      assert.strictEqual(yield* spanCount("dropped_queue"), 35_000)
      for (const parent of open) yield* Effect.ignore(Effect.withSpan(Effect.fail("no"), "failing", { parent }))
      assert.strictEqual(record.ended.filter(({ name }) => name === "failing").length, 10_000)
      // What was held of the youngest traces came with it.
      assert.strictEqual(record.ended.filter(({ name }) => name === "child").length, 5_000)
      assert.strictEqual((yield* Metric.value(queue)).value, 0)
      const all = (yield* spanCount("exported")) + (yield* spanCount("dropped_queue")) + (yield* spanCount("unsampled"))
      assert.strictEqual(all, 50_000)
    }).pipe(Effect.provide(traced({ sampler: never, tail: { total: 5_000 } }, record)), apart)
  })

  it.effect("TR2: a trace holds no more than its share, and its root and failures come through", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const children = Effect.forEach(Array.from({ length: 10 }), () => Effect.withSpan(Effect.void, "child"))
      yield* Effect.exit(root("turn")(Effect.andThen(children, Effect.fail("no"))))
      assert.deepStrictEqual(record.names(), ["child", "child", "child", "turn"])
      assert.strictEqual(yield* spanCount("dropped_queue"), 7)
    }).pipe(Effect.provide(traced({ sampler: never, tail: { perTrace: 3 } }, record)), apart)
  })

  it.effect("TR2: without it a failed trace that was not chosen is gone", () => {
    const record = recorder()
    return Effect.gen(function*() {
      yield* Effect.exit(root("turn")(Effect.fail("no")))
      assert.deepStrictEqual(record.names(), [])
      assert.strictEqual(yield* spanCount("unsampled"), 1)
    }).pipe(Effect.provide(traced({ sampler: never, tail: false }, record)), apart)
  })

  it.effect("what a span is told before its trace is kept is exported with it", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const told = Effect.gen(function*() {
        yield* Effect.annotateCurrentSpan("agent", "front")
        const span = yield* Effect.currentSpan
        span.event("thought", 5n, { of: "it" })
        return yield* Effect.fail("no")
      })
      yield* Effect.exit(root("turn")(told))
      const [span] = record.ended
      assert.strictEqual(span?.attributes.get("agent"), "front")
      assert.deepStrictEqual(span?.events, [["thought", 5n, { of: "it" }]])
      assert.strictEqual(span?.status._tag, "Ended")
    }).pipe(Effect.provide(traced({ sampler: never }, record)), apart)
  })

  it.effect("a span that has ended takes nothing more, and ends once", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const span = yield* root("turn")(Effect.currentSpan)
      const before = span.status
      span.attribute("late", true)
      span.event("late", 1n)
      span.end(99n, { _tag: "Success" } as never)
      assert.deepStrictEqual(span.status, before)
      assert.strictEqual(record.ended.length, 1)
      assert.isFalse(record.ended[0]!.attributes.has("late"))
      assert.deepStrictEqual(record.ended[0]!.events, [])
    }).pipe(Effect.provide(traced({ sampler: always }, record)), apart)
  })
})

describe("traceparent", () => {
  it.effect("TR4: no invalid one ever leaves, whatever came in", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const traceIds = [
        "",
        "0".repeat(32),
        "0".repeat(16),
        "0AF7651916CD43DD8448EB211C80319C",
        "noop",
        "0af7651916cd43dd",
        "0af7651916cd43dd8448eb211c80319c",
        "0af7651916cd43dd8448eb211c80319c00",
        "0af7651916cd43dd8448eb211c80319\n"
      ]
      const spanIds = ["", "0".repeat(16), "noop", "b7ad6b7169203331", "B7AD6B7169203331", "b7ad6b716920333"]
      for (const traceId of traceIds) {
        for (const spanId of spanIds) {
          for (const sampled of [true, false]) {
            const parent = Tracer.externalSpan({ traceId, spanId, sampled })
            const span = yield* Effect.currentSpan.pipe(Effect.withSpan("child"), Effect.withSpan("server", { parent }))
            const { b3, traceparent } = HttpTraceContext.toHeaders(span)
            assert.match(traceparent!, /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]$/)
            assert.match(b3!, /^[0-9a-f]{16,32}-[0-9a-f]{16}-[01]-[0-9a-f]{16}$/)
          }
        }
      }
    }).pipe(Effect.provide(traced({ sampler: parentBased(ratio(0.5)) }, record)), apart)
  })

  it.effect("TR4: a sound one goes on as it came", () =>
    Effect.gen(function*() {
      const parent = Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" })
      const span = yield* Effect.currentSpan.pipe(Effect.withSpan("server", { parent }))
      assert.strictEqual(span.traceId, parent.traceId)
      assert.strictEqual(Option.getOrThrow(span.parent).spanId, parent.spanId)
    }).pipe(Effect.provide(traced({})), apart))
})

describe("events", () => {
  it.effect("what a policy says is an event of the pipeline's span, and has its trace kept", () => {
    const record = recorder()
    return Effect.gen(function*() {
      const work = Effect.gen(function*() {
        const running = yield* Effect.forkChild(Effect.exit(Deadline.within(Effect.never, "1 second")))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(running)
        yield* Signal.emit({
          _tag: "CircuitTransition",
          name: "openai",
          key: "",
          from: "Closed",
          to: "Open",
          reason: "rate"
        })
      })
      yield* work.pipe(
        Effect.withSpan("resilience.attempt"),
        Effect.withSpan("resilience.pipeline openai"),
        root("turn")
      )
      const events = record.ended.map(({ events, name }) => [name, events.map(([event]) => event)])
      assert.deepStrictEqual(events, [
        ["resilience.attempt", []],
        ["resilience.pipeline openai", ["resilience.timeout", "resilience.circuit_breaker.opened"]],
        ["turn", []]
      ])
      const [timeout] = record.ended[1]!.events
      assert.deepStrictEqual(timeout?.[2], { "resilience.scope": "total", "resilience.budget_ms": 1_000 })
    }).pipe(Effect.provide(traced({ sampler: never }, record)), apart)
  })

  it.effect("without a pipeline it is one of the current span; the good path makes none", () => {
    const record = recorder()
    return Effect.gen(function*() {
      yield* root("good")(Signal.emit({ _tag: "CallPermitted", name: "a", key: "", state: "Closed" }))
      yield* root("bad")(Signal.emit({
        _tag: "CallRejected",
        name: "a",
        key: "k",
        state: "Open",
        retryAfter: Duration.seconds(2),
        shadow: false
      }))
      assert.deepStrictEqual(record.names(), ["bad"])
      assert.deepStrictEqual(record.ended[0]!.events.map(([name, , attributes]) => [name, attributes]), [[
        "resilience.circuit_breaker.rejected",
        {
          "resilience.name": "a",
          "resilience.key": "k",
          "resilience.state": "Open",
          "resilience.retry_after_ms": 2_000
        }
      ]])
    }).pipe(Effect.provide(traced({ sampler: never }, record)), apart)
  })

  it.effect("outside of a span nothing happens", () =>
    Signal.emit({ _tag: "Hedged", name: "a", winner: 0, launched: 1 }).pipe(Effect.provide(traced({})), apart))
})

describe("Tracing.fromEnv", () => {
  const choice = (variables: Record<string, string>) =>
    Effect.gen(function*() {
      const warnings: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(String(message))
      })
      const { description } = yield* Tracing.fromEnv.pipe(
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(variables)),
        Effect.provide(Logger.layer([logger]))
      )
      return { description, warnings }
    })

  it.effect("knows all six samplers", () =>
    Effect.gen(function*() {
      for (
        const [OTEL_TRACES_SAMPLER, description] of [
          ["always_on", "AlwaysOn"],
          ["always_off", "AlwaysOff"],
          ["traceidratio", "TraceIdRatioBased{0.25}"],
          ["parentbased_always_on", "ParentBased{AlwaysOn}"],
          ["parentbased_always_off", "ParentBased{AlwaysOff}"],
          ["parentbased_traceidratio", "ParentBased{TraceIdRatioBased{0.25}}"],
          [" ParentBased_TraceIdRatio ", "ParentBased{TraceIdRatioBased{0.25}}"]
        ] as const
      ) {
        const found = yield* choice({ OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG: "0.25" })
        assert.deepStrictEqual(found, { description, warnings: [] })
      }
    }))

  it.effect("keeps 1 % and follows the caller unless told otherwise", () =>
    Effect.gen(function*() {
      const standard = "ParentBased{TraceIdRatioBased{0.01}}"
      assert.deepStrictEqual(yield* choice({}), { description: standard, warnings: [] })
      assert.deepStrictEqual(yield* choice({ OTEL_TRACES_SAMPLER: "" }), { description: standard, warnings: [] })
      assert.strictEqual(
        (yield* choice({ OTEL_TRACES_SAMPLER_ARG: "0.5" })).description,
        "ParentBased{TraceIdRatioBased{0.5}}"
      )
      assert.strictEqual(
        (yield* choice({ OTEL_TRACES_SAMPLER: "traceidratio" })).description,
        "TraceIdRatioBased{1}"
      )
    }))

  it.effect("warns of what it does not know, and takes the default", () =>
    Effect.gen(function*() {
      const description = "ParentBased{TraceIdRatioBased{0.01}}"
      for (
        const [variables, warning] of [
          [{ OTEL_TRACES_SAMPLER: "sometimes" }, /^OTEL_TRACES_SAMPLER must be one of always_on, .*got "sometimes"/],
          [{ OTEL_TRACES_SAMPLER: "toString" }, /^OTEL_TRACES_SAMPLER must be one of/],
          [
            { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" },
            /^OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, got "2"/
          ],
          [{ OTEL_TRACES_SAMPLER_ARG: "much" }, /^OTEL_TRACES_SAMPLER_ARG must be .* got "much"/]
        ] as const
      ) {
        const found = yield* choice(variables)
        assert.strictEqual(found.description, description)
        assert.strictEqual(found.warnings.length, 1)
        assert.match(found.warnings[0]!, warning)
      }
    }))

  it.effect("is what the layer takes, and says at its start", () =>
    Effect.gen(function*() {
      const said: Array<unknown> = []
      const logger = Logger.make(({ message }) => {
        said.push(message)
      })
      const start = Effect.void.pipe(
        Effect.provide(Layer.provide(Tracing.layer(), Logger.layer([logger]))),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown({ OTEL_TRACES_SAMPLER: "always_off" })
        )
      )
      yield* start
      yield* Effect.provideService(start, Tracer.Tracer, Tracer.make({ span: (span) => new Tracer.NativeSpan(span) }))
      // What the tracer that records nothing would be handed on is not held for it.
      assert.deepStrictEqual(said, [
        ["tracing", { sampler: "AlwaysOff", tail: false }],
        ["tracing", { sampler: "AlwaysOff", tail: true }]
      ])
    }))
})

describe("the options", () => {
  it("refuse what is out of range", () => {
    assert.throws(() => ratio(1.5), RangeError, /^share must be a number from 0 to 1, got 1\.5$/)
    assert.throws(
      () => Tracing.layer({ tail: { perTrace: 0 } }),
      RangeError,
      /^tail\.perTrace must be a positive integer/
    )
    assert.throws(() => Tracing.layer({ tail: { total: 0.5 } }), RangeError, /^tail\.total must be a positive integer/)
    assert.throws(
      () => Tracing.layer({ tail: { slow: 0 } }),
      RangeError,
      /^tail\.slow must be a finite duration above zero/
    )
  })
})
