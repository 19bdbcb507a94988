/** What the exporter does when, in virtual time, and what it makes of its options and of the environment. */
import { assert, describe, it } from "@effect/vitest"
import * as OtlpExporter from "effect-resilience/OtlpExporter"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"

const quiet = Logger.layer([])

const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

/** A collector that answers by number, and remembers when it was asked. */
const answering = (answer: (nth: number) => Response | "hang") => {
  const times: Array<number> = []
  const client = HttpClient.make((request) =>
    Effect.gen(function*() {
      times.push(yield* TestClock.testClockWith(({ currentTimeMillisUnsafe }) => Effect.sync(currentTimeMillisUnsafe)))
      const response = answer(times.length - 1)
      return response === "hang" ? yield* Effect.never : HttpClientResponse.fromWeb(request, response)
    })
  )
  return { times, layer: Layer.succeed(HttpClient.HttpClient, client) }
}

const url = "http://collector.test/v1/traces"

const turn = Effect.withSpan(Effect.void, "turn", { root: true })

const refusing = (status: number, retryAfter?: string) =>
  new Response(null, { status, headers: retryAfter === undefined ? {} : { "retry-after": retryAfter } })

describe("OtlpExporter", () => {
  it.effect("TR3: spans that fill no batch are sent after the interval", () => {
    const collector = answering(() => refusing(200))
    return Effect.gen(function*() {
      yield* turn
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(collector.times, [])
      yield* TestClock.adjust("1 milli")
      assert.deepStrictEqual(collector.times, [5_000])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(collector.times.length, 1)
    }).pipe(Effect.provide(Layer.provide(OtlpExporter.layer({ url }), Layer.merge(collector.layer, quiet))), apart)
  })

  it.effect("TR3: a full batch is sent at once", () => {
    const collector = answering(() => refusing(200))
    return Effect.gen(function*() {
      yield* Effect.replicateEffect(turn, 7)
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(collector.times, [0, 0])
    }).pipe(
      Effect.provide(Layer.provide(OtlpExporter.layer({ url, batchSize: 3 }), Layer.merge(collector.layer, quiet))),
      apart
    )
  })

  it.effect("TR3: Retry-After is waited for, in seconds or as a date, and a collector that wants too much of it is not", () => {
    const inAMinute = new Date(60_000).toUTCString()
    const answers = [refusing(429, "20"), refusing(503, inAMinute), refusing(200), refusing(429, "3600")]
    const collector = answering((nth) => answers[nth] ?? refusing(200))
    return Effect.gen(function*() {
      yield* turn
      yield* TestClock.adjust("90 seconds")
      assert.deepStrictEqual(collector.times, [0, 20_000, 60_000])
      yield* turn
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(collector.times.length, 4)
    }).pipe(
      Effect.provide(Layer.provide(OtlpExporter.layer({ url, batchSize: 1 }), Layer.merge(collector.layer, quiet))),
      apart
    )
  })

  it.effect("TR3: a request that hangs is given up after its timeout, and tried 5 times in all", () => {
    const collector = answering(() => "hang")
    return Effect.gen(function*() {
      yield* turn
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(collector.times.length, 5)
      const waits = collector.times.slice(1).map((time, index) => time - collector.times[index]! - 10_000)
      for (const [index, wait] of waits.entries()) assert.approximately(wait, 1_000 * 2 ** index, 200 * 2 ** index + 1)
    }).pipe(
      Effect.provide(Layer.provide(OtlpExporter.layer({ url, batchSize: 1 }), Layer.merge(collector.layer, quiet))),
      apart
    )
  })

  it("refuses options that make no sense, and says which", () => {
    const refused = (options: Partial<OtlpExporter.Options>, message: RegExp) =>
      assert.throws(() => OtlpExporter.layer({ url, ...options }), message)
    refused({ url: "collector:port/" }, /^url must be/)
    refused({ url: "" }, /^url must be a URL of HTTP, got ""$/)
    refused({ protocol: "grpc" as never }, /^protocol must be one of http\/protobuf, http\/json, got grpc$/)
    refused({ compression: "br" as never }, /^compression must be/)
    refused({ queueSize: 0 }, /^queueSize must be a positive integer, got 0$/)
    refused({ batchSize: 1.5 }, /^batchSize must be a positive integer, got 1.5$/)
    refused({ batchSize: 9, queueSize: 8 }, /^batchSize must be at most queueSize, which is 8, got 9$/)
    refused({ concurrency: -1 }, /^concurrency must be/)
    refused({ interval: 0 }, /^interval must be/)
    refused({ timeout: 0 }, /^timeout must be/)
    refused({ shutdownTimeout: "soon" as never }, /^shutdownTimeout must be/)
  })
})

const environment = (variables: Record<string, string>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: variables }))

