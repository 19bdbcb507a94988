/** What is left when the I/O beneath the store fails, each one in turn. */
import { expect } from "@effect/vitest"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { newQueue, type NewRow, newRow } from "./rows.ts"

/**
 * Decides which I/O fails. What stands between the store and its driver calls `before` ahead of each, and `after` behind
 * each, and lets it fail when told so: a fault before means it did not happen, one after that nobody heard.
 *
 * @category models
 * @since 0.1.0
 */
export interface Faults {
  readonly before: () => boolean
  readonly after: () => boolean
}

class Plan implements Faults {
  private count = 0
  private readonly at: number
  private readonly place: "before" | "after"
  private active = false
  hit = false

  constructor(place: "before" | "after", at: number) {
    this.place = place
    this.at = at
  }

  during<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      this.active = true
      return Effect.ensuring(
        self,
        Effect.sync(() => {
          this.active = false
        })
      )
    })
  }

  before(): boolean {
    if (!this.active) return false
    this.count++
    return this.fails("before")
  }

  after(): boolean {
    return this.active && this.fails("after")
  }

  private fails(place: "before" | "after"): boolean {
    const fails = this.place === place && this.count === this.at && !this.hit
    if (fails) this.hit = true
    return fails
  }
}

type Store = DeadLetterQueue.DeadLetterStore["Service"]

/** One write, and what may be seen of it: nothing when it failed, all of it when it succeeded, either when nobody knows. */
const writes = (
  queue: string
): ReadonlyArray<(store: Store) => Effect.Effect<unknown, DeadLetterQueue.DeadLetterStoreError>> => [
  (store) => store.insert(newRow(queue, "a", { dedupeKey: "ka" })),
  (store) => store.insert(newRow(queue, "b", { dedupeKey: "kb" })),
  (store) =>
    store.replace({ ...newRow(queue, "a", { dedupeKey: "ka", state: "Redriving", meta: "2" }), seq: 1, version: 1 }, 1),
  (store) => store.replace({ ...newRow(queue, "a", { state: "Archived", meta: "3" }), seq: 1, version: 2 }, 2),
  (store) => store.insert(newRow(queue, "c", { dedupeKey: "ka" })),
  (store) => store.remove(queue, "b", 1),
  (store) => store.insert(newRow(queue, "d", { dedupeKey: "kb" }))
]

type Known = Map<string, { readonly row: NewRow; readonly version: number }>

/** What the rows are after each of the writes, had all of them happened. */
const expected = (queue: string): ReadonlyArray<Known> => {
  const a = newRow(queue, "a", { dedupeKey: "ka" })
  const b = newRow(queue, "b", { dedupeKey: "kb" })
  const steps: Array<Known> = [new Map()]
  const then = (change: (known: Known) => void) => {
    const known = new Map(steps.at(-1))
    change(known)
    steps.push(known)
  }
  then((known) => known.set("a", { row: a, version: 1 }))
  then((known) => known.set("b", { row: b, version: 1 }))
  then((known) => known.set("a", { row: { ...a, state: "Redriving", meta: "2" }, version: 2 }))
  then((known) => known.set("a", { row: { ...a, state: "Archived", meta: "3", dedupeKey: undefined }, version: 3 }))
  then((known) => known.set("c", { row: newRow(queue, "c", { dedupeKey: "ka" }), version: 1 }))
  then((known) => known.delete("b"))
  then((known) => known.set("d", { row: newRow(queue, "d", { dedupeKey: "kb" }), version: 1 }))
  return steps
}

const seen = (store: Store, queue: string) =>
  Effect.gen(function*() {
    const heads = yield* store.page(queue, {}, { order: "oldest", limit: 100 })
    const rows = yield* Effect.forEach(heads, ({ id }) => store.get(queue, id))
    for (const state of ["Dead", "Redriving", "Archived"] as const) {
      expect(yield* store.count(queue, { states: [state] })).toBe(heads.filter((head) => head.state === state).length)
    }
    return new Map(rows.map((row) => {
      const { seq: _, version, ...rest } = row!
      return [rest.id, { row: rest, version }]
    }))
  })

const maxIos = 400

/** Runs the writes with the n-th I/O failing, for every n there is. */
export const faultTest = <E>(
  layer: (faults: Faults) => Layer.Layer<DeadLetterQueue.DeadLetterStore, E>
): Effect.Effect<void, E | DeadLetterQueue.DeadLetterStoreError> =>
  Effect.gen(function*() {
    for (const place of ["before", "after"] as const) {
      for (let n = 1; n <= maxIos; n++) {
        const plan = new Plan(place, n)
        const queue = newQueue()
        const steps = expected(queue)
        yield* Effect.gen(function*() {
          const store = yield* DeadLetterQueue.DeadLetterStore
          let done = 0
          let failed = false
          for (const write of writes(queue)) {
            const exit = yield* Effect.exit(plan.during(write(store)))
            if (Exit.isFailure(exit)) {
              failed = true
              break
            }
            done++
          }
          expect(failed || !plan.hit || done === writes(queue).length).toBe(true)
          const rows = yield* seen(store, queue)
          const possible = failed ? [steps[done], steps[done + 1]] : [steps[done]]
          expect(possible).toContainEqual(rows)
          // It goes on working: what was written stays as it is, new things can be written.
          expect((yield* store.insert(newRow(queue, "after")))._tag).toBe("Inserted")
          expect((yield* store.page(queue, {}, { order: "newest", limit: 1 }))[0]?.id).toBe("after")
        }).pipe(Effect.provide(Layer.fresh(layer(plan))))
        if (!plan.hit) break
        expect(n).toBeLessThan(maxIos)
      }
    }
  })
