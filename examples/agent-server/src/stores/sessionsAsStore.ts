/** The database's sessions as a store of documents, so that a chain of stores can begin with it. */
import * as Effect from "effect/Effect"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Schedule from "effect/Schedule"
import { SessionMissing, type Sessions, StorageError } from "../sessions/Sessions.ts"
import { decode, encode, messagesKept, type SessionDocument, sessionOf } from "./SessionDocument.ts"

type Service = Sessions["Service"]
type StoreError = KeyValueStore.KeyValueStoreError

/** The store. Nobody asks it for anything but single sessions. */
export const make = (sessions: Service): KeyValueStore.KeyValueStore => {
  const unsupported = (method: string) =>
    Effect.fail(new KeyValueStore.KeyValueStoreError({ method, message: "Sessions are read and written one by one" }))
  const asStoreError = (method: string, key: string) => ({ cause }: StorageError): StoreError =>
    new KeyValueStore.KeyValueStoreError({ method, key, message: "The sessions' store failed", cause })

  const read = (id: string): Effect.Effect<string | undefined, StorageError> =>
    Effect.gen(function*() {
      const agent = yield* sessions.agentOf(id)
      const { messages, next } = yield* sessions.recent(id, messagesKept)
      return encode({ agent, next, messages, waiting: [] })
    }).pipe(Effect.catchTag("SessionMissing", () => Effect.undefined))

  /** One turn, once. */
  const store = (turn: SessionDocument["waiting"][number]): Effect.Effect<void, StorageError> =>
    sessions.atomically(Effect.gen(function*() {
      if ((yield* sessions.servedIn(turn.id)) === undefined) yield* sessions.append(turn)
    })).pipe(
      // Another instance stored a turn of the same session at the same time: ours comes after it.
      Effect.retry({
        schedule: Schedule.spaced("20 millis"),
        times: 5,
        while: (error) => error instanceof StorageError
      }),
      Effect.catchIf(
        (error) => error instanceof SessionMissing,
        () => Effect.logWarning("A turn that waited for the database is dropped: its session was deleted")
      )
    )

  const withId = <A>(method: string, key: string, f: (id: string) => Effect.Effect<A, StorageError>) => {
    const id = sessionOf(key)
    return Effect.mapError(f(id ?? key), asStoreError(method, key))
  }

  return KeyValueStore.make({
    get: (key) => withId("get", key, read),
    getUint8Array: () => unsupported("getUint8Array"),
    set: (key, value) =>
      typeof value !== "string" ?
        unsupported("set") :
        Effect.flatMap(decode(key, value), ({ waiting }) =>
          withId("set", key, () => Effect.forEach(waiting, store, { discard: true }))),
    remove: (key) =>
      withId("remove", key, (id) => Effect.catchTag(sessions.delete(id), "SessionMissing", () => Effect.void)),
    clear: unsupported("clear"),
    keys: unsupported("keys"),
    size: unsupported("size")
  })
}
