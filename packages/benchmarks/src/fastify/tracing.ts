/**
 * Spans with OpenTelemetry's SDK, of which one trace in a hundred is kept, or as the caller's own sampling says.
 *
 * The spans are made by hand in two places, for the request and for each call to the model. The SDK's automatic
 * instrumentations make the same ones and more, and cost more.
 */
import { context, propagation, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api"
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type SpanExporter,
  TraceIdRatioBasedSampler
} from "@opentelemetry/sdk-trace-base"
import { NodeTracerProvider } from "@opentelemetry/sdk-trace-node"
import type { FastifyInstance } from "fastify"

/** No collector listens: what is kept is batched and let go. */
class Discarding implements SpanExporter {
  export(_: Array<ReadableSpan>, done: Parameters<SpanExporter["export"]>[1]): void {
    done({ code: 0 })
  }
  async shutdown(): Promise<void> {}
}

declare module "fastify" {
  interface FastifyRequest {
    span: Span
  }
}

/** Adds a span to every request, around its handler too. */
export const addTracing = (app: FastifyInstance): void => {
  const provider = new NodeTracerProvider({
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0.01) }),
    spanProcessors: [new BatchSpanProcessor(new Discarding())]
  })
  provider.register()
  const tracer = trace.getTracer("fastify-assembly")
  app.addHook("onRequest", (request, _, done) => {
    const parent = propagation.extract(context.active(), request.headers)
    request.span = tracer.startSpan(
      `${request.method} ${request.routeOptions.url ?? "_unmatched"}`,
      {
        kind: SpanKind.SERVER,
        attributes: {
          "http.request.method": request.method,
          "http.route": request.routeOptions.url ?? "_unmatched",
          "url.path": request.url
        }
      },
      parent
    )
    context.with(trace.setSpan(parent, request.span), done)
  })
  app.addHook("onResponse", (request, reply, done) => {
    request.span.setAttribute("http.response.status_code", reply.statusCode)
    if (reply.statusCode >= 500) request.span.setStatus({ code: SpanStatusCode.ERROR })
    request.span.end()
    done()
  })
  app.addHook("onClose", () => provider.shutdown())
}

/** Makes a call within a span that is a child of the active one. `headers` gets the trace's context for the next server. */
export const withSpan = async <A>(
  name: string,
  headers: Record<string, string>,
  call: (span: Span) => Promise<A>
): Promise<A> => {
  const span = trace.getTracer("fastify-assembly").startSpan(name, { kind: SpanKind.CLIENT })
  const inside = trace.setSpan(context.active(), span)
  propagation.inject(inside, headers)
  try {
    return await context.with(inside, call, undefined, span)
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: String(error) })
    throw error
  } finally {
    span.end()
  }
}
