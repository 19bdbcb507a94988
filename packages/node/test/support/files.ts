/** A directory for one test, removed after it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export const temporaryDirectory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "sqlite-client-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** The path of a database that does not exist yet. */
export const databaseFile: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  temporaryDirectory,
  (directory) => join(directory, "test.sqlite")
)
