/** The shutdown of one server, step by step. It happens once, whoever asks for it and however often. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Connections } from "./connections.ts"
import type { Phases } from "./phases.ts"

export interface Settings {
  readonly preStopMillis: number
  readonly drainMillis: number
}

/** How a shutdown went. */
export interface Summary {
  /** Requests and upgraded connections that were under way when the server was closed. */
  readonly inFlight: number
  /** Those of them that were not done in time. */
  readonly cut: number
  /** Requests that came too late, and were asked to come again. */
  readonly refused: number
}

/** What ends after the deadline is told so; this is how long it may take over it. */
const lastWordsMillis = 750
/** A client gets this long to read the end of a reply, or to answer the end of a WebSocket. */
const partingMillis = 500

export interface Parts {
  readonly settings: Settings
  readonly phases: Phases
  readonly connections: Connections
  readonly refused: () => number
  /** Run when the shutdown begins; nobody waits for it. */
  readonly onDrain: Effect.Effect<void>
}

export class Shutdown {
  private readonly parts: Parts
  private readonly skipDelay = Deferred.makeUnsafe<void>()
  private running: Fiber.Fiber<Summary> | undefined

  constructor(parts: Parts) {
    this.parts = parts
  }

  /** Begins, unless it has begun, and waits for the end. `now`: without the delay that load balancers need. */
  run(options: { readonly now: boolean }): Effect.Effect<Summary> {
    return Effect.suspend(() => {
      if (options.now) Deferred.doneUnsafe(this.skipDelay, Effect.void)
      if (this.running !== undefined) return Fiber.join(this.running)
      // Detached: whoever began it may be interrupted, and others wait for it as well.
      return Effect.flatMap(
        Effect.forkDetach(this.steps(), { startImmediately: true, uninterruptible: true }),
        (fiber) => {
          this.running = fiber
          return Fiber.join(fiber)
        }
      )
    })
  }

  private steps(): Effect.Effect<Summary> {
    const { connections, onDrain, phases, refused, settings } = this.parts
    const idleWithin = (millis: number) => Effect.timeoutOption(connections.untilIdle, millis)
    const skipDelay = this.skipDelay
    return Effect.gen(function*() {
      phases.enter("Draining")
      connections.askToLeave()
      yield* Effect.forkDetach(
        Effect.catchCause(onDrain, (cause) => Effect.logError("What was to be told of the shutdown failed", cause)),
        { startImmediately: true }
      )
      yield* Effect.logInfo("The server is draining", {
        in_flight: connections.inFlight,
        pre_stop_delay: Duration.format(Duration.millis(settings.preStopMillis)),
        drain_timeout: Duration.format(Duration.millis(settings.drainMillis))
      })
      if (settings.preStopMillis > 0) yield* Effect.timeoutOption(Deferred.await(skipDelay), settings.preStopMillis)

      phases.enter("Closing")
      const inFlight = connections.inFlight
      connections.close()
      yield* idleWithin(settings.drainMillis)
      // From here on each phase is for those who did not make use of the one before it.
      if (connections.inFlight > 0) {
        phases.enter("Deadline")
        yield* idleWithin(lastWordsMillis)
      }
      const cut = connections.inFlight
      phases.enter("Cutting")
      if (cut > 0) yield* idleWithin(lastWordsMillis)
      const summary = { inFlight, cut, refused: refused() }
      yield* cut > 0
        ? Effect.logWarning("The server has closed, and some requests were cut", summary)
        : Effect.logInfo("The server has closed", summary)
      return summary
    })
  }
}

/** The last step, while the requests that are left are being interrupted: nobody stays connected. */
export const part = (connections: Connections, phases: Phases): Effect.Effect<void> =>
  Effect.gen(function*() {
    yield* Effect.timeoutOption(connections.untilIdle, partingMillis)
    phases.enter("Closed")
    connections.end()
    yield* Effect.timeoutOption(connections.untilGone, partingMillis)
    connections.destroy()
  })
