/** A tracer that samples, in front of one that records. */
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { Count } from "../telemetrySpans.ts"
import type { Sampler } from "./sampler.ts"
import { LocalSpan } from "./span.ts"
import { type Holdings, Trace } from "./trace.ts"

export interface Options {
  readonly sampler: Sampler
  /** Where ended spans wait for the verdict; none without tail sampling. */
  readonly holdings: Holdings | undefined
  readonly slowNanos: bigint | undefined
  readonly count: Count
}

/** Ids that W3C's `traceparent` can carry; B3's short trace ids are padded there. */
const isTraceId = (id: string): boolean => /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/.test(id) && !/^0+$/.test(id)
const isSpanId = (id: string): boolean => /^[0-9a-f]{16}$/.test(id) && !/^0+$/.test(id)

export const sampling = (inner: Tracer.Tracer, options: Options): Tracer.Tracer =>
  Tracer.make({
    span: (span) => {
      const parent = Option.getOrUndefined(span.parent)
      if (parent instanceof LocalSpan) {
        // An unsampled parent makes Effect ask for unsampled children; whether they are recorded is the trace's affair.
        return span.sampled || !parent.sampled
          ? new LocalSpan(inner.span(span.sampled ? span : { ...span, sampled: true }), parent.trace, undefined)
          : inner.span(span)
      }
      // Whoever begins a trace and says no means it, and so does the level of a span.
      const unwanted = !span.sampled && parent?.sampled !== false
      // Broken ids would travel on with every call; the trace begins anew here instead.
      const valid = parent !== undefined && isTraceId(parent.traceId) && isSpanId(parent.spanId)
      const own = valid || parent === undefined ? span : { ...span, parent: Option.none<Tracer.AnySpan>() }
      if (unwanted) return inner.span(own)
      const made = inner.span(own.sampled ? own : { ...own, sampled: true })
      const sampled = options.sampler.isSampled({
        traceId: made.traceId,
        name: span.name,
        kind: span.kind,
        parent: valid ? parent : undefined
      })
      return new LocalSpan(made, new Trace(sampled, options.holdings, options.count), { slowNanos: options.slowNanos })
    },
    context: inner.context
  })
