/** Lines on their way out: bounded, written in batches by one fiber, and counted where they are lost. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"

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
}

/** Lines that wait are written as soon as the fiber gets its turn, and when the scope closes. */
export const make = (options: Options): Effect.Effect<Outbox, never, Scope.Scope> =>
  Effect.gen(function*() {
    let waiting: Array<string> = []
    let lost = 0
    const some = Latch.makeUnsafe(false)

    const flush = Effect.suspend(() => {
      if (waiting.length === 0 && lost === 0) return Effect.void
      const lines = waiting
      const gap = lost
      waiting = []
      lost = 0
      const notice = gap === 0 ? Effect.succeed([]) : Effect.map(options.notice(gap), (line) => [line])
      return Effect.flatMap(notice, (last) => options.write([...lines, ...last].map((line) => `${line}\n`).join("")))
        .pipe(
          // Where the log cannot be written there is no log to say so; the metric does.
          Effect.catchCause(() => Effect.sync(() => options.onLost("write", lines.length)))
        )
    })
    const drain = Effect.suspend(() => {
      some.closeUnsafe()
      return flush
    })

    // A write that has begun is ended; what waits then goes out last.
    yield* Effect.addFinalizer(() => flush)
    yield* some.await.pipe(
      Effect.andThen(Effect.uninterruptible(drain)),
      Effect.forever,
      Effect.forkScoped
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
