/** Sets up the board of what was declared, and the fibers that keep it up to date. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Change, Check, Condition, Heartbeat } from "../../HealthProbes.ts"
import { Board, CheckEntry, ConditionEntry, type Entry, HeartbeatEntry } from "./board.ts"
import { keepChecking, type Settings } from "./checking.ts"
import { makeFailover } from "./failover.ts"

export type Declared<R> =
  | { readonly item: Check<R>; readonly settings: Settings<R> }
  | { readonly item: Heartbeat | Condition; readonly settings?: undefined }

export const watch = Effect.fnUntraced(
  function*<R>(
    declared: ReadonlyArray<Declared<R>>
  ): Effect.fn.Return<
    { readonly board: Board; readonly changes: Stream.Stream<Change> },
    never,
    R | Scope.Scope
  > {
    const entries = new Map<string, Entry>()
    const failovers = new Map<string, (change: Change) => void>()
    const changes = yield* Effect.acquireRelease(PubSub.unbounded<Change>(), PubSub.shutdown)
    const fiber = yield* Effect.withFiber((fiber) => Effect.succeed(fiber))
    for (const { item } of declared) {
      entries.set(item.name, entryOf(item, fiber))
      if (item._tag === "Check" && item.options.failover !== undefined) {
        failovers.set(item.name, yield* makeFailover(item.options.failover))
      }
    }
    const board = new Board(entries, (change) => {
      PubSub.publishUnsafe(changes, change)
      failovers.get(change.check)?.(change)
    }, fiber)
    // Stopping a check may take its timeout, so they are stopped all at once.
    const all = yield* Scope.fork(yield* Effect.scope, "parallel")
    for (const { item, settings } of declared) {
      const entry = entries.get(item.name)
      if (entry instanceof CheckEntry && settings !== undefined) {
        yield* Effect.forkIn(Effect.scoped(keepChecking(board, entry, settings)), all)
      } else if (entry instanceof HeartbeatEntry) {
        yield* Effect.forkIn(keepListening(board, entry), all)
      }
    }
    return { board, changes: Stream.fromPubSub(changes) }
  }
)

const entryOf = <R>(item: Check<R> | Condition | Heartbeat, fiber: Fiber.Fiber<unknown, unknown>): Entry => {
  switch (item._tag) {
    case "Check": {
      const { critical = false, groups = ["ready"], name, url } = item.options
      return new CheckEntry({ kind: "check", name, url: url === undefined ? undefined : shown(url), critical, groups })
    }
    case "Condition":
      return new ConditionEntry({ kind: "condition", name: item.name, critical: true, groups: item.groups })
    case "Heartbeat":
      return new HeartbeatEntry(item.name, item.withinMillis, fiber)
  }
}

/** Notices when a heart has stopped. */
const keepListening = (board: Board, entry: HeartbeatEntry): Effect.Effect<never> =>
  Effect.forever(Effect.withFiber((fiber) => {
    entry.check(board, fiber)
    const due = entry.dueIn(fiber)
    return Effect.sleep(due > 0 && due < Infinity ? Math.ceil(due) : entry.withinMillis)
  }))

/** A URL without user and password: reports are read, logged and sent on. */
const shown = (url: string): string => url.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, "$1")
