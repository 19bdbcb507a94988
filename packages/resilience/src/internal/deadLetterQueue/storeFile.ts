/** Letters in a file of this process. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { positiveInteger } from "../options.ts"
import { DeadLetterStoreError } from "./errors.ts"
import { open } from "./journal.ts"
import type { Entry } from "./log.ts"
import { type Indexed, RowIndex } from "./rowIndex.ts"
import { DeadLetterStore, type Inserted, type Row } from "./store.ts"

/**
 * Options of {@link layerStoreFile}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileStoreOptions {
  /** The file. Its folder must exist. Beside it may appear `<path>.new` while it is compacted, and `<path>.corrupt`. */
  readonly path: string
  /** How many bytes of lines that no longer count the file may have before it is compacted. Default 16 MiB. */
  readonly compactAt?: number | undefined
}

/** Where a row's line is, beside what is searched by. */
interface Placed extends Indexed {
  readonly at: number
  readonly length: number
}

/**
 * Keeps letters in one file, written through the program's `FileSystem`: for a single process that has no database.
 *
 * - Every write is one line with a checksum, appended and synced before it is acknowledged.
 * - A process may be killed at any moment: a line that is torn at the end is cut off at the next start, as it was never
 *   acknowledged.
 * - A line that went bad is copied to `<path>.corrupt` and passed over; the others are read.
 * - Lines that no longer count are dropped by writing a new file and renaming it over the old one.
 * - In memory is what letters are searched by, about 300 bytes each; what is in them stays in the file.
 *
 * One process at a time: a second one that writes is noticed by the first, whose operations then fail.
 *
 * **Example** (Letters that survive the process)
 *
 * ```ts no-run
 * import { NodeServices } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { DeadLetterQueue } from "effect-resilience"
 *
 * const store = DeadLetterQueue.layerStoreFile({ path: "data/letters.log" }).pipe(Layer.provide(NodeServices.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreFile = (
  options: FileStoreOptions
): Layer.Layer<DeadLetterStore, DeadLetterStoreError, FileSystem.FileSystem> => {
  const compactAt = positiveInteger("compactAt", options.compactAt ?? 16 * 1024 * 1024)
  return Layer.effect(
    DeadLetterStore,
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const fs = yield* FileSystem.FileSystem
      const outer = yield* Effect.scope
      const one = yield* Semaphore.make(1)

      const load = Effect.gen(function*() {
        const scope = yield* Scope.fork(outer)
        const letters = new Letters()
        const journal = yield* Scope.provide(
          open(fs, options.path, (entry, at, length) => letters.apply(entry, at, length)),
          scope
        )
        return { journal, letters, scope }
      })
      let loaded: Effect.Success<typeof load> | undefined = yield* Effect.mapError(load, failed("open the file"))
      const current = Effect.suspend(() =>
        loaded !== undefined ? Effect.succeed(loaded) : Effect.tap(load, (found) =>
          Effect.sync(() => {
            loaded = found
          }))
      )

      /** Every letter that counts in a new file, which then takes the place of the old one. */
      const compact = Effect.fnUntraced(function*({ journal, letters, scope }: Effect.Success<typeof load>) {
        const fresh = `${options.path}.new`
        yield* fs.remove(fresh, { force: true })
        yield* Effect.scoped(Effect.gen(function*() {
          const next = yield* open(fs, fresh, () => {})
          for (const [queue, index] of letters.queues) {
            for (const { at, length } of index.values()) {
              const entry = yield* journal.read(at, length)
              if (entry === undefined) return yield* new DeadLetterStoreError({ operation: "compact", cause: wentBad })
              yield* next.write(entry)
            }
            yield* next.write({ _tag: "Last", queue, last: index.last })
          }
          yield* next.sync
        }))
        // Whether or not this says that it worked, which file is there now is only known by opening it.
        loaded = undefined
        yield* Effect.ensuring(fs.rename(fresh, options.path), Scope.close(scope, Exit.void))
      })

      const run = <A>(
        operation: string,
        f: (state: Effect.Success<typeof load>) => Effect.Effect<A, PlatformError | DeadLetterStoreError>
      ) =>
        one.withPermit(Effect.flatMap(current, f)).pipe(
          Effect.mapError((error) => error instanceof DeadLetterStoreError ? error : failed(operation)(error))
        )
      /** None is cut in the middle by an interruption. What cannot be compacted now will be after the next write. */
      const write = <A>(
        operation: string,
        f: (state: Effect.Success<typeof load>) => Effect.Effect<A, PlatformError | DeadLetterStoreError>
      ) =>
        Effect.uninterruptible(
          run(operation, (state) =>
            Effect.tap(f(state), () =>
              state.journal.length - state.letters.bytes > compactAt + state.letters.bytes
                ? Effect.catchCause(compact(state), (cause) =>
                  Effect.logError(`${options.path} could not be compacted`, cause))
                : Effect.void))
        )
      const append = ({ journal, letters }: Effect.Success<typeof load>, entry: Entry) =>
        Effect.map(journal.append(entry), ({ at, length }) => letters.apply(entry, at, length))
      const read = ({ journal }: Effect.Success<typeof load>, queue: string, entry: Placed) =>
        Effect.map(
          journal.read(entry.at, entry.length),
          (found): Row =>
            found?._tag === "Put" && found.row.id === entry.id ? found.row : { ...entry, queue, meta: "", body: "" }
        )

      return DeadLetterStore.of({
        insert: (row) =>
          write(
            "insert a letter",
            (state) =>
              Effect.suspend((): Effect.Effect<Inserted, PlatformError | DeadLetterStoreError> => {
                const queue = state.letters.of(row.queue)
                const duplicate = queue.duplicateOf(row)
                if (duplicate !== undefined) return Effect.succeed({ _tag: "Duplicate", id: duplicate })
                const seq = queue.last + 1
                return Effect.as(
                  append(state, { _tag: "Put", row: { ...row, seq, version: 1 } }),
                  { _tag: "Inserted", seq }
                )
              })
          ),
        replace: (row, expected) =>
          write("replace a letter", (state) =>
            Effect.suspend(() => {
              const old = state.letters.of(row.queue).get(row.id)
              return old?.version !== expected ? Effect.succeed(false) : Effect.as(
                append(state, { _tag: "Put", row: { ...row, seq: old.seq, version: expected + 1 } }),
                true
              )
            })),
        remove: (queue, id, expected) =>
          write("remove a letter", (state) =>
            Effect.suspend(() =>
              state.letters.of(queue).get(id)?.version !== expected
                ? Effect.succeed(false)
                : Effect.as(append(state, { _tag: "Remove", queue, id }), true)
            )),
        get: (queue, id) =>
          run("get a letter", (state) => {
            const entry = state.letters.of(queue).get(id)
            return entry === undefined ? Effect.undefined : read(state, queue, entry)
          }),
        page: (queue, query, paging) =>
          run(
            "list letters",
            (state) => Effect.forEach(state.letters.of(queue).page(query, paging), (entry) => read(state, queue, entry))
          ),
        count: (queue, query) =>
          run("count letters", ({ letters }) => Effect.sync(() => letters.of(queue).count(query))),
        groups: (queue, query) =>
          run("group letters", ({ letters }) => Effect.sync(() => letters.of(queue).groups(query))),
        last: (queue) => run("find the last letter", ({ letters }) => Effect.sync(() => letters.of(queue).last)),
        now: Effect.sync(() => clock.currentTimeMillisUnsafe())
      })
    })
  )
}

