/** Keeps a document that was put in force, so that a restart, and other instances that follow the same file, find it. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"

/**
 * Writes it beside the file and renames it, so that nobody ever reads half of it. Where that cannot be done, as with a file
 * that is mounted read-only, it says so with `false`: the document is in memory, until the file changes.
 */
export const keepIn =
  (file: string) => (text: string): Effect.Effect<boolean, never, FileSystem.FileSystem | Path.Path> =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      // What is linked to is what is to be replaced, and not the link.
      const target = yield* files.realPath(file)
      // One that is not to be written to must not be replaced either.
      yield* files.access(target, { writable: true })
      const beside = yield* files.makeTempDirectoryScoped({ directory: path.dirname(target), prefix: ".policies-" })
      const draft = path.join(beside, "policies.yaml")
      const { mode } = yield* files.stat(target)
      yield* files.writeFileString(draft, text, { mode })
      yield* files.rename(draft, target)
      return true
    }).pipe(
      Effect.scoped,
      Effect.catch((error) =>
        Effect.as(
          Effect.logWarning(`The policies could not be written to ${file}: they are in memory only`, error),
          false
        )
      )
    )
