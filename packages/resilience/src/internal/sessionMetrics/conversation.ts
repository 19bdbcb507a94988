/** One session while it goes on. */
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { monotonicMillis } from "../monotonic.ts"
import { type Counted, type Latencies, measured, none, type Stage, type Summary } from "./summary.ts"

export interface Listener {
  readonly onMeasured: (stage: Stage, millis: number) => void
  readonly onError: () => void
  readonly onBargeIn: () => void
  readonly onEnd: (summary: Summary) => Effect.Effect<void>
}

export class Conversation {
  readonly id: string
  private readonly began: number
  private readonly traceId: string | undefined
  private readonly listener: Listener
  private readonly latencies: Map<Stage, Latencies>
  private readonly counts = new Map<Stage, number>()
  private errors = 0
  private bargeIns = 0
  /** When the user stopped to speak, while the answer is not heard yet. */
  private spoken: number | undefined
  private isOver = false

  constructor(
    id: string,
    stages: ReadonlyArray<Stage>,
    fiber: Fiber.Fiber<unknown, unknown>,
    listener: Listener
  ) {
    this.id = id
    this.began = monotonicMillis(fiber)
    this.traceId = fiber.cache.span?.traceId
    this.listener = listener
    this.latencies = new Map(stages.map((stage) => [stage, none]))
  }

  readonly stage = (name: Stage) => <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      const began = monotonicMillis(fiber)
      return Effect.onExitPrimitive(self, (exit) => {
        if (exit._tag === "Success") this.add(name, monotonicMillis(fiber) - began)
        else if (!Cause.hasInterruptsOnly(exit.cause)) this.failed()
        return undefined
      })
    })

  readonly record = (name: Stage, duration: Duration.Input): Effect.Effect<void> =>
    Effect.sync(() => this.add(name, Duration.toMillis(Duration.fromInputUnsafe(duration))))

  readonly speechEnded: Effect.Effect<void> = Effect.withFiber((fiber) => {
    this.spoken = monotonicMillis(fiber)
    return Effect.void
  })

  readonly audioStarted: Effect.Effect<void> = Effect.withFiber((fiber) => {
    if (this.spoken !== undefined) this.add("e2e", monotonicMillis(fiber) - this.spoken)
    this.spoken = undefined
    return Effect.void
  })

  readonly count = (name: Counted, by: number): Effect.Effect<void> =>
    Effect.sync(() => {
      if (this.isOver || !(by >= 0 && by < Infinity)) return
      this.counts.set(name, (this.counts.get(name) ?? 0) + by)
    })

  readonly bargeIn: Effect.Effect<void> = Effect.sync(() => {
    if (this.isOver) return
    this.bargeIns++
    // The answer that was waited for will not be heard.
    this.spoken = undefined
    this.listener.onBargeIn()
  })

  readonly end = (outcome = "completed"): Effect.Effect<void> =>
    Effect.uninterruptible(Effect.withFiber((fiber) => {
      if (this.isOver) return Effect.void
      this.isOver = true
      const durationMillis = monotonicMillis(fiber) - this.began
      return Effect.flatMap(DateTime.now, (now) =>
        this.listener.onEnd({
          ts: DateTime.formatIso(now),
          sessionId: this.id,
          traceId: this.traceId,
          durationMillis,
          latencies: this.latencies,
          counts: this.counts,
          errors: this.errors,
          bargeIns: this.bargeIns,
          outcome
        }))
    }))

  private add(stage: Stage, millis: number): void {
    const before = this.latencies.get(stage)
    if (this.isOver || before === undefined || !(millis >= 0 && millis < Infinity)) return
    this.latencies.set(stage, measured(before, millis))
    this.listener.onMeasured(stage, millis)
  }

  private failed(): void {
    if (this.isOver) return
    this.errors++
    this.listener.onError()
  }
}
