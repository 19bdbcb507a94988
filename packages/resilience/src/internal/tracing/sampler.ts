/** Who decides, when a trace begins here, whether it is recorded. */
import type * as Tracer from "effect/Tracer"
import { isWithinRatio } from "../traceRatio.ts"

export interface Sampler {
  /** As OpenTelemetry writes it: `ParentBased{TraceIdRatioBased{0.01}}`. */
  readonly description: string
  readonly isSampled: (root: {
    readonly traceId: string
    readonly name: string
    readonly kind: Tracer.SpanKind
    /** The span of another process, or of another tracer, that this trace goes on from. */
    readonly parent: Tracer.AnySpan | undefined
  }) => boolean
}

export const always: Sampler = { description: "AlwaysOn", isSampled: () => true }

export const never: Sampler = { description: "AlwaysOff", isSampled: () => false }

export const ratio = (share: number): Sampler => ({
  description: `TraceIdRatioBased{${share}}`,
  isSampled: ({ traceId }) => isWithinRatio(traceId, share)
})

export const parentBased = (root: Sampler): Sampler => ({
  description: `ParentBased{${root.description}}`,
  isSampled: (trace) => trace.parent === undefined ? root.isSampled(trace) : trace.parent.sampled
})

export const standard: Sampler = parentBased(ratio(0.01))
