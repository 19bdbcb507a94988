/**
 * Ended sessions as lines of a file: a process that is killed leaves at most one torn line, at the end, which the next one
 * closes off and skips. Lines that come while others are written are written together, in one go.
 */
import * as ByteSize from "effect/ByteSize"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"

export interface Options {
  readonly path: string
  /** From this size on a file is put aside. */
  readonly bytes: number
  /** How many files that were put aside are kept: `path.1` is the youngest. */
  readonly keep: number
}

export interface Journal<out E = PlatformError> {
  readonly append: (line: string) => Effect.Effect<void, E>
  /** Up to so many of the last lines, the oldest first. A torn one may be among them. */
  readonly last: (count: number) => Effect.Effect<ReadonlyArray<string>, E>
}

/** A line is less than a kilobyte, so this holds many more than a window of them. */
const tailBytes = 1_048_576

export const make = (options: Options): Effect.Effect<Journal, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const oneAtATime = yield* Semaphore.make(1)
    const nth = (index: number): string => index === 0 ? options.path : `${options.path}.${index}`
    // Whether the end of the file may be in the middle of a line: it may be until it was looked at.
    let torn = true

    const sizeOf = (path: string): Effect.Effect<number, PlatformError> =>
      Effect.flatMap(files.exists(path), (exists) =>
        exists ? Effect.map(files.stat(path), ({ size }) => ByteSize.toNumberUnsafe(size)) : Effect.succeed(0))

    const tail = (path: string): Effect.Effect<string, PlatformError> =>
      Effect.flatMap(sizeOf(path), (size) =>
        size === 0
          ? Effect.succeed("")
          : files.stream(path, { offset: Math.max(0, size - tailBytes) }).pipe(Stream.decodeText, Stream.mkString))

    const rotate: Effect.Effect<void, PlatformError> = Effect.gen(function*() {
      for (let index = options.keep - 1; index >= 0; index--) {
        if (yield* files.exists(nth(index))) {
          yield* files.rename(nth(index), nth(index + 1))
        }
      }
      // None is kept: what was written is gone.
      if (options.keep === 0) {
        yield* files.remove(nth(0), { force: true })
      }
    })

    const write = (lines: ReadonlyArray<string>): Effect.Effect<void, PlatformError> =>
      Effect.gen(function*() {
        if (torn) {
          const end = yield* tail(options.path)
          torn = end !== "" && !end.endsWith("\n")
        }
        const text = `${torn ? "\n" : ""}${lines.join("\n")}\n`
        if ((yield* sizeOf(options.path)) >= options.bytes) {
          yield* rotate
        }
        // A write that fails may have written a part.
        torn = true
        yield* files.writeFileString(options.path, text, { flag: "a" })
        torn = false
      })

    // What the next write will write, and who waits for it.
    let next: { readonly lines: Array<string>; readonly written: Deferred.Deferred<void, PlatformError> } | undefined

    const writeNext: Effect.Effect<void> = Effect.suspend(() => {
      const batch = next
      next = undefined
      return batch === undefined ? Effect.void : Effect.asVoid(Deferred.into(write(batch.lines), batch.written))
    })

    const append = (line: string): Effect.Effect<void, PlatformError> =>
      Effect.uninterruptible(Effect.suspend(() => {
        if (next !== undefined) {
          next.lines.push(line)
          return Deferred.await(next.written)
        }
        const written = Deferred.makeUnsafe<void, PlatformError>()
        next = { lines: [line], written }
        return Effect.andThen(oneAtATime.withPermit(writeNext), Deferred.await(written))
      }))

    const last = (count: number): Effect.Effect<ReadonlyArray<string>, PlatformError> =>
      Effect.gen(function*() {
        const parts: Array<ReadonlyArray<string>> = []
        for (let index = 0, found = 0; index <= options.keep && found < count; index++) {
          const lines = (yield* tail(nth(index))).split("\n").filter((line) =>
            line !== ""
          )
          parts.unshift(lines)
          found += lines.length
        }
        return parts.flat().slice(-count)
      })

    return { append, last }
  })
