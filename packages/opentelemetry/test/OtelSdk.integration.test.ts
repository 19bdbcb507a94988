/** The SDK, set up by variables, against a real receiver. */
import { GrpcMetadata, OtelSdk } from "@effect-resilience/opentelemetry"
import { OtlpCollector } from "@effect-resilience/testing"
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import { assert, describe, it } from "@effect/vitest"
import { SpanStatusCode, trace } from "@opentelemetry/api"
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Tracing from "effect-resilience/Tracing"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Tracer from "effect/Tracer"

const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const environment = (env: Record<string, string>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

const quiet = Logger.layer([])

const turn = Effect.fail("no").pipe(
  Effect.withSpan("call", { kind: "client", attributes: { agent: "front" } }),
  Effect.ignore,
  Effect.withSpan("turn", { root: true, kind: "server" })
)

describe("OtelSdk.layerFromEnv", () => {
  for (const protocol of ["http/protobuf", "http/json"]) {
    it.live(`sends what the variables say to where they say, as ${protocol}`, () =>
      Effect.gen(function*() {
        const collector = yield* OtlpCollector.make
        yield* turn.pipe(
          Effect.provide(OtelSdk.layerFromEnv()),
          environment({
            OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/base`,
            OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=a%20b",
            OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
            OTEL_EXPORTER_OTLP_COMPRESSION: protocol === "http/json" ? "gzip" : "none",
            OTEL_SERVICE_NAME: "agent",
            OTEL_RESOURCE_ATTRIBUTES: "service.version=2,region=eu%2Cwest",
            OTEL_TRACES_SAMPLER: "always_on"
          })
        )
        const [call, root] = collector.spans
        assert.deepStrictEqual([call?.name, root?.name], ["call", "turn"])
        assert.strictEqual(call!.parentSpanId, root!.spanId)
        assert.strictEqual(call!.traceId, root!.traceId)
        assert.strictEqual(call!.attributes["agent"], "front")
        assert.strictEqual(call!.status.code, SpanStatusCode.ERROR)
        assert.strictEqual(root!.resource["service.name"], "agent")
        assert.strictEqual(root!.resource["service.version"], "2")
        assert.strictEqual(root!.resource["region"], "eu,west")
        const [request] = collector.requests
        assert.strictEqual(request!.path, "/base/v1/traces")
        assert.strictEqual(request!.headers["x-api-key"], "a b")
        assert.include(request!.headers["content-type"], protocol === "http/json" ? "json" : "protobuf")
        assert.strictEqual(request!.headers["content-encoding"], protocol === "http/json" ? "gzip" : undefined)
      }).pipe(Effect.scoped, apart))
  }

  it.live("is no SDK without an endpoint, and names a variable that cannot be read", () =>
    Effect.gen(function*() {
      const before = yield* Tracer.Tracer
      const tracer = Effect.provide(Effect.service(Tracer.Tracer), OtelSdk.layerFromEnv())
      assert.strictEqual(yield* environment({})(tracer), before)
      const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" }
      assert.strictEqual(yield* environment({ ...endpoint, OTEL_SDK_DISABLED: "true" })(tracer), before)
      assert.notStrictEqual(yield* environment(endpoint)(tracer), before)
      const error = yield* Effect.flip(environment({ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" })(tracer))
      assert.include(String(error), "OTEL_EXPORTER_OTLP_PROTOCOL")
    }).pipe(apart))

  it.live("TR1: of 10,000 traces at 5 % about 500 are sampled, whole, and the caller's decision is followed", () =>
    Effect.gen(function*() {
      const exporter = new InMemorySpanExporter()
      // The SDK forgets what it has exported when it is shut down.
      const finished: Array<{ readonly traceId: string; readonly name: string }> = []
      const processor = new SimpleSpanProcessor(exporter)
      const onEnd = processor.onEnd.bind(processor)
      processor.onEnd = (span) => {
        if ((span.spanContext().traceFlags & 1) === 1) finished.push({ ...span.spanContext(), name: span.name })
        onEnd(span)
      }
      yield* Effect.gen(function*() {
        for (let made = 0; made < 10_000; made++) yield* turn
        const traces = Map.groupBy(finished, ({ traceId }) => traceId)
        // Five standard deviations.
        assert.approximately(traces.size, 500, 110)
        assert.isTrue([...traces.values()].every((spans) => spans.length === 2))
        // The same ones that any process would choose which samples as Tracing does.
        const ratio = Tracing.sampler.ratio(0.05)
        for (const traceId of traces.keys()) {
          assert.isTrue(ratio.isSampled({ traceId, name: "turn", kind: "server", parent: undefined }))
        }
        finished.length = 0
        for (const sampled of [true, false]) {
          const parent = Tracer.externalSpan({
            traceId: "0af7651916cd43dd8448eb211c80319c",
            spanId: "b7ad6b7169203331",
            sampled
          })
          yield* Effect.withSpan(Effect.void, `caller says ${sampled}`, { parent })
        }
        assert.deepStrictEqual(finished.map(({ name }) => name), ["caller says true"])
      }).pipe(
        Effect.provide(OtelSdk.layerFromEnv({ spanProcessors: [processor] })),
        environment({
          OTEL_SERVICE_NAME: "agent",
          OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
          OTEL_TRACES_SAMPLER_ARG: "0.05"
        })
      )
    }).pipe(apart))

  it.live("spans of a library and spans of Effect are of one trace", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      yield* Effect.gen(function*() {
        const library = yield* Effect.serviceOption(OtelTracer.OtelTracerProvider)
        assert.isTrue(library._tag === "None")
        yield* Effect.gen(function*() {
          const span = yield* OtelTracer.currentOtelSpan
          assert.isTrue(trace.isSpanContextValid(span.spanContext()))
          span.addEvent("from the library")
        }).pipe(Effect.withSpan("turn", { root: true }))
      }).pipe(
        Effect.provide(OtelSdk.layerFromEnv({ sampler: Tracing.sampler.always })),
        environment({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SERVICE_NAME: "agent" })
      )
      assert.deepStrictEqual(collector.spans.map(({ events }) => events.map(({ name }) => name)), [[
        "from the library"
      ]])
    }).pipe(Effect.scoped, apart))

  it.live("TR2: behind Tracing, every failed trace is exported whole at a head of nothing", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const tracing = Layer.provide(
        Tracing.layer({ sampler: Tracing.sampler.never }),
        Layer.merge(OtelSdk.layerFromEnv({ sampler: Tracing.sampler.always }), quiet)
      )
      yield* Effect.gen(function*() {
        for (let made = 0; made < 20; made++) {
          yield* turn
          yield* Effect.withSpan(Effect.void, "good", { root: true })
        }
      }).pipe(
        Effect.provide(tracing),
        environment({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SERVICE_NAME: "agent" })
      )
      assert.strictEqual(collector.spans.length, 40)
      assert.isFalse(collector.spans.some(({ name }) => name === "good"))
    }).pipe(Effect.scoped, apart))

  it.live("SD7: a collector that hangs is left at the deadline", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      collector.behave("hang")
      const run = turn.pipe(
        Effect.provide(OtelSdk.layerFromEnv({ sampler: Tracing.sampler.always, shutdownTimeout: "100 millis" })),
        environment({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SERVICE_NAME: "agent" })
      )
      yield* Effect.timeout(run, "8 seconds")
      assert.strictEqual(collector.spans.length, 0)
    }).pipe(Effect.scoped, apart), 20_000)
})

/** As `@grpc/grpc-js` has it: keys in lower case, values in lists. */
class Metadata implements GrpcMetadata.Metadata {
  private readonly values = new Map<string, ReadonlyArray<string | Buffer>>()
  get = (key: string) => this.values.get(key.toLowerCase()) ?? []
  set = (key: string, value: string) => {
    this.values.set(key.toLowerCase(), [value])
  }
  has(key: string, ...values: ReadonlyArray<string | Buffer>): this {
    this.values.set(key, values)
    return this
  }
}

describe("GrpcMetadata", () => {
  it.effect("TR4: what is injected is a valid traceparent, and what is extracted from it the same span", () =>
    Effect.gen(function*() {
      for (const sampled of [true, false]) {
        const metadata = new Metadata()
        const span = yield* Effect.andThen(GrpcMetadata.inject(metadata), Effect.currentSpan).pipe(
          Effect.withSpan("call", { root: true, sampled })
        )
        const [value] = metadata.get("traceparent")
        assert.match(String(value), sampled ? /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/ : /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
        const served = yield* Effect.currentSpan.pipe(GrpcMetadata.withSpan("serve", metadata))
        assert.strictEqual(served.traceId, span.traceId)
        assert.strictEqual(served.kind, "server")
        assert.deepStrictEqual(
          served.parent._tag === "Some" ? [served.parent.value.spanId, served.parent.value.sampled] : [],
          [span.spanId, sampled]
        )
      }
    }))

  it.effect("without a span nothing is injected", () =>
    Effect.gen(function*() {
      const metadata = new Metadata()
      yield* GrpcMetadata.inject(metadata)
      assert.deepStrictEqual(metadata.get("traceparent"), [])
    }))

  it.effect("TR4: what is no valid traceparent is not gone on from", () =>
    Effect.gen(function*() {
      const id = "0af7651916cd43dd8448eb211c80319c"
      const broken: ReadonlyArray<ReadonlyArray<string | Buffer>> = [
        [],
        [""],
        ["hello"],
        [`00-${id}-b7ad6b7169203331`],
        [`00-${"0".repeat(32)}-b7ad6b7169203331-01`],
        [`00-${id}-${"0".repeat(16)}-01`],
        [`00-${id.toUpperCase()}-b7ad6b7169203331-01`],
        [`ff-${id}-b7ad6b7169203331-01`],
        [Buffer.from(`00-${id}-b7ad6b7169203331-01`)],
        [`00-${id}-b7ad6b7169203331-01`, `00-${id}-b7ad6b7169203331-00`]
      ]
      for (const values of broken) {
        const metadata = new Metadata().has("traceparent", ...values)
        assert.strictEqual(GrpcMetadata.extract(metadata)._tag, "None", String(values))
        const served = yield* Effect.currentSpan.pipe(GrpcMetadata.withSpan("serve", metadata))
        assert.strictEqual(served.parent._tag, "None")
      }
      const valid = new Metadata().has("traceparent", ` 00-${id}-b7ad6b7169203331-01 `)
      assert.strictEqual(GrpcMetadata.extract(valid)._tag, "Some")
    }))
})
