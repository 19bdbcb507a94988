import { assert, describe, it } from "@effect/vitest"
import * as Signal from "effect-resilience/Signal"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Metric from "effect/Metric"
import * as Stream from "effect/Stream"
import { adjust } from "effect/testing/TestClock"

const signal = (cache: string): Signal.Signal => ({ _tag: "CacheServed", cache, result: "hit" })

const recorder = () => {
  const heard: Array<string> = []
  const listener: Signal.Listener = (signal) => {
    heard.push(signal._tag === "CacheServed" ? signal.cache : signal._tag)
  }
  return { heard, listener, layer: Signal.layer(listener) }
}

describe("Signal", () => {
  it.effect("is not built when nobody listens", () =>
    Effect.withFiber((fiber) => {
      let built = 0
      Signal.emitUnsafe(fiber, () => {
        built++
        return signal("a")
      })
      assert.strictEqual(built, 0)
      assert.isFalse(Signal.isHeardUnsafe(fiber))
      return Effect.void
    }))

  it.effect("is heard at once, in order, with the fiber that emitted it", () =>
    Effect.gen(function*() {
      const heard: Array<readonly [string, number]> = []
      yield* Effect.gen(function*() {
        const id = yield* Effect.withFiber((fiber) => Effect.succeed(fiber.id))
        yield* Signal.emit(signal("a"))
        assert.deepStrictEqual(heard, [["a", id]])
        yield* Signal.emit(signal("b"))
        assert.deepStrictEqual(heard, [["a", id], ["b", id]])
      }).pipe(Effect.provide(Signal.layer((signal, fiber) => {
        if (signal._tag === "CacheServed") heard.push([signal.cache, fiber.id])
      })))
    }))

  it.effect("listeners that are merged all hear", () =>
    Effect.gen(function*() {
      const a = recorder()
      const b = recorder()
      const c = recorder()
      yield* Signal.emit(signal("x")).pipe(Effect.provide(Layer.mergeAll(a.layer, b.layer, c.layer)))
      assert.deepStrictEqual([a.heard, b.heard, c.heard], [["x"], ["x"], ["x"]])
    }))

  it.effect("listeners that are nested all hear, the inner ones only the inner signals", () =>
    Effect.gen(function*() {
      const outer = recorder()
      const inner = recorder()
      yield* Effect.gen(function*() {
        yield* Signal.emit(signal("before"))
        yield* Signal.emit(signal("inside")).pipe(Effect.provide(inner.layer))
        yield* Signal.emit(signal("after"))
      }).pipe(Effect.provide(outer.layer))
      assert.deepStrictEqual(outer.heard, ["before", "inside", "after"])
      assert.deepStrictEqual(inner.heard, ["inside"])
    }))

  it.effect("layers that are provided to each other all hear", () =>
    Effect.gen(function*() {
      const a = recorder()
      const b = recorder()
      yield* Signal.emit(signal("x")).pipe(Effect.provide(b.layer.pipe(Layer.provide(a.layer))))
      yield* Signal.emit(signal("y")).pipe(Effect.provide(b.layer.pipe(Layer.provideMerge(a.layer))))
      assert.deepStrictEqual([a.heard, b.heard], [["x", "y"], ["x", "y"]])
    }))

  it.effect("programs side by side do not hear each other", () =>
    Effect.gen(function*() {
      const a = recorder()
      const b = recorder()
      const program = (name: string, layer: Layer.Layer<never>) =>
        Signal.emit(signal(name)).pipe(Effect.delay(0), Effect.andThen(Effect.yieldNow), Effect.provide(layer))
      const fibers = yield* Effect.all([
        Effect.forkChild(program("a", a.layer)),
        Effect.forkChild(program("b", b.layer))
      ])
      yield* Fiber.joinAll(fibers)
      assert.deepStrictEqual([a.heard, b.heard], [["a"], ["b"]])
    }))

  it.live("a listener of a runtime hears until the runtime is disposed", () =>
    Effect.promise(async () => {
      const { heard, layer } = recorder()
      const runtime = ManagedRuntime.make(layer)
      await runtime.runPromise(Signal.emit(signal("a")))
      const fiber = runtime.runFork(Effect.never)
      await runtime.dispose()
      Signal.emitUnsafe(fiber, signal("late"))
      assert.deepStrictEqual(heard, ["a"])
    }))

  it.effect("a listener that was added twice is called once", () =>
    Effect.gen(function*() {
      const { heard, listener } = recorder()
      yield* Signal.emit(signal("x")).pipe(
        Effect.provide(Layer.mergeAll(Signal.layer(listener), Signal.layer(listener)))
      )
      assert.deepStrictEqual(heard, ["x"])
    }))

  it.effect("a listener that throws harms nobody, is counted each time and logged once", () =>
    Effect.gen(function*() {
      const logged: Array<unknown> = []
      const { heard, layer } = recorder()
      const broken = Signal.layer(() => {
        throw new Error("a bug of the listener")
      })
      const before = (yield* Metric.value(Signal.listenerErrors)).count
      yield* Effect.gen(function*() {
        yield* Signal.emit(signal("a"))
        yield* Signal.emit(signal("b"))
        yield* Effect.yieldNow
      }).pipe(
        Effect.provide([
          broken,
          layer,
          Logger.layer([Logger.make(({ message }) => {
            logged.push(message)
          })])
        ])
      )
      assert.deepStrictEqual(heard, ["a", "b"])
      assert.strictEqual((yield* Metric.value(Signal.listenerErrors)).count - before, 2)
      assert.strictEqual(logged.length, 1)
    }))

  it("is told apart and matched", () => {
    const dropped = signal("a")
    assert.isTrue(Signal.is("CacheServed")(dropped))
    assert.isFalse(Signal.is("Hedged")(dropped))
  })
})

