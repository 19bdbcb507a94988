/** A queue of orders, and what tests do with it. */
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

export const Order = Schema.Struct({ order: Schema.Int })

export const orders = (options?: Partial<DeadLetterQueue.Options<{ readonly order: number }>>) =>
  DeadLetterQueue.make({ name: "orders", schema: Order, ...options })

/** Offers orders 1 to `n`; their ids, in that order. */
export const offerMany = (queue: DeadLetterQueue.DeadLetterQueue<{ readonly order: number }>, n: number) =>
  Effect.forEach(
    Array.from({ length: n }, (_, i) => i + 1),
    (order) => queue.offer({ order }, { error: new Error(`no stock for order ${order}`) })
  )

export const outcomes = <E, R>(progress: Stream.Stream<DeadLetterQueue.Progress, E, R>) =>
  Effect.map(Stream.runCollect(progress), (all) => all.map(({ outcome }) => outcome))

/** Everything that is in the store, as text. */
export const dump = Effect.gen(function*() {
  const store = yield* DeadLetterQueue.DeadLetterStore
  const heads = yield* store.page("orders", {}, { order: "oldest", limit: 10_000 })
  const rows = yield* Effect.forEach(heads, ({ id }) => store.get("orders", id))
  return JSON.stringify(rows)
})
