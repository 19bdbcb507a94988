/**
 * Counts what happens, and shows it to Prometheus.
 *
 * - {@link layer} listens to the signals of the policies and fills the catalogue of `docs/reference/metrics.md`.
 * - {@link counter}, {@link gauge} and {@link histogram} are metrics of your own, with labels that cost tens of
 *   nanoseconds and cannot grow without bound.
 * - {@link layerHttp} serves everything in Effect's metric registry, whoever put it there.
 *
 * What holds for each metric made here:
 *
 * - It has at most `limit` series. Label sets beyond it share one whose labels are all `_overflow`, and are counted in
 *   `metrics_cardinality_overflow_total`.
 * - Labels whose values are given have their series at 0 before anything happened, so that a rate starts at the first event.
 * - An update that is `NaN` or infinite, or negative where that has no meaning, is refused and counted in
 *   `metrics_invalid_updates_total`: it cannot spoil a sum.
 *
 * **Gotchas**
 *
 * Users, sessions, keys and prompts are no labels: there are too many of them, and they are nobody's business. Put
 * them into spans or logs.
 *
 * **Example** (A metric of your own)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Metrics } from "effect-resilience"
 *
 * const orders = Metrics.counter("orders_total", {
 *   labels: ["outcome"],
 *   values: { outcome: ["accepted", "refused"] },
 *   help: "Orders that were placed"
 * })
 *
 * const program = Effect.gen(function*() {
 *   yield* orders.add(1, { outcome: "accepted" })
 *   return yield* Metrics.format()
 * })
 * const text = await Effect.runPromise(program)
 * text.split("\n").filter((line) => line.startsWith("orders_total")) // => [`orders_total{outcome="accepted"} 1`, `orders_total{outcome="refused"} 0`]
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as HttpMiddleware from "effect/http/HttpMiddleware"
import * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { catalogue as entries } from "./internal/metrics/catalogue.ts"
import { requests } from "./internal/metrics/catalogue/entry.ts"
import { observation } from "./internal/metrics/catalogue/observation.ts"
import { collect } from "./internal/metrics/exposition/collect.ts"
import { negotiate } from "./internal/metrics/exposition/negotiate.ts"
import { contentType, render } from "./internal/metrics/exposition/render.ts"
import type { LabelValues } from "./internal/metrics/family.ts"
import { type Catalogue, defaultLimit, definitionOf } from "./internal/metrics/fromCatalogue.ts"
import * as Instruments from "./internal/metrics/instruments.ts"
import { recorder } from "./internal/metrics/record.ts"
import type { HistogramSeries, NumberSeries } from "./internal/metrics/series.ts"
import { positiveInteger } from "./internal/options.ts"
import * as Signal from "./Signal.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/Metrics"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/Metrics"

/**
 * The labels of an update: a value for each, or nothing where there are none.
 *
 * @category models
 * @since 0.1.0
 */
export type Labels<Label extends string> = [Label] extends [never] ? readonly []
  : readonly [labels: { readonly [L in Label]: string }]

/**
 * Options of {@link counter} and {@link gauge}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Label extends string> {
  /** The names of its labels. Default: none. */
  readonly labels?: ReadonlyArray<Label> | undefined
  /** All values of a label that has few. Their series exist at 0 from the start, or as soon as the other labels are known. */
  readonly values?: { readonly [L in Label]?: ReadonlyArray<string> } | undefined
  /** How many series it may have. A positive integer. Default 1,000. */
  readonly limit?: number | undefined
  /** What it says, in a line. */
  readonly help?: string | undefined
}

/**
 * Options of {@link histogram}.
 *
 * @category models
 * @since 0.1.0
 */
export interface HistogramOptions<Label extends string> extends Options<Label> {
  /** Upper bounds of the buckets, rising. Default: from 5 ms to 120 s, for durations in seconds. */
  readonly buckets?: ReadonlyArray<number> | undefined
}

interface Instrument<Kind extends string> {
  readonly [TypeId]: Kind
  readonly name: string
  readonly labels: ReadonlyArray<string>
}

type AnyFiber = Fiber.Fiber<unknown, unknown>

/**
 * A number that only grows.
 *
 * - `add`: adds a number that is not negative
 * - `addUnsafe`: the same at once, for code that has its fiber at hand
 * - `with`: the counter of one label set, for a place that has always the same
 *
 * @category models
 * @since 0.1.0
 */
