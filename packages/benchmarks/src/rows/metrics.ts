/** Updates of metrics whose labels differ from call to call. */
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics"
import * as Metrics from "effect-resilience/Metrics"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as PromClient from "prom-client"
import type { Comparison } from "../harness/compare.ts"
import { calls, plainEffects } from "../harness/contender.ts"

const labels = ["method", "route", "status"] as const

type Labels = { readonly [L in (typeof labels)[number]]: string }

/** 100 label sets in turn, written down anew for each call as programs do. */
const inTurn = (): () => Labels => {
  const routes = Array.from({ length: 10 }, (_, index) => `/route/${index}`)
  const statuses = ["200", "201", "400", "429", "500"]
  const methods = ["GET", "POST"]
  let nth = 0
  return () => {
    nth = (nth + 1) % 100
    return { method: methods[nth % 2]!, route: routes[nth % 10]!, status: statuses[nth % 5]! }
  }
}

const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** A value each time: all buckets have their turn. */
const values = (): () => number => {
  let nth = 0
  return () => (nth = (nth + 7) % 101) / 10
}

/** With a reader that somebody could ask: without one the SDK keeps nothing. */
class Reader extends MetricReader {
  protected override onForceFlush = () => Promise.resolve()
  protected override onShutdown = () => Promise.resolve()
}

const meter = () => new MeterProvider({ readers: [new Reader()] }).getMeter("bench")

/** Updates. */
export const comparisons: ReadonlyArray<Comparison> = [
  {
    title: "Counter with three labels",
    call: "Adding one, by code that has its fiber at hand, to the next of 100 label sets.",
    contenders: [
      calls("Metrics.counter", (fiber) => {
        const counter = Metrics.counter("bench_total", { labels })
        const next = inTurn()
        return () => counter.addUnsafe(fiber, 1, next())
      }),
      calls("prom-client", () => {
        const registers = [new PromClient.Registry()]
        const counter = new PromClient.Counter({ name: "bench_total", help: "bench", labelNames: labels, registers })
        const next = inTurn()
        return () => counter.inc(next(), 1)
      }),
      calls("OTel SDK", () => {
        const counter = meter().createCounter("bench_total")
        const next = inTurn()
        return () => counter.add(1, next())
      }),
      calls("Effect withAttributes", (fiber) => {
        const counter = Metric.counter("bench_effect_total", { incremental: true })
        const next = inTurn()
        return () => Metric.withAttributes(counter, next()).updateUnsafe(1, fiber.context)
      })
    ],
    targets: [{ against: "prom-client", atMost: 0.5 }]
  },
  {
    title: "Histogram with three labels",
    call: "Observing a value in 11 buckets, likewise.",
    contenders: [
      calls("Metrics.histogram", (fiber) => {
        const histogram = Metrics.histogram("bench_seconds", { labels, buckets })
        const next = inTurn()
        const value = values()
        return () => histogram.observeUnsafe(fiber, value(), next())
      }),
      calls("prom-client", () => {
        const registers = [new PromClient.Registry()]
        const options = { name: "bench_seconds", help: "bench", labelNames: labels, buckets, registers }
        const histogram = new PromClient.Histogram(options)
        const next = inTurn()
        const value = values()
        return () => histogram.observe(next(), value())
      }),
      calls("OTel SDK", () => {
        const histogram = meter().createHistogram("bench_seconds", { advice: { explicitBucketBoundaries: buckets } })
        const next = inTurn()
        const value = values()
        return () => histogram.record(value(), next())
      }),
      calls("Effect withAttributes", (fiber) => {
        const histogram = Metric.histogram("bench_effect_seconds", { boundaries: buckets })
        const next = inTurn()
        const value = values()
        return () => Metric.withAttributes(histogram, next()).updateUnsafe(value(), fiber.context)
      })
    ],
    targets: [{ against: "prom-client", atMost: 0.5 }]
  },
  {
    title: "Counter with three labels, as an effect",
    call: "The same as a step of a program.",
    contenders: [
      plainEffects(
        "Metrics.counter",
        Effect.suspend((() => {
          const counter = Metrics.counter("bench_effects_total", { labels })
          const next = inTurn()
          return () => counter.add(1, next())
        })())
      ),
      plainEffects(
        "Effect withAttributes",
        Effect.suspend((() => {
          const counter = Metric.counter("bench_effect_effects_total", { incremental: true })
          const next = inTurn()
          return () => Metric.update(Metric.withAttributes(counter, next()), 1)
        })())
      )
    ],
    targets: []
  }
]
