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
import { counting, waitIn } from "../telemetrySpans.ts"
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

export interface Working {
  readonly onEnd: (span: ExportedSpan) => void
  /** Sends what waits now, and ends when it is known what became of it. */
  readonly flush: Effect.Effect<void>
}

export const working: (options: Options) => Effect.Effect<Working, never, Scope.Scope> = Effect.fnUntraced(
  function*(options) {
    const count = counting(yield* Effect.context<never>())
    const outbox = new Outbox<ExportedSpan>(options.limits)
    const due = Latch.makeUnsafe(false)
    const settled = Latch.makeUnsafe(false)
    yield* waitIn(() => outbox.size)
    let closed = false
    let lost = 0
    let failing = false

    /** Nobody who has ended a span learns that it was lost, so the log says when it begins and when it is over. */
    const told = (exit: Exit.Exit<unknown, { readonly message: string }>): Effect.Effect<void> => {
      if (exit._tag === "Success") {
        if (!failing) return Effect.void
        failing = false
        return Effect.logInfo("Spans are exported again")
      }
      if (failing || closed) return Effect.void
      failing = true
      return Effect.logWarning("Spans cannot be exported, and are lost while that lasts", Cause.pretty(exit.cause))
    }

    const drop = (result: "dropped_queue" | "dropped_export", spans: number) => {
      lost += spans
      count(result, spans)
    }

    const send = (batch: Batch<ExportedSpan>): Effect.Effect<void> => {
      const spans = readable(batch.items)
      drop("dropped_export", batch.items.length - spans.length)
      return Effect.suspend(() => options.send(bodyOf(spans, options), spans.length)).pipe(
        Effect.onExit((exit) => {
          const taken = exit._tag === "Success" ? exit.value : 0
          count("exported", taken)
          drop("dropped_export", spans.length - taken)
          outbox.settle(batch)
          settled.openUnsafe()
          return told(exit)
        }),
        Effect.ignoreCause
      )
    }

    const worker = due.await.pipe(
      Effect.andThen(Effect.suspend(() => {
        const batch = outbox.take()
        if (!outbox.isDue) due.closeUnsafe()
        return batch === undefined ? Effect.void : send(batch)
      })),
      Effect.forever
    )
    const makeDue = () => {
      outbox.makeDue()
      if (outbox.isDue) due.openUnsafe()
    }

    const flush = Effect.suspend(() => {
      const { mark } = outbox
      makeDue()
      const wait: Effect.Effect<void> = Effect.suspend(() => {
        if (outbox.isSettledTo(mark)) return Effect.void
        settled.closeUnsafe()
        return Effect.andThen(settled.await, wait)
      })
      return wait
    })

    const workers = yield* Effect.forEach(
      Array.from({ length: options.concurrency }),
      () => Effect.forkScoped(worker)
    )
    yield* Effect.sync(makeDue).pipe(Effect.delay(options.intervalMillis), Effect.forever, Effect.forkScoped)
    // Before the workers are stopped: what waits goes out, as far as there is time.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        closed = true
        lost = 0
        yield* Effect.timeoutOption(Effect.interruptible(flush), options.shutdownMillis)
        // Who is cut off counts what it had.
        yield* Fiber.interruptAll(workers)
        drop("dropped_queue", outbox.drop())
        if (lost > 0) yield* Effect.logWarning(`${lost} spans were not exported before the end`)
      })
    )

    return {
      flush,
      onEnd: (span) => {
        if (!span.sampled) return count("unsampled", 1)
        if (closed || !outbox.offer(span)) return drop("dropped_queue", 1)
        if (outbox.isDue) due.openUnsafe()
      }
    }
  }
)

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