export interface Counter<in out Label extends string = never> extends Instrument<"counter"> {
  readonly add: (by: number, ...labels: Labels<Label>) => Effect.Effect<void>
  readonly addUnsafe: (fiber: AnyFiber, by: number, ...labels: Labels<Label>) => void
  readonly with: (...labels: Labels<Label>) => Counter
}

/**
 * A number that goes up and down.
 *
 * @category models
 * @since 0.1.0
 */
export interface Gauge<in out Label extends string = never> extends Instrument<"gauge"> {
  readonly set: (to: number, ...labels: Labels<Label>) => Effect.Effect<void>
  readonly setUnsafe: (fiber: AnyFiber, to: number, ...labels: Labels<Label>) => void
  /** Adds a number, which may be negative. */
  readonly add: (by: number, ...labels: Labels<Label>) => Effect.Effect<void>
  readonly addUnsafe: (fiber: AnyFiber, by: number, ...labels: Labels<Label>) => void
  readonly with: (...labels: Labels<Label>) => Gauge
}

/**
 * How often which sizes occurred. Sizes are not negative.
 *
 * @category models
 * @since 0.1.0
 */
export interface Histogram<in out Label extends string = never> extends Instrument<"histogram"> {
  readonly observe: (value: number, ...labels: Labels<Label>) => Effect.Effect<void>
  readonly observeUnsafe: (fiber: AnyFiber, value: number, ...labels: Labels<Label>) => void
  readonly with: (...labels: Labels<Label>) => Histogram
}

/**
 * Any metric of this module.
 *
 * @category models
 * @since 0.1.0
 */
export type Any = Instrument<"counter" | "gauge" | "histogram">

/**
 * @category guards
 * @since 0.1.0
 */
export const isMetric = (u: unknown): u is Any => Predicate.hasProperty(u, TypeId)

/**
 * A counter. Two of the same name and labels are one.
 *
 * By convention the name ends in `_total`. Any name is taken: what Prometheus cannot read is replaced by `_` when it is
 * shown. Throws a `RangeError` for a limit that is no positive integer, and for a label that is named twice.
 *
 * @category constructors
 * @since 0.1.0
 */
export const counter = <const Label extends string = never>(name: string, options?: Options<Label>): Counter<Label> =>
  counterFrom(Instruments.counter(definition(name, options)))

/**
 * A gauge. Two of the same name and labels are one. Throws as {@link counter} does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const gauge = <const Label extends string = never>(name: string, options?: Options<Label>): Gauge<Label> =>
  gaugeFrom(Instruments.gauge(definition(name, options)))

/**
 * A histogram. Two of the same name and labels are one, with the buckets of the first. Throws as {@link counter} does, and
 * for buckets that do not rise.
 *
 * **Example** (Sizes in bytes)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Metrics } from "effect-resilience"
 *
 * const reports = Metrics.histogram("report_size_bytes", { buckets: [1_000, 1_000_000] })
 *
 * const text = await Effect.runPromise(Effect.andThen(reports.observe(2_500), Metrics.format()))
 * text.includes(`report_size_bytes_bucket{le="1000000"} 1`) // => true
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const histogram = <const Label extends string = never>(
  name: string,
  options?: HistogramOptions<Label>
): Histogram<Label> =>
  histogramFrom(Instruments.histogram(definition(name, options), buckets(options?.buckets ?? defaultBuckets)))

/**
 * Every metric that these packages know, by name, with type, unit, labels, buckets and meaning.
 *
 * @category catalogue
 * @since 0.1.0
 */
export const catalogue: Catalogue = entries

/**
 * A metric of the {@link catalogue}, for code that feeds one of those that no signal does.
 *
 * **Example** (What a call has cost)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Metrics } from "effect-resilience"
 *
 * const cost = Metrics.instrument("llm_cost_usd_total")
 * await Effect.runPromise(cost.add(0.002, { provider: "openai", model: "gpt-4o" })) // => undefined
 * ```
 *
 * @category catalogue
 * @since 0.1.0
 */
