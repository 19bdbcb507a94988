/**
 * Metrics of the process, by the names that prom-client gives them, so that its dashboards and alerts go on working.
 *
 * They are in Effect's registry, and read when somebody asks: `Metrics.layerHttp` of `effect-resilience` shows them beside
 * all others.
 *
 * Three differ from prom-client's on purpose:
 *
 * - `nodejs_eventloop_lag_*` is what the loop was late. prom-client adds the 10 milliseconds that its monitor waits between two
 *   looks, and forgets with every scrape, so that of two scrapers each sees a part. Here they cover the last 30 to 60 seconds for
 *   everybody.
 * - `nodejs_gc_duration_seconds` has every collection. prom-client takes the first of those that Node reports at a time.
 * - `nodejs_eventloop_utilization_ratio` is new.
 *
 * **Gotchas**
 *
 * `process_open_fds` is there where `/proc` is: on Linux.
 *
 * **Example** (On the page of metrics)
 *
 * ```ts
 * import { NodeMetrics } from "@effect-resilience/node"
 * import { Effect } from "effect"
 * import { Metrics } from "effect-resilience"
 *
 * const page = await Effect.runPromise(Effect.provide(Metrics.format(), NodeMetrics.layer))
 * page.includes("# TYPE process_cpu_user_seconds_total counter") // => true
 * ```
 *
 * @since 0.1.0
 */
import * as Metrics from "effect-resilience/Metrics"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import { readdirSync } from "node:fs"
import { performance } from "node:perf_hooks"
import { getHeapStatistics } from "node:v8"
import * as Garbage from "./internal/nodeMetrics/garbage.ts"
import { LoopWatch } from "./internal/nodeMetrics/lag.ts"
import * as Resources from "./internal/nodeMetrics/resources.ts"

/**
 * Has the metrics of this process in the registry while the layer lives.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.effectDiscard(Effect.gen(function*() {
  const watch = yield* Effect.acquireRelease(
    Effect.sync(() => new LoopWatch()),
    (watch) => Effect.sync(() => watch.stop())
  )
  yield* Effect.sync(() => watch.turn()).pipe(Effect.schedule(window), Effect.forkScoped)
  yield* readings({ ...ofProcess, ...ofFiles(), ...ofLoop(watch) })
  yield* resources
  yield* garbage
  yield* versionInfo
}))

/** How much of the past the loop's metrics cover at least: what Prometheus waits between two scrapes, as a rule. */
const window = Schedule.spaced("30 seconds")

type Name = keyof typeof Metrics.catalogue

type Readings = { readonly [N in Name]?: () => number }

const ofProcess: Readings = {
  process_cpu_user_seconds_total: () => process.cpuUsage().user / 1e6,
  process_cpu_system_seconds_total: () => process.cpuUsage().system / 1e6,
  process_resident_memory_bytes: () => process.memoryUsage.rss(),
  process_start_time_seconds: () => performance.timeOrigin / 1e3,
  nodejs_heap_size_used_bytes: () => getHeapStatistics().used_heap_size,
  nodejs_heap_size_total_bytes: () => getHeapStatistics().total_heap_size,
  nodejs_external_memory_bytes: () => getHeapStatistics().external_memory
}

const ofLoop = (watch: LoopWatch): Readings => ({
  nodejs_eventloop_lag_min_seconds: () => watch.lag(({ min }) => min),
  nodejs_eventloop_lag_max_seconds: () => watch.lag(({ max }) => max),
  nodejs_eventloop_lag_mean_seconds: () => watch.lag(({ mean }) => mean),
  nodejs_eventloop_lag_p50_seconds: () => watch.lag((delays) => delays.percentile(50)),
  nodejs_eventloop_lag_p90_seconds: () => watch.lag((delays) => delays.percentile(90)),
  nodejs_eventloop_lag_p99_seconds: () => watch.lag((delays) => delays.percentile(99)),
  nodejs_eventloop_utilization_ratio: () => watch.utilization()
})

const ofFiles = (): Readings => openFiles() === undefined ? {} : { process_open_fds: () => openFiles() ?? 0 }

/** How many files `/proc` lists, without the folder itself, which is open while it is read; nothing where there is none. */
const openFiles = (): number | undefined => {
  try {
    return readdirSync("/proc/self/fd").length - 1
  } catch {
    return undefined
  }
}

/** Series whose values are read when somebody asks. */
const readings = (read: Readings) =>
  Effect.acquireRelease(
    Effect.map(Effect.context<never>(), (context) =>
      // Names and readings are of one record, whose type says so.
      (Object.entries(read) as Array<[Name, () => number]>).map(([name, read]) => register(name, read, context))),
    (registrations) => Effect.sync(() => registrations.forEach(({ remove }) => remove()))
  )

/** Series by the type of what is active, each from when the first of it is seen. */
const resources = Effect.flatMap(Effect.context<never>(), (context) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const registrations: Array<Metric.Registration> = []
      Resources.watch((type, count) => {
        registrations.push(register("nodejs_active_resources", count, context, { type }))
      })
      return registrations
    }),
    (registrations) => Effect.sync(() => registrations.forEach(({ remove }) => remove()))
  ))

const register = (
  name: Name,
  read: () => number,
  context: Context.Context<never>,
  attributes: Metric.Metric.Attributes = {}
): Metric.Registration => {
  const { help: description, type } = Metrics.catalogue[name]
  const ignore = () => {}
  return type === "counter"
    ? Metric.registerUnsafe(Metric.counter(name, { description, attributes, incremental: true }), context, {
      get: () => ({ count: read(), incremental: true }),
      update: ignore,
      modify: ignore
    })
    : Metric.registerUnsafe(Metric.gauge(name, { description, attributes }), context, {
      get: () => ({ value: read() }),
      update: ignore,
      modify: ignore
    })
}

const durations = Metrics.instrument("nodejs_gc_duration_seconds")

/** Node tells of collections outside of any fiber, so each update has one of its own: no trace is to blame for it. */
const garbage = Effect.gen(function*() {
  const run = Effect.runSyncWith(Context.make(Metric.MetricRegistry, yield* Metric.MetricRegistry))
  yield* Layer.build(Metrics.layerDeclare(durations))
  yield* Effect.acquireRelease(
    Effect.sync(() => Garbage.observe((kind, seconds) => run(durations.observe(seconds, { kind })))),
    (stop) => Effect.sync(stop)
  )
})

const versionInfo = Effect.suspend(() => {
  const [major = "", minor = "", patch = ""] = process.versions.node.split(".")
  return Metrics.instrument("nodejs_version_info").set(1, { version: process.version, major, minor, patch })
})
