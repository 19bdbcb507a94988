import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Deadline from "effect-resilience/Deadline"
import * as Failure from "effect-resilience/Failure"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/testing/TestClock"
import { failing, isLetThrough, listening, start, startMany, succeeding } from "./support/circuits.ts"
import { fault } from "./support/faults.ts"

const make = (options: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.make({ name: "test", trip: CircuitBreaker.consecutive(1), openFor: "10 seconds", ...options })

const provide = Effect.provide(CircuitBreaker.layerStoreMemory)

/** A breaker whose open time has just ended. */
const openedBefore = (options: Partial<CircuitBreaker.Options> = {}) =>
  Effect.gen(function*() {
    const breaker = yield* make(options)
    yield* failing(breaker, 1)
    assert.strictEqual(yield* breaker.state(), "Open")
    yield* TestClock.adjust("10 seconds")
    return breaker
  })

const rejected = (exit: Exit.Exit<unknown, unknown>): CircuitBreaker.CircuitOpen => {
  const error = Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isFailReason)?.error : undefined
  assert.isTrue(CircuitBreaker.isCircuitOpen(error), `not rejected: ${String(exit)}`)
  return error as CircuitBreaker.CircuitOpen
}

describe("an outcome of an older generation", () => {
  it.effect("CB-2 neither reopens nor closes a half-open circuit", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      const [late1, late2] = yield* startMany(breaker, 2)
      yield* failing(breaker, 1)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* start(breaker)
      assert.isTrue(probe.ran)
      yield* late1!.fail()
      assert.strictEqual(yield* breaker.state(), "HalfOpen")
      yield* late2!.succeed
      assert.strictEqual(yield* breaker.state(), "HalfOpen")
      yield* probe.succeed
      assert.strictEqual(yield* breaker.state(), "Closed")
    }).pipe(provide))

  it.effect("CB-2 neither takes nor returns a probe's place", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ halfOpen: { probes: 2 } })
      const late = yield* startMany(breaker, 4)
      yield* failing(breaker, 1)
      yield* TestClock.adjust("10 seconds")
      const [first, second] = yield* startMany(breaker, 2)
      assert.isTrue(first!.ran && second!.ran)
      for (const call of late) yield* call.interrupt
      assert.isFalse((yield* start(breaker)).ran, "both places are taken")
      yield* first!.succeed
      yield* second!.succeed
      assert.strictEqual(yield* breaker.state(), "Closed")
      assert.strictEqual((yield* breaker.metrics()).inFlight, 0)
    }).pipe(provide))

  it.effect("CB-2 does not trip a circuit that was closed since", () =>
    Effect.gen(function*() {
      const breaker = yield* make()
      const [beforeTrip, beforeReset] = yield* startMany(breaker, 2)
      yield* failing(breaker, 1)
      yield* TestClock.adjust("10 seconds")
      yield* succeeding(breaker, 1)
      assert.strictEqual(yield* breaker.state(), "Closed")
      yield* beforeTrip!.fail()
      assert.strictEqual(yield* breaker.state(), "Closed")
      yield* breaker.reset()
      yield* beforeReset!.fail()
      assert.strictEqual(yield* breaker.state(), "Closed")
    }).pipe(provide))

  it.effect("CB-2 of an earlier round of probes changes nothing in a later one", () =>
    Effect.gen(function*() {
      const breaker = yield* openedBefore({ halfOpen: { probes: 2 } })
      const [fast, late] = yield* startMany(breaker, 2)
      yield* fast!.fail()
      yield* TestClock.adjust("10 seconds")
      const probe = yield* start(breaker)
      yield* late!.fail()
      assert.strictEqual(yield* breaker.state(), "HalfOpen")
      assert.strictEqual((yield* breaker.metrics()).probing, 1)
      yield* probe.interrupt
    }).pipe(provide))
})

