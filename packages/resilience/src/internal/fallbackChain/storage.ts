/** A `KeyValueStore` that goes on while its first store is down. */
import * as Effect from "effect/Effect"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Failure from "../../Failure.ts"
import { Copies, type Form, inForm } from "./copies.ts"
import * as Durable from "./durableJournal.ts"
import { type Entry, Journal, type Op, type Value } from "./journal.ts"

type Store = KeyValueStore.KeyValueStore
type StoreError = KeyValueStore.KeyValueStoreError

export interface Settings {
  readonly primary: Store
  readonly secondary: Store | undefined
  readonly memoryCapacity: number
  readonly writes: "journal" | "readOnly"
  readonly journalLimit: number
  readonly timeoutMillis: number
  readonly recheck: Schedule.Schedule<unknown>
}

/**
 * How a storage stands.
 *
 * - `mode`: `"Primary"` while the first store answers, else what becomes of writes
 * - `journaled`: writes that wait for it
 *
 * @category models
 * @since 0.1.0
 */
export interface StorageState {
  readonly mode: "Primary" | "Journal" | "ReadOnly"
  readonly journaled: number
}

const refuse = (method: string, message: string, key?: string, cause?: unknown): StoreError =>
  new KeyValueStore.KeyValueStoreError({
    method,
    message,
    ...(key === undefined ? {} : { key }),
    ...(cause === undefined ? {} : { cause })
  })

const apply = (store: Store, op: Op): Effect.Effect<void, StoreError> => {
  switch (op._tag) {
    case "set":
      return store.set(op.key, op.value)
    case "remove":
      return store.remove(op.key)
    case "clear":
      return op.prefix === "" ? store.clear : store.clearPrefix(op.prefix)
  }
}

/** A key that no application has, asked to see whether a store answers. */
const probeKey = "effect-resilience-probe"

