/** What Prometheus gets when it asks. */
import * as Metrics from "effect-resilience/Metrics"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PromClient from "prom-client"
import type { Comparison } from "../harness/compare.ts"
import { effects, promises } from "../harness/contender.ts"

const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** Lines of the page: 5,016 of counters, and 14 of each of 356 histograms. */
const counters = 5_016
const histograms = 356

/** Two labels, the first with few values. */
const labelsOf = (nth: number) => ({ method: nth % 2 === 0 ? "GET" : "POST", route: `/route/${nth}` })

const labels = ["method", "route"] as const

const registry = Layer.sync(Metric.MetricRegistry, () => new Map())

/** Scrapes. */
export const comparisons: ReadonlyArray<Comparison> = [
  {
    title: "Scrape of 10,000 series",
    call: "The text of a registry, half counters and half histograms, all of them in use.",
    contenders: [
      effects(
        "Metrics.format",
        registry,
        Effect.gen(function*() {
          const counter = Metrics.counter("bench_total", { labels, limit: counters })
          const histogram = Metrics.histogram("bench_seconds", { labels, limit: histograms, buckets })
          for (let nth = 0; nth < counters; nth++) yield* counter.add(nth, labelsOf(nth))
          for (let nth = 0; nth < histograms; nth++) yield* histogram.observe(nth / 100, labelsOf(nth))
          return Metrics.format()
        })
      ),
      promises("prom-client", () => {
        const register = new PromClient.Registry()
        const options = { help: "bench", labelNames: labels, registers: [register] }
        const counter = new PromClient.Counter({ ...options, name: "bench_total" })
        const histogram = new PromClient.Histogram({ ...options, name: "bench_seconds", buckets })
        for (let nth = 0; nth < counters; nth++) counter.inc(labelsOf(nth), nth)
        for (let nth = 0; nth < histograms; nth++) histogram.observe(labelsOf(nth), nth / 100)
        return () => register.metrics()
      })
    ],
    targets: [{ against: "prom-client", atMost: 1 }]
  }
]
