/** The exporter against a real receiver: one that takes all, and others that hang, refuse, slow down and go away. */
import { OtlpCollector } from "@effect-resilience/testing"
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as OtlpExporter from "effect-resilience/OtlpExporter"
import * as Tracing from "effect-resilience/Tracing"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as EffectExporter from "effect/observability/OtlpExporter"
import * as Schedule from "effect/Schedule"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const quiet = Logger.layer([])

class NoSuchTool extends Data.TaggedError("NoSuchTool")<{ readonly message: string }> {}

/** What was logged, a line each. */
const listening = (lines: Array<string>) => Logger.layer([Logger.make(({ message }) => lines.push(String(message)))])

/** Counts of the registry that is current. */
const counted = Effect.map(Metric.snapshot, (metrics) => {
  const found: Record<string, number> = {}
  for (const metric of metrics) {
    if (metric.id === "telemetry_queue_size") found["queued"] = (metric.state as Metric.GaugeState<number>).value
    if (metric.id !== "telemetry_spans_total") continue
    found[String(metric.attributes?.["result"])] = (metric.state as Metric.CounterState<number>).count
  }
  return found as Record<"exported" | "dropped_queue" | "dropped_export" | "unsampled" | "queued", number>
})

const exporting = (
  collector: OtlpCollector.OtlpCollector,
  options: Partial<OtlpExporter.Options> = {},
  logger: Layer.Layer<never> = quiet
) =>
  OtlpExporter.layer({ url: `${collector.url}/v1/traces`, resource: { serviceName: "test" }, ...options }).pipe(
    Layer.provide(Layer.merge(NodeHttpClient.layerUndici, logger))
  )

const turns = (count: number) =>
  Effect.gen(function*() {
    for (let made = 0; made < count; made++) yield* Effect.withSpan(Effect.void, "turn", { root: true })
  })

const flush = Effect.flatMap(EffectExporter.Flusher, ({ flush }) => flush)

const atOnce = { retry: Schedule.spaced("10 millis").pipe(Schedule.upTo({ times: 3 })) }

