/** A span that is recorded by the tracer behind, and ends there only if its trace is kept. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { Trace } from "./trace.ts"

export class LocalSpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly trace: Trace
  private readonly inner: Tracer.Span
  /** Of a root only: from how many nanoseconds on its trace is kept for being slow. */
  private readonly root: { readonly slowNanos: bigint | undefined } | undefined
  private ended: Tracer.SpanStatus | undefined

  constructor(inner: Tracer.Span, trace: Trace, root: { readonly slowNanos: bigint | undefined } | undefined) {
    this.inner = inner
    this.trace = trace
    this.root = root
  }

  get name(): string {
    return this.inner.name
  }
  get spanId(): string {
    return this.inner.spanId
  }
  get traceId(): string {
    return this.inner.traceId
  }
  get parent(): Option.Option<Tracer.AnySpan> {
    return this.inner.parent
  }
  get annotations(): Context.Context<never> {
    return this.inner.annotations
  }
  get attributes(): ReadonlyMap<string, unknown> {
    return this.inner.attributes
  }
  get links(): ReadonlyArray<Tracer.SpanLink> {
    return this.inner.links
  }
  get kind(): Tracer.SpanKind {
    return this.inner.kind
  }
  get sampled(): boolean {
    return this.trace.sampled
  }
  get status(): Tracer.SpanStatus {
    return this.ended ?? this.inner.status
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (this.ended !== undefined) return
    const { startTime } = this.inner.status
    this.ended = { _tag: "Ended", startTime, endTime, exit }
    const slow = this.root?.slowNanos
    if (slow !== undefined && endTime - startTime >= slow) this.trace.keep()
    const failed = exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause)
    if (this.root === undefined || failed) this.trace.end(this.inner, endTime, exit, failed)
    else this.trace.close(this.inner, endTime, exit)
  }

  attribute(key: string, value: unknown): void {
    if (this.isOpen) this.inner.attribute(key, value)
  }

  event(name: string, startTime: bigint, attributes?: Record<string, unknown>): void {
    if (this.isOpen) this.inner.event(name, startTime, attributes)
  }

  addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
    if (this.isOpen) this.inner.addLinks(links)
  }

  /** What nobody will read need not be stored. */
  private get isOpen(): boolean {
    return this.ended === undefined && this.trace.isRecorded
  }
}
