/** What limits, recovers, reconfigures, forces and watches a circuit. */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { failing, isLetThrough, listening, start, startMany, succeeding } from "./support/circuits.ts"

const make = (options: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.make({ name: "test", trip: CircuitBreaker.consecutive(1), openFor: "10 seconds", ...options })

const provide = Effect.provide(CircuitBreaker.layerStoreMemory)

/** A breaker whose only probe has just succeeded. */
const closedBefore = (options: Partial<CircuitBreaker.Options>) =>
  Effect.gen(function*() {
    const breaker = yield* make(options)
    yield* failing(breaker, 1)
    yield* TestClock.adjust("10 seconds")
    yield* succeeding(breaker, 1)
    return breaker
  })

describe("a burst", () => {
  it.effect("CB-13 of a thousand calls has at most 20 in flight once a failure is seen", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ trip: CircuitBreaker.consecutive(100), inFlight: { maxWhileUnhealthy: 20 } })
      yield* failing(breaker, 1)
      let running = 0
      let most = 0
      const call = Effect.suspend(() => {
        most = Math.max(most, ++running)
        return Effect.sleep("1 second")
      }).pipe(Effect.andThen(Effect.fail("down")), Effect.ensuring(Effect.sync(() => running--)))
      const burst = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 1_000 }, () => Effect.flip(breaker.protect(call))), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("1 second")
      const errors = yield* Fiber.join(burst)
      assert.strictEqual(most, 20)
      const refused = errors.filter(CircuitBreaker.isCircuitOpen)
      assert.strictEqual(refused.length, 980)
      assert.strictEqual(refused[0]!.state, "Closed")
    }).pipe(provide))

  it.effect("CB-13 that was let through before counts, and none more is let in until it is small enough", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ trip: CircuitBreaker.consecutive(1_000), inFlight: { maxWhileUnhealthy: 20 } })
      const burst = yield* startMany(breaker, 100)
      assert.isTrue(burst.every(({ ran }) => ran), "a healthy circuit has no cap")
      for (const call of burst.slice(0, 80)) {
        yield* call.fail()
        assert.isFalse(yield* isLetThrough(breaker))
        if ((yield* breaker.metrics()).inFlight <= 20) break
      }
      yield* burst[80]!.fail()
      assert.isTrue(yield* isLetThrough(breaker))
      const more = yield* startMany(breaker, 30)
      assert.isTrue(more.every(({ ran }) => ran), "the success before them has ended the row of failures")
    }).pipe(provide))
})