describe("OtlpExporter", () => {
  for (const protocol of ["http/protobuf", "http/json"] as const) {
    for (const compression of ["none", "gzip"] as const) {
      it.live(`says all of a span, as ${protocol}, compression ${compression}`, () =>
        Effect.gen(function*() {
          const collector = yield* OtlpCollector.make
          yield* Effect.gen(function*() {
            const child = Effect.gen(function*() {
              yield* Effect.annotateCurrentSpan({ agent: "front", tokens: 12, share: 0.5, last: true, of: ["a", "b"] })
              const span = yield* Effect.currentSpan
              span.event("thought", span.status.startTime, { about: "it" })
              return yield* Effect.fail(new NoSuchTool({ message: "no such tool" }))
            }).pipe(Effect.withSpan("call", { kind: "client" }), Effect.ignore)
            yield* Effect.withSpan(child, "turn", { root: true, kind: "server" })
          }).pipe(
            Effect.provide(exporting(collector, {
              protocol,
              compression,
              headers: { "x-api-key": "k" },
              resource: { serviceName: "agent", serviceVersion: "2", attributes: { region: "eu" } }
            }))
          )
          const [call, turn] = collector.spans
          assert.strictEqual(collector.spans.length, 2)
          assert.deepStrictEqual([call!.name, turn!.name], ["call", "turn"])
          assert.deepStrictEqual([call!.kind, turn!.kind], [3, 2])
          assert.strictEqual(call!.parentSpanId, turn!.spanId)
          assert.isUndefined(turn!.parentSpanId)
          assert.match(call!.traceId, /^[0-9a-f]{32}$/)
          assert.strictEqual(call!.traceId, turn!.traceId)
          assert.isTrue(BigInt(turn!.startTimeUnixNano) <= BigInt(call!.startTimeUnixNano))
          assert.isTrue(BigInt(call!.endTimeUnixNano) <= BigInt(turn!.endTimeUnixNano))
          assert.deepStrictEqual(call!.attributes, {
            agent: "front",
            tokens: 12,
            share: 0.5,
            last: true,
            of: ["a", "b"]
          })
          assert.deepStrictEqual([turn!.status.code, call!.status], [1, { code: 2, message: "no such tool" }])
          assert.deepStrictEqual(call!.events.map(({ name }) => name), ["thought", "exception"])
          assert.deepStrictEqual(call!.events[0]!.attributes, { about: "it" })
          assert.strictEqual(call!.events[1]!.attributes["exception.message"], "no such tool")
          assert.strictEqual(turn!.resource["service.name"], "agent")
          assert.strictEqual(turn!.resource["service.version"], "2")
          assert.strictEqual(turn!.resource["region"], "eu")
          const [request] = collector.requests
          assert.strictEqual(request!.path, "/v1/traces")
          assert.strictEqual(request!.headers["x-api-key"], "k")
          // What sends traces is not traced.
          assert.isUndefined(request!.headers["traceparent"])
        }).pipe(Effect.scoped, apart))
    }
  }

  it.live(
    "TR3: a collector that hangs has 4 requests under way, memory stays small, and every span is accounted for",
    () =>
      Effect.gen(function*() {
        const collector = yield* OtlpCollector.make
        collector.behave("hang")
        const before = yield* heapUsed
        yield* Effect.gen(function*() {
          // In portions, so that the exporter gets its turn between them as it would between requests.
          for (let portion = 0; portion < 200; portion++) {
            yield* turns(1_000)
            yield* Effect.sleep(1)
          }
          yield* Eventually.met(() => collector.inFlight === 4)
          const after = yield* heapUsed
          assert.isBelow((after - before) / 1_000_000, 10)
          const counts = yield* counted
          assert.strictEqual(counts.queued, 2_048 + 4 * 512)
          assert.strictEqual(counts.exported, 0)
          assert.strictEqual(counts.dropped_queue, 200_000 - counts.queued)
          assert.strictEqual(counts.dropped_export, 0)
        }).pipe(Effect.provide(exporting(collector, { timeout: "1 minute", shutdownTimeout: "200 millis" })))
        assert.strictEqual(collector.mostInFlight, 4)
        const counts = yield* counted
        assert.strictEqual(counts.dropped_export, 2_048)
        assert.strictEqual(counts.dropped_queue + counts.dropped_export, 200_000)
        assert.strictEqual(collector.spans.length, 0)
        yield* Eventually.met(() => collector.inFlight === 0)
      }).pipe(Effect.scoped, apart),
    60_000
  )

  it.live(
    "TR3: exported + dropped + queued = ended at any time, behind a collector that takes, refuses, slows down and cuts",
    () =>
      Effect.gen(function*() {
        const collector = yield* OtlpCollector.make
        const behaviours: ReadonlyArray<OtlpCollector.Behaviour> = [
          "accept",
          { status: 503 },
          { status: 400 },
          { delayMillis: 30 },
          "reset",
          "hang",
          { status: 429, headers: { "retry-after": "0" } }
        ]
        collector.behave((nth) => behaviours[nth % behaviours.length]!)
        let ended = 0
        yield* Effect.gen(function*() {
          for (let portion = 0; portion < 60; portion++) {
            yield* turns(200)
            ended += 200
            const counts = yield* counted
            assert.strictEqual(counts.exported + counts.dropped_queue + counts.dropped_export + counts.queued, ended)
            yield* Effect.sleep(5)
          }
          collector.behave("accept")
        }).pipe(
          Effect.provide(
            exporting(collector, {
              queueSize: 300,
              batchSize: 50,
              timeout: "150 millis",
              interval: "20 millis",
              ...atOnce
            })
          )
        )
        const counts = yield* counted
        assert.isAtMost(collector.mostInFlight, 4)
        assert.isAbove(counts.exported, 0)
        assert.isAbove(counts.dropped_export, 0)
        assert.strictEqual(counts.exported + counts.dropped_queue + counts.dropped_export, ended)
        // A request that was given up may have arrived, and then its spans did twice; what is said to be exported is here.
        const arrived = new Set(collector.spans.map(({ spanId }) => spanId)).size
        assert.isAtLeast(arrived, counts.exported)
        assert.isAtMost(arrived, counts.exported + counts.dropped_export)
      }).pipe(Effect.scoped, apart),
    60_000
  )

  it.live("TR3: a batch that is refused for a while is sent again, and what is refused for good is not", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const requestsAfter = (statuses: ReadonlyArray<number>) =>
        Effect.gen(function*() {
          const before = collector.requests.length
          collector.behave((nth) => {
            const status = statuses[nth - before]
            return status === undefined ? "accept" : { status }
          })
          yield* turns(1)
          yield* flush
          return collector.requests.length - before
        })
      yield* Effect.gen(function*() {
        assert.strictEqual(yield* requestsAfter([429, 502, 503]), 4)
        assert.strictEqual(yield* requestsAfter([504, 504, 504, 504]), 4)
        for (const status of [400, 401, 404, 413, 500, 501]) assert.strictEqual(yield* requestsAfter([status]), 1)
      }).pipe(Effect.provide(exporting(collector, atOnce)))
      const counts = yield* counted
      assert.deepStrictEqual([counts.exported, counts.dropped_export], [1, 7])
    }).pipe(Effect.scoped, apart))

  it.live("TR3: what a collector rejects of a batch that it takes is not counted as exported", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const rejecting = (protocol: OtlpExporter.Protocol) =>
        Effect.provide(turns(10), exporting(collector, { protocol }))
      collector.behave({
        body: `{"partialSuccess":{"rejectedSpans":"3","errorMessage":"old"}}`,
        contentType: "application/json"
      })
      yield* rejecting("http/json")
      // partial_success { rejected_spans: 4, error_message: "old" }
      collector.behave({
        body: Uint8Array.of(0x0a, 7, 0x08, 4, 0x12, 3, 0x6f, 0x6c, 0x64),
        contentType: "application/x-protobuf"
      })
      yield* rejecting("http/protobuf")
      // It said yes; what else it says is nothing to us.
      collector.behave({ body: "<html>thank you</html>", contentType: "text/html" })
      yield* rejecting("http/protobuf")
      const counts = yield* counted
      assert.deepStrictEqual([counts.exported, counts.dropped_export], [23, 7])
    }).pipe(Effect.scoped, apart))

  it.live("TR3: nobody listens: spans are lost and counted, the program goes on, and the log says so once", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const collector = yield* OtlpCollector.make.pipe(Effect.scoped)
      yield* Effect.gen(function*() {
        for (let made = 0; made < 3; made++) {
          yield* turns(1)
          yield* flush
        }
      }).pipe(
        Effect.provide(exporting(
          collector,
          {
            ...atOnce,
            url: `${collector.url.replace("//", "//user:secret@")}/v1/traces?key=secret`,
            headers: { key: "secret" }
          },
          listening(lines)
        ))
      )
      assert.strictEqual((yield* counted).dropped_export, 3)
      assert.match(lines.join("\n"), /^Spans cannot be exported, and are lost while that lasts: TransportError, .+$/)
      assert.notInclude(lines.join("\n"), "secret")
    }).pipe(apart))

  it.live("SD7: at the end what waits is sent", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const collector = yield* OtlpCollector.make
      collector.behave({ delayMillis: 50 })
      yield* Effect.provide(turns(1_500), exporting(collector, { interval: "1 hour" }, listening(lines)))
      assert.strictEqual(collector.spans.length, 1_500)
      assert.strictEqual((yield* counted).exported, 1_500)
      assert.deepStrictEqual(lines, [])
    }).pipe(Effect.scoped, apart))

  it.live(
    "SD7: a collector that hangs at the end is left at the deadline, and the log says how many spans were lost",
    () =>
      Effect.gen(function*() {
        const lines: Array<string> = []
        const collector = yield* OtlpCollector.make
        collector.behave("hang")
        const running = yield* Effect.forkChild(
          Effect.provide(
            turns(3_000),
            exporting(collector, { queueSize: 3_000, shutdownTimeout: "100 millis" }, listening(lines))
          )
        )
        yield* Fiber.join(running).pipe(Effect.timeout("10 seconds"))
        const counts = yield* counted
        assert.deepStrictEqual([counts.dropped_export, counts.dropped_queue], [2_048, 952])
        assert.deepStrictEqual(lines, ["3000 spans were not exported before the end"])
      }).pipe(Effect.scoped, apart),
    20_000
  )

  it.live("a span that cannot be written is lost alone", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const endless: Array<unknown> = []
      endless.push(endless)
      yield* Effect.gen(function*() {
        yield* Effect.withSpan(Effect.annotateCurrentSpan("endless", endless), "bad", { root: true })
        yield* turns(2)
      }).pipe(Effect.provide(exporting(collector)))
      assert.deepStrictEqual(collector.spans.map(({ name }) => name), ["turn", "turn"])
      const counts = yield* counted
      assert.deepStrictEqual([counts.exported, counts.dropped_export], [2, 1])
    }).pipe(Effect.scoped, apart))
})

