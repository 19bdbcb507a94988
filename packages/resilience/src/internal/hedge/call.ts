/** One call of a hedge: its clock, its waits, and what it tells the others. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import * as Signal from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"
import type { Engine } from "./engine.ts"
import type { Rules } from "./race.ts"

export class Call implements Rules {
  private readonly engine: Engine
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private readonly delayMillis: number
  /** When the wait for a hedge began. */
  private waitingSince: number | undefined
  private outlivedDelay = false

  constructor(engine: Engine, fiber: Fiber.Fiber<unknown, unknown>) {
    engine.callStarted()
    this.engine = engine
    this.fiber = fiber
    this.delayMillis = engine.delayMillis()
  }

  timer(launch: () => boolean): Effect.Effect<void> | undefined {
    if (this.engine.latencies !== undefined) this.waitingSince = monotonicMillis(this.fiber)
    if (this.engine.schedule !== undefined) return launchBySchedule(this.engine.schedule, launch)
    return this.delayMillis === Infinity ? undefined : launchEvery(this.delayMillis, launch)
  }

  take(): boolean {
    this.outlivedDelay = true
    return this.engine.take()
  }

  primaryEnded(succeeded: boolean): void {
    const { latencies } = this.engine
    if (latencies === undefined || (!succeeded && !this.outlivedDelay)) return
    // One that ended before anybody could wait took no time that a hedge could save.
    latencies.record(this.waitingSince === undefined ? 0 : monotonicMillis(this.fiber) - this.waitingSince)
  }

  ended(winner: number | undefined, hedges: number, refused: boolean): void {
    if (hedges === 0 && !refused) return
    const { name } = this.engine.settings
    Signal.emitUnsafe(this.fiber, () => ({ _tag: "Hedged", name, winner, launched: hedges, refused }))
  }
}

const launchEvery = (millis: number, launch: () => boolean): Effect.Effect<void> =>
  Effect.flatMap(Effect.sleep(millis), () => launch() ? launchEvery(millis, launch) : Effect.void)

/** A schedule that breaks costs the call its hedges and nothing else. */
const launchBySchedule = (
  schedule: Schedule.Schedule<unknown, number>,
  launch: () => boolean
): Effect.Effect<void> =>
  Effect.flatMap(Schedule.toStepWithSleep(schedule), (next) => {
    const launchAfter = (attempts: number): Pull.Pull<void, never, unknown> =>
      Effect.flatMap(next(attempts), () => launch() ? launchAfter(attempts + 1) : Effect.void)
    return Pull.catchDone(launchAfter(1), () => Effect.void)
  }).pipe(Effect.catchDefect((defect) => Effect.logError("The schedule of a hedge's delay failed", defect)))
