/** The registry as a real Prometheus and a real HTTP client read it. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as PrometheusServer from "@effect-resilience/testing/PrometheusServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Metrics from "effect-resilience/Metrics"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Tracer from "effect/Tracer"
import { spawnSync } from "node:child_process"
import { createServer } from "node:http"
import { gunzipSync } from "node:zlib"
import { parse } from "./support/exposition.ts"
import { strangeMetrics } from "./support/strangeMetrics.ts"

/** A new one each time that it is built. */
const registry = Layer.sync(Metric.MetricRegistry, () => new Map())

/** A server with `/metrics` on a free port, over a registry of its own. */
const serving = HttpRouter.serve(Layer.merge(Metrics.layerHttp(), Metrics.layer), {
  disableLogger: true,
  disableListenLog: true
}).pipe(
  Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })),
  Layer.provideMerge(registry)
)

const port = Effect.map(HttpServer.HttpServer, ({ address }) => "port" in address ? address.port : 0)

const get = (headers: Record<string, string>, path = "/metrics") =>
  Effect.flatMap(port, (port) =>
    Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
      return { status: response.status, headers: response.headers, text: await response.text() }
    }))

RealServer.describe("prometheus", "Metrics: a real Prometheus", () => {
  // As long as a busy machine may take for a scrape of so much.
  const patiently = { every: "100 millis", within: "45 seconds" } as const

  it.live("MT1: scrapes 10,000 strange metrics, up is 1, no series is there twice", () =>
    Effect.gen(function*() {
      yield* strangeMetrics(10_000, 7)
      yield* Metrics.counter("sane_total", { labels: ["a"] }).add(42, { a: "b \"quoted\" \\ and\nbroken" })
      const expected = parse(yield* Metrics.format({ format: "openMetrics" })).samples.size
      const prometheus = yield* PrometheusServer.make({ targets: [`127.0.0.1:${yield* port}`], scrapeMillis: 3_000 })
      yield* Eventually.holds(
        Effect.gen(function*() {
          const [up] = yield* prometheus.query("up")
          const targets = yield* prometheus.targets
          assert.deepStrictEqual(targets, [{ health: "up", lastError: "" }])
          assert.strictEqual(up?.value, 1)
        }),
        patiently
      )
      const [scraped] = yield* prometheus.query("scrape_samples_scraped")
      assert.strictEqual(scraped?.value, expected)
      const [sane] = yield* prometheus.query("sane_total")
      assert.strictEqual(sane?.metric["a"], "b \"quoted\" \\ and\nbroken")
      assert.strictEqual(sane?.value, 42)
      // Prometheus says of itself how often it met one series twice in a scrape.
      const own = yield* Effect.promise(() => fetch(`${prometheus.url}/metrics`).then((response) => response.text()))
      assert.match(own, /^prometheus_target_scrapes_sample_duplicate_timestamp_total 0$/m)
      assert.match(own, /^prometheus_target_scrapes_sample_out_of_order_total 0$/m)
    }).pipe(Effect.provide(serving)), 90_000)

  it.live("finds the trace of a slow call by its exemplar", () =>
    Effect.gen(function*() {
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      yield* Metrics.histogram("call_seconds", { buckets: [1, 2] }).observe(1.5).pipe(
        Effect.withParentSpan(Tracer.externalSpan({ traceId, spanId: "b7ad6b7169203331" }))
      )
      const prometheus = yield* PrometheusServer.make({ targets: [`127.0.0.1:${yield* port}`], scrapeMillis: 1_000 })
      yield* Eventually.holds(
        Effect.gen(function*() {
          const found = yield* prometheus.exemplars("call_seconds_bucket")
          assert.deepStrictEqual(found[0], { trace_id: traceId, span_id: "b7ad6b7169203331" })
        }),
        patiently
      )
    }).pipe(Effect.provide(serving)), 90_000)
})

