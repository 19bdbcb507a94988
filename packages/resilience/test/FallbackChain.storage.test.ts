import { assert, describe, it } from "@effect/vitest"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as KeyValueStore from "effect/persistence/KeyValueStore"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { faulty } from "./support/stores.ts"

const get = (key: string) => Effect.flatMap(KeyValueStore.KeyValueStore, (store) => store.get(key))
const set = (key: string, value: string | Uint8Array) =>
  Effect.flatMap(KeyValueStore.KeyValueStore, (store) => store.set(key, value))
const remove = (key: string) => Effect.flatMap(KeyValueStore.KeyValueStore, (store) => store.remove(key))
const state = Effect.flatMap(FallbackChain.FallbackStorage, ({ state }) => state)
const data = (log: ReadonlyArray<string>) => log.filter((entry) => !entry.includes("effect-resilience-journal"))

describe("FallbackChain.storage", () => {
  it.effect("reads and writes the first store while it is up, and copies to the second", () =>
    Effect.gen(function*() {
      const [primary, secondary] = [yield* faulty, yield* faulty]
      yield* Effect.gen(function*() {
        yield* set("a", "1")
        yield* set("b", "2")
        yield* remove("b")
        assert.strictEqual(yield* get("a"), "1")
        assert.deepStrictEqual(primary.log, ["set a=1", "set b=2", "remove b"])
        assert.deepStrictEqual(secondary.log, primary.log)
        assert.deepStrictEqual(yield* state, { mode: "Primary", journaled: 0 })
      }).pipe(Effect.provide(FallbackChain.storage({ primary: primary.layer, secondary: secondary.layer })))
    }))

  it.effect("FB-8 while the first is down reads come from the next, then from what was seen", () =>
    Effect.gen(function*() {
      const [primary, secondary] = [yield* faulty, yield* faulty]
      yield* Effect.gen(function*() {
        yield* set("a", "1")
        yield* set("bytes", new Uint8Array([1, 2]))
        primary.mode = "down"
        assert.strictEqual(yield* get("a"), "1")
        assert.isUndefined(yield* get("never written"))
        secondary.mode = "down"
        assert.strictEqual(yield* get("a"), "1")
        const store = yield* KeyValueStore.KeyValueStore
        assert.deepStrictEqual(yield* store.getUint8Array("bytes"), new Uint8Array([1, 2]))
        assert.strictEqual(yield* get("bytes"), "AQI=")
        assert.isTrue(Exit.isFailure(yield* Effect.exit(get("unknown"))), "nobody knows is not the same as nothing")
      }).pipe(Effect.provide(FallbackChain.storage({ primary: primary.layer, secondary: secondary.layer })))
    }))

  it.effect("FB-8 a copy that missed a write is not read", () =>
    Effect.gen(function*() {
      const [primary, secondary] = [yield* faulty, yield* faulty]
      yield* Effect.gen(function*() {
        yield* set("a", "old")
        secondary.mode = "down"
        yield* set("a", "new")
        secondary.mode = "up"
        primary.mode = "down"
        const read = yield* Effect.exit(get("a"))
        assert.isTrue(Exit.isFailure(read))
      }).pipe(
        Effect.provide(FallbackChain.storage({ primary: primary.layer, secondary: secondary.layer, memory: 0 }))
      )
    }))

  it.effect("FB-8 writes are refused as read-only where that is wanted", () =>
    Effect.gen(function*() {
      const primary = yield* faulty
      yield* Effect.gen(function*() {
        yield* set("a", "1")
        primary.mode = "down"
        const error = yield* Effect.flip(set("a", "2"))
        assert.strictEqual(error.message, "Read-only: the first store is down")
        assert.strictEqual((yield* state).mode, "ReadOnly")
        primary.mode = "up"
        yield* TestClock.adjust("1 second")
        yield* set("a", "3")
        assert.strictEqual(yield* get("a"), "3")
        assert.deepStrictEqual(primary.log, ["set a=1", "set a=3"])
      }).pipe(Effect.provide(FallbackChain.storage({ primary: primary.layer, writes: "readOnly" })))
    }))

  it.effect("FB-8 the journal is replayed once and in order, and reads see it all the time", () =>
    Effect.gen(function*() {
      const [primary, secondary] = [yield* faulty, yield* faulty]
      yield* Effect.gen(function*() {
        yield* set("a", "1")
        yield* set("gone", "1")
        primary.mode = "down"
        yield* set("a", "2")
        yield* set("b", "1")
        yield* remove("gone")
        yield* set("a", "3")
        assert.deepStrictEqual(yield* Effect.all([get("a"), get("b"), get("gone")]), ["3", "1", undefined])
        const store = yield* KeyValueStore.KeyValueStore
        assert.deepStrictEqual([...yield* store.keys].toSorted(), ["a", "b"])
        assert.deepStrictEqual(yield* state, { mode: "Journal", journaled: 4 })
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(primary.log, ["set a=1", "set gone=1"])
        primary.mode = "up"
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(yield* state, { mode: "Primary", journaled: 0 })
        const all = ["set a=1", "set gone=1", "set a=2", "set b=1", "remove gone", "set a=3"]
        assert.deepStrictEqual(primary.log, all)
        assert.deepStrictEqual(data(secondary.log), all)
        assert.deepStrictEqual(yield* secondary.store.keys, ["a", "b"])
      }).pipe(Effect.provide(FallbackChain.storage({ primary: primary.layer, secondary: secondary.layer })))
    }))

  it.effect("FB-8 a replay that breaks off goes on where it was", () =>
    Effect.gen(function*() {
      const primary = yield* faulty
      yield* Effect.gen(function*() {
        primary.mode = "down"
        for (let n = 0; n < 5; n++) yield* set("a", `${n}`)
        yield* TestClock.adjust("10 millis")
        primary.mode = "up"
        // The probe, and two of the five.
        primary.answers = 3
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* state, { mode: "Journal", journaled: 3 })
        assert.strictEqual(yield* get("a"), "4")
        yield* set("a", "5")
        primary.mode = "up"
        primary.answers = Infinity
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(primary.log, ["set a=0", "set a=1", "set a=2", "set a=3", "set a=4", "set a=5"])
      }).pipe(Effect.provide(FallbackChain.storage({ primary: primary.layer })))
    }))

  it.effect("FB-8 what was acknowledged outlives the process, where there is a second store", () =>
    Effect.gen(function*() {
      const [primary, secondary] = [yield* faulty, yield* faulty]
      const storage = FallbackChain.storage({ primary: primary.layer, secondary: secondary.layer })
      const bytes = new Uint8Array([0, 255])
      primary.mode = "down"
      yield* Effect.provide(
        Effect.all([set("a", "1"), set("a", "2"), set("bytes", bytes), set("b", "1"), remove("b")]),
        storage
      )
      yield* Effect.gen(function*() {
        assert.deepStrictEqual(yield* state, { mode: "Journal", journaled: 5 })
        assert.strictEqual(yield* get("a"), "2")
        yield* set("a", "3")
        primary.mode = "up"
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* primary.store.getUint8Array("bytes"), bytes)
        assert.deepStrictEqual(primary.log, ["set a=1", "set a=2", "set bytes=0,255", "set b=1", "remove b", "set a=3"])
      }).pipe(Effect.provide(storage))
      assert.deepStrictEqual(data(yield* secondary.store.keys), ["a", "bytes"])
    }))

  it.effect("FB-8 a write that the second store cannot keep is not acknowledged", () =>
    Effect.gen(function*() {
      const [primary, secondary] = [yield* faulty, yield* faulty]
      yield* Effect.gen(function*() {
        primary.mode = "down"
        secondary.mode = "down"
        assert.isTrue(Exit.isFailure(yield* Effect.exit(set("a", "1"))))
        assert.deepStrictEqual(yield* state, { mode: "Journal", journaled: 0 })
      }).pipe(Effect.provide(FallbackChain.storage({ primary: primary.layer, secondary: secondary.layer })))
    }))

  it.effect("FB-8 a write that was not acknowledged is not done later, over newer ones", () =>
    Effect.gen(function*() {
      const [primary, secondary] = [yield* faulty, yield* faulty]
      const storage = FallbackChain.storage({ primary: primary.layer, secondary: secondary.layer })
      yield* Effect.gen(function*() {
        primary.mode = "down"
        secondary.mode = "lies"
        assert.isTrue(Exit.isFailure(yield* Effect.exit(set("a", "not acknowledged"))))
        secondary.mode = "up"
        primary.mode = "up"
        yield* TestClock.adjust("1 minute")
        yield* set("a", "newer")
      }).pipe(Effect.provide(storage))
      yield* Effect.gen(function*() {
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* get("a"), "newer")
        assert.deepStrictEqual(primary.log, ["set a=newer"])
      }).pipe(Effect.provide(storage))
    }))

  it.effect("a store that hangs is down after the timeout, and the next call does not wait for it", () =>
    Effect.gen(function*() {
      const primary = yield* faulty
      yield* Effect.gen(function*() {
        primary.mode = "hangs"
        const first = yield* Effect.forkChild(set("a", "1"))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(first)
        yield* set("b", "1")
        assert.strictEqual((yield* state).journaled, 2)
      }).pipe(Effect.provide(FallbackChain.storage({ primary: primary.layer })))
    }))

  it.effect("a full journal refuses, and an operator may hurry the recovery", () =>
    Effect.gen(function*() {
      const primary = yield* faulty
      yield* Effect.gen(function*() {
        const { reconcile } = yield* FallbackChain.FallbackStorage
        primary.mode = "down"
        yield* Effect.all([set("a", "1"), set("b", "1")])
        assert.match((yield* Effect.flip(set("c", "1"))).message, /^The journal is full: 2 writes/)
        assert.isTrue(Exit.isFailure(yield* Effect.exit(reconcile)))
        primary.mode = "up"
        yield* reconcile
        assert.deepStrictEqual(yield* state, { mode: "Primary", journaled: 0 })
      }).pipe(Effect.provide(FallbackChain.storage({ primary: primary.layer, journalLimit: 2 })))
    }))

  it("options out of their range are refused by name", () => {
    const primary = KeyValueStore.layerMemory
    assert.throws(() => FallbackChain.storage({ primary, memory: -1 }), RangeError, /^memory must be/)
    assert.throws(() => FallbackChain.storage({ primary, journalLimit: 0 }), RangeError, /^journalLimit must be/)
    assert.throws(() => FallbackChain.storage({ primary, timeout: 0 }), RangeError, /^timeout must be/)
  })
})