export const instrument = <Name extends keyof Catalogue>(name: Name): InstrumentOf<Name> => {
  const { type } = entries[name]
  const definition = definitionOf(name)
  const made = type === "counter"
    ? counterFrom(Instruments.counter(definition))
    : type === "gauge"
    ? gaugeFrom(Instruments.gauge(definition))
    : histogramFrom(Instruments.histogram(definition, entries[name].buckets))
  // The type of the entry is what the three branches follow.
  return made as unknown as InstrumentOf<Name>
}

/**
 * The type of a metric of the {@link catalogue}.
 *
 * @category catalogue
 * @since 0.1.0
 */
export type InstrumentOf<Name extends keyof Catalogue> = {
  readonly counter: Counter<Catalogue[Name]["labels"][number]>
  readonly gauge: Gauge<Catalogue[Name]["labels"][number]>
  readonly histogram: Histogram<Catalogue[Name]["labels"][number]>
}[Catalogue[Name]["type"]]

/**
 * Fills the catalogue from the signals of the policies that run under it. Provide it once: two of them, one under the other, count
 * twice.
 *
 * **Example** (Retries, counted)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Metrics, Retry } from "effect-resilience"
 *
 * const call = Retry.retry(Effect.succeed("done"), Retry.backoff({ base: "1 second" }), { name: "weather" })
 * const program = Effect.andThen(call, Metrics.format())
 *
 * const text = await Effect.runPromise(Effect.provide(program, Metrics.layer))
 * text.includes(`resilience_retry_calls_total{kind="successful_without_retry",name="weather"} 1`) // => true
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.unwrap(Effect.withFiber((fiber) =>
  Effect.sync(() => {
    const { declareIn, listen } = recorder()
    const registry = fiber.getRef(Metric.MetricRegistry)
    declareIn(registry)
    Signal.listenerErrors.updateUnsafe(0, fiber.context)
    return Layer.merge(Signal.layer(listen), seriesGauge(registry))
  })
))

/**
 * Has the series of these metrics exist at 0 from now on, as far as the values of their labels are given.
 *
 * A metric otherwise comes into being with its first update.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDeclare = (...metrics: ReadonlyArray<Any>): Layer.Layer<never> =>
  Layer.effectDiscard(Effect.withFiber((fiber) => {
    const registry = fiber.getRef(Metric.MetricRegistry)
    for (const metric of metrics) declarations.get(metric)?.(registry)
    return Effect.void
  }))

/**
 * Serves the registry at `path` (default `/metrics`) of the router: Prometheus's text format 0.0.4, or OpenMetrics 1.0.0
 * with exemplars to who asks for it; compressed with gzip where the client takes it.
 *
 * Whatever is in the registry, the answer can be read: names, labels and values are made legal, series that thereby become equal
 * are merged, a name with two types becomes two names.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttp = (options?: {
  readonly path?: HttpRouter.PathInput | undefined
}): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.add(
    "GET",
    options?.path ?? "/metrics",
    // Every server brings a platform that compresses; a router that is run without one answers plainly.
    Effect.flatMap(
      Effect.serviceOption(HttpPlatform.HttpPlatform),
      Option.match({
        onNone: () => scrape,
        onSome: (platform) => Effect.provideService(gzip(scrape), HttpPlatform.HttpPlatform, platform)
      })
    )
  )

/**
 * The registry as text, as {@link layerHttp} serves it.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (options?: {
  /** Default `"text"`. */
  readonly format?: "text" | "openMetrics" | undefined
}): Effect.Effect<string> =>
  Effect.map(Effect.context<never>(), (context) => render(collect(context), options?.format ?? "text"))

const scrape = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  const chosen = negotiate(request.headers["accept"])
  const body = yield* format({ format: chosen })
  return HttpServerResponse.text(body, {
    contentType: contentType[chosen],
    headers: { "cache-control": "no-store", vary: "Accept" }
  })
})

/** Small answers gain nothing. */
const gzip = HttpMiddleware.compression({ algorithms: ["gzip"], minSize: 1024, compressible: () => true })

/** How many series there are, read when somebody asks. */
const seriesGauge = (registry: Metric.MetricRegistry): Layer.Layer<never> =>
  Layer.effectDiscard(Effect.acquireRelease(
    Effect.withFiber((fiber) =>
      Effect.sync(() =>
        Metric.registerUnsafe(
          Metric.gauge("metrics_series", { description: observation.metrics_series.help }),
          fiber.context,
          { get: () => ({ value: registry.size }), update: () => {}, modify: () => {} }
        )
      )
    ),
    (registration) => Effect.sync(() => registration.remove())
  ))

