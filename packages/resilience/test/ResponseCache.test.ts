import { assert, describe, it } from "@effect/vitest"
import * as Failure from "effect-resilience/Failure"
import * as ResponseCache from "effect-resilience/ResponseCache"
import * as Signal from "effect-resilience/Signal"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { type Fault, fault } from "./support/faults.ts"

const options = {
  name: "replies",
  key: (request: string) => Effect.succeed(request),
  schema: Schema.String,
  ttl: "1 minute",
  capacity: 100
} as const

const memory = Effect.provide(ResponseCache.layerStoreMemory)

/** A dependency that counts its calls and fails when told to. */
const dependency = () => {
  const state = { calls: 0, failing: undefined as Fault | undefined }
  const ask = (request: string): Effect.Effect<string, Fault> =>
    Effect.suspend(() => {
      state.calls++
      return state.failing === undefined ? Effect.succeed(`${request}#${state.calls}`) : Effect.fail(state.failing)
    })
  return { state, ask }
}

const said = <A, E, R>(served: ResponseCache.Through<string, A, E, R>, request: string) =>
  Effect.map(served.served(request), ({ reason, result, value }) => [value, result, reason])

describe("ResponseCache", () => {
  it.effect("answers from what it keeps until exactly its ttl", () =>
    Effect.gen(function*() {
      const { ask, state } = dependency()
      const answer = (yield* ResponseCache.make(options)).through(ask)
      assert.deepStrictEqual(yield* said(answer, "a"), ["a#1", "miss", "Absent"])
      yield* TestClock.adjust("59999 millis")
      assert.deepStrictEqual(yield* said(answer, "a"), ["a#1", "hit", undefined])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* said(answer, "a"), ["a#2", "miss", "Absent"])
      assert.strictEqual(state.calls, 2)
    }).pipe(memory))

  it.effect("serves stale at once and looks up again in the background, once", () =>
    Effect.gen(function*() {
      const { ask, state } = dependency()
      const slow = (request: string) => Effect.delay(ask(request), "5 seconds")
      const cache = yield* ResponseCache.make({ ...options, staleFor: "1 hour" })
      yield* cache.set("a", "old")
      const answer = cache.through(slow)
      yield* TestClock.adjust("2 minutes")
      const stale = ["old", "stale", "Revalidating"]
      assert.deepStrictEqual(yield* Effect.all([said(answer, "a"), said(answer, "a"), said(answer, "a")]), [
        stale,
        stale,
        stale
      ])
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* said(answer, "a"), ["a#1", "hit", undefined])
      assert.strictEqual(state.calls, 1)
    }).pipe(memory))

  it.effect("a look-up in the background outlives the request that began it, not the cache", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      yield* Effect.scoped(Effect.gen(function*() {
        const cache = yield* ResponseCache.make({ ...options, staleFor: "1 hour" })
        yield* cache.set("a", "old")
        const answer = cache.through(() =>
          Effect.never.pipe(Effect.onInterrupt(() => Effect.sync(() => log.push("stopped"))))
        )
        yield* TestClock.adjust("2 minutes")
        const request = yield* Effect.forkChild(answer("a"))
        assert.strictEqual(yield* Fiber.join(request), "old")
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(log, [])
      }))
      assert.deepStrictEqual(log, ["stopped"])
    }).pipe(memory))

  it.effect("a refresh that fails leaves the stale entry, and is counted", () =>
    Effect.gen(function*() {
      const { ask, state } = dependency()
      const cache = yield* ResponseCache.make({ ...options, staleFor: "1 hour" })
      yield* cache.set("a", "old")
      state.failing = fault("Transient")
      const answer = cache.through(ask)
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(yield* said(answer, "a"), ["old", "stale", "Revalidating"])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* said(answer, "a"), ["old", "stale", "Revalidating"])
      yield* Effect.yieldNow
      assert.strictEqual((yield* cache.stats).refreshErrors, 2)
    }).pipe(memory))

  it.effect("serves stale when looking up fails, where an old answer is better than that failure", () =>
    Effect.gen(function*() {
      const { ask, state } = dependency()
      const cache = yield* ResponseCache.make({ ...options, staleIfError: "1 hour" })
      const answer = cache.through(ask)
      yield* cache.set("a", "old")
      yield* TestClock.adjust("2 minutes")
      for (const kind of ["Transient", "RateLimited", "Overloaded", "Timeout", "Permanent"] as const) {
        state.failing = fault(kind)
        assert.deepStrictEqual(yield* said(answer, "a"), ["old", "stale", "Error"], kind)
      }
      for (const kind of ["Critical", "Cancelled"] as const) {
        state.failing = fault(kind)
        assert.deepStrictEqual(yield* Effect.exit(answer("a")), Exit.fail(state.failing), kind)
      }
      yield* TestClock.adjust("1 hour")
      state.failing = fault("Transient")
      assert.deepStrictEqual(yield* Effect.exit(answer("a")), Exit.fail(state.failing), "too old")
    }).pipe(memory))

  it.effect("a wrong request and a defect are not answered with something old", () =>
    Effect.gen(function*() {
      const wrong = {
        [Failure.symbol]: (): Failure.Info => ({ kind: "Permanent", scope: "request", message: "wrong" })
      }
      const cache = yield* ResponseCache.make({ ...options, staleIfError: "1 hour" })
      yield* cache.set("a", "old")
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(yield* Effect.exit(cache.through(() => Effect.fail(wrong))("a")), Exit.fail(wrong))
      assert.deepStrictEqual(yield* Effect.exit(cache.through(() => Effect.die("bug"))("a")), Exit.die("bug"))
    }).pipe(memory))

  it.effect("failures are not kept, and no value that is not cacheable", () =>
    Effect.gen(function*() {
      const { ask, state } = dependency()
      const cache = yield* ResponseCache.make({ ...options, cacheable: (value) => value !== "a#2" })
      const answer = cache.through(ask)
      state.failing = fault("Transient")
      yield* Effect.exit(answer("a"))
      state.failing = undefined
      assert.strictEqual(yield* answer("a"), "a#2")
      assert.strictEqual(yield* answer("a"), "a#3")
      assert.strictEqual(yield* answer("a"), "a#3")
    }).pipe(memory))

  it.effect("forgets what it is told to, and shows what it has without asking", () =>
    Effect.gen(function*() {
      const { ask } = dependency()
      const cache = yield* ResponseCache.make({ ...options, staleFor: "1 hour" })
      assert.isTrue(Option.isNone(yield* cache.peek("a")))
      yield* cache.through(ask)("a")
      yield* TestClock.adjust("2 minutes")
      const kept = yield* cache.peek("a")
      assert.deepStrictEqual(
        Option.map(kept, ({ age, result, value }) => [value, result, Duration.toMillis(age)]),
        Option.some(["a#1", "stale", 120_000])
      )
      yield* cache.invalidate("a")
      assert.isTrue(Option.isNone(yield* cache.peek("a")))
    }).pipe(memory))
})

