/** The SQLite file that the server keeps its data in. */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import type * as SqlClient from "effect/sql/SqlClient"
import { because, type CannotStart, orCannotStart } from "../startup/CannotStart.ts"

/** Opens `agent.sqlite` in a directory, and makes both where they are missing. */
export const layer = (
  directory: string
): Layer.Layer<SqlClient.SqlClient, CannotStart, FileSystem.FileSystem | Path.Path> =>
  Layer.unwrap(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const filename = (yield* Path.Path).join(directory, "agent.sqlite")
    yield* Effect.mapError(
      makeDirectories(directory),
      (error) => because(`DATA_DIR: cannot make the directory ${JSON.stringify(directory)} (${whyNot(error)})`)
    )
    // SQLite would tell no more than that it cannot open the file.
    yield* Effect.mapError(
      fs.access(directory, { writable: true }),
      (error) => because(`DATA_DIR: cannot write into ${JSON.stringify(directory)} (${whyNot(error)})`)
    )
    return orCannotStart(
      SqliteClient.layer({ filename }),
      (error) => `DATA_DIR: cannot use ${JSON.stringify(filename)}: ${error.message}`
    )
  }))

/** From the top down, each by itself: Node's own way to make several never ends where the file system refuses one. */
const makeDirectories = (
  directory: string
): Effect.Effect<void, PlatformError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    if (yield* fs.exists(directory)) return
    yield* makeDirectories((yield* Path.Path).dirname(directory))
    yield* fs.makeDirectory(directory)
  })

/** The operating system's words say more than the kind of the error. */
const whyNot = ({ reason }: PlatformError): string => reason.cause instanceof Error ? reason.cause.message : reason._tag
