/** Sampled traces on their way: over HTTP to another process's router, and through Effect's exporter to a collector. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Tracing from "effect-resilience/Tracing"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import type * as Tracer from "effect/Tracer"
import { createServer } from "node:http"

const url = Effect.map(
  HttpServer.HttpServer,
  ({ address }) => `http://127.0.0.1:${"port" in address ? address.port : 0}`
)

/** A router on a free port. */
const serving = <E, R>(routes: Layer.Layer<never, E, R>) =>
  HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(() => createServer(), { port: 0, host: "127.0.0.1" }))
  )

const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const quiet = Logger.layer([])

interface SentSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly status: { readonly code: number }
}

interface Sent {
  readonly resourceSpans: ReadonlyArray<
    { readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<SentSpan> }> }
  >
}

/** What a collector takes. */
const collector = (taken: Array<SentSpan>) =>
  serving(HttpRouter.add(
    "POST",
    "/v1/traces",
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const sent = (yield* request.json) as unknown as Sent
      taken.push(...sent.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)))
      return HttpServerResponse.empty()
    }).pipe(Effect.orDie)
  ))

describe("Tracing, through Effect's exporter", () => {
  it.live(
    "TR2: a collector gets every failed trace whole, and no other, at a head of nothing",
    () =>
      Effect.gen(function*() {
        const taken: Array<SentSpan> = []
        const failed = new Set<string>()
        yield* Effect.gen(function*() {
          const exporter = OtlpTracer.layer({
            url: `${yield* url}/v1/traces`,
            exportInterval: "1 hour",
            resource: { serviceName: "test" }
          }).pipe(
            Layer.provide(Layer.merge(OtlpSerialization.layerJson, NodeHttpClient.layerUndici))
          )
          const tracing = Layer.provide(
            Tracing.layer({ sampler: Tracing.sampler.never }),
            Layer.merge(exporter, quiet)
          )
          const turn = (fails: boolean) =>
            Effect.gen(function*() {
              const { traceId } = yield* Effect.currentSpan
              if (fails) failed.add(traceId)
              yield* Effect.withSpan(Effect.void, "look up")
              yield* Effect.ignore(Effect.withSpan(fails ? Effect.fail("no") : Effect.void, "call"))
            }).pipe(Effect.withSpan("turn", { root: true }))
          // The exporter sends what it has when its layer ends.
          yield* Effect.forEach(Array.from({ length: 200 }), (_, index) => turn(index % 4 === 0), { discard: true })
            .pipe(
              Effect.provide(tracing)
            )
        }).pipe(Effect.provide(collector(taken)))
        const byTrace = Map.groupBy(taken, ({ traceId }) => traceId)
        assert.deepStrictEqual(new Set(byTrace.keys()), failed)
        assert.strictEqual(failed.size, 50)
        for (const spans of byTrace.values()) {
          const ids = new Map(spans.map(({ name, spanId }) => [name, spanId]))
          assert.deepStrictEqual(
            spans.map(({ name, parentSpanId, status }) => [name, parentSpanId, status.code]),
            [["look up", ids.get("turn"), 1], ["call", ids.get("turn"), 2], ["turn", undefined, 1]]
          )
        }
      }).pipe(apart),
    30_000
  )
})

describe("Tracing, over HTTP", () => {
  it.live(
    "TR1: the server that is called has the caller's trace and decision; TR4: by a valid traceparent",
    () =>
      Effect.gen(function*() {
        const served: Array<{ readonly header: string | undefined; readonly span: Tracer.Span }> = []
        const route = HttpRouter.add(
          "GET",
          "/",
          Effect.gen(function*() {
            const request = yield* HttpServerRequest.HttpServerRequest
            served.push({ header: request.headers["traceparent"], span: yield* Effect.orDie(Effect.currentSpan) })
            return HttpServerResponse.empty()
          })
        )
        // Two processes would have a tracer each; the server's says no to whatever begins with it.
        const server = Layer.provide(
          serving(route),
          Layer.provide(Tracing.layer({ sampler: Tracing.sampler.parentBased(Tracing.sampler.never) }), quiet)
        )
        const client = Layer.provide(
          Tracing.layer({ sampler: Tracing.sampler.parentBased(Tracing.sampler.ratio(0.5)) }),
          quiet
        )
        const called: Array<Tracer.Span> = []
        yield* Effect.gen(function*() {
          const address = yield* url
          const call = Effect.gen(function*() {
            called.push(yield* Effect.currentSpan)
            yield* Effect.flatMap(HttpClient.get(address), ({ arrayBuffer }) => arrayBuffer)
          }).pipe(Effect.withSpan("call", { root: true }))
          yield* Effect.forEach(Array.from({ length: 40 }), () => call, { discard: true }).pipe(
            Effect.provide(Layer.merge(client, NodeHttpClient.layerUndici))
          )
        }).pipe(Effect.provide(server))
        assert.strictEqual(served.length, 40)
        assert.strictEqual(new Set(called.map(({ sampled }) => sampled)).size, 2)
        for (const [index, { header, span }] of served.entries()) {
          assert.match(header!, /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]$/)
          assert.strictEqual(span.traceId, called[index]!.traceId)
          assert.strictEqual(span.sampled, called[index]!.sampled)
        }
      }).pipe(apart),
    30_000
  )
})
