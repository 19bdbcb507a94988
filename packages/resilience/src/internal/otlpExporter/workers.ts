/** Takes spans in, and has so many fibers send them in batches until the scope closes. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { HttpBody } from "effect/http/HttpBody"
import * as Latch from "effect/Latch"
import type { Resource } from "effect/observability/OtlpResource"
import type { OtlpSerialization } from "effect/observability/OtlpSerialization"
import type * as Scope from "effect/Scope"
import * as Version from "effect/Version"
import { type Count, counting, waitIn } from "../telemetrySpans.ts"
import { type Batch, type Limits, Outbox } from "./outbox.ts"
import { encode, type ExportedSpan, type OtlpSpan } from "./span.ts"

export interface Options {
  readonly limits: Limits
  readonly concurrency: number
  readonly intervalMillis: number
  readonly shutdownMillis: number
  readonly resource: Resource
  readonly serialization: OtlpSerialization["Service"]
  /** Says how many of the spans were taken. */
  readonly send: (body: HttpBody, spans: number) => Effect.Effect<number, { readonly message: string }>
}

export const working: (options: Options) => Effect.Effect<Dispatch, never, Scope.Scope> = Effect.fnUntraced(
  function*(options) {
    const dispatch = new Dispatch(options, counting(yield* Effect.context<never>()))
    yield* waitIn(() => dispatch.size)
    const workers = yield* Effect.forEach(
      Array.from({ length: options.concurrency }),
      () => Effect.forkScoped(Effect.forever(dispatch.sendNext))
    )
    yield* Effect.sync(() => dispatch.makeDue()).pipe(
      Effect.delay(options.intervalMillis),
      Effect.forever,
      Effect.forkScoped
    )
    // Before the workers are stopped: what waits goes out, as far as there is time.
    yield* Effect.addFinalizer(() => dispatch.close(workers))
    return dispatch
  }
)

/** Gives an effect back the interruptibility that was around. */
type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

class Dispatch {
  private readonly options: Options
  private readonly count: Count
  private readonly outbox: Outbox<ExportedSpan>
  private readonly due = Latch.makeUnsafe(false)
  private readonly settled = Latch.makeUnsafe(false)
  private closed = false
  private failing = false
  /** Spans that were lost since the end began. */
  private lost = 0

  constructor(options: Options, count: Count) {
    this.options = options
    this.count = count
    this.outbox = new Outbox(options.limits)
  }

  /** How many spans wait or are under way. */
  get size(): number {
    return this.outbox.size
  }

  readonly onEnd = (span: ExportedSpan): void => {
    if (!span.sampled) return this.count("unsampled", 1)
    if (this.closed || !this.outbox.offer(span)) return this.drop("dropped_queue", 1)
    if (this.outbox.isDue) this.due.openUnsafe()
  }

  /** What waits now need not wait for others any more. */
  makeDue(): void {
    this.outbox.makeDue()
    if (this.outbox.isDue) this.due.openUnsafe()
  }

  /** Waits for a batch, sends it, and says what became of it: none is ever taken and not accounted for. */
  readonly sendNext: Effect.Effect<void> = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(this.due.await), () => {
      const batch = this.outbox.take()
      if (!this.outbox.isDue) this.due.closeUnsafe()
      return batch === undefined ? Effect.void : this.send(batch, restore)
    })
  )

  /** Sends what waits now, and ends when it is known what became of it. */
  readonly flush: Effect.Effect<void> = Effect.suspend(() => {
    const { mark } = this.outbox
    this.makeDue()
    const wait: Effect.Effect<void> = Effect.suspend(() => {
      if (this.outbox.isSettledTo(mark)) return Effect.void
      this.settled.closeUnsafe()
      return Effect.andThen(this.settled.await, wait)
    })
    return wait
  })

  /** What cannot be sent in time is lost, and the log says how much that was. */
  close(workers: ReadonlyArray<Fiber.Fiber<unknown>>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closed = true
      return Effect.timeoutOption(Effect.interruptible(this.flush), this.options.shutdownMillis)
    }).pipe(
      // Who is cut off counts what it had.
      Effect.andThen(Fiber.interruptAll(workers)),
      Effect.andThen(Effect.suspend(() => {
        this.drop("dropped_queue", this.outbox.drop())
        return this.lost === 0 ? Effect.void : Effect.logWarning(`${this.lost} spans were not exported before the end`)
      }))
    )
  }

  private send(batch: Batch<ExportedSpan>, restore: Restore): Effect.Effect<void> {
    const spans = readable(batch.items)
    this.drop("dropped_export", batch.items.length - spans.length)
    const sent = spans.length === 0
      ? Effect.succeed(0)
      : Effect.suspend(() => this.options.send(bodyOf(spans, this.options), spans.length))
    return restore(sent).pipe(
      Effect.onExit((exit) => {
        const taken = exit._tag === "Success" ? exit.value : 0
        this.count("exported", taken)
        this.drop("dropped_export", spans.length - taken)
        this.outbox.settle(batch)
        this.settled.openUnsafe()
        return this.tell(exit)
      }),
      Effect.ignoreCause
    )
  }

  private drop(result: "dropped_queue" | "dropped_export", spans: number): void {
    if (this.closed) this.lost += spans
    this.count(result, spans)
  }

  /** Nobody who has ended a span learns that it was lost, so the log says when that begins and when it is over. */
  private tell(exit: Exit.Exit<unknown, { readonly message: string }>): Effect.Effect<void> {
    if (exit._tag === "Success") {
      if (!this.failing) return Effect.void
      this.failing = false
      return Effect.logInfo("Spans are exported again")
    }
    if (this.failing || this.closed) return Effect.void
    this.failing = true
    // A failure has a message; a defect may be anything, and is asked for one as anything can be.
    const { message } = Object(Cause.squash(exit.cause)) as { readonly message?: unknown }
    return Effect.logWarning(`Spans cannot be exported, and are lost while that lasts: ${String(message)}`)
  }
}

/** Those that can be written; what people hang on a span may be such that it cannot. */
const readable = (spans: ReadonlyArray<ExportedSpan>): Array<OtlpSpan> =>
  spans.flatMap((span) => {
    try {
      return [encode(span)]
    } catch {
      return []
    }
  })

const scope = { name: "effect", version: Version.getCurrentVersion() }

const bodyOf = (spans: Array<OtlpSpan>, { resource, serialization }: Options): HttpBody =>
  serialization.traces({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] })
