/** Lines on their way out: bounded, written in batches by one fiber, and counted where they are lost. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"

export interface Outbox {
  /** Takes a line, or counts it as lost where there are too many already. */
  readonly offer: (line: string) => void
}

export interface Options {
  readonly capacity: number
  readonly write: (lines: string) => Effect.Effect<void, unknown>
  readonly onLost: (reason: "queue" | "write", count: number) => void
  /** The line that says how many were lost where it stands. */
  readonly notice: (lost: number) => Effect.Effect<string>
  /** How long the last lines may take when the scope closes. */
  readonly shutdownMillis: number
}

/** Lines that wait are written as soon as the fiber gets its turn, and when the scope closes. */
export const make = (options: Options): Effect.Effect<Outbox, never, Scope.Scope> =>
  Effect.gen(function*() {
    let waiting: Array<string> = []
    let lost = 0
    const some = Latch.makeUnsafe(false)
    const oneAtATime = yield* Semaphore.make(1)

    const flush = Effect.suspend(() => {
      some.closeUnsafe()
      if (waiting.length === 0 && lost === 0) return Effect.void
      const lines = waiting
      const gap = lost
      waiting = []
      lost = 0
      const notice = gap === 0 ? Effect.succeed([]) : Effect.map(options.notice(gap), (line) => [line])
      const written = Effect.flatMap(
        notice,
        (last) => options.write([...lines, ...last].map((line) => `${line}\n`).join(""))
      )
      // Where the log cannot be written there is no log to say so; the metric does. A write that is given up is lost, too.
      return Effect.onExit(written, (exit) =>
        Effect.sync(() => {
          if (exit._tag === "Failure") options.onLost("write", lines.length)
        })).pipe(Effect.ignoreCause)
    }).pipe(oneAtATime.withPermit)

    yield* some.await.pipe(Effect.andThen(flush), Effect.forever, Effect.forkScoped)
    // Before the fiber is stopped: a write that has begun is ended, and what waits goes out last. A writer that hangs is
    // left when its time is up.
    yield* Effect.addFinalizer(() =>
      Effect.interruptible(flush).pipe(
        Effect.timeoutOption(options.shutdownMillis),
        Effect.andThen(Effect.sync(() => {
          if (waiting.length > 0) options.onLost("write", waiting.length)
          waiting = []
        }))
      )
    )

    return {
      offer: (line) => {
        if (waiting.length >= options.capacity) {
          lost++
          options.onLost("queue", 1)
          return
        }
        waiting.push(line)
        some.openUnsafe()
      }
    }
  })
