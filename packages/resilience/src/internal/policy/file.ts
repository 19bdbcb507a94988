/** Policies that follow a file. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { tooLarge } from "./document.ts"
import { PolicyDocumentInvalid, type Problem } from "./errors.ts"
import type { Documents } from "./service.ts"

/** What was found in place of a text. */
type Read = { readonly _tag: "Text"; readonly text: string } | { readonly _tag: "Problem"; readonly problem: Problem }

/** A file that is too large is not read. */
const read = (path: string, maxSize: number): Effect.Effect<Read, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const { size, type } = yield* files.stat(path)
    if (type !== "File") return problem(`It is no file but a ${type}`)
    // A character has four bytes at most.
    if (Number(size) > 4 * maxSize) return problem(tooLarge(maxSize))
    const text = yield* files.readFileString(path)
    return text.length > maxSize ? problem(tooLarge(maxSize)) : { _tag: "Text", text } as const
  }).pipe(Effect.catch((error) => Effect.succeed(problem(`The file cannot be read: ${error.message}`))))

const problem = (message: string): Read => ({ _tag: "Problem", problem: { path: "", message } })

/** What was last seen, taken or refused: the same is not tried, nor told, again. */
interface Seen {
  /** In the file. */
  what: string
  /** Of what was in force then. */
  version: number | undefined
}

const look = (
  documents: Documents,
  path: string,
  maxSize: number,
  seen: Seen
): Effect.Effect<void, PolicyDocumentInvalid, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const before = yield* documents.current
    const found = yield* read(path, maxSize)
    const { refused, text, version } = yield* documents.current
    // Another document was put in force meanwhile, and what was read may be older than that. The next look tells.
    if (version !== before.version) return
    // The same since the last look: whoever put it in force may be about to write it into the file.
    const isNew = seen.version !== undefined && seen.version !== version
    seen.version = version
    if (isNew) return
    const what = found._tag === "Text" ? `text ${found.text}` : `problem ${found.problem.message}`
    if (what === seen.what) return
    seen.what = what
    if (found._tag === "Problem") {
      return yield* documents.refuse(new PolicyDocumentInvalid({ source: path, problems: [found.problem] }))
    }
    // Somebody put into it what is in force.
    if (text === found.text && refused === undefined) return
    const change = yield* documents.replace(found.text, { source: path })
    seen.version = (yield* documents.current).version
    yield* Effect.logInfo("A document of policies is in force", change)
  })

/**
 * Reads the file, and fails where it is no good. Then looks at it again on the schedule: what is no good then is told, and
 * what was in force stays.
 */
export const follow = (
  documents: Documents,
  path: string,
  options: { readonly maxSize: number; readonly reload: Schedule.Schedule<unknown> | undefined }
): Effect.Effect<void, PolicyDocumentInvalid, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const seen: Seen = { what: "", version: undefined }
    const once = look(documents, path, options.maxSize, seen)
    yield* once
    if (options.reload === undefined) return
    const again = once.pipe(
      Effect.catch((error) => Effect.logError("A document of policies was refused; the one before stays", error)),
      // Whatever else goes wrong must not end the following.
      Effect.catchCauseIf(
        (cause) => !Cause.hasInterruptsOnly(cause),
        (cause) => Effect.logError(`Looking at ${path} failed`, cause)
      )
    )
    // The first look is over: what is next begins with a wait.
    yield* Effect.forkScoped(Effect.schedule(again, options.reload))
  })