describe("a half-open circuit", () => {
  it.effect("CB-3 has its place back from an interrupted probe, and stays half-open", () =>
    Effect.gen(function*() {
      const breaker = yield* openedBefore()
      const probe = yield* start(breaker)
      assert.isFalse((yield* start(breaker)).ran)
      yield* probe.interrupt
      assert.strictEqual(yield* breaker.state(), "HalfOpen")
      assert.strictEqual((yield* breaker.metrics()).probing, 0)
      assert.isTrue(yield* isLetThrough(breaker))
      assert.strictEqual(yield* breaker.state(), "Closed")
    }).pipe(provide))

  it.effect("CB-4 goes on probing after an ignored outcome", () =>
    Effect.gen(function*() {
      const breaker = yield* openedBefore({ halfOpen: { probes: 2 } })
      yield* succeeding(breaker, 1)
      for (let i = 0; i < 10; i++) yield* failing(breaker, 1, { error: fault("RateLimited") })
      assert.strictEqual(yield* breaker.state(), "HalfOpen")
      assert.isTrue(yield* isLetThrough(breaker))
      assert.strictEqual(yield* breaker.state(), "Closed")
    }).pipe(provide))

  for (const onDeadline of ["Open", "Closed"] as const) {
    it.effect(`CB-5 is ${onDeadline} when a probe hangs until the deadline, and not before`, () =>
      Effect.gen(function*() {
        const { layer, moves } = listening()
        yield* Effect.gen(function*() {
          const breaker = yield* openedBefore({ halfOpen: { deadline: "3 seconds", onDeadline } })
          const hanging = yield* start(breaker)
          yield* TestClock.adjust("2999 millis")
          assert.isFalse(yield* isLetThrough(breaker))
          assert.strictEqual(yield* breaker.state(), "HalfOpen")
          yield* TestClock.adjust("1 millis")
          assert.strictEqual(yield* isLetThrough(breaker), onDeadline === "Closed")
          assert.strictEqual(yield* breaker.state(), onDeadline)
          yield* onDeadline === "Open" ? hanging.succeed : hanging.fail()
          assert.strictEqual(yield* breaker.state(), onDeadline)
        }).pipe(Effect.provide(layer))
        assert.deepStrictEqual(moves(), [
          "Closed > Open: tripped",
          "Open > HalfOpen: open time over",
          `HalfOpen > ${onDeadline}: probe deadline`
        ])
      }).pipe(provide))
  }

  it.effect("CB-5 counts the open time from the deadline, not from when somebody looked", () =>
    Effect.gen(function*() {
      const breaker = yield* openedBefore({ halfOpen: { deadline: "3 seconds" } })
      yield* start(breaker)
      yield* TestClock.adjust("8 seconds")
      const { retryAfter } = rejected(yield* (yield* start(breaker)).exit)
      assert.deepStrictEqual(retryAfter, Duration.seconds(5))
    }).pipe(provide))

  it.effect("CB-5 measures each probe by itself: fast ones do not age a round", () =>
    Effect.gen(function*() {
      const breaker = yield* openedBefore({ halfOpen: { deadline: "3 seconds" } })
      for (let i = 0; i < 10; i++) {
        const probe = yield* start(breaker)
        assert.isTrue(probe.ran)
        yield* TestClock.adjust("1 second")
        yield* probe.interrupt
      }
      assert.strictEqual(yield* breaker.state(), "HalfOpen")
    }).pipe(provide))

  it.effect("CB-6 lets exactly its probes through, of a hundred that arrive together", () =>
    Effect.gen(function*() {
      for (const probes of [1, 3, 10]) {
        const breaker = yield* openedBefore({ name: `probes ${probes}`, halfOpen: { probes } })
        const arrivals = yield* startMany(breaker, 100)
        assert.strictEqual(arrivals.filter(({ ran }) => ran).length, probes)
        for (const arrival of arrivals.filter(({ ran }) => !ran)) {
          assert.strictEqual(rejected(yield* arrival.exit).state, "HalfOpen")
        }
      }
    }).pipe(provide))

  it.effect("closes at the required share of its probes, and opens when that is out of reach", () =>
    Effect.gen(function*() {
      for (
        const [successes, failures, state] of [
          [3, 0, "Closed"],
          [2, 0, "HalfOpen"],
          [2, 2, "HalfOpen"],
          [3, 2, "Closed"],
          [2, 3, "Open"]
        ] as const
      ) {
        const breaker = yield* openedBefore({
          name: `${successes} and ${failures}`,
          halfOpen: { probes: 5, required: 0.6 }
        })
        yield* succeeding(breaker, Math.min(2, successes))
        yield* failing(breaker, failures)
        yield* succeeding(breaker, successes - 2)
        assert.strictEqual(yield* breaker.state(), state, `${successes} and ${failures}`)
      }
    }).pipe(provide))
})

