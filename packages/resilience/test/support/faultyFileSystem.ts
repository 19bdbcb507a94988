/** Node's file system, whose operations fail when a test says so. */
import type * as DeadLetterStoreSuite from "@effect-resilience/testing/DeadLetterStoreSuite"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import { type PlatformError, systemError } from "effect/PlatformError"

const broken = () => systemError({ module: "FileSystem", method: "any", _tag: "Unknown", description: "I/O error" })

export const layerFaulty = (faults: DeadLetterStoreSuite.Faults): Layer.Layer<FileSystem.FileSystem> =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => {
      const guard = <A, R>(self: Effect.Effect<A, PlatformError, R>): Effect.Effect<A, PlatformError, R> =>
        Effect.suspend(() =>
          faults.before() ?
            Effect.fail(broken()) :
            Effect.filterOrFail(self, () => !faults.after(), broken)
        )
      return FileSystem.FileSystem.of({
        ...fs,
        remove: (path, options) => guard(fs.remove(path, options)),
        rename: (from, to) => guard(fs.rename(from, to)),
        open: (path, options) =>
          Effect.map(guard(fs.open(path, options)), (file): FileSystem.File => ({
            [FileSystem.FileTypeId]: FileSystem.FileTypeId,
            get stat() {
              return guard(file.stat)
            },
            get sync() {
              return guard(file.sync)
            },
            seek: (offset, from) => file.seek(offset, from),
            read: (buffer, options) => guard(file.read(buffer, options)),
            readAlloc: (size, options) => guard(file.readAlloc(size, options)),
            truncate: (length) => guard(file.truncate(length)),
            write: (buffer) => guard(file.write(buffer)),
            // A write that breaks off in the middle is what a full disk does.
            writeAll: (buffer) =>
              Effect.suspend(() =>
                faults.before()
                  ? Effect.andThen(file.writeAll(buffer.subarray(0, buffer.length >> 1)), Effect.fail(broken()))
                  : Effect.flatMap(file.writeAll(buffer), () => faults.after() ? Effect.fail(broken()) : Effect.void)
              )
          }))
      })
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))
