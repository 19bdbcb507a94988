import { assert, describe, it } from "@effect/vitest"
import * as Deadline from "effect-resilience/Deadline"
import * as Failure from "effect-resilience/Failure"
import * as Signal from "effect-resilience/Signal"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/testing/TestClock"

const exceeded = (scope: "attempt" | "total", budget: Duration.Input, elapsed: Duration.Input = budget) =>
  Exit.fail(
    new Deadline.DeadlineExceeded({
      scope,
      budget: Duration.fromInputUnsafe(budget),
      elapsed: Duration.fromInputUnsafe(elapsed)
    })
  )

/** The exit of an effect after this much virtual time, which must be enough. */
const after = (time: Duration.Input) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(self)
    yield* TestClock.adjust(time)
    const exit = fiber.pollUnsafe()
    assert.isDefined(exit, "still running")
    return exit!
  })

const millisLeft = Effect.map(Deadline.remaining, Option.map(Duration.toMillis))

describe("Deadline", () => {
  it.effect("leaves what ends in time alone", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.succeed("done").pipe(
        Effect.delay("1 second"),
        Deadline.within("2 seconds"),
        after("1 second")
      )
      assert.deepStrictEqual(exit, Exit.succeed("done"))
      assert.deepStrictEqual(yield* Effect.exit(Deadline.within(Effect.fail("no"), "1 second")), Exit.fail("no"))
    }))

  it.effect("cuts what does not, and says what it was given", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* Effect.never.pipe(Deadline.within("2 seconds"), after("2 seconds")),
        exceeded("total", "2 seconds")
      )
      assert.deepStrictEqual(
        yield* Effect.never.pipe(Deadline.attempt("2 seconds"), after("2 seconds")),
        exceeded("attempt", "2 seconds")
      )
    }))

  it.effect("RT-6 the caller hears of it when the work has stopped", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const work = Effect.never.pipe(
        Effect.onInterrupt(() => Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => log.push("stopped"))))
      )
      yield* work.pipe(
        Deadline.within("2 seconds"),
        Effect.ensuring(Effect.sync(() => log.push("heard"))),
        after("3 seconds")
      )
      assert.deepStrictEqual(log, ["stopped", "heard"])
    }))

  it.effect("RT-7 nested deadlines shrink and never grow", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        yield* millisLeft.pipe(Deadline.within("1 minute"), Deadline.within("2 seconds")),
        Option.some(2_000)
      )
      assert.deepStrictEqual(
        yield* millisLeft.pipe(Deadline.within("2 seconds"), Deadline.within("1 minute")),
        Option.some(2_000)
      )
      assert.deepStrictEqual(
        yield* Effect.never.pipe(Deadline.attempt("1 minute"), Deadline.within("2 seconds"), after("2 seconds")),
        exceeded("total", "2 seconds")
      )
    }))

  it.effect("RT-7 an outer deadline interrupts inner retries", () =>
    Effect.gen(function*() {
      let attempts = 0
      const exit = yield* Effect.sync(() => attempts++).pipe(
        Effect.andThen(Effect.never),
        Deadline.attempt("2 seconds"),
        Effect.retry(Schedule.spaced("1 second")),
        Deadline.within("10 seconds"),
        after("10 seconds")
      )
      assert.deepStrictEqual(exit, exceeded("total", "10 seconds"))
      assert.strictEqual(attempts, 4)
    }))

  it.effect("RT-7 what is left shrinks with time, down to zero", () =>
    Effect.gen(function*() {
      const seen = yield* Effect.gen(function*() {
        const first = yield* millisLeft
        yield* Effect.sleep("1500 millis")
        const second = yield* millisLeft
        yield* Effect.uninterruptible(Effect.sleep("10 seconds"))
        return [first, second]
      }).pipe(
        Effect.tap((seen) => Effect.map(millisLeft, (left) => seen.push(left))),
        Effect.uninterruptible,
        Deadline.within("2 seconds"),
        after("1 minute")
      )
      assert.deepStrictEqual(seen, exceeded("total", "2 seconds", "11500 millis"))
    }))

  it.effect("starts nothing when the deadline has passed before the call", () =>
    Effect.gen(function*() {
      let started = false
      const call = Deadline.within(Effect.sync(() => started = true), 0)
      const exit = yield* Effect.exit(call)
      assert.deepStrictEqual(exit, exceeded("total", 0))
      assert.isFalse(started)
      const info = yield* Failure.classify(exit)
      assert.deepInclude(info, { kind: "Timeout", scope: "request", code: "DeadlineExceeded" })
    }))

  it.effect("is a Timeout of the dependency when it was started", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.never.pipe(Deadline.within("2 seconds"), after("2 seconds"))
      assert.deepInclude(yield* Failure.classify(exit), { kind: "Timeout", scope: "dependency" })
    }))

  it.effect("a step of the wall clock moves no deadline", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(
        Deadline.within(Effect.andThen(Effect.sleep("1 second"), millisLeft), "1 hour")
      )
      yield* TestClock.adjust("1 second")
      yield* TestClock.setTime(0)
      assert.deepStrictEqual(yield* Fiber.join(fiber), Option.some(3_599_000))
    }))

  it.effect("an endless deadline is none", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Deadline.within(millisLeft, Infinity), Option.none())
    }))

  it.effect("tells once that it passed", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      yield* Effect.never.pipe(
        Deadline.attempt("1 minute"),
        Deadline.within("2 seconds"),
        Effect.provide(Signal.layer((signal) => heard.push(signal))),
        after("2 seconds")
      )
      assert.deepStrictEqual(heard, [
        { _tag: "DeadlinePassed", scope: "total", budget: Duration.seconds(2), elapsed: Duration.seconds(2) }
      ])
    }))

  it.each([-1, NaN, "soon"])("refuses a duration of %s", (duration) => {
    assert.throws(() => Deadline.within(Effect.void, duration as Duration.Input), RangeError, /^duration must be/)
  })
})

describe("Deadline over HTTP headers", () => {
  it.effect("RT-7 crosses, and only shrinks", () =>
    Effect.gen(function*() {
      const sent = yield* Deadline.header.pipe(Deadline.within("2500 millis"))
      assert.deepStrictEqual(sent, { "x-request-timeout-ms": "2500" })
      const serve = (cap: Duration.Input) => Deadline.withinHeaders(millisLeft, sent, { cap })
      assert.deepStrictEqual(yield* serve("1 minute"), Option.some(2_500))
      assert.deepStrictEqual(yield* serve("1 second"), Option.some(1_000))
    }))

  it.effect("without a deadline there is no header, and without a header the cap holds", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* Deadline.header, {})
      assert.deepStrictEqual(yield* Deadline.withinHeaders(millisLeft, {}, { cap: "1 second" }), Option.some(1_000))
    }))

  it.each(["", " ", "-1", "1.5", "1e9", "NaN", "Infinity", "0x10", "9".repeat(16), "5;DROP", "５"])(
    "ignores the header %j",
    (value) => {
      assert.deepStrictEqual(Deadline.fromHeaders({ [Deadline.headerName]: value }), Option.none())
    }
  )
})