describe("recovery", () => {
  /** A tenth, three tenths, six tenths, for ten seconds each. */
  const recovery = CircuitBreaker.ramp([0.1, 0.3, 0.6], "10 seconds")
  const shares = (seed: string) =>
    Effect.gen(function*() {
      const breaker = yield* closedBefore({ recovery })
      const admitted: Array<number> = []
      for (let second = 0; second < 40; second++) {
        admitted.push((yield* succeeding(breaker, 200)).filter(Exit.isSuccess).length / 200)
        yield* TestClock.adjust("1 second")
      }
      return { admitted, state: yield* breaker.state() }
    }).pipe(Random.withSeed(seed), Effect.scoped, provide)

  it.effect("CB-15 lets a share through that never falls, and all in the end", () =>
    Effect.gen(function*() {
      const { admitted, state } = yield* shares("a")
      const average = (from: number) => admitted.slice(from, from + 10).reduce((sum, share) => sum + share, 0) / 10
      assert.closeTo(average(0), 0.1, 0.03)
      assert.closeTo(average(10), 0.3, 0.04)
      assert.closeTo(average(20), 0.6, 0.04)
      assert.strictEqual(average(30), 1)
      assert.strictEqual(state, "Closed")
    }))

  it.effect("CB-15 decides the same under the same seed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* shares("a"), yield* shares("a"))
      assert.notDeepEqual((yield* shares("a")).admitted, (yield* shares("b")).admitted)
    }))

  it.effect("CB-15 never lets less through than before, whatever its schedule says", () =>
    Effect.gen(function*() {
      const falling = Schedule.spaced("1 second").pipe(
        Schedule.map(({ output }) => Effect.succeed([0.5, 0.2, 0.4, 0.7, 1][output] ?? 1))
      )
      const breaker = yield* closedBefore({ recovery: falling })
      const fractions: Array<number> = []
      for (let i = 0; i < 5; i++) {
        fractions.push((yield* breaker.metrics()).admitted)
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(fractions, [0.5, 0.5, 0.5, 0.7, 1])
    }).pipe(provide))

  it.effect("CB-15 trips by the same rule as a closed circuit, and starts over", () =>
    Effect.gen(function*() {
      const { layer, moves } = listening()
      yield* Effect.gen(function*() {
        const breaker = yield* make({ trip: CircuitBreaker.consecutive(2), recovery })
        yield* failing(breaker, 2)
        yield* TestClock.adjust("10 seconds")
        yield* succeeding(breaker, 1)
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual(yield* breaker.state(), "Recovering")
        assert.strictEqual((yield* breaker.metrics()).admitted, 0.6)
        while ((yield* breaker.state()) === "Recovering") yield* failing(breaker, 1)
        yield* TestClock.adjust("20 seconds")
        yield* succeeding(breaker, 1)
        assert.strictEqual((yield* breaker.metrics()).admitted, 0.1)
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(moves(), [
        "Closed > Open: tripped",
        "Open > HalfOpen: open time over",
        "HalfOpen > Recovering: probes succeeded",
        "Recovering > Open: tripped",
        "Open > HalfOpen: open time over",
        "HalfOpen > Recovering: probes succeeded"
      ])
    }).pipe(provide))

  it.effect("says when the share grows next", () =>
    Effect.gen(function*() {
      const breaker = yield* closedBefore({ recovery })
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual((yield* breaker.metrics()).retryAfter, 6_000)
    }).pipe(provide))
})

describe("reconfigure", () => {
  it.effect("CB-16 keeps an open circuit open, for as long as it was to be", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* failing(breaker, 1)
      yield* breaker.reconfigure({ trip: CircuitBreaker.consecutive(5), openFor: "1 minute" })
      const { retryAfter, state } = yield* breaker.metrics()
      assert.deepStrictEqual({ retryAfter, state }, { retryAfter: 10_000, state: "Open" })
      yield* TestClock.adjust("10 seconds")
      yield* failing(breaker, 1)
      assert.strictEqual((yield* breaker.metrics()).retryAfter, 60_000, "from then on, the new time")
    }).pipe(provide))

  it.effect("CB-16 keeps what is remembered, and counts the calls that run", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ trip: CircuitBreaker.consecutive(5) })
      const running = yield* start(breaker)
      yield* failing(breaker, 2)
      yield* breaker.reconfigure({ trip: CircuitBreaker.consecutive(3) })
      assert.strictEqual(yield* breaker.state(), "Closed")
      yield* running.fail()
      assert.strictEqual(yield* breaker.state(), "Open")
    }).pipe(provide))

  it.effect("CB-16 keeps the last calls of a window that shrinks, and all of one that grows", () =>
    Effect.gen(function*() {
      const rate = (window: number) =>
        CircuitBreaker.failureRate({ threshold: 1, window: CircuitBreaker.calls(window), minimumCalls: 1 })
      const breaker = yield* make({
        trip: CircuitBreaker.failureRate({ threshold: 1, window: CircuitBreaker.calls(6) })
      })
      const rules = Effect.map(breaker.metrics(), ({ rules }) => rules.map(({ bad, calls }) => `${bad} of ${calls}`))
      yield* failing(breaker, 2)
      yield* succeeding(breaker, 3)
      yield* breaker.reconfigure({ trip: rate(4) })
      assert.deepStrictEqual(yield* rules, ["1 of 4"])
      yield* breaker.reconfigure({ trip: rate(10) })
      yield* succeeding(breaker, 1)
      assert.deepStrictEqual(yield* rules, ["1 of 5"])
    }).pipe(provide))

  it.effect("CB-16 keeps the places of probes, and neither leaks nor doubles them", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ halfOpen: { probes: 3 } })
      yield* failing(breaker, 1)
      yield* TestClock.adjust("10 seconds")
      const probes = yield* startMany(breaker, 3)
      yield* breaker.reconfigure({ halfOpen: { probes: 4 } })
      assert.strictEqual((yield* breaker.metrics()).probing, 3)
      const [fourth, fifth] = yield* startMany(breaker, 2)
      assert.isTrue(fourth!.ran)
      assert.isFalse(fifth!.ran)
      for (const probe of [...probes, fourth!]) yield* probe.succeed
      const { inFlight, probing, state } = yield* breaker.metrics()
      assert.deepStrictEqual({ inFlight, probing, state }, { inFlight: 0, probing: 0, state: "Closed" })
    }).pipe(provide))

  it.effect("CB-16 decides a round that fewer probes have already won", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ halfOpen: { probes: 5 } })
      yield* failing(breaker, 1)
      yield* TestClock.adjust("10 seconds")
      yield* succeeding(breaker, 3)
      yield* breaker.reconfigure({ halfOpen: { probes: 2 } })
      assert.strictEqual(yield* breaker.state(), "Closed")
    }).pipe(provide))

  it.effect("throws for an option out of its range and changes nothing", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      assert.throws(() => breaker.reconfigure({ openFor: -1 }), RangeError)
      yield* failing(breaker, 1)
      assert.strictEqual((yield* breaker.metrics()).retryAfter, 10_000)
    }).pipe(provide))
})