export const make = Effect.fnUntraced(function*(settings: Settings, scope: Scope.Scope) {
  const { memoryCapacity, primary, recheck, timeoutMillis, writes } = settings
  const secondary = settings.secondary === undefined ? undefined : Durable.withoutJournal(settings.secondary)
  const copies = new Copies(memoryCapacity)
  const journal = new Journal()
  /** Keys whose copy in the second store is behind; `undefined` when it is not known which. */
  let behind: Set<string> | undefined = new Set<string>()
  /** Journaled by the second store although it said no, or may be: they were not acknowledged and must not be done late. */
  let orphans: ReadonlyArray<Entry> = []
  /** Counts writes, so that a read that was under way meanwhile does not take an old value for the last one. */
  let written = 0
  let isUp = true
  let isRecovering = false
  // One write at a time: two of one key must reach every copy and the journal in the same order.
  const turn = Semaphore.makeUnsafe(1)

  const inTime = <A>(store: Effect.Effect<A, StoreError>, method: string): Effect.Effect<A, StoreError> =>
    Effect.timeoutOrElse(Effect.interruptible(store), {
      duration: timeoutMillis,
      orElse: () => Effect.fail(refuse(method, `No answer in ${timeoutMillis} ms`))
    })

  /** A request that was wrong says nothing of the store. */
  const isDown = (error: StoreError): Effect.Effect<boolean> =>
    Effect.map(Failure.classify(error), ({ kind, scope }) => !(kind === "Permanent" && scope === "request"))

  /** A write that was not acknowledged may have been done: no copy is to be trusted. */
  const doubt = (op: Op): void => {
    copies.forget(op)
    fellBehind(op)
  }

  const fellBehind = (op: Op): void => {
    if (op._tag === "clear" || (behind?.size ?? 0) >= settings.journalLimit) behind = undefined
    else behind?.add(op.key)
  }

  const mirror = (op: Op): Effect.Effect<void> => {
    copies.wrote(op)
    if (secondary === undefined) return Effect.void
    return Effect.matchEffect(inTime(apply(secondary, op), op._tag), {
      onSuccess: () =>
        Effect.sync(() => {
          if (op._tag !== "clear") behind?.delete(op.key)
          // Two empty stores are alike.
          else if (op.prefix === "") behind = new Set()
        }),
      onFailure: () => Effect.sync(() => fellBehind(op))
    })
  }

  /** The waiting writes, one by one and in order, each under the lock so that new ones queue up behind. */
  const replayOne = Semaphore.withPermit(
    turn,
    Effect.uninterruptible(Effect.gen(function*() {
      const entry = journal.peek()
      if (entry === undefined) {
        for (const orphan of orphans) {
          if (settings.secondary !== undefined) yield* inTime(Durable.remove(settings.secondary, orphan), "remove")
        }
        orphans = []
        isUp = true
        return false
      }
      yield* inTime(apply(primary, entry.op), entry.op._tag).pipe(
        Effect.catch((error) =>
          Effect.flatMap(
            isDown(error),
            (down) =>
              down ? Effect.fail(error) : Effect.logError("A write that was journaled is refused by its store", error)
          )
        )
      )
      yield* mirror(entry.op)
      if (settings.secondary !== undefined) yield* inTime(Durable.remove(settings.secondary, entry), "remove")
      journal.shift()
      return true
    }))
  )

  /** Asks first whether it is there, without holding up writes: a store that hangs would. */
  const reconcile = Effect.andThen(
    inTime(primary.has(probeKey), "has"),
    Effect.asVoid(Effect.repeat(replayOne, { while: (more) => more }))
  )

  const recover = Effect.suspend(() => {
    if (isRecovering) return Effect.void
    isRecovering = true
    const recovering = Effect.retry(reconcile, recheck).pipe(
      Effect.ensuring(Effect.sync(() => (isRecovering = false))),
      Effect.catch((error) => Effect.logError("A store did not come back, and is not asked any more", error)),
      Effect.interruptible
    )
    return Effect.asVoid(Effect.forkIn(recovering, scope))
  })

  const wentDown = (error: StoreError): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (!isUp) return Effect.void
      isUp = false
      return Effect.andThen(Effect.logWarning(`The first store is down, ${writes}`, error), recover)
    })

  const append = Effect.fnUntraced(function*(op: Op) {
    if (journal.size >= settings.journalLimit) {
      return yield* refuse(op._tag, `The journal is full: ${journal.size} writes wait for the first store`)
    }
    const entry = { sequence: journal.next(), op }
    // Acknowledged is what outlives this process, where there is a second store to outlive it in.
    if (settings.secondary !== undefined) {
      yield* Effect.onError(
        inTime(Durable.append(settings.secondary, entry), op._tag),
        () => Effect.sync(() => (orphans = [...orphans, entry]))
      )
    }
    journal.append(entry)
    copies.wrote(op)
  })

  const writeNow = (op: Op): Effect.Effect<void, StoreError> =>
    Effect.suspend(() => {
      written++
      if (!isUp) {
        return writes === "readOnly"
          ? Effect.fail(refuse(op._tag, "Read-only: the first store is down"))
          : append(op)
      }
      return inTime(apply(primary, op), op._tag).pipe(
        Effect.onInterrupt(() => Effect.sync(() => doubt(op))),
        Effect.matchEffect({
          onSuccess: () => mirror(op),
          onFailure: (error) =>
            Effect.flatMap(isDown(error), (down) =>
              down ? Effect.andThen(wentDown(error), writeNow(op)) : Effect.fail(error)).pipe(
                // Once it is in the journal there is no doubt: it is going to be done.
                Effect.onError(() =>
                  Effect.sync(() => doubt(op))
                )
              )
        })
      )
    })

  const write = (op: Op): Effect.Effect<void, StoreError> =>
    Semaphore.withPermit(turn, Effect.uninterruptible(writeNow(op)))

  const fromOthers = <F extends Form>(
    key: string,
    form: F,
    error: StoreError
  ): Effect.Effect<Value | undefined, StoreError> => {
    const fromMemory = Effect.suspend(() => {
      const copy = copies.find(key, form)
      return copy === undefined ? Effect.fail(error) : Effect.succeed(copy ?? undefined)
    })
    if (secondary === undefined || behind === undefined || behind.has(key)) return fromMemory
    return Effect.catch(inTime(readFrom(secondary, key, form), "get"), () => fromMemory)
  }

  const read = <F extends Form>(
    key: string,
    form: F
  ): Effect.Effect<(F extends "text" ? string : Uint8Array) | undefined, StoreError> =>
    Effect.suspend((): Effect.Effect<Value | undefined, StoreError> => {
      const waiting = journal.find(key)
      if (waiting._tag === "Value") return Effect.succeed(waiting.value)
      if (waiting._tag === "Gone") return Effect.undefined
      if (!isUp) return fromOthers(key, form, refuse("get", "The first store is down, and no other has the key", key))
      const before = written
      return Effect.matchEffect(inTime(readFrom(primary, key, form), "get"), {
        onSuccess: (value) =>
          Effect.sync(() => {
            if (written === before) copies.saw(key, form, value)
            return value
          }),
        onFailure: (error) =>
          Effect.flatMap(
            isDown(error),
            (down) => down ? Effect.andThen(wentDown(error), fromOthers(key, form, error)) : Effect.fail(error)
          )
      })
    }).pipe(Effect.map((value) => (value === undefined ? undefined : inForm(value, form))))

  const keys: Effect.Effect<ReadonlyArray<string>, StoreError> = Effect.suspend(() => {
    const others = (error: StoreError) =>
      secondary === undefined || behind === undefined || behind.size > 0
        ? Effect.fail(error)
        : inTime(secondary.keys, "keys")
    const stored = isUp
      ? Effect.catch(inTime(primary.keys, "keys"), (error) => Effect.andThen(wentDown(error), others(error)))
      : others(refuse("keys", "The first store is down, and no other knows all keys"))
    return Effect.map(stored, (found) => journal.keys(found))
  })

  const modify = <F extends Form>(form: F) =>
  (
    key: string,
    f: (value: F extends "text" ? string : Uint8Array) => F extends "text" ? string : Uint8Array
  ) =>
    Semaphore.withPermit(
      turn,
      Effect.flatMap(read(key, form), (value) => {
        if (value === undefined) {
          return Effect.undefined
        }
        const next = f(value)
        return Effect.as(Effect.uninterruptible(writeNow({ _tag: "set", key, value: next })), next)
      })
    )

  // What an earlier process had acknowledged comes first.
  if (settings.secondary !== undefined) {
    for (const entry of yield* inTime(Durable.entries(settings.secondary), "keys")) journal.append(entry)
  }
  if (journal.size > 0) {
    isUp = false
    yield* recover
  }

  const store = KeyValueStore.make({
    get: (key) => read(key, "text"),
    getUint8Array: (key) => read(key, "bytes"),
    set: (key, value) => write({ _tag: "set", key, value }),
    remove: (key) => write({ _tag: "remove", key }),
    clear: write({ _tag: "clear", prefix: "" }),
    clearPrefix: (prefix) => write({ _tag: "clear", prefix }),
    keys,
    size: Effect.map(keys, (found) => found.length),
    modify: modify("text"),
    modifyUint8Array: modify("bytes")
  })
  const state = Effect.sync((): StorageState => ({
    mode: isUp ? "Primary" : writes === "readOnly" ? "ReadOnly" : "Journal",
    journaled: journal.size
  }))
  return { store, state, reconcile }
})

const readFrom = (store: Store, key: string, form: Form): Effect.Effect<Value | undefined, StoreError> =>
  form === "text" ? store.get(key) : store.getUint8Array(key)
