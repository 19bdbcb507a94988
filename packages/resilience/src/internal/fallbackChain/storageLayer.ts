/** The public side of the storage. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import type * as Schedule from "effect/Schedule"
import * as Retry from "../../Retry.ts"
import { nonNegativeInteger, oneOf, positiveInteger, positiveMillis } from "../options.ts"
import { builtOnce } from "./builtOnce.ts"
import * as Storage from "./storage.ts"

/**
 * Options of {@link storage}.
 *
 * @category models
 * @since 0.1.0
 */
export interface StorageOptions<E1, R1, E2, R2> {
  /** The store that holds the truth. */
  readonly primary: Layer.Layer<KeyValueStore.KeyValueStore, E1, R1>
  /** Gets a copy of each write, answers reads while the first one is down, and keeps the journal. One that lasts. */
  readonly secondary?: Layer.Layer<KeyValueStore.KeyValueStore, E2, R2> | undefined
  /** How many values that this process has seen are kept to be read last. Default 10,000; 0 for none. */
  readonly memory?: number | undefined
  /**
   * What becomes of writes while the first store is down.
   *
   * - `"journal"` (default): they are kept in order, and done when it comes back
   * - `"readOnly"`: they fail
   */
  readonly writes?: "journal" | "readOnly" | undefined
  /** How many writes may wait. More fail. Default 10,000. */
  readonly journalLimit?: number | undefined
  /** What does not answer in this time is taken to be down. Above zero, default 1 second. */
  readonly timeout?: Duration.Input | undefined
  /** When to try the first store again. Default: after 1 second, doubling to 30 seconds, for ever. */
  readonly recheck?: Schedule.Schedule<unknown> | undefined
}

/**
 * How the storage of {@link storage} stands, for health checks and operators.
 *
 * `reconcile` tries the first store at once: it does the waiting writes and goes back to it, or fails.
 *
 * @category services
 * @since 0.1.0
 */
export class FallbackStorage extends Context.Service<FallbackStorage, {
  readonly state: Effect.Effect<Storage.StorageState>
  readonly reconcile: Effect.Effect<void, KeyValueStore.KeyValueStoreError>
}>()("effect-resilience/FallbackChain/FallbackStorage") {}

/**
 * A `KeyValueStore` that goes on while its first store is down.
 *
 * Reads come from the first store, or while it is down from the second one and then from what this process has seen; a copy
 * that is known to be behind is not used, and a read that nobody can answer fails. Writes go to the first store and are copied;
 * while it is down they are journaled or refused. When it is back, the journal is done once and in order before anything else is
 * written, and reads see it all the time.
 *
 * A write is acknowledged when the first store has it, or the journal. The journal is in the second store and so outlives this
 * process; without one it is in memory and does not. One process at a time may use a journal.
 *
 * Writes are made one after the other. The first store is built when it is first asked, so a program starts while it is down.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * **Example** (Redis, and files while it is down)
 *
 * ```ts no-run
 * import { Layer } from "effect"
 * import { FallbackChain } from "effect-resilience"
 * import { KeyValueStore } from "effect/persistence"
 *
 * declare const redis: Layer.Layer<KeyValueStore.KeyValueStore>
 *
 * export const sessions = FallbackChain.storage({
 *   primary: redis,
 *   secondary: KeyValueStore.layerFileSystem("/var/lib/app/sessions"),
 *   timeout: "500 millis"
 * })
 * ```
 *
 * @category storage
 * @since 0.1.0
 */
export const storage = <E1, R1, E2 = never, R2 = never>(
  options: StorageOptions<E1, R1, E2, R2>
): Layer.Layer<
  KeyValueStore.KeyValueStore | FallbackStorage,
  E2 | KeyValueStore.KeyValueStoreError,
  R1 | R2
> => {
  const settings = {
    memoryCapacity: nonNegativeInteger("memory", options.memory ?? 10_000),
    writes: oneOf("writes", options.writes ?? "journal", ["journal", "readOnly"]),
    journalLimit: positiveInteger("journalLimit", options.journalLimit ?? 10_000),
    timeoutMillis: positiveMillis("timeout", options.timeout ?? "1 second"),
    recheck: options.recheck ?? Retry.backoff({ base: "1 second", cap: "30 seconds", jitter: "none" })
  }
  return Layer.effectContext(Effect.gen(function*() {
    const scope = yield* Effect.scope
    const primary = lazily(builtOnce(Layer.fresh(options.primary), scope, yield* Effect.context<R1>()))
    const secondary = options.secondary === undefined ? undefined : yield* storeOf(options.secondary)
    const { reconcile, state, store } = yield* Storage.make({ ...settings, primary, secondary }, scope)
    return Context.make(KeyValueStore.KeyValueStore, store).pipe(Context.add(FallbackStorage, { reconcile, state }))
  }))
}

/** Both layers provide the same tag, so each is built by itself. */
const storeOf = <E, R>(layer: Layer.Layer<KeyValueStore.KeyValueStore, E, R>) =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, KeyValueStore.KeyValueStore))

/** A store that is not built yet: a program starts while it is down, and what cannot be built is down. */
const lazily = <E>(
  context: Effect.Effect<Context.Context<KeyValueStore.KeyValueStore>, E>
): KeyValueStore.KeyValueStore => {
  const use = <A>(
    method: string,
    f: (store: KeyValueStore.KeyValueStore) => Effect.Effect<A, KeyValueStore.KeyValueStoreError>
  ): Effect.Effect<A, KeyValueStore.KeyValueStoreError> =>
    Effect.flatMap(
      // Layers of stores die of what they meet while they set themselves up.
      Effect.catchCause(context, (cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause as Cause.Cause<never>)
          : Effect.fail(
            new KeyValueStore.KeyValueStoreError({
              method,
              message: "The first store could not be built",
              cause: Cause.squash(cause)
            })
          )),
      (found) => f(Context.get(found, KeyValueStore.KeyValueStore))
    )
  return KeyValueStore.make({
    get: (key) => use("get", (store) => store.get(key)),
    getUint8Array: (key) => use("getUint8Array", (store) => store.getUint8Array(key)),
    set: (key, value) => use("set", (store) => store.set(key, value)),
    remove: (key) => use("remove", (store) => store.remove(key)),
    has: (key) => use("has", (store) => store.has(key)),
    clear: use("clear", (store) => store.clear),
    clearPrefix: (prefix) => use("clearPrefix", (store) => store.clearPrefix(prefix)),
    keys: use("keys", (store) => store.keys),
    size: use("size", (store) => store.size)
  })
}