describe("one look-up for each key", () => {
  it.effect("whoever asks meanwhile waits for the same one", () =>
    Effect.gen(function*() {
      const { ask, state } = dependency()
      const cache = yield* ResponseCache.make(options)
      const answer = cache.through((request) => Effect.delay(ask(request), "5 seconds"))
      const all = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 1_000 }), () => answer("a"), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(new Set(yield* Fiber.join(all)), new Set(["a#1"]))
      const { joined, misses } = yield* cache.stats
      assert.deepStrictEqual([state.calls, misses, joined], [1, 1_000, 999])
    }).pipe(memory))

  it.effect("other keys do not wait", () =>
    Effect.gen(function*() {
      const answer = (yield* ResponseCache.make(options)).through((request) =>
        request === "slow" ? Effect.never : Effect.succeed(request)
      )
      yield* Effect.forkChild(answer("slow"), { startImmediately: true })
      assert.strictEqual(yield* answer("b"), "b")
    }).pipe(memory))

  it.effect("interrupting one who waits, even the first, does not stop it for the others", () =>
    Effect.gen(function*() {
      const { ask, state } = dependency()
      const answer = (yield* ResponseCache.make(options)).through((request) => Effect.delay(ask(request), "5 seconds"))
      const first = yield* Effect.forkChild(answer("a"), { startImmediately: true })
      const second = yield* Effect.forkChild(answer("a"), { startImmediately: true })
      const third = yield* Effect.forkChild(answer("a"), { startImmediately: true })
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(third)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(second), "a#1")
      assert.strictEqual(state.calls, 1)
    }).pipe(memory))

  it.effect("interrupting the last one stops it, and waits until it has stopped", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const stopping = Effect.never.pipe(
        Effect.onInterrupt(() => Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => log.push("stopped"))))
      )
      const answer = (yield* ResponseCache.make(options)).through(() => stopping)
      const first = yield* Effect.forkChild(answer("a"), { startImmediately: true })
      const last = yield* Effect.forkChild(answer("a"), { startImmediately: true })
      yield* Fiber.interrupt(first)
      const interrupting = yield* Effect.forkChild(
        Effect.andThen(Fiber.interrupt(last), Effect.sync(() => log.push("heard")))
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(log, ["stopped", "heard"])
    }).pipe(memory))

  it.effect("who comes while it is being stopped gets one of its own", () =>
    Effect.gen(function*() {
      let calls = 0
      const lookup = () =>
        Effect.suspend(() =>
          ++calls === 1 ? Effect.never.pipe(Effect.onInterrupt(() => Effect.sleep("1 second"))) : Effect.succeed("new")
        )
      const answer = (yield* ResponseCache.make(options)).through(lookup)
      const first = yield* Effect.forkChild(answer("a"))
      yield* TestClock.adjust(0)
      assert.strictEqual(calls, 1)
      yield* Effect.forkChild(Fiber.interrupt(first), { startImmediately: true })
      assert.strictEqual(yield* answer("a"), "new")
      yield* TestClock.adjust("1 second")
    }).pipe(memory))

  it.effect("all who wait hear its failure, and the next one tries again", () =>
    Effect.gen(function*() {
      const { ask, state } = dependency()
      const gate = yield* Deferred.make<void>()
      const answer = (yield* ResponseCache.make(options)).through((request) =>
        Effect.andThen(Deferred.await(gate), ask(request))
      )
      const failure = fault("Transient")
      state.failing = failure
      const both = yield* Effect.forkChild(
        Effect.all([Effect.exit(answer("a")), Effect.exit(answer("a"))], { concurrency: 2 }),
        { startImmediately: true }
      )
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(both), [Exit.fail(failure), Exit.fail(failure)])
      state.failing = undefined
      assert.strictEqual(yield* answer("a"), "a#2")
    }).pipe(memory))
})