describe("a shadow", () => {
  it.effect("CB-18 lets every call through, and tells of each refusal it would have made", () =>
    Effect.gen(function*() {
      const { count, layer, signals } = listening()
      yield* Effect.gen(function*() {
        const breaker = yield* make({ shadow: true })
        yield* failing(breaker, 1)
        assert.strictEqual(yield* breaker.state(), "Open")
        assert.isTrue((yield* startMany(breaker, 5)).every(({ ran }) => ran))
        assert.strictEqual(count("CallRejected"), 5)
        yield* TestClock.adjust("10 seconds")
        const arrivals = yield* startMany(breaker, 4)
        assert.isTrue(arrivals.every(({ ran }) => ran))
        assert.strictEqual(count("CallRejected"), 8)
        for (const arrival of arrivals.slice(1)) yield* arrival.fail()
        assert.strictEqual(yield* breaker.state(), "HalfOpen", "what would have been refused does not count")
        yield* arrivals[0]!.succeed
        assert.strictEqual(yield* breaker.state(), "Closed")
      }).pipe(Effect.provide(layer))
      assert.isTrue(signals.every((signal) => signal._tag !== "CallRejected" || signal.shadow))
      assert.strictEqual(count("CallSettled"), 2)
    }).pipe(provide))
})

describe("the operator", () => {
  it.effect("forces a circuit open until it is released, and then it probes", () =>
    Effect.gen(function*() {
      const { layer, moves } = listening()
      yield* Effect.gen(function*() {
        const breaker = yield* make()
        const running = yield* start(breaker)
        yield* breaker.forceOpen()
        yield* breaker.forceOpen()
        yield* TestClock.adjust("1 day")
        assert.isFalse(yield* isLetThrough(breaker))
        yield* breaker.release()
        yield* running.fail()
        const probe = yield* start(breaker)
        assert.isTrue(probe.ran)
        assert.isFalse(yield* isLetThrough(breaker))
        yield* probe.succeed
        yield* breaker.release()
        assert.strictEqual(yield* breaker.state(), "Closed")
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(moves(), [
        "Closed > ForcedOpen: forced",
        "ForcedOpen > HalfOpen: released",
        "HalfOpen > Closed: probes succeeded"
      ])
    }).pipe(provide))

  it.effect("forces a circuit closed, where nothing counts", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      yield* failing(breaker, 1)
      yield* breaker.forceClose()
      yield* failing(breaker, 100)
      assert.strictEqual(yield* breaker.state(), "ForcedClosed")
      const running = yield* start(breaker)
      yield* breaker.release()
      assert.strictEqual(yield* breaker.state(), "Closed")
      yield* running.fail()
      assert.strictEqual(yield* breaker.state(), "Closed")
    }).pipe(provide))

  it.effect("resets whatever there is, the row of openings included", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ openFor: Schedule.exponential("1 second") })
      yield* failing(breaker, 1)
      yield* TestClock.adjust("1 second")
      yield* failing(breaker, 1)
      yield* breaker.reset()
      yield* failing(breaker, 1)
      assert.strictEqual((yield* breaker.metrics()).retryAfter, 1_000)
      yield* breaker.forceOpen()
      yield* breaker.reset()
      assert.strictEqual(yield* breaker.state(), "Closed")
    }).pipe(provide))

  it.effect("sees every circuit", () =>
    Effect.gen(function*() {
      const breaker = yield* make({
        trip: CircuitBreaker.failureRate({ window: CircuitBreaker.calls(4), minimumCalls: 2 })
      })
      yield* succeeding(breaker, 3, { key: "a" })
      yield* failing(breaker, 1, { key: "a" })
      yield* breaker.forceOpen("b")
      assert.deepStrictEqual([...yield* breaker.states], [["a", "Closed"], ["b", "ForcedOpen"]])
      const [a, b] = yield* breaker.snapshot
      assert.deepStrictEqual(a, {
        key: "a",
        state: "Closed",
        retryAfter: 0,
        openings: 0,
        inFlight: 0,
        probing: 0,
        admitted: 1,
        rules: [{ rule: "FailureRate", calls: 4, bad: 1, rate: 0.25 }]
      })
      assert.deepInclude(b, { state: "ForcedOpen", retryAfter: 10_000, admitted: 0 })
      assert.deepInclude(yield* breaker.metrics("never called"), { state: "Closed", admitted: 1 })
      assert.strictEqual((yield* breaker.states).size, 2, "looking remembers nothing")
    }).pipe(provide))

  it.effect("can follow the transitions as a stream", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      const seen = yield* Effect.forkChild(
        breaker.transitions.pipe(Stream.take(2), Stream.map(({ key, to }) => `${key}: ${to}`), Stream.runCollect),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      yield* failing(breaker, 1, { key: "a" })
      yield* breaker.reset("a")
      assert.deepStrictEqual(yield* Fiber.join(seen), ["a: Open", "a: Closed"])
    }).pipe(provide))
})

