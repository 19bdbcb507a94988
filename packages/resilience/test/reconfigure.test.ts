/** What rooms do when they are given other options while they run. */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Failure from "effect-resilience/Failure"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as HealthProbes from "effect-resilience/HealthProbes"
import * as Policy from "effect-resilience/Policy"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as ResponseCache from "effect-resilience/ResponseCache"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

class Model extends Context.Service<Model, { readonly name: string; readonly ill: () => boolean }>()("test/Model") {}

const down = { [Failure.symbol]: () => Failure.fromHttpStatus(503) }

const ask = Model.use(({ ill, name }) => ill() ? Effect.fail(down) : Effect.succeed(name))

describe("FallbackChain.reconfigure", () => {
  it.effect("takes another order, other facts and another budget; rests and what was spent stay", () =>
    Effect.gen(function*() {
      const ill = new Set<string>()
      const route = (name: string, options: FallbackChain.RouteTuning) =>
        FallbackChain.route(name, Context.make(Model, { name, ill: () => ill.has(name) }), options)
      const chain = yield* FallbackChain.make("models", [
        route("a", { cost: 2, quality: 1 }),
        route("b", { cost: 1, quality: 2 }),
        route("c", { cost: 3, quality: 3 })
      ], { budget: { limit: 10 } })
      const served = Effect.map(chain.runServed(ask), ([name, { degraded }]) => [name, degraded])
      assert.deepStrictEqual(yield* served, ["a", false])
      yield* chain.reconfigure({ order: "cost" })
      assert.deepStrictEqual(yield* served, ["b", false])
      yield* chain.reconfigure({ order: "quality", routes: { a: { quality: 9 } } })
      assert.deepStrictEqual(yield* served, ["a", false])
      // The second change has left the first one's order, and the price of a.
      yield* chain.run(Effect.andThen(FallbackChain.charge({ input: 3_000_000 }), ask))
      assert.strictEqual((yield* chain.ledger).spent, 6)

      yield* chain.reconfigure({ budget: { limit: 5, denyAt: 2 } })
      const { level, spent } = yield* chain.ledger
      assert.deepStrictEqual([level, spent], ["Cheaper", 6])
      assert.deepStrictEqual(yield* served, ["b", true])
      yield* chain.reconfigure({ budget: undefined })
      ill.add("a")
      assert.deepStrictEqual(yield* served, ["c", true])
      yield* chain.reconfigure({ order: "priority" })
      ill.clear()
      assert.strictEqual((yield* chain.states)[0]!.state, "Cooling")
      assert.deepStrictEqual(yield* served, ["b", true])

      assert.throws(() => chain.reconfigure({ budget: { limit: 0 } }), RangeError, /budget\.limit/)
      assert.throws(() => chain.reconfigure({ routes: { z: {} } }), RangeError, /routes/)
      assert.throws(() => chain.reconfigure({ routes: { a: { cost: -1 } } }), RangeError, /cost/)
    }).pipe(Effect.scoped))

  it.effect("leaves a call that has begun on its way", () =>
    Effect.gen(function*() {
      const route = (name: string) => FallbackChain.route(name, Context.make(Model, { name, ill: () => name === "a" }))
      const chain = yield* FallbackChain.make("models", [route("a"), route("b"), route("c")])
      const changing = Effect.tapError(ask, () => chain.reconfigure({ order: (routes) => routes.toReversed() }))
      assert.strictEqual(yield* chain.run(changing), "b")
      assert.strictEqual(yield* chain.run(ask), "c")
    }).pipe(Effect.scoped))
})