describe("what a cache tells", () => {
  it.effect("a signal for each answer, and the hit ratio", () =>
    Effect.gen(function*() {
      const heard: Array<unknown> = []
      yield* Effect.gen(function*() {
        const { ask } = dependency()
        const cache = yield* ResponseCache.make({ ...options, staleFor: "1 minute" })
        assert.isUndefined((yield* cache.stats).hitRatio)
        const answer = cache.through(ask)
        yield* answer("a")
        yield* answer("a")
        yield* answer("a")
        yield* TestClock.adjust("90 seconds")
        yield* answer("a")
        assert.deepStrictEqual(yield* cache.stats, {
          hits: 2,
          stale: 1,
          misses: 1,
          joined: 0,
          hitRatio: 0.75,
          storeErrors: 0,
          refreshErrors: 0
        })
      }).pipe(memory, Effect.provide(Signal.layer((signal) => heard.push(signal))))
      const served = { _tag: "CacheServed", cache: "replies" }
      assert.deepStrictEqual(heard, [
        { ...served, result: "miss", reason: "Absent" },
        { ...served, result: "hit" },
        { ...served, result: "hit" },
        { ...served, result: "stale", reason: "Revalidating" }
      ])
    }))
})

describe("ResponseCache.promptKey", () => {
  it.effect("tells prompts apart by all that they are made of", () =>
    Effect.gen(function*() {
      const messages = [{ role: "user", content: "why?" }]
      const different = [
        { model: "m", messages },
        { model: "n", messages },
        { model: "m", messages, temperature: 0 },
        { model: "m", messages, temperature: 1 },
        { model: "m", messages, temperature: Number.NaN },
        { model: "m", messages: [...messages, ...messages] },
        { model: "m", messages: [{ role: "user", content: ["why?"] }] },
        { model: "m", messages: "why?" },
        { model: "m", messages: ["why?"] },
        { model: "m", messages: new Uint8Array([1]) },
        { model: "m", messages: "01" },
        { model: "m", messages: [1] },
        { model: "m", messages: 1n },
        { model: "m", messages, more: { tenant: "a" } },
        { model: "m", messages, more: { tenant: "b" } }
      ]
      const keys = yield* Effect.forEach(different, ResponseCache.promptKey)
      assert.strictEqual(new Set(keys).size, different.length)
      for (const key of keys) assert.match(key, /^[0-9a-f]{64}$/)
    }))

  it.effect("does not mind the order of fields, nor fields that are undefined", () =>
    Effect.gen(function*() {
      const one = yield* ResponseCache.promptKey({
        model: "m",
        messages: [{ role: "user", content: "a", name: undefined }]
      })
      const two = yield* ResponseCache.promptKey({ messages: [{ content: "a", role: "user" }], model: "m" })
      assert.strictEqual(one, two)
    }))

  it.effect("refuses what is no data", () =>
    Effect.gen(function*() {
      for (const messages of [() => 1, new Map(), Symbol("a")]) {
        const exit = yield* Effect.exit(ResponseCache.promptKey({ model: "m", messages }))
        assert.isTrue(Exit.isFailure(exit) && Exit.hasDies(exit))
      }
    }))
})

