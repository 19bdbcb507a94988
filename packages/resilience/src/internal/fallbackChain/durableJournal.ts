/** The journal, kept in the second store beside its values. */
import * as Effect from "effect/Effect"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Schema from "effect/Schema"
import type { Entry } from "./journal.ts"

type Store = KeyValueStore.KeyValueStore
type StoreError = KeyValueStore.KeyValueStoreError

const prefix = "effect-resilience-journal-"

/** So many digits that numbers sort as text for as long as any program runs. */
const keyOf = ({ sequence }: Pick<Entry, "sequence">): string => `${prefix}${String(sequence).padStart(16, "0")}`

/** Text and bytes are told apart by the field that they are in. */
const Written = Schema.fromJsonString(Schema.toCodecJson(Schema.Union([
  Schema.Struct({ text: Schema.String, op: Schema.TaggedStruct("set", { key: Schema.String }) }),
  Schema.Struct({ bytes: Schema.Uint8Array, op: Schema.TaggedStruct("set", { key: Schema.String }) }),
  Schema.Struct({
    op: Schema.Union([
      Schema.TaggedStruct("remove", { key: Schema.String }),
      Schema.TaggedStruct("clear", { prefix: Schema.String })
    ])
  })
])))

const encode = Schema.encodeEffect(Written)
const decode = Schema.decodeUnknownEffect(Written)

export const append = (store: Store, entry: Entry): Effect.Effect<void, StoreError> => {
  const { op } = entry
  const written: typeof Written.Type = op._tag !== "set"
    ? { op }
    : typeof op.value === "string"
    ? { text: op.value, op: { _tag: "set", key: op.key } }
    : { bytes: op.value, op: { _tag: "set", key: op.key } }
  return Effect.flatMap(Effect.orDie(encode(written)), (text) => store.set(keyOf(entry), text))
}

export const remove = (store: Store, entry: Entry): Effect.Effect<void, StoreError> => store.remove(keyOf(entry))

/** What waits, in order. One that cannot be read any more is left where it is, and said. */
export const entries = (store: Store): Effect.Effect<ReadonlyArray<Entry>, StoreError> =>
  Effect.gen(function*() {
    const found: Array<Entry> = []
    const keys = (yield* store.keys).filter((key) => key.startsWith(prefix)).toSorted()
    for (const key of keys) {
      const text = yield* store.get(key)
      if (text === undefined) continue
      const written = yield* Effect.catch(decode(text), (error) =>
        Effect.as(Effect.logError(`The journaled write ${key} cannot be read`, error), undefined))
      if (written === undefined) {
        continue
      }
      const sequence = Number(key.slice(prefix.length))
      const op = "text" in written
        ? { ...written.op, value: written.text }
        : "bytes" in written
        ? { ...written.op, value: written.bytes }
        : written.op
      found.push({ sequence, op })
    }
    return found
  })

/** A store without its journal: clearing it clears no waiting write, and nobody sees one among the keys. */
export const withoutJournal = (store: Store): Store => {
  const keys = Effect.map(store.keys, (found) => found.filter((key) => !key.startsWith(prefix)))
  const clearPrefix = (cleared: string) =>
    Effect.flatMap(
      keys,
      (found) =>
        Effect.forEach(found.filter((key) => key.startsWith(cleared)), (key) => store.remove(key), { discard: true })
    )
  return KeyValueStore.make({
    get: store.get,
    getUint8Array: store.getUint8Array,
    set: store.set,
    remove: store.remove,
    clear: clearPrefix(""),
    clearPrefix,
    keys,
    size: Effect.map(keys, (found) => found.length)
  })
}
