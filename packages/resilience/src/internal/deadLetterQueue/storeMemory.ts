/** Letters in the memory of this process. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { RowIndex } from "./rowIndex.ts"
import { DeadLetterStore, type Row } from "./store.ts"

/**
 * Keeps letters in memory: for tests, and for programs that may lose them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreMemory: Layer.Layer<DeadLetterStore> = Layer.effect(
  DeadLetterStore,
  Effect.map(Clock.Clock, (clock) => {
    const queues = new Map<string, RowIndex<Row>>()
    const queueOf = (name: string): RowIndex<Row> => {
      let queue = queues.get(name)
      if (queue === undefined) {
        queue = new RowIndex()
        queues.set(name, queue)
      }
      return queue
    }
    return DeadLetterStore.of({
      insert: (row) =>
        Effect.sync(() => {
          const queue = queueOf(row.queue)
          const duplicate = queue.duplicateOf(row)
          if (duplicate !== undefined) return { _tag: "Duplicate", id: duplicate }
          const seq = queue.last + 1
          queue.add({ ...row, seq, version: 1 })
          return { _tag: "Inserted", seq }
        }),
      replace: (row, expected) =>
        Effect.sync(() => {
          const queue = queueOf(row.queue)
          const old = queue.get(row.id)
          if (old?.version !== expected) return false
          queue.replace({ ...row, seq: old.seq, version: expected + 1 })
          return true
        }),
      remove: (name, id, expected) =>
        Effect.sync(() => {
          const queue = queueOf(name)
          if (queue.get(id)?.version !== expected) return false
          queue.remove(id)
          return true
        }),
      get: (name, id) => Effect.sync(() => queueOf(name).get(id)),
      page: (name, query, options) => Effect.sync(() => queueOf(name).page(query, options)),
      count: (name, query) => Effect.sync(() => queueOf(name).count(query)),
      groups: (name, query) => Effect.sync(() => queueOf(name).groups(query)),
      last: (name) => Effect.sync(() => queueOf(name).last),
      now: Effect.sync(() => clock.currentTimeMillisUnsafe())
    })
  })
)