describe("signals", () => {
  it.effect("CB-7 tell one transition for one transition, however many late failures", () =>
    Effect.gen(function*() {
      const { count, layer, moves } = listening()
      yield* Effect.gen(function*() {
        const breaker = yield* make({ trip: CircuitBreaker.consecutive(3), halfOpen: { probes: 4 } })
        for (const call of yield* startMany(breaker, 50)) yield* call.fail()
        assert.deepStrictEqual(moves(), ["Closed > Open: tripped"])
        yield* TestClock.adjust("10 seconds")
        for (const call of yield* startMany(breaker, 4)) yield* call.fail()
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(moves(), [
        "Closed > Open: tripped",
        "Open > HalfOpen: open time over",
        "HalfOpen > Open: probe failed"
      ])
      assert.strictEqual(count("CallPermitted"), 54)
      assert.strictEqual(count("CallSettled"), 54)
      assert.strictEqual(count("CallRejected"), 0)
    }).pipe(provide))

  it.effect("tell of each call what was decided and how it ended", () =>
    Effect.gen(function*() {
      const { layer, signals } = listening()
      yield* Effect.gen(function*() {
        const breaker = yield* make({
          trip: CircuitBreaker.slowCallRate({ threshold: 1, slowerThan: "1 second", window: CircuitBreaker.calls(1) })
        })
        const call = yield* start(breaker, { key: "a" })
        yield* TestClock.adjust("1500 millis")
        yield* call.succeed
        yield* start(breaker, { key: "a" })
      }).pipe(Effect.provide(layer))
      const common = { name: "test", key: "a" }
      assert.deepStrictEqual(signals, [
        { _tag: "CallPermitted", ...common, state: "Closed" },
        { _tag: "CallSettled", ...common, outcome: "success", slow: true, duration: Duration.millis(1_500) },
        {
          _tag: "CircuitTransition",
          ...common,
          from: "Closed",
          to: "Open",
          reason: "tripped",
          openFor: Duration.seconds(10),
          openings: 1
        },
        { _tag: "CallRejected", ...common, state: "Open", retryAfter: Duration.seconds(10), shadow: false }
      ])
    }).pipe(provide))
})

describe("time", () => {
  /** A clock whose two times go where the test wants. */
  const twoTimes = () => {
    const times = { wall: 1_700_000_000_000, monotonic: 0 }
    const clock: Clock.Clock = {
      currentTimeMillisUnsafe: () => times.wall,
      currentTimeMillis: Effect.sync(() => times.wall),
      currentTimeNanosUnsafe: () => BigInt(times.wall) * 1_000_000n,
      currentTimeNanos: Effect.sync(() => BigInt(times.wall) * 1_000_000n),
      monotonicTimeNanosUnsafe: () => BigInt(times.monotonic) * 1_000_000n,
      monotonicTimeNanos: Effect.sync(() => BigInt(times.monotonic) * 1_000_000n),
      sleep: () => Effect.void
    }
    return { times, provide: Effect.provideService(Clock.Clock, clock) }
  }

  for (const step of [-3_600_000, 3_600_000]) {
    it.effect(`CB-8 of the wall may step by ${step} ms and changes no decision`, () => {
      const { provide: provideClock, times } = twoTimes()
      return Effect.gen(function*() {
        const trip = CircuitBreaker.failureRate({ window: "30 seconds", minimumCalls: 2 })
        const breaker = yield* make({ trip })
        yield* failing(breaker, 1)
        times.wall += step
        times.monotonic += 1_000
        yield* failing(breaker, 1)
        assert.strictEqual(yield* breaker.state(), "Open")
        times.wall += step
        times.monotonic += 9_999
        assert.deepStrictEqual(rejected(yield* (yield* start(breaker)).exit).retryAfter, Duration.millis(1))
        times.wall -= 3 * step
        times.monotonic += 1
        assert.isTrue(yield* isLetThrough(breaker))
        assert.strictEqual(yield* breaker.state(), "Closed")
      }).pipe(provideClock, Effect.scoped, provide)
    })
  }
})

describe("what counts", () => {
  const counted: ReadonlyArray<readonly [name: string, error: unknown, trips: boolean]> = [
    [
      "a rejection by a breaker",
      new CircuitBreaker.CircuitOpen({ name: "a", key: "b", retryAfter: Duration.seconds(1), state: "Open" }),
      false
    ],
    [
      "a deadline that had passed before the call",
      new Deadline.DeadlineExceeded({ budget: Duration.seconds(1), elapsed: Duration.zero, scope: "total" }),
      false
    ],
    [
      "a deadline that cut the call",
      new Deadline.DeadlineExceeded({ budget: Duration.seconds(1), elapsed: Duration.seconds(1), scope: "attempt" }),
      true
    ],
    ["kind RateLimited", fault("RateLimited"), false],
    ["kind Cancelled", fault("Cancelled"), false],
    ["kind Transient", fault("Transient"), true],
    ["kind Overloaded", fault("Overloaded"), true],
    ["kind Timeout", fault("Timeout"), true],
    ["kind Permanent of the dependency", fault("Permanent"), true],
    ["kind Critical", fault("Critical"), true],
    ["an error that no rule knows", new Error("what?"), true],
    [
      "a rejection by any of our policies",
      { [Failure.symbol]: () => ({ kind: "Overloaded", scope: "request", message: "full" }) },
      false
    ]
  ]
  for (const [name, error, trips] of counted) {
    it.effect(`CB-10 ${name} ${trips ? "counts" : "is no failure of the dependency"}`, () =>
      Effect.gen(function*() {
        const breaker = yield* make()
        yield* Effect.exit(breaker.protect(Effect.fail(error)))
        assert.strictEqual(yield* breaker.state(), trips ? "Open" : "Closed")
      }).pipe(provide))
  }

  it.effect("CB-10 a nested breaker that is open does not open the outer one", () =>
    Effect.gen(function*() {
      const inner = yield* make({ name: "inner" })
      const outer = yield* make({ name: "outer" })
      yield* inner.forceOpen()
      yield* Effect.exit(outer.protect(inner.protect(Effect.void)))
      assert.strictEqual(yield* outer.state(), "Closed")
    }).pipe(provide))

  it.effect("a defect counts, an interruption does not, whatever a classifier would say", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ classify: () => CircuitBreaker.failure() })
      yield* (yield* start(breaker)).interrupt
      assert.strictEqual(yield* breaker.state(), "Closed")
      yield* Effect.exit(breaker.protect(Effect.interrupt))
      assert.strictEqual(yield* breaker.state(), "Closed")
      const strict = yield* make({ name: "strict" })
      yield* Effect.exit(strict.protect(Effect.die("oh")))
      assert.strictEqual(yield* strict.state(), "Open")
    }).pipe(provide))

  it.effect("a call's classifier is asked in place of the breaker's", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ classify: () => CircuitBreaker.failure() })
      yield* breaker.protect(Effect.succeed(1), { key: "own", classify: () => CircuitBreaker.ignored })
      yield* breaker.protect(Effect.succeed(1), { key: "breaker's" })
      assert.strictEqual(yield* breaker.state("own"), "Closed")
      assert.strictEqual(yield* breaker.state("breaker's"), "Open")
    }).pipe(provide))

  for (const ending of ["succeeds", "fails"] as const) {
    it.effect(`CB-11 a classifier that throws frees the probe of a call that ${ending}, and is heard of`, () =>
      Effect.gen(function*() {
        const breaker = yield* openedBefore()
        const probe = yield* start(breaker, {
          classify: () => {
            throw new Error("classifier")
          }
        })
        assert.isTrue(probe.ran)
        const exit = yield* ending === "succeeds" ? probe.succeed : probe.fail()
        assert.isTrue(
          Exit.isFailure(exit) &&
            exit.cause.reasons.some((reason) =>
              Cause.isDieReason(reason) && (reason.defect as Error).message === "classifier"
            )
        )
        const { inFlight, probing, state } = yield* breaker.metrics()
        assert.deepStrictEqual({ inFlight, probing, state }, { inFlight: 0, probing: 0, state: "HalfOpen" })
        assert.isTrue(yield* isLetThrough(breaker))
      }).pipe(provide))
  }
})

