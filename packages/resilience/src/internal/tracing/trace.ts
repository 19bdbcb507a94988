/**
 * What becomes of the spans of a trace that began here: handed on, or held until it is known whether something went wrong.
 */
import type * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import type { Count } from "../telemetrySpans.ts"

export interface Limits {
  /** Ended spans that a trace may hold. */
  readonly perTrace: number
  /** Ended spans that all traces may hold together. */
  readonly total: number
}

interface Ended {
  readonly span: Tracer.Span
  readonly time: bigint
  readonly exit: Exit.Exit<unknown, unknown>
}

/** The traces that hold spans, the oldest first. */
export class Holdings {
  readonly limits: Limits
  readonly count: Count
  private readonly holding = new Set<Trace>()
  private held = 0

  constructor(limits: Limits, count: Count) {
    this.limits = limits
    this.count = count
  }

  /** Makes room by letting go of what the oldest trace holds: one that never ends would else keep it for good. */
  add(trace: Trace): void {
    this.holding.add(trace)
    this.held++
    while (this.held > this.limits.total) {
      const [oldest] = this.holding
      if (oldest === undefined) return
      this.count("dropped_queue", oldest.release().length)
    }
  }

  remove(trace: Trace, spans: number): void {
    this.holding.delete(trace)
    this.held -= spans
  }

  /** How many spans are held now. */
  get size(): number {
    return this.held
  }
}

export class Trace {
  /** Whether the trace was sampled when it began; what its children and other processes are told. */
  readonly sampled: boolean
  /** Where spans are held; without, those of a trace that was not sampled are gone when they end. */
  private readonly holdings: Holdings | undefined
  private readonly count: Count
  private state: "open" | "kept" | "left"
  private held: Array<Ended> = []

  constructor(sampled: boolean, holdings: Holdings | undefined, count: Count) {
    this.sampled = sampled
    this.holdings = holdings
    this.count = count
    this.state = sampled ? "kept" : holdings === undefined ? "left" : "open"
  }

  /** Whether it is worth recording what a span is told. */
  get isRecorded(): boolean {
    return this.state !== "left" || this.holdings !== undefined
  }

  /** Something happened that makes the trace worth keeping: hands on what is held, and what ends from now on. */
  keep(): void {
    if (this.state === "kept" || this.holdings === undefined) return
    this.state = "kept"
    for (const ended of this.release()) this.handOn(ended)
  }

  /** A span ended. One that failed keeps the trace, even when the trace's root ended before. */
  end(span: Tracer.Span, time: bigint, exit: Exit.Exit<unknown, unknown>, failed: boolean): void {
    if (failed) this.keep()
    const ended = { span, time, exit }
    if (this.state === "kept") return this.handOn(ended)
    if (this.state === "left" || this.holdings === undefined) return this.count("unsampled", 1)
    if (this.held.length >= this.holdings.limits.perTrace) return this.count("dropped_queue", 1)
    this.held.push(ended)
    this.holdings.add(this)
  }

  /** The root ended, and did not fail: who was not kept by now is left out, the root with them. */
  close(root: Tracer.Span, time: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (this.state !== "open") return this.end(root, time, exit, false)
    this.state = "left"
    this.count("unsampled", this.release().length + 1)
  }

  /** Gives up what is held. */
  release(): ReadonlyArray<Ended> {
    const held = this.held
    if (held.length === 0) return held
    this.held = []
    this.holdings?.remove(this, held.length)
    return held
  }

  private handOn({ exit, span, time }: Ended): void {
    this.count("exported", 1)
    span.end(time, exit)
  }
}