RealServer.describe("promtool", "Metrics: promtool", () => {
  it.live("MT1: finds no fault with the whole catalogue", () =>
    Effect.gen(function*() {
      for (const name of Object.keys(Metrics.catalogue) as ReadonlyArray<keyof typeof Metrics.catalogue>) {
        const metric = Metrics.instrument(name)
        const labels = Object.fromEntries(metric.labels.map((label) => [label, "a"]))
        const update = ("set" in metric ? metric.set : "observe" in metric ? metric.observe : metric.add) as (
          value: number,
          labels: object
        ) => Effect.Effect<void>
        yield* update(1, labels)
      }
      const text = yield* Metrics.format()
      const program = "promtool"
      const { status, stderr, stdout } = spawnSync(program, ["check", "metrics"], { input: text, encoding: "utf8" })
      // OpenTelemetry calls it so, and nothing comes of it but this remark.
      const remark =
        "db_client_connection_count non-histogram and non-summary metrics should not have \"_count\" suffix"
      assert.deepStrictEqual(`${stdout}${stderr}`.trim().split("\n"), [remark])
      assert.strictEqual(status, 3)
    }).pipe(Effect.provide(registry)))
})

describe("Metrics.layerHttp", () => {
  it.live("answers text, and OpenMetrics to who prefers it", () =>
    Effect.gen(function*() {
      const text = "text/plain; version=0.0.4; charset=utf-8"
      const openMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
      for (
        const [accept, type] of [
          ["*/*", text],
          ["text/html,application/xml", text],
          ["text/plain", text],
          ["application/openmetrics-text", openMetrics],
          ["application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", openMetrics],
          ["application/openmetrics-text;version=0.0.1;q=0.75, text/plain;q=0.5", openMetrics],
          ["application/openmetrics-text;q=0.2, text/plain;q=0.5", text],
          ["application/openmetrics-text;q=0", text],
          ["application/openmetrics-text;version=9.0.0", text],
          [",;q=,;;", text]
        ] as const
      ) {
        const answer = yield* get({ accept })
        assert.strictEqual(answer.status, 200)
        assert.strictEqual(answer.headers.get("content-type"), type, accept)
        assert.strictEqual(answer.headers.get("cache-control"), "no-store")
        assert.match(answer.headers.get("vary") ?? "", /Accept/)
        assert.strictEqual(answer.text.endsWith("# EOF\n"), type === openMetrics)
        parse(answer.text)
      }
    }).pipe(Effect.provide(serving)))

  it.live("compresses for who takes it, and only then", () =>
    Effect.gen(function*() {
      yield* Metrics.counter("padding_total", { help: "long ".repeat(1_000) }).add(1)
      const address = yield* port
      const raw = (encoding: string) =>
        Effect.promise(async () => {
          const { request } = await import("node:http")
          return new Promise<{ readonly encoding: string | undefined; readonly body: Buffer }>((resolve, reject) => {
            request(
              { port: address, host: "127.0.0.1", path: "/metrics", headers: { "accept-encoding": encoding } },
              (response) => {
                const chunks: Array<Buffer> = []
                response.on("data", (chunk: Buffer) => chunks.push(chunk))
                response.on(
                  "end",
                  () => resolve({ encoding: response.headers["content-encoding"], body: Buffer.concat(chunks) })
                )
                response.on("error", reject)
              }
            ).on("error", reject).end()
          })
        })
      const plain = yield* raw("identity")
      const packed = yield* raw("gzip")
      assert.isUndefined(plain.encoding)
      assert.strictEqual(packed.encoding, "gzip")
      assert.isBelow(packed.body.length, plain.body.length / 5)
      assert.include(gunzipSync(packed.body).toString("utf8"), "padding_total 1")
    }).pipe(Effect.provide(serving)))

  it.live("serves at the path that it is given", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* get({}, "/internal/metrics")).status, 200)
      assert.strictEqual((yield* get({})).status, 404)
    }).pipe(
      Effect.provide(
        HttpRouter.serve(Metrics.layerHttp({ path: "/internal/metrics" }), {
          disableLogger: true,
          disableListenLog: true
        }).pipe(
          Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" })),
          Layer.provideMerge(registry)
        )
      )
    ))
})
