/** An append-only file of entries, whose end is always known: what was not acknowledged is cut off. */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import { DeadLetterStoreError } from "./errors.ts"
import { decode, encode, type Entry, Lines } from "./log.ts"

export interface Journal {
  /** Bytes of whole lines. */
  readonly length: number
  /** Writes an entry and waits until it is on the disk. */
  readonly append: (
    entry: Entry
  ) => Effect.Effect<{ readonly at: number; readonly length: number }, PlatformError | DeadLetterStoreError>
  /** Without waiting; `sync` waits for all. For a file that nobody relies on yet. */
  readonly write: (entry: Entry) => Effect.Effect<void, PlatformError>
  readonly sync: Effect.Effect<void, PlatformError>
  /** `undefined`: it is no longer what was written. */
  readonly read: (at: number, length: number) => Effect.Effect<Entry | undefined, PlatformError>
}

const chunkSize = 256 * 1024

/** Tells `replay` every entry that is in the file, in order, with the place of its line. */
export const open = (
  fs: FileSystem.FileSystem,
  path: string,
  replay: (entry: Entry, at: number, length: number) => void
): Effect.Effect<Journal, PlatformError, Scope.Scope> =>
  Effect.gen(function*() {
    const file = yield* fs.open(path, { flag: "a+" })
    const lines = new Lines()
    const corrupt: Array<Uint8Array> = []
    let size = 0
    while (true) {
      const bytes = yield* file.readAlloc(chunkSize, { position: BigInt(size) })
      if (Option.isNone(bytes)) break
      size += bytes.value.length
      for (const { at, line } of lines.push(bytes.value)) {
        const entry = decode(line)
        if (entry === undefined) corrupt.push(line)
        else replay(entry, at, line.length + 1)
      }
    }
    if (corrupt.length > 0) yield* setAside(fs, path, corrupt)

    let length = lines.end
    /** There may be bytes after the last whole line: a torn line of the last run, or a write that failed. */
    let untidy = size > length
    const tidy = Effect.suspend(() =>
      untidy
        ? Effect.andThen(
          file.truncate(length),
          Effect.sync(() => {
            untidy = false
          })
        )
        : Effect.void
    )

    const write = Effect.fnUntraced(function*(entry: Entry) {
      const line = encode(entry)
      untidy = true
      yield* file.writeAll(line)
      untidy = false
      const at = length
      length += line.length
      return { at, length: line.length }
    })
    /** Somebody else who appends has an index of their own, and the two would not agree. */
    const isMine = Effect.flatMap(file.stat, (stat) =>
      Number(stat.size) === length
        ? Effect.void
        : Effect.fail(
          new DeadLetterStoreError({
            operation: "write to the file",
            cause: new Error(
              `${path} has ${stat.size} bytes where ${length} were written: another process writes to it`
            )
          })
        ))

    return {
      get length() {
        return length
      },
      append: (entry) =>
        Effect.gen(function*() {
          yield* tidy
          yield* isMine
          const before = length
          return yield* Effect.onError(Effect.tap(write(entry), () => file.sync), () =>
            Effect.sync(() => {
              // It may be on the disk or not: it failed, so it is cut off before the next one.
              untidy = true
              length = before
            }))
        }),
      write: (entry) => Effect.asVoid(write(entry)),
      sync: file.sync,
      read: (at, count) =>
        Effect.map(file.readAlloc(count, { position: BigInt(at) }), (bytes) =>
          Option.isSome(bytes) && bytes.value.length === count
            ? decode(bytes.value.subarray(0, count - 1))
            : undefined)
    }
  })

/** Kept for whoever can make sense of them; the letters they were are read as their lines before said. */
const setAside = (
  fs: FileSystem.FileSystem,
  path: string,
  corrupt: ReadonlyArray<Uint8Array>
): Effect.Effect<void, PlatformError> =>
  Effect.scoped(Effect.gen(function*() {
    const file = yield* fs.open(`${path}.corrupt`, { flag: "a" })
    for (const line of corrupt) {
      yield* file.writeAll(line)
      yield* file.writeAll(new Uint8Array([10]))
    }
    yield* file.sync
    yield* Effect.logError(`${corrupt.length} lines of ${path} are corrupt: they are in ${path}.corrupt`)
  }))
