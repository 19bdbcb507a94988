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
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
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

const inEffect = <A>(name: string, layer: Layer.Layer<A>, call: Effect.Effect<unknown>): Contender =>
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

const threeCalls = Effect.replicateEffect(Effect.withSpan(Effect.void, "call"), 3)

/** The floor: one span for all, which remembers nothing. */
const tracerOfNothing = Layer.sync(Tracer.Tracer, () => {
  const span = new Tracer.NativeSpan({
    name: "turn",
    parent: Option.none(),
    annotations: Context.empty(),
    links: [],
    startTime: 0n,
    kind: "internal",
    sampled: true
  })
  span.end(0n, Exit.void)
  return Tracer.make({ span: () => span })
})

/** Spans. */
export const comparisons: ReadonlyArray<Comparison> = [
  {
    title: "A span, at 1 %",
    call:
      "A trace of one span with two attributes around a call that succeeds; ours keeps it until it is known whether it failed.",
    contenders: [
      inEffect("Tracing, with the tail", sampled(true), turn(Effect.void)),
      inEffect("Tracing, without the tail", sampled(false), turn(Effect.void)),
      inSdk(async () => undefined),
      inEffect("OTel SDK, through Effect", throughEffect, turn(Effect.void)),
      inEffect("Effect.withSpan alone", tracerOfNothing, turn(Effect.void))
    ],
    targets: [{ against: "OTel SDK, through Effect", atMost: 0.5 }]
  },
  {
    title: "A trace of four spans, at 1 %",
    call: "The same with three spans below the first.",
    contenders: [
      inEffect("Tracing, with the tail", sampled(true), turn(threeCalls)),
      inEffect("OTel SDK, through Effect", throughEffect, turn(threeCalls))
    ],
    targets: [{ against: "OTel SDK, through Effect", atMost: 0.5 }]
  }
]

/** What a reader must know about the figures. */
export const notes =
  `Ours records every span, because a trace that fails is kept whole; the SDK forgets 99 of 100 as they begin. The SDK by itself is
here for its figure only: \`Effect.withSpan\` alone, over a tracer that does nothing, costs more than half of that, so a program in
Effect has the choice between tracers, and the target is against the other one.`