/** Dropping it would be silent; the next start sets it aside. */
const wentBad = new Error("a line went bad since it was written, so no line is dropped")

/** What the lines of the file amount to. */
class Letters {
  readonly queues = new Map<string, RowIndex<Placed>>()
  /** Of the lines that count. */
  bytes = 0

  of(name: string): RowIndex<Placed> {
    let queue = this.queues.get(name)
    if (queue === undefined) {
      queue = new RowIndex()
      this.queues.set(name, queue)
    }
    return queue
  }

  apply(entry: Entry, at: number, length: number): void {
    switch (entry._tag) {
      case "Put": {
        const { body: _, dedupeKey, meta: __, queue: name, ...columns } = entry.row
        const queue = this.of(name)
        const old = queue.get(entry.row.id)
        this.bytes += length - (old?.length ?? 0)
        if (old === undefined) queue.add({ ...columns, dedupeKey, at, length })
        else queue.replace({ ...columns, dedupeKey, at, length })
        break
      }
      case "Remove": {
        const queue = this.of(entry.queue)
        this.bytes -= queue.get(entry.id)?.length ?? 0
        queue.remove(entry.id)
        break
      }
      case "Last": {
        const queue = this.of(entry.queue)
        queue.last = Math.max(queue.last, entry.last)
      }
    }
  }
}

const failed = (operation: string) => (cause: PlatformError): DeadLetterStoreError =>
  new DeadLetterStoreError({ operation, cause })
