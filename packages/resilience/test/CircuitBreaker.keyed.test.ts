/** Many circuits: how many are remembered, and which. */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Circuit } from "../src/internal/circuitBreaker/machine.ts"
import type { Policy } from "../src/internal/circuitBreaker/policy.ts"
import { Registry } from "../src/internal/circuitBreaker/registry.ts"
import { failing, start, succeeding } from "./support/circuits.ts"

const make = (options: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.make({ name: "test", trip: CircuitBreaker.consecutive(1), openFor: "10 minutes", ...options })

const provide = Effect.provide(CircuitBreaker.layerStoreMemory)

const heapUsed = () => {
  setFlagsFromString("--expose-gc")
  runInNewContext("gc")()
  return process.memoryUsage().heapUsed
}

const policy: Policy = {
  trip: { _tag: "Consecutive", failures: 1 },
  openFor: [1_000],
  maxHint: 1_000,
  probes: 1,
  needed: 1,
  deadline: 1_000,
  onDeadline: "Open",
  ramp: undefined,
  maxWhileUnhealthy: Infinity,
  slowerThan: Infinity
}

describe("keyed circuits", () => {
  it.effect("CB-17 a million distinct keys keep the heap flat, and an open circuit open", () =>
    Effect.gen(function*() {
      const breaker = yield* make({
        capacity: 10_000,
        trip: CircuitBreaker.failureRate({ window: CircuitBreaker.calls(100), minimumCalls: 1 })
      })
      yield* failing(breaker, 1, { key: "open" })
      const rounds = 20
      const heaps: Array<number> = []
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < 50_000; i++) {
          yield* breaker.protect(Effect.void, { key: `${round}:${i}` })
        }
        heaps.push(heapUsed())
      }
      const [first, last] = [heaps[1]!, heaps.at(-1)!]
      assert.isTrue(last - first < 4_000_000, `the heap grew from ${first} to ${last}`)
      const states = yield* breaker.states
      assert.strictEqual(states.size, 10_000)
      assert.strictEqual(states.get("open"), "Open")
    }).pipe(provide), 60_000)

  it.effect("CB-17 no circuit that is not closed is evicted, however many keys come", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ capacity: 10 })
      for (const key of ["open", "probing", "forced open", "forced closed"]) yield* failing(breaker, 1, { key })
      yield* breaker.forceOpen("forced open")
      yield* breaker.forceClose("forced closed")
      yield* TestClock.adjust("10 minutes")
      yield* start(breaker, { key: "probing" })
      yield* failing(breaker, 1, { key: "open again" })
      for (let i = 0; i < 1_000; i++) yield* succeeding(breaker, 1, { key: `${i}` })
      const states = yield* breaker.states
      assert.strictEqual(states.size, 10)
      assert.strictEqual(states.get("open"), "Open")
      assert.strictEqual(states.get("open again"), "Open")
      assert.strictEqual(states.get("probing"), "HalfOpen")
      assert.strictEqual(states.get("forced open"), "ForcedOpen")
      assert.strictEqual(states.get("forced closed"), "ForcedClosed")
    }).pipe(provide))

  it.effect("CB-17 where every place is taken by an open one, newcomers run unremembered", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ capacity: 3 })
      for (const key of ["a", "b", "c"]) yield* failing(breaker, 1, { key })
      for (let i = 0; i < 100; i++) yield* failing(breaker, 1, { key: `${i}` })
      assert.deepStrictEqual([...(yield* breaker.states).keys()].toSorted(), ["a", "b", "c"])
      yield* breaker.forceOpen("commanded")
      assert.strictEqual(yield* breaker.state("commanded"), "ForcedOpen", "a command is never forgotten")
    }).pipe(provide))

  it("keeps the circuits that are in use before those that are not", () => {
    const registry = new Registry(100, Infinity)
    const now = () => 0
    for (let i = 0; i < 100; i++) registry.get(`hot ${i % 50}`, policy, now)
    for (let i = 0; i < 10_000; i++) {
      registry.get(`cold ${i}`, policy, now)
      for (let hot = 0; hot < 50; hot++) registry.get(`hot ${hot}`, policy, now)
    }
    for (let hot = 0; hot < 50; hot++) assert.isDefined(registry.peek(`hot ${hot}`), `hot ${hot}`)
    assert.strictEqual(registry.size, 100)
  })

  it("gives a newcomer a place among circuits that are all in use", () => {
    const registry = new Registry(100, Infinity)
    const now = () => 0
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 100; i++) registry.get(`${i}`, policy, now)
    }
    registry.get("newcomer", policy, now)
    assert.isDefined(registry.peek("newcomer"))
    assert.strictEqual(registry.size, 100)
  })

  it("gives the same circuit for the same key", () => {
    const registry = new Registry(10, Infinity)
    const circuit = registry.get("a", policy, () => 0)
    assert.instanceOf(circuit, Circuit)
    assert.strictEqual(registry.get("a", policy, () => 0), circuit)
  })

  it.effect("forgets the idle, when a new key comes", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ idleTimeToLive: "1 hour" })
      yield* succeeding(breaker, 1, { key: "idle" })
      yield* failing(breaker, 1, { key: "open" })
      yield* breaker.forceOpen("forced")
      const later = yield* make({ name: "later", openFor: "150 minutes", idleTimeToLive: "1 hour" })
      yield* failing(later, 1, { key: "open for longer" })
      const running = yield* start(breaker, { key: "running" })
      const keys = Effect.map(breaker.states, (states) => [...states.keys()].toSorted())
      for (let hour = 1; hour <= 3; hour++) {
        yield* TestClock.adjust("1 hour")
        yield* succeeding(breaker, 1, { key: "busy" })
        yield* succeeding(breaker, 1, { key: `${hour}` })
        yield* succeeding(later, 1, { key: `${hour}` })
      }
      assert.strictEqual(yield* later.state("open for longer"), "Open", "its open time was over half an hour ago")
      assert.deepStrictEqual(yield* keys, ["2", "3", "busy", "forced", "running"])
      yield* running.succeed
    }).pipe(provide))
})
