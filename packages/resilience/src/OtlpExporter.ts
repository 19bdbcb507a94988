/**
 * Sends the spans that end to a collector, by OTLP over HTTP, and stays small whatever the collector does.
 *
 * - **Bounded.** At most `queueSize` spans wait and `concurrency` requests are under way. A span for which there is no room is
 *   dropped when it ends; nothing that is traced ever waits for the collector.
 * - **Timed.** A request has `timeout`. What the collector did not take is sent again by the `retry` schedule, not before
 *   `Retry-After` where it says so, when OTLP says that this may help: for 429, 502, 503, 504 and for connections that fail.
 * - **Accounted for.** Each span that ends here is counted once in `telemetry_spans_total`, when it is known what became of it:
 *   `exported`, `dropped_queue`, `dropped_export` or `unsampled`. With those in `telemetry_queue_size` that makes all that ended.
 * - **Flushed.** When the layer ends, what waits is sent, for `shutdownTimeout` at most. What is lost is logged.
 *
 * Effect's `OtlpTracer` is the same without these bounds: it opens a request for each full batch, however many hang.
 *
 * **Gotchas**
 *
 * Put `Tracing.layer` in front: this exports every span that it is given. The module of Effect that is called
 * `OtlpExporter`, too, is its transport; {@link layer} provides the `Flusher` of that one, so that one `flush` sends what all
 * exporters have.
 *
 * **Example** (Traces for a collector)
 *
 * ```ts no-run
 * import { Effect, Layer } from "effect"
 * import { OtlpExporter, Tracing } from "effect-resilience"
 * import { FetchHttpClient } from "effect/http"
 *
 * const exporter = OtlpExporter.layer({
 *   url: "http://localhost:4318/v1/traces",
 *   resource: { serviceName: "agent" }
 * })
 * const tracing = Tracing.layer().pipe(Layer.provide(exporter), Layer.provide(FetchHttpClient.layer))
 *
 * await Effect.runPromise(Effect.void.pipe(Effect.withSpan("turn"), Effect.provide(tracing)))
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as EffectExporter from "effect/observability/OtlpExporter"
import * as OtlpResource from "effect/observability/OtlpResource"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as Schedule from "effect/Schedule"
import * as Tracer from "effect/Tracer"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { durationMillis, oneOf, positiveInteger, positiveMillis } from "./internal/options.ts"
import * as Env from "./internal/otlpExporter/env.ts"
import { sending } from "./internal/otlpExporter/request.ts"
import { ExportedSpan } from "./internal/otlpExporter/span.ts"
import { working } from "./internal/otlpExporter/workers.ts"
import { accounts } from "./internal/telemetrySpans.ts"

/**
 * How requests are written: OTLP as Protocol Buffers, or as JSON.
 *
 * @category models
 * @since 0.1.0
 */
export type Protocol = Env.Protocol

/**
 * Who sends the spans. Explicit names go before those among the attributes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Resource {
  /** Default `"unknown_service:node"`. */
  readonly serviceName?: string | undefined
  readonly serviceVersion?: string | undefined
  readonly attributes?: { readonly [name: string]: unknown } | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where to, with the path: `http://localhost:4318/v1/traces`. */
  readonly url: string
  /** Sent with each request: an API key, say. */
  readonly headers?: Headers.Input | undefined
  /** Default `"http/protobuf"`. */
  readonly protocol?: Protocol | undefined
  /** Default `"none"`. With `"gzip"`, bodies of 1 kB and more are compressed. */
  readonly compression?: "gzip" | "none" | undefined
  readonly resource?: Resource | undefined
  /** Spans that may wait, besides those of requests that are under way. A positive integer. Default 2,048. */
  readonly queueSize?: number | undefined
  /** Spans of a request. A positive integer of at most `queueSize`. Default 512, or `queueSize` where that is less. */
  readonly batchSize?: number | undefined
  /** Requests under way at a time, those that wait to be tried again among them. A positive integer. Default 4. */
  readonly concurrency?: number | undefined
  /** For how long spans are kept back for a batch to fill. Default 5 seconds. */
  readonly interval?: Duration.Input | undefined
  /** How long a request may take. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** When a batch that was not taken is sent again. Default: after 1, 2, 4 and 8 seconds, give or take a fifth. */
  readonly retry?: Schedule.Schedule<unknown, unknown> | undefined
  /**
   * How long the last spans may take when the layer ends; zero drops them. Default 2 seconds, which fits into what
   * `NodeServer` leaves of the grace period.
   */
  readonly shutdownTimeout?: Duration.Input | undefined
}