const Event = Schema.Union([
  Schema.TaggedStruct("set", { key: Schema.Literals(["a", "ab", "b"]), value: Schema.Literals(["1", "2", "3"]) }),
  Schema.TaggedStruct("remove", { key: Schema.Literals(["a", "ab", "b"]) }),
  Schema.TaggedStruct("clear", { prefix: Schema.Literals(["", "a", "b"]) }),
  Schema.TaggedStruct("modify", { key: Schema.Literals(["a", "ab", "b"]) }),
  Schema.TaggedStruct("primary", { mode: Schema.Literals(["up", "down"]) }),
  Schema.TaggedStruct("advance", {}),
  Schema.TaggedStruct("restart", {})
])

describe("FallbackChain.storage against a model", () => {
  it.effect.prop(
    "FB-8 reads always see what was acknowledged, and in the end the first store has exactly that",
    { events: Schema.Array(Event).check(Schema.isMaxLength(60)) },
    ({ events }) =>
      Effect.gen(function*() {
        const [primary, secondary] = [yield* faulty, yield* faulty]
        const storage = FallbackChain.storage({ primary: primary.layer, secondary: secondary.layer })
        const model = new Map<string, string>()
        const lives: Array<Array<typeof Event.Type>> = [[]]
        for (const event of events) {
          if (event._tag === "restart") lives.push([])
          else lives.at(-1)!.push(event)
        }
        const live = (life: ReadonlyArray<typeof Event.Type>) =>
          Effect.gen(function*() {
            const store = yield* KeyValueStore.KeyValueStore
            for (const event of life) {
              switch (event._tag) {
                case "set":
                  yield* store.set(event.key, event.value)
                  model.set(event.key, event.value)
                  break
                case "remove":
                  yield* store.remove(event.key)
                  model.delete(event.key)
                  break
                case "clear":
                  yield* event.prefix === "" ? store.clear : store.clearPrefix(event.prefix)
                  for (const key of model.keys()) if (key.startsWith(event.prefix)) model.delete(key)
                  break
                case "modify":
                  yield* store.modify(event.key, (value) => `${value}!`)
                  if (model.has(event.key)) model.set(event.key, `${model.get(event.key)}!`)
                  break
                case "primary":
                  primary.mode = event.mode
                  break
                case "advance":
                  yield* TestClock.adjust("1 minute")
              }
              for (const key of ["a", "ab", "b"]) assert.strictEqual(yield* store.get(key), model.get(key))
              assert.deepStrictEqual([...yield* store.keys].toSorted(), [...model.keys()].toSorted())
            }
          })
        for (const life of lives) yield* Effect.provide(live(life), storage)
        primary.mode = "up"
        yield* Effect.provide(TestClock.adjust("1 minute"), storage)
        for (const key of ["a", "ab", "b"]) assert.strictEqual(yield* primary.store.get(key), model.get(key))
        assert.deepStrictEqual(data(yield* secondary.store.keys), yield* secondary.store.keys)
      }).pipe(Effect.scoped, Effect.provide(TestClock.layer())),
    { arbitrary: { runs: 200 } }
  )
})
