/** The SQLite file that the server keeps its data in. */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import type * as SqlClient from "effect/sql/SqlClient"
import { because, type CannotStart, orCannotStart } from "../startup/CannotStart.ts"
import { makeDirectories, whyNot } from "../startup/directories.ts"

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
