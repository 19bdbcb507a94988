/** When a closed circuit opens: the trip policies, as tables. */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/testing/TestClock"
import { start } from "./support/circuits.ts"
import { fault } from "./support/faults.ts"

const { anyOf, calls, consecutive, failureRate, slowCallRate } = CircuitBreaker

/**
 * Runs calls that take no time, or as many seconds as `s` or `f` is repeated by its digit: `s` succeeds, `f` fails, `i` is
 * ignored, `.` lets a second pass. Gives the place, counted from 1, of the call that opened the circuit; 0 for none.
 */
const openedBy = (trip: CircuitBreaker.Trip, history: string) =>
  Effect.gen(function*() {
    const breaker = yield* CircuitBreaker.make({ name: "test", trip })
    let place = 0
    for (const [, what, seconds] of history.matchAll(/([sfi.])(\d?)/g)) {
      if (what === ".") {
        yield* TestClock.adjust("1 second")
        continue
      }
      place++
      const call = yield* start(breaker)
      if (seconds !== "") yield* TestClock.adjust(Number(seconds) * 1000)
      yield* what === "s" ? call.succeed : call.fail(fault(what === "f" ? "Transient" : "RateLimited"))
      if ((yield* breaker.state()) === "Open") return place
    }
    return 0
  }).pipe(Effect.scoped, Effect.provide(CircuitBreaker.layerStoreMemory))

const table = (
  rows: ReadonlyArray<readonly [trip: CircuitBreaker.Trip, name: string, history: string, opened: number]>
) => {
  for (const [trip, name, history, opened] of rows) {
    it.effect(`${name}: ${history} ${opened === 0 ? "does not trip" : `trips at ${opened}`}`, () =>
      Effect.gen(function*() {
        assert.strictEqual(yield* openedBy(trip, history), opened)
      }))
  }
}

const inCalls = (threshold: number, window: number, minimumCalls: number) =>
  failureRate({ threshold, window: calls(window), minimumCalls })

describe("failures in a row", () => {
  table([
    [consecutive(1), "one", "sf", 2],
    [consecutive(3), "three", "ffsfff", 6],
    [consecutive(3), "three", "ffsffsff", 0],
    [consecutive(3), "three", "ffiif", 5]
  ])
})

describe("CB-9 the rate of failures", () => {
  table([
    [inCalls(0.5, 10, 4), "50 % of 10 from 4 on", "ssff", 4],
    [inCalls(0.5, 10, 4), "50 % of 10 from 4 on", "fff", 0],
    [inCalls(0.5, 10, 4), "50 % of 10 from 4 on", "fffs", 4],
    [inCalls(0.5, 10, 4), "50 % of 10 from 4 on", "sssssffff", 0],
    [inCalls(0.5, 10, 4), "50 % of 10 from 4 on", "sssssfffff", 10],
    [inCalls(0, 10, 4), "0 % of 10 from 4 on", "ssssssss", 0],
    [inCalls(0, 10, 4), "0 % of 10 from 4 on", "sssssf", 6],
    [inCalls(0, 10, 4), "0 % of 10 from 4 on", "fsss", 4],
    [inCalls(1, 4, 4), "100 % of 4 from 4 on", "fffsffff", 8],
    [inCalls(1, 4, 4), "100 % of 4 from 4 on", "ffff", 4],
    [inCalls(1, 4, 1), "100 % of 4 from 1 on", "f", 1],
    [inCalls(1, 4, 1), "100 % of 4 from 1 on", "sfff", 0],
    [inCalls(0.7, 10, 10), "70 % of 10, which is no product of floats", "sssfffffff", 10],
    [inCalls(0.7, 10, 10), "70 % of 10, which is no product of floats", "ssssffffff", 0],
    [inCalls(0.3, 10, 10), "30 % of 10", "fffsssssss", 10],
    [inCalls(0.5, 1, 1), "a window of one call", "sssf", 4],
    [inCalls(0.5, 4, 2), "what is ignored takes no place", "siiiiif", 7],
    [failureRate({ window: calls(100) }), "the defaults", "ffffffffff", 10],
    [failureRate({ window: calls(100) }), "the defaults", "fffffffff", 0],
    [failureRate({ window: calls(3) }), "the default minimum of a small window", "fff", 3]
  ])
})

const inTime = failureRate({ threshold: 0.5, window: "10 seconds", minimumCalls: 4 })
const slowInTime = slowCallRate({ threshold: 0.5, slowerThan: "2 seconds", window: "20 seconds", minimumCalls: 2 })
const slowInCalls = slowCallRate({ threshold: 0.5, slowerThan: "2 seconds", window: calls(4), minimumCalls: 4 })