describe("OtlpExporter, behind Tracing", () => {
  it.live(
    "TR1, TR2: the collector has the head's share and every failed trace, and the counts of both are the ground truth",
    () =>
      Effect.gen(function*() {
        const collector = yield* OtlpCollector.make
        const failed = new Set<string>()
        const tracing = Layer.provide(
          Tracing.layer({ sampler: Tracing.sampler.ratio(0.01) }),
          Layer.merge(exporting(collector, { queueSize: 100_000 }), quiet)
        )
        yield* Effect.gen(function*() {
          for (let made = 0; made < 20_000; made++) {
            const fails = made % 50 === 0
            yield* Effect.gen(function*() {
              if (fails) failed.add((yield* Effect.currentSpan).traceId)
              yield* Effect.ignore(Effect.withSpan(fails ? Effect.fail("no") : Effect.void, "call"))
            }).pipe(Effect.withSpan("turn", { root: true }))
          }
        }).pipe(Effect.provide(tracing))
        const byTrace = Map.groupBy(collector.spans, ({ traceId }) => traceId)
        assert.isTrue([...failed].every((traceId) => byTrace.get(traceId)?.length === 2))
        // Five standard deviations of 19,600 draws at a hundredth.
        assert.approximately(byTrace.size - failed.size, 196, 70)
        const counts = yield* counted
        assert.strictEqual(counts.exported, collector.spans.length)
        assert.strictEqual(counts.exported + counts.unsampled, 40_000)
      }).pipe(Effect.scoped, apart),
    60_000
  )

  it.live("TR3: spans that are held and spans that wait are one queue, and together with the counts all that ended", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      collector.behave("hang")
      const tracing = Layer.provide(
        Tracing.layer({ sampler: Tracing.sampler.never, tail: { total: 100 } }),
        Layer.merge(exporting(collector, { queueSize: 50, batchSize: 10, shutdownTimeout: 0 }), quiet)
      )
      yield* Effect.gen(function*() {
        const open = yield* Effect.makeSpan("open", { root: true })
        for (let made = 0; made < 150; made++) yield* Effect.withSpan(Effect.void, "held", { parent: open })
        for (let made = 0; made < 200; made++) {
          yield* Effect.ignore(Effect.withSpan(Effect.fail("no"), "failed", { root: true }))
        }
        yield* Eventually.met(() => collector.inFlight === 4)
        const counts = yield* counted
        // Not settled: held by the open trace, on their way, or waiting.
        assert.strictEqual(counts.queued + counts.dropped_queue + counts.exported + counts.dropped_export, 350)
        assert.isAtMost(counts.queued, 100 + 50 + 40)
        assert.isAtLeast(counts.queued, 50 + 40)
      }).pipe(Effect.provide(tracing))
    }).pipe(Effect.scoped, apart))
})

/** After the garbage of others is gone. */
const heapUsed = Effect.gen(function*() {
  yield* Effect.sleep(50)
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().heapUsed
})

const collectGarbage: () => void = (() => {
  setFlagsFromString("--expose-gc")
  // A new context sees the flag that was set after this one was made.
  return runInNewContext("gc") as () => void
})()
