/** Calls the failover hook of a check once for each time its traffic belongs on the other side. */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Change } from "../../HealthProbes.ts"
import { sideOf } from "./verdict.ts"

/** To be told of all changes of the check. The hook has a fiber of its own, so that a slow one delays no check. */
export const makeFailover = Effect.fnUntraced(
  function*<R>(
    hook: (change: Change) => Effect.Effect<void, unknown, R>
  ): Effect.fn.Return<(change: Change) => void, never, R | Scope.Scope> {
    const switches = yield* Queue.unbounded<Change>()
    const turn = Effect.flatMap(Queue.take(switches), (change) =>
      Effect.catchCause(
        Effect.suspend(() => hook(change)),
        (cause) => Effect.logError(`The failover of the check ${change.check} failed`, cause)
      ))
    yield* Effect.forkScoped(Effect.forever(turn))
    let side = sideOf("primary", "Unknown")
    return (change) => {
      const next = sideOf(side, change.to)
      if (next !== side) Queue.offerUnsafe(switches, change)
      side = next
    }
  }
)
