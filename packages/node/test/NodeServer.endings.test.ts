import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { endAt, wholeEvents } from "../src/internal/nodeServer/endings.ts"
import { Phases } from "../src/internal/nodeServer/phases.ts"

const collect = <A>(stream: Stream.Stream<A>) =>
  Effect.map(
    Effect.forkChild(Stream.runCollect(stream), { startImmediately: true }),
    (fiber) => Fiber.join(fiber)
  )

describe("a stream that ends at a phase", () => {
  it.effect("is left alone before", () =>
    Effect.gen(function*() {
      const phases = new Phases()
      const all = yield* collect(endAt(Stream.make(1, 2, 3), phases, "Closing", () => 0))
      assert.deepStrictEqual(yield* all, [1, 2, 3])
    }))

  it.effect("ends with its last element, and what it waited for is interrupted", () =>
    Effect.gen(function*() {
      const phases = new Phases()
      let interrupted = false
      const waiting = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true)))
      const stream = Stream.concat(Stream.make(1), Stream.fromEffect(waiting))
      const all = yield* collect(endAt(stream, phases, "Closing", () => 0))
      phases.enter("Draining")
      yield* Effect.yieldNow
      assert.isFalse(interrupted)
      phases.enter("Deadline")
      assert.deepStrictEqual(yield* all, [1, 0])
      assert.isTrue(interrupted)
    }))

  it.effect("ends although it never has to wait", () =>
    Effect.gen(function*() {
      const phases = new Phases()
      let count = 0
      const stream = Stream.forever(Stream.make(1)).pipe(
        Stream.tap(() => Effect.sync(() => void (++count === 100 && phases.enter("Closing"))))
      )
      const all = yield* collect(endAt(stream, phases, "Closing", () => 0))
      const elements = yield* all
      assert.strictEqual(elements.at(-1), 0)
    }))

  it.effect("fails as it would have", () =>
    Effect.gen(function*() {
      const failing = endAt(Stream.fail("no"), new Phases(), "Closing", () => 0)
      assert.strictEqual(yield* Effect.flip(Stream.runDrain(failing)), "no")
    }))
})

describe("the bytes of an event stream", () => {
  it("are whole events behind an empty line, however they are cut and ended", () => {
    for (const end of ["\n\n", "\r\n\r\n", "\r\r"]) {
      const text = `data: a${end}event: b\ndata: c${end}`
      const whole = new Set([`data: a${end}`.length, text.length])
      for (const size of [1, 2, 3, 7, 100]) {
        const areWhole = wholeEvents()
        for (let at = 0; at < text.length; at += size) {
          const piece = new TextEncoder().encode(text.slice(at, at + size))
          assert.strictEqual(areWhole(piece), whole.has(Math.min(at + size, text.length)), `${at} by ${size}`)
        }
      }
    }
  })
})