/**
 * The options that {@link fromEnv} finds. Times are in milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface OptionsFromEnv extends Env.FromEnv {}

/**
 * A tracer that exports. It goes into the layers that start spans, and behind `Tracing.layer`.
 *
 * Throws a `RangeError` for a `url` that is none, an unknown protocol, sizes that are no positive integers, a `batchSize`
 * above `queueSize`, and times that are not above zero.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<EffectExporter.Flusher, never, HttpClient.HttpClient> => {
  const settings = check(options)
  const tracer = Layer.effect(
    Tracer.Tracer,
    Effect.gen(function*() {
      const serialization = yield* OtlpSerialization.OtlpSerialization
      const client = yield* HttpClient.HttpClient
      const { flush, onEnd } = yield* working({
        ...settings,
        serialization,
        send: sending({ ...settings, client })
      })
      const flusher = yield* EffectExporter.Flusher
      yield* flusher.register(flush)
      return accounts(Tracer.make({ span: (span) => new ExportedSpan(span, onEnd) }))
    })
  )
  return tracer.pipe(
    Layer.provide(serializations[settings.protocol]),
    Layer.provideMerge(EffectExporter.layerFlusher)
  )
}

/**
 * The options that OpenTelemetry's variables give, or nothing where they name no endpoint, `OTEL_SDK_DISABLED` is true or
 * `OTEL_TRACES_EXPORTER` does not name `otlp`.
 *
 * | variable | option |
 * | --- | --- |
 * | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or `OTEL_EXPORTER_OTLP_ENDPOINT` and `/v1/traces` | `url` |
 * | `OTEL_EXPORTER_OTLP_HEADERS`: `name=value`, separated by commas and percent-encoded | `headers` |
 * | `OTEL_EXPORTER_OTLP_PROTOCOL`: `http/protobuf` or `http/json` | `protocol` |
 * | `OTEL_EXPORTER_OTLP_COMPRESSION`: `gzip` or `none` | `compression` |
 * | `OTEL_EXPORTER_OTLP_TIMEOUT`, in milliseconds | `timeout` |
 * | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | `resource` |
 * | `OTEL_BSP_SCHEDULE_DELAY`, in milliseconds | `interval` |
 * | `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` | `queueSize`, `batchSize` |
 *
 * Those that begin with `OTEL_EXPORTER_OTLP_` may be given for traces alone, with `TRACES_` after that. What cannot be read is
 * a `ConfigError` that names the variable.
 *
 * @category options
 * @since 0.1.0
 */
export const fromEnv: Config.Config<OptionsFromEnv | undefined> = Env.fromEnv

/**
 * {@link layer} with the options of {@link fromEnv}. Where they say that nothing is exported, tracers stay what they are.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFromEnv: Layer.Layer<EffectExporter.Flusher, Config.ConfigError, HttpClient.HttpClient> =
  layerFromConfig(
    fromEnv,
    (options): Layer.Layer<EffectExporter.Flusher, never, HttpClient.HttpClient> =>
      options === undefined ? EffectExporter.layerFlusher : layer(options)
  )

const serializations = {
  "http/protobuf": OtlpSerialization.layerProtobuf,
  "http/json": OtlpSerialization.layerJson
}

const defaultRetry = Schedule.exponential("1 second").pipe(Schedule.jittered, Schedule.upTo({ times: 4 }))

const check = (options: Options) => {
  const { compression = "none", concurrency = 4, protocol = "http/protobuf", queueSize = 2048, resource } = options
  if (!Env.isHttpUrl(options.url)) {
    throw new RangeError(`url must be a URL of HTTP, got ${JSON.stringify(options.url)}`)
  }
  const capacity = positiveInteger("queueSize", queueSize)
  const batchSize = positiveInteger("batchSize", options.batchSize ?? Math.min(512, capacity))
  if (batchSize > capacity) {
    throw new RangeError(`batchSize must be at most queueSize, which is ${capacity}, got ${batchSize}`)
  }
  return {
    url: options.url,
    headers: Headers.fromInput(options.headers),
    protocol: oneOf("protocol", protocol, ["http/protobuf", "http/json"]),
    gzip: oneOf("compression", compression, ["gzip", "none"]) === "gzip",
    resource: OtlpResource.make({
      serviceName: resource?.serviceName ?? Env.unknownService,
      serviceVersion: resource?.serviceVersion,
      attributes: resource?.attributes
    }),
    limits: { capacity, batchSize },
    concurrency: positiveInteger("concurrency", concurrency),
    intervalMillis: positiveMillis("interval", options.interval ?? "5 seconds"),
    timeoutMillis: positiveMillis("timeout", options.timeout ?? "10 seconds"),
    retry: options.retry ?? defaultRetry,
    shutdownMillis: durationMillis("shutdownTimeout", options.shutdownTimeout ?? "2 seconds")
  }
}
