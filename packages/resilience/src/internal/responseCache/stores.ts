/** Where entries are kept. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Persistence from "effect/persistence/Persistence"
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import { monotonicMillis } from "../monotonic.ts"
import { Recent } from "../recent.ts"
import type { Kept, Store, StoreError } from "./storeLayers.ts"

/** Makes the store's error, which lives beside the layers that use this file. */
export type Fail = (reason: StoreError["reason"], cause: unknown) => StoreError

/** In this process, on the monotonic clock. An entry is dropped for a younger one, or when it is found too old. */
export const memory = (capacity: number): Store => {
  interface Entry {
    readonly value: Schema.Json
    readonly at: number
    readonly until: number
  }
  const entries = new Recent<Entry>(capacity)
  return {
    get: (key) =>
      Effect.withFiber((fiber) => {
        const entry = entries.get(key)
        if (entry === undefined) return Effect.undefined
        const now = monotonicMillis(fiber)
        if (now >= entry.until) {
          entries.delete(key)
          return Effect.undefined
        }
        return Effect.succeed({ value: entry.value, age: Duration.millis(now - entry.at) })
      }),
    set: (key, value, keepFor) =>
      Effect.withFiber((fiber) => {
        const at = monotonicMillis(fiber)
        entries.set(key, { value, at, until: at + Duration.toMillis(keepFor) })
        return Effect.void
      }),
    remove: (key) => Effect.sync(() => entries.delete(key))
  }
}

/** What is written: the value, and when it was, in milliseconds since the epoch. */
interface Written {
  readonly value: Schema.Json
  readonly at: number
}

/** What comes back need not be an object, whatever its type says: anybody may have written there. */
const isWritten = (u: unknown): u is Written =>
  Predicate.hasProperty(u, "value") && Predicate.hasProperty(u, "at") && Number.isFinite(u.at)

/** In whatever Effect's persistence writes to, which drops what is too old. Answers within `timeoutMillis`. */
export const persisted = (
  backing: Persistence.BackingPersistenceStore,
  timeoutMillis: number,
  fail: Fail
): Store => {
  const inTime = <A>(self: Effect.Effect<A, Persistence.PersistenceError>): Effect.Effect<A, StoreError> =>
    Effect.timeoutOrElse(
      // A reply that is not JSON is one entry gone bad. Everything else is the store's.
      Effect.mapError(self, ({ cause }) => fail(cause instanceof SyntaxError ? "Unreadable" : "Unavailable", cause)),
      {
        duration: timeoutMillis,
        orElse: () => Effect.fail(fail("Unavailable", `no answer in ${timeoutMillis} ms`))
      }
    )
  return {
    get: (key) =>
      Effect.flatMap(inTime(backing.get(key)), (found): Effect.Effect<Kept | undefined, StoreError> => {
        if (found === undefined) return Effect.undefined
        if (!isWritten(found)) return Effect.fail(fail("Unreadable", "not an entry"))
        // Clocks of two machines differ. What seems to come from the future is new.
        return Effect.map(
          Clock.currentTimeMillis,
          (now) => ({ value: found.value, age: Duration.millis(Math.max(0, now - found.at)) })
        )
      }),
    set: (key, value, keepFor) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => inTime(backing.set(key, { value, at }, keepFor))),
    remove: (key) => inTime(backing.remove(key))
  }
}