describe("HealthProbes.reconfigure", () => {
  it.effect("changes defaults at once, not what a check says itself, and forgets nothing", () => {
    const asked = { own: 0, shared: 0 }
    let hangs = false
    const checks = HealthProbes.layer([
      HealthProbes.check({
        name: "shared",
        probe: Effect.suspend(() => {
          asked.shared++
          return hangs ? Effect.never : Effect.void
        })
      }),
      HealthProbes.check({ name: "own", interval: "1 hour", probe: Effect.sync(() => void asked.own++) })
    ], { interval: "10 minutes", timeout: "5 seconds", thresholds: { failed: 3, healthy: 1 } })
    return Effect.gen(function*() {
      const health = yield* HealthProbes.HealthProbes
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(asked, { own: 1, shared: 1 })
      yield* health.reconfigure({ interval: "10 seconds", timeout: "1 second", thresholds: { failed: 2 } })
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(asked, { own: 1, shared: 2 })
      hangs = true
      const state = Effect.map(HealthProbes.report, ({ checks }) => checks.find(({ name }) => name === "shared")?.state)
      assert.strictEqual(yield* state, "Healthy")
      yield* TestClock.adjust("12 seconds")
      assert.notStrictEqual(yield* state, "Failed")
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual(yield* state, "Failed")
      assert.strictEqual(asked.own, 1)
      assert.throws(() => health.reconfigure({ timeout: 0 }), RangeError, /timeout/)
    }).pipe(Effect.provide(checks))
  })
})

describe("DeadLetterQueue.reconfigure", () => {
  it.effect("goes for the letters that are there already", () =>
    Effect.gen(function*() {
      const queue = yield* DeadLetterQueue.make({
        name: "mails",
        schema: Schema.Struct({ to: Schema.String }),
        maxRedrives: 5,
        retention: { size: 100 }
      })
      const ids = yield* Effect.forEach(["a", "b", "c"], (to) => queue.offer({ to }, { error: new Error("full") }))
      yield* queue.reconfigure({ maxRedrives: 1 })
      yield* Stream.runDrain(queue.redrive([ids[2]!], () => Effect.fail("still full")))
      assert.strictEqual((yield* queue.get(ids[2]!)).state, "Quarantined")
      yield* queue.reconfigure({ retention: { size: 2 } })
      yield* queue.sweep
      assert.strictEqual(yield* queue.count(), 2)
      assert.throws(() => queue.reconfigure({ maxRedrives: 0 }), RangeError, /maxRedrives/)
      assert.throws(() => queue.reconfigure({ retention: { size: 0 } }), RangeError, /retention\.size/)
    }).pipe(Effect.scoped, Effect.provide(DeadLetterQueue.layerStoreMemory)))
})

describe("ResponseCache.reconfigure", () => {
  it.effect("goes for what is kept already", () =>
    Effect.gen(function*() {
      const cache = yield* ResponseCache.make({
        name: "replies",
        key: (request: string) => Effect.succeed(request),
        schema: Schema.String,
        ttl: "1 hour",
        capacity: 10
      })
      yield* cache.set("why?", "because")
      yield* TestClock.adjust("10 minutes")
      const result = Effect.map(cache.peek("why?"), Option.map(({ result }) => result))
      assert.deepStrictEqual(yield* result, Option.some("hit"))
      yield* cache.reconfigure({ ttl: "5 minutes", staleIfError: "10 minutes" })
      assert.deepStrictEqual(yield* result, Option.some("stale"))
      yield* cache.reconfigure({ ttl: "5 minutes" })
      assert.deepStrictEqual(yield* result, Option.none())
      assert.throws(() => cache.reconfigure({ ttl: 0 }), RangeError, /ttl/)
    }).pipe(Effect.scoped, Effect.provide(ResponseCache.layerStoreMemory)))
})

describe("the health that is bound to policies of a document", () => {
  it.effect("opens a breaker, of this document and of the next", () =>
    Effect.gen(function*() {
      const health = yield* Queue.unbounded<boolean>()
      const document = (failures: number) =>
        `policies: { api: { deadline: 1 second, breaker: { trip: { kind: consecutive, failures: ${failures} } } } }`
      const policies = yield* Policy.fromText(document(5), {
        bindings: { health: (policy) => policy === "api" ? Stream.fromQueue(health) : Stream.empty }
      })
      yield* policies.run("api", Effect.void)
      yield* policies.replace(document(6))
      yield* Queue.offer(health, false)
      yield* TestClock.adjust("1 millis")
      const { breaker } = yield* policies.get("api")
      assert.strictEqual(yield* breaker!.state(), "Open")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.merge(
          CircuitBreaker.layerStoreMemory,
          Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory())
        )
      )
    ))
})