describe("health", () => {
  it.effect("opens what is unhealthy, and probes at once what is healthy again", () =>
    Effect.gen(function*() {
      const health = new Map<string, Queue.Queue<boolean>>()
      for (const key of ["a", "b"]) health.set(key, yield* Queue.unbounded<boolean>())
      const breaker = yield* make({ health: (key) => Stream.fromQueue(health.get(key)!) })
      const tell = (key: string, healthy: boolean) =>
        Effect.andThen(Queue.offer(health.get(key)!, healthy), TestClock.adjust(0))
      yield* succeeding(breaker, 1, { key: "a" })
      yield* succeeding(breaker, 1, { key: "b" })
      yield* tell("a", true)
      assert.strictEqual(yield* breaker.state("a"), "Closed")
      yield* tell("a", false)
      assert.deepStrictEqual([...yield* breaker.states], [["a", "Open"], ["b", "Closed"]])
      assert.isFalse(yield* isLetThrough(breaker, { key: "a" }))
      yield* tell("a", true)
      const probe = yield* start(breaker, { key: "a" })
      assert.isTrue(probe.ran)
      assert.isFalse(yield* isLetThrough(breaker, { key: "a" }))
      yield* probe.succeed
      assert.strictEqual(yield* breaker.state("a"), "Closed")
    }).pipe(provide))

  it.effect("is listened to for as long as the breaker lives", () =>
    Effect.gen(function*() {
      let listening = 0
      yield* Effect.scoped(Effect.gen(function*() {
        const breaker = yield* make({
          capacity: 3,
          health: () =>
            Stream.never.pipe(
              Stream.onStart(Effect.sync(() => listening++)),
              Stream.ensuring(Effect.sync(() => listening--))
            )
        })
        for (let i = 0; i < 10; i++) yield* succeeding(breaker, 2, { key: `${i}` })
        yield* TestClock.adjust(0)
        assert.strictEqual(listening, 3)
      }))
      assert.strictEqual(listening, 0)
    }).pipe(provide))
})

describe("interruption", () => {
  it.effect("at any step leaves no call in flight and no probe's place taken", () =>
    Effect.gen(function*() {
      let interrupted = 0
      let finished = 0
      for (const state of ["Closed", "HalfOpen"] as const) {
        for (const classify of [undefined, () => CircuitBreaker.ignored]) {
          const breaker = yield* make({ name: `${state} ${classify === undefined}` })
          if (state === "HalfOpen") {
            yield* breaker.forceOpen()
            yield* breaker.release()
          }
          const call = breaker.protect(Effect.andThen(Effect.yieldNow, Effect.fail("request")), {
            classify: classify ?? (() => CircuitBreaker.ignored)
          })
          for (let yields = 0; yields < 60; yields++) {
            const fiber = yield* call.pipe(
              Effect.provideService(Scheduler.MaxOpsBeforeYield, 3),
              Effect.forkDetach({ startImmediately: true })
            )
            for (let i = 0; i < yields; i++) yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
            const exit = yield* Fiber.await(fiber)
            if (Exit.hasInterrupts(exit)) interrupted++
            else finished++
            const { inFlight, probing } = yield* breaker.metrics()
            assert.deepStrictEqual({ inFlight, probing }, { inFlight: 0, probing: 0 }, `after ${yields} yields`)
          }
          assert.strictEqual(yield* breaker.state(), state)
        }
      }
      assert.isTrue(interrupted > 20 && finished > 20, `${interrupted} interrupted, ${finished} finished`)
    }).pipe(provide))
})

