/**
 * OpenTelemetry's SDK behind Effect's tracer, set up by OpenTelemetry's environment variables.
 *
 * For programs that need the SDK itself: its instrumentation of other libraries, its span processors, a vendor's exporter. Spans of
 * Effect and spans that libraries start with `@opentelemetry/api` are then of one trace. A program that needs none of that is
 * better off with `OtlpExporter` of `effect-resilience`, which reads the same variables, needs no SDK, and counts what it loses.
 *
 * **Gotchas**
 *
 * The SDK's batch processor drops what does not fit into its queue, and counts nothing.
 *
 * The SDK samples at the head only. For failed traces put `Tracing.layer` in front and have the SDK take all that it lets
 * through: `OtelSdk.layerFromEnv({ sampler: Tracing.sampler.always })`. Spans of libraries are then all exported.
 *
 * **Example** (Everything from the environment)
 *
 * ```ts
 * import { OtelSdk } from "@effect-resilience/opentelemetry"
 * import { OtlpCollector } from "@effect-resilience/testing"
 * import { ConfigProvider, Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const collector = yield* OtlpCollector.make
 *   const env = {
 *     OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
 *     OTEL_SERVICE_NAME: "agent",
 *     OTEL_TRACES_SAMPLER: "always_on"
 *   }
 *   yield* Effect.void.pipe(
 *     Effect.withSpan("turn"),
 *     Effect.provide(OtelSdk.layerFromEnv()),
 *     Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
 *   )
 *   return collector.spans.map(({ name, resource }) => [name, resource["service.name"]])
 * })
 * await Effect.runPromise(Effect.scoped(program)) // => [["turn", "agent"]]
 * ```
 *
 * @since 0.1.0
 */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import type * as Resource from "@effect/opentelemetry/Resource"
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http"
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto"
import { BatchSpanProcessor, type SpanExporter, type SpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as OtlpExporter from "effect-resilience/OtlpExporter"
import * as Tracing from "effect-resilience/Tracing"
import type * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { samplerOf } from "./internal/sampler.ts"

/**
 * Options of {@link layerFromEnv}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `Tracing.fromEnv`, of `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`; that is 1 % where they are not set. */
  readonly sampler?: Tracing.Sampler | undefined
  /** Besides the one that exports. */
  readonly spanProcessors?: ReadonlyArray<SpanProcessor> | undefined
  /** How long the last spans may take when the layer ends. Default 2 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
}

/**
 * The SDK with an exporter, a resource and a sampler that OpenTelemetry's variables describe: those of `OtlpExporter.fromEnv` and
 * `Tracing.fromEnv`. They are read through Effect's `Config`, and not from the process, so that a test can give others.
 *
 * Where they name no endpoint, or switch exporting off, there is no SDK unless there are `spanProcessors`. What cannot be
 * read is a `ConfigError` that names the variable; the sampler's are answered with a warning and the default.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFromEnv = (options: Options = {}): Layer.Layer<Resource.Resource, Config.ConfigError> =>
  NodeSdk.layer(Effect.gen(function*() {
    const exporter = yield* OtlpExporter.fromEnv
    const sampler = options.sampler ?? (yield* Tracing.fromEnv)
    return {
      ...(exporter === undefined ? {} : { resource: resourceOf(exporter.resource) }),
      spanProcessor: [...(exporter === undefined ? [] : [processorOf(exporter)]), ...(options.spanProcessors ?? [])],
      tracerConfig: { sampler: samplerOf(sampler) },
      shutdownTimeout: options.shutdownTimeout ?? "2 seconds"
    }
  }))

const resourceOf = ({ attributes, serviceName, serviceVersion }: OtlpExporter.OptionsFromEnv["resource"]) => ({
  serviceName,
  ...(serviceVersion === undefined ? {} : { serviceVersion }),
  attributes
})

const processorOf = (settings: OtlpExporter.OptionsFromEnv): SpanProcessor => {
  const { batchSize, interval, queueSize } = settings
  return new BatchSpanProcessor(exporterOf(settings), {
    ...(queueSize === undefined ? {} : { maxQueueSize: queueSize }),
    ...(batchSize === undefined ? {} : { maxExportBatchSize: batchSize }),
    ...(interval === undefined ? {} : { scheduledDelayMillis: interval })
  })
}

type CompressionAlgorithm = NonNullable<NonNullable<ConstructorParameters<typeof ProtobufExporter>[0]>["compression"]>

const exporterOf = ({ compression, headers, protocol, timeout, url }: OtlpExporter.OptionsFromEnv): SpanExporter => {
  const Exporter = protocol === "http/json" ? JsonExporter : ProtobufExporter
  return new Exporter({
    url,
    headers: { ...headers },
    ...(timeout === undefined ? {} : { timeoutMillis: timeout }),
    // The exporter's words for it are these two.
    compression: compression as CompressionAlgorithm,
    // As many as our own exporter has under way.
    concurrencyLimit: 4
  })
}
