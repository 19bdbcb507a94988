/** Spans of which one trace in a hundred is kept: the price of tracing everything. */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { type Span, SpanStatusCode } from "@opentelemetry/api"
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler
} from "@opentelemetry/sdk-trace-base"
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node"
import * as OtlpExporter from "effect-resilience/OtlpExporter"
import * as Tracing from "effect-resilience/Tracing"
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type { Comparison } from "../harness/compare.ts"
import { type Contender, effects, promises } from "../harness/contender.ts"

const { parentBased, ratio } = Tracing.sampler

/** Takes what it is sent. */
const collector = Layer.succeed(
  HttpClient.HttpClient,
  HttpClient.make((request) => Effect.succeed(HttpClientResponse.fromWeb(request, new Response(null))))
)

const sampled = (tail: boolean) =>
  Tracing.layer({ sampler: parentBased(ratio(0.01)), tail }).pipe(
    Layer.provide(OtlpExporter.layer({ url: "http://collector.test/v1/traces" })),
    Layer.provide(Layer.merge(collector, Logger.layer([])))
  )

const nowhere: SpanExporter = {
  export: (_, done) => done({ code: 0 }),
  shutdown: () => Promise.resolve()
}

const processor = () => new BatchSpanProcessor(nowhere)

const sampler = () => new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0.01) })

const throughEffect = NodeSdk.layer(() => ({
  resource: { serviceName: "bench" },
  spanProcessor: processor(),
  tracerConfig: { sampler: sampler() }
}))

const attributes = { agent: "front", model: "small" }

const inEffect = (name: string, layer: Layer.Layer<never>, call: Effect.Effect<unknown>): Contender =>
  effects(name, layer, Effect.succeed(call))

/** As the SDK's users write it: the span is the current one while the asynchronous call runs, and ends with it. */
const inSdk = (call: (span: Span) => Promise<unknown>): Contender =>
  promises("OTel SDK", () => {
    const provider = new NodeTracerProvider({ sampler: sampler(), spanProcessors: [processor()] })
    provider.register()
    const tracer = provider.getTracer("bench")
    return () =>
      tracer.startActiveSpan("turn", { root: true, attributes }, async (span) => {
        try {
          return await call(span)
        } catch (error) {
          span.recordException(String(error))
          span.setStatus({ code: SpanStatusCode.ERROR })
          return undefined
        } finally {
          span.end()
        }
      })
  })

const turn = <A, E>(call: Effect.Effect<A, E>): Effect.Effect<unknown> =>
  Effect.ignore(Effect.withSpan(call, "turn", { root: true, attributes }))

/** Spans. */
export const comparisons: ReadonlyArray<Comparison> = [
  {
    title: "A span, at 1 %",
    call: "A trace of one span with two attributes around a call that succeeds; ours keeps it until it is known whether it failed.",
    contenders: [
      inEffect("Tracing, with the tail", sampled(true), turn(Effect.void)),
      inEffect("Tracing, without the tail", sampled(false), turn(Effect.void)),
      inSdk(async () => undefined),
      inEffect("OTel SDK, through Effect", Layer.effectDiscard(Effect.void).pipe(Layer.provideMerge(throughEffect)), turn(Effect.void)),
      inEffect("no tracer", Layer.empty, Effect.void)
    ],
    targets: [{ against: "OTel SDK", atMost: 0.5 }]
  },
  {
    title: "A trace of four spans, at 1 %",
    call: "The same with three spans below the first.",
    contenders: [
      inEffect("Tracing, with the tail", sampled(true), turn(Effect.replicateEffect(Effect.withSpan(Effect.void, "call"), 3))),
      inEffect("OTel SDK, through Effect", Layer.effectDiscard(Effect.void).pipe(Layer.provideMerge(throughEffect)), turn(Effect.replicateEffect(Effect.withSpan(Effect.void, "call"), 3)))
    ],
    targets: [{ against: "OTel SDK, through Effect", atMost: 0.5 }]
  }
]

/** What a reader must know about the figures. */
export const notes = `Ours records every span, because a trace that fails is kept whole; the SDK forgets 99 of 100 as they begin.`
