/** A sampler of Tracing as the SDK has it, so that all who take part in a trace decide alike. */
import { type Context, type SpanKind, trace } from "@opentelemetry/api"
import { type Sampler, SamplingDecision } from "@opentelemetry/sdk-trace-base"
import * as Tracing from "effect-resilience/Tracing"
import * as Tracer from "effect/Tracer"

const kinds: ReadonlyArray<Tracer.SpanKind> = ["internal", "server", "client", "producer", "consumer"]

/**
 * The SDK asks for every span. One whose parent is of this process has its trace's decision already, save that always is always:
 * behind Tracing a span that is kept after all has a parent whose trace was not sampled.
 */
export const samplerOf = (sampler: Tracing.Sampler): Sampler => ({
  shouldSample: (context: Context, traceId: string, name: string, kind: SpanKind) => {
    const parent = trace.getSpanContext(context)
    const isSampled = parent !== undefined && parent.isRemote !== true && sampler !== Tracing.sampler.always
      ? (parent.traceFlags & 1) === 1
      : sampler.isSampled({
        traceId,
        name,
        kind: kinds[kind] ?? "internal",
        parent: parent === undefined ? undefined : Tracer.externalSpan({
          traceId: parent.traceId,
          spanId: parent.spanId,
          sampled: (parent.traceFlags & 1) === 1
        })
      })
    return { decision: isSampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD }
  },
  toString: () => sampler.description
})
