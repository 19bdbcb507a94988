/** The queue of the exporter, against the plainest one that does the same. */
import { assert, describe, it } from "@effect/vitest"
import { type Batch, Outbox } from "../src/internal/otlpExporter/outbox.ts"

describe("the outbox", () => {
  it("gives out full batches, and what is due, in order", () => {
    const outbox = new Outbox<number>({ capacity: 5, batchSize: 2 })
    assert.isUndefined(outbox.take())
    assert.isTrue(outbox.offer(0))
    assert.isUndefined(outbox.take())
    assert.isTrue([1, 2, 3, 4].every((item) => outbox.offer(item)))
    assert.isFalse(outbox.offer(5))
    const first = outbox.take()!
    const second = outbox.take()!
    assert.deepStrictEqual([first.items, second.items], [[0, 1], [2, 3]])
    assert.isUndefined(outbox.take())
    outbox.makeDue()
    assert.deepStrictEqual(outbox.take()?.items, [4])
    assert.strictEqual(outbox.size, 5)
    outbox.settle(second)
    outbox.settle(second)
    assert.strictEqual(outbox.size, 3)
  })

  it("a mark is reached when all before it is settled, in whatever order", () => {
    const outbox = new Outbox<number>({ capacity: 9, batchSize: 1 })
    outbox.offer(0)
    outbox.offer(1)
    const { mark } = outbox
    outbox.offer(2)
    const batches = [outbox.take()!, outbox.take()!, outbox.take()!]
    outbox.settle(batches[1]!)
    outbox.settle(batches[2]!)
    assert.isFalse(outbox.isSettledTo(mark))
    outbox.settle(batches[0]!)
    assert.isTrue(outbox.isSettledTo(mark))
  })

  it("TR3: whatever happens in whatever order, each item is refused, waits, is out, settled or dropped, and is so once", () => {
    let seed = 1
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff
      return seed % below
    }
    for (let history = 0; history < 300; history++) {
      const limits = { capacity: 1 + random(20), batchSize: 1 + random(8) }
      const outbox = new Outbox<number>(limits)
      const out: Array<Batch<number>> = []
      const seen: Array<number> = []
      let offered = 0
      let refused = 0
      let settled = 0
      let dropped = 0
      for (let step = 0; step < 200; step++) {
        const what = random(20)
        if (what < 12) {
          if (outbox.offer(offered - refused)) offered++
          else {
            offered++
            refused++
          }
        } else if (what < 16) {
          const batch = outbox.take()
          if (batch !== undefined) {
            assert.isAtMost(batch.items.length, limits.batchSize)
            out.push(batch)
            seen.push(...batch.items)
          }
        } else if (what < 18 && out.length > 0) {
          const [batch] = out.splice(random(out.length), 1)
          outbox.settle(batch!)
          settled += batch!.items.length
        } else if (what === 18) outbox.makeDue()
        else if (random(10) === 0) {
          const gone = outbox.drop()
          for (let each = 0; each < gone; each++) seen.push(seen.length)
          dropped += gone
        }
        const isOut = out.reduce((sum, { items }) => sum + items.length, 0)
        assert.isAtMost(outbox.size - isOut, limits.capacity)
        assert.strictEqual(refused + dropped + settled + outbox.size, offered)
        assert.deepStrictEqual(seen, seen.map((_, index) => index))
      }
    }
  })
})