const read = (variables: Record<string, string>) => environment(variables)(OtlpExporter.fromEnv)

describe("OtlpExporter.fromEnv", () => {
  it.effect("reads every variable", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* read({
          OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector.test:4318/base",
          OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=a%20b,x-tenant=7",
          OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
          OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
          OTEL_EXPORTER_OTLP_TIMEOUT: "2000",
          OTEL_SERVICE_NAME: "agent",
          OTEL_RESOURCE_ATTRIBUTES: "service.name=other,service.version=2,deployment.environment.name=a%2Cb",
          OTEL_BSP_SCHEDULE_DELAY: "250",
          OTEL_BSP_MAX_QUEUE_SIZE: "100",
          OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "10"
        }),
        {
          url: "https://collector.test:4318/base/v1/traces",
          headers: { "x-api-key": "a b", "x-tenant": "7" },
          protocol: "http/json",
          compression: "gzip",
          resource: {
            serviceName: "agent",
            serviceVersion: "2",
            attributes: { "deployment.environment.name": "a,b" }
          },
          timeout: 2_000,
          interval: 250,
          queueSize: 100,
          batchSize: 10
        }
      )
    }))

  it.effect("has defaults, and prefers what is said of traces", () =>
    Effect.gen(function*() {
      const plain = yield* read({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.test:4318" })
      assert.strictEqual(plain?.url, "http://collector.test:4318/v1/traces")
      assert.strictEqual(plain?.protocol, "http/protobuf")
      assert.deepStrictEqual(plain?.resource, {
        serviceName: "unknown_service:node",
        serviceVersion: undefined,
        attributes: {}
      })
      const own = yield* read({
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.test:4318",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://traces.test/spans",
        OTEL_EXPORTER_OTLP_HEADERS: "a=1",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS: "a=2",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf",
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: "http/json",
        OTEL_RESOURCE_ATTRIBUTES: "service.name=agent"
      })
      assert.strictEqual(own?.url, "http://traces.test/spans")
      assert.deepStrictEqual(own?.headers, { a: "2" })
      assert.strictEqual(own?.protocol, "http/json")
      assert.strictEqual(own?.resource.serviceName, "agent")
    }))

  it.effect("is nothing without an endpoint, or where exporting is off", () =>
    Effect.gen(function*() {
      const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.test:4318" }
      assert.isUndefined(yield* read({}))
      assert.isUndefined(yield* read({ ...endpoint, OTEL_SDK_DISABLED: "true" }))
      assert.isUndefined(yield* read({ ...endpoint, OTEL_TRACES_EXPORTER: "none" }))
      assert.isUndefined(yield* read({ ...endpoint, OTEL_TRACES_EXPORTER: "console" }))
      assert.isDefined(yield* read({ ...endpoint, OTEL_TRACES_EXPORTER: "console, otlp" }))
    }))

  it.effect("names the variable that cannot be read", () =>
    Effect.gen(function*() {
      const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.test:4318" }
      const wrong: ReadonlyArray<readonly [variable: string, value: string]> = [
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector"],
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
        ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "://"],
        ["OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"],
        ["OTEL_EXPORTER_OTLP_HEADERS", "a=%zz"],
        ["OTEL_EXPORTER_OTLP_TIMEOUT", "soon"],
        ["OTEL_EXPORTER_OTLP_COMPRESSION", "br"],
        ["OTEL_BSP_MAX_QUEUE_SIZE", "0"],
        ["OTEL_SDK_DISABLED", "perhaps"]
      ]
      for (const [variable, value] of wrong) {
        const error = yield* Effect.flip(read({ ...endpoint, [variable]: value }))
        assert.include(String(error), variable)
      }
      const sizes = { OTEL_BSP_MAX_QUEUE_SIZE: "9", OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "10" }
      const error = yield* Effect.scoped(Layer.build(OtlpExporter.layerFromEnv)).pipe(
        Effect.provide(answering(() => "hang").layer),
        environment({ ...endpoint, ...sizes }),
        Effect.flip
      )
      assert.match(String(error), /batchSize must be at most queueSize, which is 9, got 10/)
    }))

  it.effect("layerFromEnv exports where there is an endpoint, and else leaves the tracer alone", () => {
    const collector = answering(() => refusing(200))
    const layer = Layer.provide(OtlpExporter.layerFromEnv, Layer.merge(collector.layer, quiet))
    return Effect.gen(function*() {
      const before = yield* Tracer.Tracer
      assert.strictEqual(yield* Effect.provide(Effect.service(Tracer.Tracer), layer).pipe(environment({})), before)
      yield* turn.pipe(
        Effect.provide(Layer.fresh(layer)),
        environment({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector.test:4318" })
      )
      assert.strictEqual(collector.times.length, 1)
    }).pipe(apart)
  })
})