describe("how long it stays open", () => {
  const openTimes = (options: Partial<CircuitBreaker.Options>, times: number) =>
    Effect.gen(function*() {
      const breaker = yield* make(options)
      const waits: Array<number> = []
      for (let i = 0; i < times; i++) {
        yield* failing(breaker, 1)
        const { retryAfter } = yield* breaker.metrics()
        waits.push(retryAfter)
        yield* TestClock.adjust(retryAfter)
      }
      return waits
    })

  it.effect("follows its schedule, and repeats its last delay", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* openTimes({ openFor: Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 3 })) }, 5),
        [1_000, 2_000, 4_000, 4_000, 4_000]
      )
      assert.deepStrictEqual(
        yield* openTimes({ name: "capped", openFor: Schedule.exponential("1 second"), maxOpenFor: "3 seconds" }, 4),
        [1_000, 2_000, 3_000, 3_000]
      )
    }).pipe(provide))

  it.effect("begins anew once the circuit stayed closed for as long as it was open", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ openFor: Schedule.exponential("1 second") })
      yield* failing(breaker, 1)
      yield* TestClock.adjust("1 second")
      yield* failing(breaker, 1)
      yield* TestClock.adjust("2 seconds")
      yield* succeeding(breaker, 1)
      yield* TestClock.adjust("1999 millis")
      yield* failing(breaker, 1)
      assert.strictEqual((yield* breaker.metrics()).openings, 3)
      yield* TestClock.adjust("4 seconds")
      yield* succeeding(breaker, 1)
      yield* TestClock.adjust("4 seconds")
      yield* failing(breaker, 1)
      const { openings, retryAfter } = yield* breaker.metrics()
      assert.deepStrictEqual({ openings, retryAfter }, { openings: 1, retryAfter: 1_000 })
    }).pipe(provide))

  it.effect("may be longer than the default cap, which then is as long", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ openFor: "2 hours" })
      yield* failing(breaker, 1, { error: fault("Overloaded", "1 day") })
      assert.strictEqual((yield* breaker.metrics()).retryAfter, 7_200_000)
    }).pipe(provide))

  it.effect("is told rounded up to a millisecond, so that who waits as long is not early", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ openFor: Duration.nanos(1_500_000n) })
      yield* failing(breaker, 1)
      const { retryAfter } = rejected(yield* (yield* start(breaker)).exit)
      assert.deepStrictEqual(retryAfter, Duration.millis(2))
    }).pipe(provide))

  it.effect("is lengthened by what the dependency asks for, up to the cap, and never shortened", () =>
    Effect.gen(function*() {
      for (const [asked, expected] of [["1 second", 10_000], ["20 seconds", 20_000], ["1 hour", 60_000]] as const) {
        const breaker = yield* make({ name: asked, maxOpenFor: "1 minute" })
        yield* failing(breaker, 1, { error: fault("Overloaded", asked) })
        assert.strictEqual((yield* breaker.metrics()).retryAfter, expected)
      }
    }).pipe(provide))
})
