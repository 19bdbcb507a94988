import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import type { Member, Order, Rank } from "../src/internal/bulkhead/line.ts"
import { type Call, Permits, type Standing } from "../src/internal/bulkhead/permits.ts"

class Visitor implements Call {
  readonly id: number
  readonly priority: number
  standing: Standing = "New"
  rank: Rank | undefined = undefined
  ahead: Member | undefined = undefined
  behind: Member | undefined = undefined

  constructor(id: number, priority: number) {
    this.id = id
    this.priority = priority
  }
}

/** The same rules over plain arrays, as slow and as obvious as can be. */
class Model {
  readonly holding = new Set<number>()
  waiting: ReadonlyArray<Visitor> = []
  readonly limit: number
  readonly places: number
  readonly order: Order

  constructor(limit: number, places: number, order: Order) {
    this.limit = limit
    this.places = places
    this.order = order
  }

  /** Those who wait, whose turn it is first. */
  turns(): ReadonlyArray<Visitor> {
    switch (this.order) {
      case "fifo":
        return this.waiting
      case "lifo":
        return this.waiting.toReversed()
      case "priority":
        return this.waiting.toSorted((a, b) => b.priority - a.priority || a.id - b.id)
    }
  }

  arrive(visitor: Visitor): number | undefined {
    if (this.holding.size < this.limit) {
      this.holding.add(visitor.id)
      return undefined
    }
    if (this.waiting.length < this.places) {
      this.waiting = [...this.waiting, visitor]
      return undefined
    }
    const least = this.turns().at(-1)
    if (this.order !== "priority" || least === undefined || least.priority >= visitor.priority) return undefined
    this.waiting = [...this.waiting.filter(({ id }) => id !== least.id), visitor]
    return least.id
  }

  leave(visitor: Visitor): number | undefined {
    this.waiting = this.waiting.filter(({ id }) => id !== visitor.id)
    if (!this.holding.delete(visitor.id)) return undefined
    const next = this.turns()[0]
    if (next === undefined) return undefined
    this.waiting = this.waiting.filter(({ id }) => id !== next.id)
    this.holding.add(next.id)
    return next.id
  }

  standing(visitor: Visitor): "Holding" | "Waiting" | "Out" {
    return this.holding.has(visitor.id)
      ? "Holding"
      : this.waiting.some(({ id }) => id === visitor.id)
      ? "Waiting"
      : "Out"
  }
}

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const Event = Schema.Union([
  Schema.TaggedStruct("arrive", { priority: integerBetween(-2, 2) }),
  Schema.TaggedStruct("leave", { who: integerBetween(0, 200) })
])

describe("the permits of a bulkhead", () => {
  it.prop(
    "RT-5 RT-8 follow the model over random histories, and all come back",
    {
      limit: integerBetween(1, 4),
      places: integerBetween(0, 6),
      order: Schema.Literals(["fifo", "lifo", "priority"]),
      events: Schema.Array(Event).check(Schema.isMaxLength(200))
    },
    ({ events, limit, order, places }) => {
      const permits = new Permits<Visitor>(limit, places, order)
      const model = new Model(limit, places, order)
      const visitors: Array<Visitor> = []
      const agree = () => {
        assert.strictEqual(permits.inFlight, model.holding.size)
        assert.strictEqual(permits.queued, model.waiting.length)
        assert.isTrue(permits.inFlight <= limit && permits.queued <= places)
        assert.isTrue(permits.queued === 0 || permits.inFlight === limit, "somebody waits beside a free permit")
        for (const visitor of visitors) {
          const { standing } = visitor
          assert.strictEqual(
            standing === "Holding" || standing === "Waiting" ? standing : "Out",
            model.standing(visitor)
          )
        }
      }
      for (const event of events) {
        if (event._tag === "arrive") {
          const visitor = new Visitor(visitors.length, event.priority)
          visitors.push(visitor)
          assert.strictEqual(permits.arrive(visitor)?.id, model.arrive(visitor))
        } else {
          // Leaving twice is part of it: a finalizer may run for a call that has given up its place before.
          const visitor = visitors[event.who % Math.max(1, visitors.length)]
          if (visitor !== undefined) assert.strictEqual(permits.leave(visitor)?.id, model.leave(visitor))
        }
        agree()
      }
      for (const visitor of visitors) assert.strictEqual(permits.leave(visitor)?.id, model.leave(visitor))
      assert.strictEqual(permits.inFlight, 0)
      assert.strictEqual(permits.queued, 0)
    },
    { arbitrary: { runs: 2_000 } }
  )

  it("serve a long line of many priorities in order", () => {
    const permits = new Permits<Visitor>(1, 10_000, "priority")
    const first = new Visitor(0, 0)
    permits.arrive(first)
    const waiting = Array.from({ length: 10_000 }, (_, index) => new Visitor(index + 1, (index * 7) % 100))
    for (const visitor of waiting) permits.arrive(visitor)
    const served: Array<Visitor> = []
    for (let next = permits.leave(first); next !== undefined; next = permits.leave(next)) served.push(next)
    assert.deepStrictEqual(
      served.map(({ id }) => id),
      waiting.toSorted((a, b) => b.priority - a.priority || a.id - b.id).map(({ id }) => id)
    )
  })
})