describe("CircuitOpen", () => {
  it.effect("is a real, encodable error without a stack trace", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ name: "payments" })
      yield* breaker.forceOpen("eu")
      const error = yield* Effect.flip(breaker.protect(Effect.void, { key: "eu" }))
      assert.instanceOf(error, CircuitBreaker.CircuitOpen)
      assert.instanceOf(error, Error)
      assert.strictEqual(error.message, "The circuit payments (eu) is forced open")
      assert.notMatch(error.stack ?? "", /\n/)
      const wire = yield* Schema.encodeEffect(CircuitBreaker.CircuitOpen)(error)
      assert.deepStrictEqual(wire, {
        _tag: "CircuitOpen",
        name: "payments",
        key: "eu",
        retryAfter: 10_000,
        state: "ForcedOpen"
      })
      const back = yield* Schema.decodeEffect(CircuitBreaker.CircuitOpen)(wire)
      assert.isTrue(CircuitBreaker.isCircuitOpen(back))
      assert.deepStrictEqual(back.retryAfter, Duration.seconds(10))
      assert.isTrue(Error.stackTraceLimit > 0, "other errors keep theirs")
    }).pipe(provide))
})

describe("layers", () => {
  it.effect("layerConfig takes the same options from Config", () =>
    Effect.gen(function*() {
      const layer = CircuitBreaker.layerConfig({
        name: Config.succeed("configured"),
        trip: Config.map(Config.Int("FAILURES"), CircuitBreaker.consecutive),
        openFor: Config.Duration("OPEN_FOR")
      }).pipe(Layer.provide(CircuitBreaker.layerStoreMemory))
      const run = (env: Record<string, string>) =>
        Effect.gen(function*() {
          const breaker = yield* CircuitBreaker.CircuitBreaker
          yield* failing(breaker, 2)
          return yield* breaker.metrics()
        }).pipe(
          Effect.provide(layer),
          Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(env))
        )
      const metrics = yield* run({ FAILURES: "2", OPEN_FOR: "7 seconds" })
      assert.deepInclude(metrics, { state: "Open", retryAfter: 7_000 })
      const error = yield* Effect.flip(run({ FAILURES: "2", OPEN_FOR: "0 seconds" }))
      assert.match(String(error), /openFor must be a duration above zero/)
    }))

  class Breakers extends CircuitBreaker.Service<Breakers>()("test/Breakers", {
    llm: { trip: CircuitBreaker.consecutive(1) },
    tts: { trip: CircuitBreaker.consecutive(3) }
  }) {}

  it.effect("Service makes a breaker for each name", () =>
    Effect.gen(function*() {
      const failed = Effect.exit(Effect.fail("down").pipe(Breakers.protect("llm", { key: "a" })))
      yield* failed
      const llm = yield* Breakers.get("llm")
      const tts = yield* Breakers.get("tts")
      assert.strictEqual(llm.name, "llm")
      assert.strictEqual(yield* llm.state("a"), "Open")
      assert.strictEqual(yield* tts.state("a"), "Closed")
      assert.isTrue(Exit.isFailure(yield* failed))
      assert.deepStrictEqual(Breakers.names, ["llm", "tts"])
      assert.isTrue(CircuitBreaker.isCircuitBreaker((yield* Breakers).tts))
    }).pipe(Effect.provide(Breakers.layer.pipe(Layer.provide(CircuitBreaker.layerStoreMemory)))))

  it("Service throws for an option out of its range where it is written", () => {
    assert.throws(
      () => CircuitBreaker.Service<never>()("test/Wrong", { a: { trip: CircuitBreaker.consecutive(1), openFor: 0 } }),
      RangeError,
      /openFor/
    )
  })

  it.effect("breakers of one name in one store share their circuits, and those of two stores do not", () =>
    Effect.gen(function*() {
      const first = yield* make()
      const second = yield* make()
      yield* failing(first, 1)
      assert.strictEqual(yield* second.state(), "Open")
      const store = yield* Layer.build(Layer.fresh(CircuitBreaker.layerStoreMemory))
      const third = yield* make().pipe(Effect.provideContext(Context.merge(yield* Effect.context(), store)))
      assert.strictEqual(yield* third.state(), "Closed")
    }).pipe(provide))
})