const definition = <Label extends string>(
  name: string,
  options: Options<Label> | undefined
): Instruments.Definition => {
  const { help, labels = [], limit = defaultLimit, values = {} } = options ?? {}
  const twice = labels.find((label, index) => labels.indexOf(label) !== index)
  if (twice !== undefined) throw new RangeError(`labels must differ, got ${JSON.stringify(twice)} twice`)
  return {
    name,
    help,
    labels,
    limit: positiveInteger("limit", limit),
    values: values as Instruments.Definition["values"]
  }
}

const buckets = (bounds: ReadonlyArray<number>): ReadonlyArray<number> => {
  const rise = bounds.every((bound, index) => Number.isFinite(bound) && (index === 0 || bound > bounds[index - 1]!))
  if (!rise || bounds.length === 0) {
    throw new RangeError(`buckets must be rising finite numbers, got ${JSON.stringify(bounds.map(String))}`)
  }
  return bounds
}

const defaultBuckets = requests

/** How each metric declares its series; not for users, so not on the metric. */
const declarations = new WeakMap<Any, (registry: Metric.MetricRegistry) => void>()

/** What the three kinds share: where their series come from, with labels given each time or once. */
const made = <Made extends Any, Series>(
  kind: Made[TypeId],
  from: Instruments.Instrument<Series>,
  methods: (seriesFor: (fiber: AnyFiber, labels: LabelValues | undefined) => Series) => object
): Made => {
  const base = { [TypeId]: kind, name: from.shape.name, labels: from.shape.labels }
  const bound = (labels: LabelValues = none): Made => {
    const seriesFor = from.bind(labels)
    // The methods are those of the kind, which the caller knows.
    const metric = { ...base, ...methods(seriesFor), with: () => metric } as unknown as Made
    return metric
  }
  // As above.
  const metric = {
    ...base,
    ...methods((fiber, labels = none) => from.seriesFor(fiber, labels)),
    with: bound
  } as unknown as Made
  declarations.set(metric, (registry) => from.familyIn(registry))
  return metric
}

const none: LabelValues = {}

/** An update as an effect, from the same one as a function. */
const effectful =
  (update: (fiber: AnyFiber, value: number, labels?: LabelValues) => void) =>
  (value: number, labels?: LabelValues): Effect.Effect<void> =>
    Effect.withFiber((fiber) => {
      update(fiber, value, labels)
      return Effect.void
    })

const counterFrom = <Label extends string>(from: Instruments.Instrument<NumberSeries>): Counter<Label> =>
  made<Counter<Label>, NumberSeries>("counter", from, (seriesFor) => {
    const addUnsafe = (fiber: AnyFiber, by: number, labels?: LabelValues) =>
      Instruments.addTo(fiber, from.shape.name, seriesFor(fiber, labels), by)
    return { addUnsafe, add: effectful(addUnsafe) }
  })

const gaugeFrom = <Label extends string>(from: Instruments.Instrument<NumberSeries>): Gauge<Label> =>
  made<Gauge<Label>, NumberSeries>("gauge", from, (seriesFor) => {
    const setUnsafe = (fiber: AnyFiber, to: number, labels?: LabelValues) =>
      Instruments.setTo(fiber, from.shape.name, seriesFor(fiber, labels), to)
    const addUnsafe = (fiber: AnyFiber, by: number, labels?: LabelValues) =>
      Instruments.changeBy(fiber, from.shape.name, seriesFor(fiber, labels), by)
    return { setUnsafe, set: effectful(setUnsafe), addUnsafe, add: effectful(addUnsafe) }
  })

const histogramFrom = <Label extends string>(from: Instruments.Instrument<HistogramSeries>): Histogram<Label> =>
  made<Histogram<Label>, HistogramSeries>("histogram", from, (seriesFor) => {
    const observeUnsafe = (fiber: AnyFiber, value: number, labels?: LabelValues) =>
      Instruments.observeIn(fiber, from.shape.name, seriesFor(fiber, labels), value)
    return { observeUnsafe, observe: effectful(observeUnsafe) }
  })