describe("CB-12 windows of time, in parts of a second", () => {
  table([
    [inTime, "half of 10 s, from 4 calls on", "ssff", 4],
    [inTime, "half of 10 s, from 4 calls on", "ss.ff", 4],
    [inTime, "the first second leaves after 10 s", "ss.........ff", 4],
    [inTime, "the first second leaves after 10 s", "ss..........ff", 0],
    [inTime, "the first second leaves after 10 s", "ss..........ffff", 6],
    [inTime, "failures leave, too", "ff..........ssf", 0],
    [inTime, "a part at a time", "f.f.f.......s.s", 4],
    [inTime, "a part at a time", "f.f.f........s", 0],
    [inTime, "a long silence clears it", "fff..............................f", 0]
  ])
})

describe("CB-12 slow calls", () => {
  table([
    [slowInCalls, "slower than 2 s, half of 4", "s3s3s1s1", 4],
    [slowInCalls, "exactly 2 s is not slow", "s2s2s2s2", 0],
    [slowInCalls, "a failure counts by its time", "f1f1f1f1", 0],
    [slowInCalls, "a failure counts by its time", "f3f3s1s1", 4],
    [slowInCalls, "the window slides", "s3s1s1s1s1s3s1s1", 0],
    [slowInCalls, "the window slides", "s3s1s1s1s1s3s1s3", 8],
    [slowInTime, "slower than 2 s, half of 20 s", "s3s1", 2],
    [slowInTime, "slower than 2 s, half of 20 s", "s1s1s3", 0],
    [slowInTime, "what left the window is forgotten", "s1s1s1....................s3s1", 5],
    [anyOf(consecutive(3), slowInCalls), "either", "fff", 3],
    [anyOf(consecutive(3), slowInCalls), "either", "s3s3s1s1", 4],
    [anyOf(consecutive(3), anyOf(slowInCalls, inCalls(0.5, 4, 4))), "any of three", "fssf", 4]
  ])
})

describe("options out of their range", () => {
  const make = (options: Partial<CircuitBreaker.Options>) => () =>
    CircuitBreaker.make({ name: "test", trip: consecutive(1), ...options })
  it.each<readonly [() => unknown, RegExp]>([
    [() => consecutive(0), /^failures must be a positive integer, got 0$/],
    [() => consecutive(1.5), /^failures must be/],
    [() => calls(0), /^calls must be a positive integer, got 0$/],
    [() => failureRate({ threshold: 1.1, window: calls(5) }), /^threshold must be a number from 0 to 1, got 1.1$/],
    [() => failureRate({ threshold: NaN, window: calls(5) }), /^threshold must be/],
    [
      () => failureRate({ window: calls(5), minimumCalls: 6 }),
      /^minimumCalls must be at most the window's 5 calls, got 6$/
    ],
    [() => failureRate({ window: "0 seconds" }), /^window must be a finite duration above zero/],
    [
      () => slowCallRate({ threshold: 0.5, slowerThan: "soon" as never, window: calls(5) }),
      /^slowerThan must be a duration, got "soon"$/
    ],
    [make({ openFor: 0 }), /^openFor must be a duration above zero, got 0$/],
    [make({ openFor: "2 minutes", maxOpenFor: "1 minute" }), /^maxOpenFor must be at least openFor, got 60000 ms/],
    [make({ halfOpen: { probes: 0 } }), /^halfOpen.probes must be a positive integer, got 0$/],
    [make({ halfOpen: { required: 0 } }), /^halfOpen.required must be .*, got 0$/],
    [make({ halfOpen: { required: 1.5 } }), /^halfOpen.required must be .*, got 1.5$/],
    [make({ halfOpen: { deadline: -1 } }), /^halfOpen.deadline must be/],
    [make({ inFlight: { maxWhileUnhealthy: 0 } }), /^inFlight.maxWhileUnhealthy must be a positive integer, got 0$/],
    [make({ capacity: 0 }), /^capacity must be a positive integer, got 0$/],
    [make({ idleTimeToLive: 0 }), /^idleTimeToLive must be/]
  ])("throws a RangeError at once: %s", (thrower, message) => {
    assert.throws(thrower, RangeError, message)
  })

  it.effect("a schedule that gives nonsense is a defect", () =>
    Effect.gen(function*() {
      const defectOf = (options: Partial<CircuitBreaker.Options>) =>
        make(options)().pipe(Effect.scoped, Effect.catchDefect((defect) => Effect.succeed(String(defect))))
      assert.match(String(yield* defectOf({ openFor: Schedule.recurs(0) })), /openFor must be a schedule of at least/)
      const flat = Schedule.spaced("1 second").pipe(Schedule.map(() => Effect.succeed(0.5)))
      assert.match(String(yield* defectOf({ recovery: flat })), /recovery must end or reach 1 within 1000 steps/)
      const negative = Schedule.spaced("1 second").pipe(Schedule.map(() => Effect.succeed(-1)))
      assert.match(String(yield* defectOf({ recovery: Schedule.upTo(negative, { times: 2 }) })), /got -1/)
    }).pipe(Effect.provide(CircuitBreaker.layerStoreMemory)))
})
