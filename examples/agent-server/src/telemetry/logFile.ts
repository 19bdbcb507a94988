/**
 * A file that the log is written to as well, put aside when it is large.
 *
 * What the disk does not take is lost to the file, and to nothing else: the log counts it, and goes on.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Semaphore from "effect/Semaphore"

/** When a file is put aside as `path.1`, and how many such are kept. */
export interface Rotation {
  readonly bytes: number
  readonly keep: number
}

/** Writes lines at the end of the file. */
type Append = (lines: string) => Effect.Effect<void, PlatformError>

/** Opens nothing: a file that cannot be written now may be later. */
export const make = Effect.fnUntraced(function*(path: string, { bytes, keep }: Rotation) {
  const fs = yield* FileSystem.FileSystem
  const oneAtATime = yield* Semaphore.make(1)
  const sizeOf = Effect.orElseSucceed(Effect.map(fs.stat(path), ({ size }) => Number(size)), () => 0)

  /** The oldest makes room for the others. */
  const putAside = Effect.gen(function*() {
    yield* Effect.ignore(fs.remove(`${path}.${keep}`))
    for (let number = keep - 1; number >= 1; number--) {
      yield* Effect.ignore(fs.rename(`${path}.${number}`, `${path}.${number + 1}`))
    }
    if (keep === 0) yield* fs.remove(path)
    else yield* fs.rename(path, `${path}.1`)
  })

  const append: Append = (lines) =>
    Effect.gen(function*() {
      const size = yield* sizeOf
      // A file that cannot be put aside grows on: lines are worth more than its size.
      if (size > 0 && size + Buffer.byteLength(lines) > bytes) yield* Effect.ignore(putAside)
      yield* fs.writeFileString(path, lines, { flag: "a" })
    }).pipe(oneAtATime.withPermit)
  return append
})
