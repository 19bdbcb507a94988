/** Directories that the server needs, and why they cannot be had. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"

/** From the top down, each by itself: Node's own way to make several never ends where the file system refuses one. */
export const makeDirectories = (
  directory: string
): Effect.Effect<void, PlatformError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    if (yield* fs.exists(directory)) return
    yield* makeDirectories((yield* Path.Path).dirname(directory))
    yield* fs.makeDirectory(directory)
  })

/** The operating system's words say more than the kind of the error. */
export const whyNot = ({ reason }: PlatformError): string =>
  reason.cause instanceof Error ? reason.cause.message : reason._tag