describe("the options of a cache", () => {
  it("out of their range are refused by name", () => {
    const refused: ReadonlyArray<readonly [object, RegExp]> = [
      [{ ttl: 0 }, /^ttl must be a finite duration above zero, got 0$/],
      [{ ttl: "Infinity" }, /^ttl must be/],
      [{ staleFor: "-1 seconds" }, /^staleFor must be/],
      [{ staleIfError: "soon" }, /^staleIfError must be/],
      [{ capacity: 0 }, /^capacity must be a positive integer, got 0$/]
    ]
    for (const [option, message] of refused) {
      assert.throws(() => ResponseCache.make({ ...options, ...option }), RangeError, message)
    }
    assert.throws(() => ResponseCache.layerStorePersistence({ timeout: 0 }), RangeError, /^timeout must be/)
  })
})

class Replies extends ResponseCache.Service<Replies>()("app/Replies", {
  key: options.key,
  schema: Schema.String,
  ttl: "1 minute",
  capacity: 10
}) {}

describe("ResponseCache.Service", () => {
  const twice = Effect.gen(function*() {
    const { ask } = dependency()
    const answer = (yield* Replies).through(ask)
    return [yield* answer("a"), yield* answer("a")]
  })

  it.effect("keeps in memory, or nothing at all", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Effect.provide(twice, Replies.layer), ["a#1", "a#1"])
      assert.deepStrictEqual(yield* Effect.provide(twice, Replies.layerNoop), ["a#1", "a#2"])
      assert.isTrue(ResponseCache.isResponseCache(yield* Effect.provide(Replies, Replies.layer)))
    }))

  it.effect("takes its times from Config, and refuses those out of range", () =>
    Effect.gen(function*() {
      const layer = Replies.layerConfig({ ttl: Config.Duration("TTL"), capacity: Config.Int("CAPACITY") }).pipe(
        Layer.provide(ResponseCache.layerStoreMemory)
      )
      const withConfig = (env: Record<string, string>) =>
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))
      const aged = Effect.gen(function*() {
        const { ask } = dependency()
        const answer = (yield* Replies).through(ask)
        const first = yield* answer("a")
        yield* TestClock.adjust("2 seconds")
        return [first, yield* answer("a")]
      })
      const good = aged.pipe(Effect.provide(layer), withConfig({ TTL: "1 second", CAPACITY: "5" }))
      assert.deepStrictEqual(yield* good, ["a#1", "a#2"])
      const bad = yield* aged.pipe(Effect.provide(layer), withConfig({ TTL: "1 second", CAPACITY: "0" }), Effect.flip)
      assert.include(String(bad), "capacity must be a positive integer, got 0")
    }))
})