describe("Signal.stream", () => {
  it.effect("carries the signals of the enclosing scope", () =>
    Effect.gen(function*() {
      const { layer } = recorder()
      yield* Effect.gen(function*() {
        const reader = yield* Signal.stream().pipe(Stream.take(2), Stream.runCollect, Effect.forkChild)
        yield* Effect.yieldNow
        yield* Signal.emit(signal("a"))
        yield* Signal.emit(signal("b"))
        assert.deepStrictEqual(yield* Fiber.join(reader), [signal("a"), signal("b")])
      }).pipe(Effect.provide(layer))
    }))

  it.effect("says how many it dropped, at the place of the gap", () =>
    Effect.gen(function*() {
      const { layer } = recorder()
      yield* Effect.gen(function*() {
        const seen: Array<Signal.Signal | Signal.SignalsDropped> = []
        const reader = yield* Signal.stream({ capacity: 2 }).pipe(
          Stream.runForEach((signal) => Effect.andThen(Effect.sync(() => seen.push(signal)), Effect.sleep("1 second"))),
          Effect.forkChild
        )
        yield* Effect.yieldNow
        for (const name of ["a", "b", "c", "d", "e"]) yield* Signal.emit(signal(name))
        yield* adjust("10 seconds")
        yield* Signal.emit(signal("f"))
        yield* adjust("10 seconds")
        yield* Fiber.interrupt(reader)
        const names = seen.map((signal) => signal._tag === "CacheServed" ? signal.cache : signal)
        const lost = 5 - (names.length - 2)
        assert.deepStrictEqual(names.at(-2), { _tag: "SignalsDropped", count: lost })
        assert.strictEqual(names.at(-1), "f")
        assert.isTrue(lost >= 2 && lost <= 3, `${lost} lost`)
      }).pipe(Effect.provide(layer))
    }))

  it.effect("stops listening when it is no longer read", () =>
    Effect.gen(function*() {
      yield* Signal.stream().pipe(Stream.take(0), Stream.runDrain)
      const reader = yield* Signal.stream().pipe(Stream.runDrain, Effect.forkChild)
      yield* Effect.yieldNow
      const heard = Effect.withFiber((fiber) => Effect.succeed(Signal.isHeardUnsafe(fiber)))
      assert.isTrue(yield* heard)
      yield* Fiber.interrupt(reader)
      assert.isFalse(yield* heard)
    }))

  it("refuses a capacity that is none", () => {
    assert.throws(() => Signal.stream({ capacity: 0 }), RangeError, /^capacity must be a positive integer, got 0$/)
  })
})
