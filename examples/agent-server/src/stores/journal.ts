/**
 * Where turns wait that were acknowledged while the database was away: a SQLite file in `DATA_DIR`, on disk before anybody is
 * told. Copies of sessions are beside it in Redis, where there is one, for other instances to read too.
 */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import type * as Redis from "effect/persistence/Redis"
import type * as Scope from "effect/Scope"
import type * as SqlError from "effect/sql/SqlError"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { sessionOf } from "./SessionDocument.ts"

/**
 * Copies are made one after the other, so a Redis that hangs must not be waited for: each command gets little time, and after a few
 * that took longer it is left alone for a while.
 */
const commandTime = "100 millis"
const leftAlone = { name: "copies", trip: CircuitBreaker.consecutive(3), openFor: "5 seconds" } as const

/** How long a copy is of use: who comes back after that waits for the database. */
const copySeconds = 24 * 60 * 60

const copyPrefix = "agent-server:copy:"

interface Copies {
  readonly get: (key: string) => Effect.Effect<string, KeyValueStore.KeyValueStoreError>
  readonly set: (key: string, text: string) => Effect.Effect<void, KeyValueStore.KeyValueStoreError>
  readonly remove: (key: string) => Effect.Effect<void, KeyValueStore.KeyValueStoreError>
}

/** What is not there is not known: it is not said to be nothing. */
const unknown = (key: string) =>
  new KeyValueStore.KeyValueStoreError({ method: "get", key, message: "There is no copy of it" })

const noCopies: Copies = { get: (key) => Effect.fail(unknown(key)), set: () => Effect.void, remove: () => Effect.void }

const copiesIn = (redis: Redis.Redis["Service"]) =>
  Effect.map(CircuitBreaker.make(leftAlone), ({ protect }): Copies => {
    const send = (method: string, key: string, ...args: ReadonlyArray<string>) =>
      redis.send<string | null>(method, copyPrefix + key, ...args).pipe(
        Effect.timeout(commandTime),
        protect(),
        Effect.mapError((cause) =>
          new KeyValueStore.KeyValueStoreError({ method, key, message: "Redis did not answer", cause })
        )
      )
    return {
      get: (key) =>
        Effect.flatMap(send("GET", key), (text) => text === null ? Effect.fail(unknown(key)) : Effect.succeed(text)),
      set: (key, text) => Effect.asVoid(send("SET", key, text, "EX", String(copySeconds))),
      remove: (key) => Effect.asVoid(send("DEL", key))
    }
  })

/** One store of both: sessions are copies, and everything else is the journal's. */
const both = Effect.fnUntraced(function*(redis: Redis.Redis["Service"] | undefined) {
  const journal = yield* KeyValueStore.KeyValueStore
  const copied = redis === undefined ? noCopies : yield* copiesIn(redis)
  const isCopy = (key: string) => sessionOf(key) !== undefined
  return KeyValueStore.make({
    get: (key): Effect.Effect<string | undefined, KeyValueStore.KeyValueStoreError> =>
      isCopy(key) ? copied.get(key) : journal.get(key),
    getUint8Array: journal.getUint8Array,
    set: (key, value) => isCopy(key) && typeof value === "string" ? copied.set(key, value) : journal.set(key, value),
    remove: (key) => isCopy(key) ? copied.remove(key) : journal.remove(key),
    clear: journal.clear,
    keys: journal.keys,
    size: journal.size
  })
})

/** The journal with the copies, and Redis if it is given. It is this process's alone. */
export const layer = (
  directory: string,
  redis: Redis.Redis["Service"] | undefined
): Layer.Layer<KeyValueStore.KeyValueStore, SqlError.SqlError> =>
  Layer.effect(KeyValueStore.KeyValueStore, both(redis)).pipe(
    Layer.provide([CircuitBreaker.layerStoreMemory, KeyValueStore.layerSql({ table: "agent_journal" })]),
    Layer.provide(SqliteClient.layer({ filename: join(directory, "journal.sqlite") }))
  )

/** The copies alone, for a process that has no journal. */
export const layerCopies = (redis: Redis.Redis["Service"] | undefined): Layer.Layer<KeyValueStore.KeyValueStore> =>
  Layer.effect(KeyValueStore.KeyValueStore, both(redis)).pipe(
    Layer.provide([CircuitBreaker.layerStoreMemory, KeyValueStore.layerMemory])
  )

/**
 * Makes sure that no other process uses the journal of this directory, until the scope closes. The lock is the operating
 * system's, so it is gone with the process, however that ends.
 */
export const tryLock = (directory: string): Effect.Effect<boolean, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const lock = new DatabaseSync(join(directory, "journal.lock"), { timeout: 0 })
        try {
          lock.exec("BEGIN EXCLUSIVE")
          return lock
        } catch {
          lock.close()
          return undefined
        }
      }),
      (lock) => Effect.sync(() => lock?.close())
    ),
    (lock) => lock !== undefined
  )
