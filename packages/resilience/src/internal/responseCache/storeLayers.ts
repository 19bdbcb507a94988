/** The store of the caches, and the layers of it. */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import type * as Redis from "effect/persistence/Redis"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Failure from "../../Failure.ts"
import { positiveMillis } from "../options.ts"
import * as Stores from "./stores.ts"

const StoreErrorTypeId = "~effect-resilience/ResponseCache/StoreError"

/**
 * A store could not do what it was asked. A cache turns it into a miss; only whoever writes or reads a store meets it.
 *
 * - `reason`: `"Unreadable"` when the entry is there and is none, `"Unavailable"` for everything else.
 *
 * Its kind of failure is `Permanent` in the first case and else `Transient`, with scope `"dependency"`.
 *
 * @category errors
 * @since 0.1.0
 */
export class StoreError extends Schema.TaggedError<StoreError>("effect-resilience/ResponseCache/StoreError")(
  "ResponseCacheStoreError",
  {
    reason: Schema.Literals(["Unavailable", "Unreadable"]),
    cause: Schema.Defect()
  }
) {
  readonly [StoreErrorTypeId] = StoreErrorTypeId

  override get message(): string {
    return this.reason === "Unreadable"
      ? "An entry of the cache could not be read"
      : "The store of the cache is unavailable"
  }

  [Failure.symbol](): Failure.Info {
    const kind = this.reason === "Unavailable" ? "Transient" : "Permanent"
    return { kind, scope: "dependency", code: "ResponseCacheStoreError", message: this.message }
  }
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isStoreError = (u: unknown): u is StoreError => Predicate.hasProperty(u, StoreErrorTypeId)

/**
 * An entry as a store keeps it: the encoded value and its age.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kept {
  readonly value: Schema.Json
  readonly age: Duration.Duration
}

/**
 * Where the entries of one cache are.
 *
 * `set` keeps an entry for `keepFor` and may forget it earlier.
 *
 * @category models
 * @since 0.1.0
 */
export interface Store {
  readonly get: (key: string) => Effect.Effect<Kept | undefined, StoreError>
  readonly set: (key: string, value: Schema.Json, keepFor: Duration.Duration) => Effect.Effect<void, StoreError>
  readonly remove: (key: string) => Effect.Effect<void, StoreError>
}

/**
 * Makes the store of a cache. Caches of different names share no entries.
 *
 * @category services
 * @since 0.1.0
 */
export class ResponseCacheStore extends Context.Service<ResponseCacheStore, {
  readonly make: (options: {
    readonly name: string
    readonly capacity: number
  }) => Effect.Effect<Store, never, Scope.Scope>
}>()("effect-resilience/ResponseCache/ResponseCacheStore") {}

/**
 * Keeps entries in this process, at most `capacity` for each cache. Ages are monotonic: setting the system's clock moves
 * none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreMemory: Layer.Layer<ResponseCacheStore> = Layer.succeed(ResponseCacheStore, {
  make: ({ capacity }) => Effect.sync(() => Stores.memory(capacity))
})

/**
 * Options of the stores outside this process.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreOptions {
  /** What does not answer in this time is taken to be down. Above zero, default 100 milliseconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Keeps entries in what Effect's persistence writes to: `KeyValueStore`, Redis, SQL or memory. Ages are differences of the
 * wall clocks of whoever wrote and whoever reads; that backing's own expiry bounds them.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStorePersistence = (
  options?: StoreOptions
): Layer.Layer<ResponseCacheStore, never, Persistence.BackingPersistence> => {
  const timeoutMillis = positiveMillis("timeout", options?.timeout ?? "100 millis")
  const fail = (reason: StoreError["reason"], cause: unknown) => new StoreError({ reason, cause })
  return Layer.effect(
    ResponseCacheStore,
    Effect.map(Persistence.BackingPersistence, (backing) => ({
      make: ({ name }) => Effect.map(backing.make(name), (store) => Stores.persisted(store, timeoutMillis, fail))
    }))
  )
}

/**
 * {@link layerStorePersistence} in Redis, shared by all processes that use it. Each key expires with its entry.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreRedis = (options?: StoreOptions): Layer.Layer<ResponseCacheStore, never, Redis.Redis> =>
  Layer.provide(layerStorePersistence(options), Persistence.layerBackingRedis)
