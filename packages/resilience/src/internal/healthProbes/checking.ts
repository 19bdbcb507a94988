/** Runs one check in the background, on its Schedule, never twice at a time. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Failure from "../../Failure.ts"
import type { Detail } from "../../HealthProbes.ts"
import * as Signal from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"
import type { Board, CheckEntry } from "./board.ts"
import * as Hysteresis from "./hysteresis.ts"

export interface Settings<R> {
  readonly name: string
  readonly probe: Effect.Effect<void | Detail, unknown, R>
  /** These three may be changed between two runs. */
  interval: Schedule.Schedule<unknown, Signal.HealthState, never, R>
  timeoutMillis: number
  thresholds: Hysteresis.Thresholds
}

/** Never ends. The first run is at once. */
export const keepChecking = Effect.fnUntraced(
  function*<R>(
    board: Board,
    entry: CheckEntry,
    settings: Settings<R>
  ): Effect.fn.Return<never, never, R | Scope.Scope> {
    const ask = yield* makeAsk(settings)
    let { interval } = settings
    let nextDelay = yield* makeDelays(interval)
    while (true) {
      entry.wake.closeUnsafe()
      const { generation } = entry
      yield* record(board, entry, settings, generation, ask)
      if (interval !== settings.interval) {
        interval = settings.interval
        nextDelay = yield* makeDelays(interval)
      }
      const delay = yield* nextDelay(entry.standing.state)
      yield* Option.isNone(delay) ? entry.wake.await : Effect.timeoutOption(entry.wake.await, delay.value)
    }
  }
)

type Answer = Exit.Exit<void | Detail, unknown> | { readonly _tag: "Late"; readonly info: Failure.Info }

const record = <R>(
  board: Board,
  entry: CheckEntry,
  settings: Settings<R>,
  generation: number,
  ask: Effect.Effect<Answer, never, R>
): Effect.Effect<void, never, R> =>
  Effect.withFiber((fiber) => {
    const since = monotonicMillis(fiber)
    return Effect.flatMap(ask, (answer) => {
      const latency = Duration.millis(monotonicMillis(fiber) - since)
      const info = answer._tag === "Late"
        ? answer.info
        : answer._tag === "Failure"
        ? Failure.infoUnsafe(fiber, answer.cause)
        : undefined
      return Effect.map(DateTime.now, (now) => {
        if (entry.generation !== generation) return
        if (info === undefined) {
          const detail = answer._tag === "Success" ? answer.value ?? undefined : undefined
          entry.facts = { ...entry.facts, lastCheck: now, lastSuccess: now, latency, detail }
          board.move(entry, fiber, Hysteresis.succeeded(settings.thresholds, entry.standing))
        } else {
          entry.facts = { ...entry.facts, lastCheck: now, lastFailure: now, lastError: info, latency }
          board.move(entry, fiber, Hysteresis.failed(settings.thresholds, entry.standing))
        }
        Signal.emitUnsafe(fiber, () => ({
          _tag: "HealthChecked",
          check: entry.name,
          outcome: info === undefined ? "success" : "failure",
          state: entry.standing.state,
          duration: latency
        }))
      })
    })
  })

/**
 * One run of the probe. A probe that is late is interrupted but not waited for, as it may take its time to stop: until it
 * has, each turn counts as late and no second one is started.
 */
const makeAsk = <R>(
  settings: Settings<R>
): Effect.Effect<Effect.Effect<Answer, never, R>, never, R | Scope.Scope> => {
  const { name, probe } = settings
  let running: Fiber.Fiber<void | Detail, unknown> | undefined
  const late = (message: string): Answer => ({
    _tag: "Late",
    info: { kind: "Timeout", scope: "dependency", code: "HealthCheckTimeout", message }
  })

  const ask = Effect.suspend((): Effect.Effect<Answer, never, R> => {
    if (running !== undefined && running.pollUnsafe() === undefined) {
      return Effect.succeed(late(`The check ${name} timed out before and still has not stopped`))
    }
    const { timeoutMillis } = settings
    return Effect.flatMap(Effect.forkDetach(probe), (fiber) => {
      running = fiber
      return Effect.map(
        Effect.timeoutOption(Fiber.await(fiber), timeoutMillis),
        Option.getOrElse(() => {
          fiber.interruptUnsafe()
          return late(
            `The check ${name} gave no answer within ${Duration.format(Duration.millis(timeoutMillis))}`
          )
        })
      )
    })
  })

  const stop = Effect.suspend(() =>
    running === undefined
      ? Effect.void
      : Effect.timeoutOption(Effect.interruptible(Fiber.interrupt(running)), settings.timeoutMillis)
  )
  return Effect.as(Effect.addFinalizer(() => stop), ask)
}

/** The delay until the next run; `None` once the Schedule has ended. */
const makeDelays = <R>(
  schedule: Schedule.Schedule<unknown, Signal.HealthState, never, R>
): Effect.Effect<(state: Signal.HealthState) => Effect.Effect<Option.Option<Duration.Duration>, never, R>, never, R> =>
  Effect.map(
    Schedule.toStep(schedule),
    (step) => (state) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => step(now, state)).pipe(
        Effect.map(([, delay]) => Option.some(delay)),
        Pull.catchDone(() => Effect.succeed(Option.none<Duration.Duration>()))
      )
  )
