import { assert, describe, it } from "@effect/vitest"
import * as Deadline from "effect-resilience/Deadline"
import * as Failure from "effect-resilience/Failure"
import * as Retry from "effect-resilience/Retry"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as Signal from "effect-resilience/Signal"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Backoff from "../src/internal/retry/backoff.ts"
import { failing, fault, finish } from "./support/faults.ts"

const between = (minimum: number, maximum: number) => Schema.Finite.check(Schema.isBetween({ minimum, maximum }))
const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** The waits that a policy chooses for these errors, in milliseconds, until it stops. */
const waitsFor = <Input>(policy: Schedule.Schedule<unknown, Input>, errors: ReadonlyArray<Input>) =>
  Effect.gen(function*() {
    const step = yield* Schedule.toStep(policy)
    const waits: Array<number> = []
    for (const error of errors) {
      const exit = yield* Effect.exit(step(0, error))
      if (Exit.isFailure(exit)) break
      waits.push(Duration.toMillis(exit.value[1]))
    }
    return waits
  })

const repeatOf = <A>(value: A, count: number): ReadonlyArray<A> => Array.from({ length: count }, () => value)

describe("Retry.backoff", () => {
  it.prop(
    "RT-1 is never negative, NaN or above cap at any attempt number",
    {
      attempt: integerBetween(1, Number.MAX_SAFE_INTEGER),
      baseMillis: between(Number.MIN_VALUE, Number.MAX_VALUE),
      factor: between(1, Number.MAX_VALUE),
      capMillis: between(Number.MIN_VALUE, Number.MAX_VALUE),
      previous: between(0, Number.MAX_VALUE),
      random: between(0, 0.999999999),
      jitter: Schema.Literals(["full", "equal", "decorrelated", "none"])
    },
    ({ attempt, previous, random, ...options }) => {
      const wait = Backoff.wait(options, attempt, previous, random)
      assert.isTrue(wait >= 0 && wait <= options.capMillis && Number.isFinite(wait), `got ${wait}`)
    },
    { arbitrary: { runs: 2_000 } }
  )

  it.effect("RT-1 stays at cap for ever", () =>
    Effect.gen(function*() {
      const policy = Retry.backoff({ base: "1 second", cap: "1 minute", jitter: "none" })
      const waits = yield* waitsFor(policy, repeatOf("an error", 2_000))
      assert.strictEqual(waits.length, 2_000)
      assert.deepStrictEqual(waits.slice(0, 7), [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000])
      assert.strictEqual(waits[1_999], 60_000)
    }))

  it.effect("spreads by its jitter", () =>
    Effect.gen(function*() {
      const ranges = {
        full: [0, 1_000],
        equal: [500, 1_000],
        decorrelated: [1_000, 3_000],
        none: [1_000, 1_000]
      } as const
      for (const jitter of ["full", "equal", "decorrelated", "none"] as const) {
        const policy = Retry.backoff({ base: "1 second", jitter })
        const [low, high] = ranges[jitter]
        const firsts: Array<number> = []
        for (let i = 0; i < 300; i++) firsts.push(...(yield* waitsFor(policy, ["an error"])))
        assert.isTrue(Math.min(...firsts) >= low && Math.max(...firsts) <= high, jitter)
        if (low < high) {
          assert.isTrue(Math.min(...firsts) < low + (high - low) * 0.1, `${jitter} reaches down`)
          assert.isTrue(Math.max(...firsts) > high - (high - low) * 0.1, `${jitter} reaches up`)
        }
      }
    }))

  it.effect("counts retries with times", () =>
    Effect.gen(function*() {
      const { effect, starts } = failing(...repeatOf("no", 10))
      const exit = yield* finish(Retry.retry(effect, Retry.backoff({ base: "1 second", times: 3 })))
      assert.deepStrictEqual(exit, Exit.fail("no"))
      assert.strictEqual(starts.length, 4)
    }))

  it.effect("begins no retry later than during after the first failure", () =>
    Effect.gen(function*() {
      const { effect, starts } = failing(...repeatOf("no", 10))
      yield* finish(Retry.retry(effect, Retry.backoff({ base: "1 second", jitter: "none", during: "7 seconds" })))
      assert.deepStrictEqual(starts, [0, 1_000, 3_000, 7_000])
    }))

  it.effect("starts afresh for each call", () =>
    Effect.gen(function*() {
      const policy = Retry.backoff({ base: "1 second", jitter: "none", times: 1 })
      const first = failing("no")
      const second = failing("no")
      yield* finish(Retry.retry(first.effect, policy))
      const began = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      yield* finish(Retry.retry(second.effect, policy))
      assert.deepStrictEqual(first.starts, [0, 1_000])
      assert.deepStrictEqual(second.starts, [began, began + 1_000])
    }))

  it.each([
    [{ base: 0 }, /^base must be a finite duration above zero, got 0$/],
    [{ base: "-1 seconds" }, /^base must be/],
    [{ base: "soon" }, /^base must be a duration, got "soon"$/],
    [{ base: Infinity }, /^base must be a finite duration above zero/],
    [{ base: 1, factor: 0.5 }, /^factor must be .*, got 0.5$/],
    [{ base: 1, factor: NaN }, /^factor must be .*, got NaN$/],
    [{ base: 1, cap: 0 }, /^cap must be/],
    [{ base: 1, times: 1.5 }, /^times must be an integer of at least 0, got 1.5$/],
    [{ base: 1, times: -1 }, /^times must be/]
  ])("refuses %o", (options, message) => {
    assert.throws(() => Retry.backoff(options as Retry.BackoffOptions), RangeError, message)
  })
})

describe("Retry.byKind", () => {
  it.effect("RT-4 does not retry what is left out, and follows each kind's own schedule", () =>
    Effect.gen(function*() {
      const policy = Retry.byKind({
        Transient: Retry.backoff({ base: "1 second", jitter: "none", times: 2 }),
        Timeout: Retry.backoff({ base: "1 minute", jitter: "none", times: 2 })
      })
      const { effect, starts } = failing(
        fault("Transient"),
        fault("Timeout"),
        fault("Transient"),
        fault("Timeout"),
        fault("Permanent"),
        fault("Transient")
      )
      const exit = yield* finish(Retry.retry(effect, policy))
      assert.deepStrictEqual(exit, Exit.fail(fault("Permanent")))
      assert.deepStrictEqual(starts, [0, 1_000, 61_000, 63_000, 183_000])
    }))

  it.effect("RT-4 stops when the schedule of that kind is used up", () =>
    Effect.gen(function*() {
      const policy = Retry.byKind({
        Transient: Schedule.recurs(1),
        Timeout: Schedule.recurs(5)
      })
      const { effect, starts } = failing(fault("Transient"), fault("Timeout"), fault("Transient"))
      const exit = yield* finish(Retry.retry(effect, policy))
      assert.deepStrictEqual(exit, Exit.fail(fault("Transient")))
      assert.strictEqual(starts.length, 3)
    }))

  it.effect("asks the program's classifier", () =>
    Effect.gen(function*() {
      const classifier = Failure.make(() => ({ kind: "Transient", scope: "dependency", message: "always" }))
      const { effect, starts } = failing("no", "no")
      yield* Retry.retry(effect, Retry.byKind({ Transient: Schedule.recurs(5) })).pipe(
        Effect.provide(Failure.layer(classifier))
      )
      assert.strictEqual(starts.length, 3)
    }))

  it.effect("an error of a schedule becomes an error of the call", () =>
    Effect.gen(function*() {
      const broken = Schedule.fromStep(Effect.succeed((_: number, __: unknown) => Effect.fail("the schedule broke")))
      const exit = yield* Effect.exit(Retry.retry(Effect.fail(fault("Transient")), Retry.byKind({ Transient: broken })))
      assert.deepStrictEqual(exit, Exit.fail("the schedule broke"))
    }))
})

describe("Retry.retry", () => {
  it.effect("RT-4 never retries a failure of kind Cancelled, whatever the policy", () =>
    Effect.gen(function*() {
      const { effect, starts } = failing(fault("Cancelled"))
      const exit = yield* finish(Retry.retry(effect, Schedule.recurs(5)))
      assert.deepStrictEqual(exit, Exit.fail(fault("Cancelled")))
      assert.strictEqual(starts.length, 1)
    }))

  it.effect("does not retry a defect or an interruption", () =>
    Effect.gen(function*() {
      let attempts = 0
      const count = Effect.sync(() => attempts++)
      const died = yield* Effect.exit(Retry.retry(Effect.andThen(count, Effect.die("bug")), Schedule.recurs(5)))
      const stopped = yield* Effect.exit(Retry.retry(Effect.andThen(count, Effect.interrupt), Schedule.recurs(5)))
      assert.isTrue(Exit.hasDies(died))
      assert.isTrue(Exit.isFailure(stopped) && Cause.hasInterruptsOnly(stopped.cause))
      assert.strictEqual(attempts, 2)
    }))

  it.effect("tells each retry and the end", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const { effect } = failing(fault("Transient"), fault("Timeout"))
      yield* finish(
        Retry.retry(effect, Retry.backoff({ base: "1 second", jitter: "none" }), { name: "quotes" }).pipe(
          Effect.provide(Signal.layer((signal) => heard.push(signal)))
        )
      )
      assert.deepStrictEqual(
        heard.map((signal) =>
          signal._tag === "RetryScheduled"
            ? [signal.name, signal.attempt, Duration.toMillis(signal.delay), signal.failure.kind]
            : signal._tag === "RetrySettled"
            ? [signal.name, signal.attempts, signal.outcome]
            : signal
        ),
        [
          ["quotes", 1, 1_000, "Transient"],
          ["quotes", 2, 2_000, "Timeout"],
          ["quotes", 3, "success"]
        ]
      )
    }))

  it.effect("runs data first and data last", () =>
    Effect.gen(function*() {
      const policy = Schedule.recurs(1)
      assert.strictEqual(yield* Retry.retry(failing("no").effect, policy), "done")
      assert.strictEqual(yield* failing("no").effect.pipe(Retry.retry(policy, { name: "named" })), "done")
    }))

  it.effect("gives each attempt the schedule's metadata, as Effect.retry does", () =>
    Effect.gen(function*() {
      const attempts: Array<number> = []
      const self = Effect.flatMap(Schedule.CurrentMetadata, ({ attempt }) => {
        attempts.push(attempt)
        return attempt < 2 ? Effect.fail("no") : Effect.succeed("done")
      })
      yield* Retry.retry(self, Schedule.recurs(5))
      assert.deepStrictEqual(attempts, [0, 1, 2])
    }))

  it.effect("RT-5 an interruption while it waits starts nothing more", () =>
    Effect.gen(function*() {
      const { effect, starts } = failing(...repeatOf("no", 10))
      const fiber = yield* Effect.forkChild(Retry.retry(effect, Retry.backoff({ base: "1 second", jitter: "none" })))
      yield* TestClock.adjust("1500 millis")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(starts.length, 2)
    }))
})

describe("Retry.respectRetryAfter", () => {
  it.effect("RT-1 never waits less than asked, and spreads upward only", () =>
    Effect.gen(function*() {
      const policy = Retry.backoff({ base: "1 second" }).pipe(Retry.respectRetryAfter({ cap: "1 minute" }))
      const waits: Array<number> = []
      for (let i = 0; i < 300; i++) waits.push(...(yield* waitsFor(policy, [fault("RateLimited", "10 seconds")])))
      assert.isTrue(Math.min(...waits) >= 10_000)
      assert.isTrue(Math.max(...waits) <= 11_000)
      assert.isTrue(new Set(waits).size > 250, "callers who were refused together come back apart")
    }))

  it.effect("leaves a longer wait alone", () =>
    Effect.gen(function*() {
      const policy = Retry.backoff({ base: "30 seconds", jitter: "none" }).pipe(
        Retry.respectRetryAfter({ cap: "1 minute" })
      )
      assert.deepStrictEqual(yield* waitsFor(policy, [fault("RateLimited", "1 second")]), [30_000])
    }))

  it.effect("stops where the dependency asks for more than cap", () =>
    Effect.gen(function*() {
      const policy = Schedule.recurs(5).pipe(Retry.respectRetryAfter({ cap: "1 minute" }))
      assert.deepStrictEqual(yield* waitsFor(policy, [fault("RateLimited", "61 seconds")]), [])
      assert.deepStrictEqual(yield* waitsFor(policy, [fault("RateLimited", "60 seconds")]), [60_000])
    }))

  it("refuses a cap that is none", () => {
    assert.throws(() => Retry.respectRetryAfter(Schedule.forever, { cap: NaN }), RangeError, /^cap must be/)
  })
})

describe("Retry.withinDeadline", () => {
  it.effect("RT-7 stops at once where the wait cannot fit, with the error of the call", () =>
    Effect.gen(function*() {
      const { effect, starts } = failing(...repeatOf("no", 10))
      const policy = Retry.backoff({ base: "1 second", jitter: "none" }).pipe(Retry.withinDeadline)
      const fiber = yield* Effect.forkChild(Retry.retry(effect, policy).pipe(Deadline.within("6 seconds")))
      yield* TestClock.adjust("3 seconds")
      const exit = yield* Fiber.await(fiber)
      assert.deepStrictEqual(exit, Exit.fail("no"))
      assert.deepStrictEqual(starts, [0, 1_000, 3_000])
    }))

  it.effect("changes nothing without a deadline", () =>
    Effect.gen(function*() {
      const policy = Retry.backoff({ base: "1 second", jitter: "none", times: 2 })
      assert.deepStrictEqual(yield* waitsFor(Retry.withinDeadline(policy), [1, 2, 3]), [1_000, 2_000])
    }))
})

describe("Retry.standard", () => {
  const run = <E>(...errors: ReadonlyArray<E>) => {
    const { effect, starts } = failing(...errors)
    return Effect.map(
      Effect.provide(finish(Retry.retry(effect, Retry.standard)), RetryBudget.layer()),
      (exit) => ({ exit, attempts: starts.length })
    )
  }

  it.effect("makes three attempts, over all kinds together", () =>
    Effect.gen(function*() {
      const faults = [fault("Transient"), fault("Overloaded"), fault("Timeout"), fault("RateLimited")]
      const { attempts, exit } = yield* run(...faults)
      assert.deepStrictEqual(exit, Exit.fail(fault("Timeout")))
      assert.strictEqual(attempts, 3)
    }))

  it.effect("RT-4 does not retry what no retry can mend", () =>
    Effect.gen(function*() {
      for (const kind of ["Permanent", "Critical", "Cancelled"] as const) {
        const { attempts, exit } = yield* run(fault(kind), fault(kind))
        assert.deepStrictEqual(exit, Exit.fail(fault(kind)))
        assert.strictEqual(attempts, 1)
      }
      assert.strictEqual((yield* run(new Error("unknown"))).attempts, 1)
    }))

  it.effect("gives up on a Retry-After beyond 30 seconds", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* run(fault("RateLimited", "31 seconds"))).attempts, 1)
      assert.strictEqual((yield* run(fault("RateLimited", "30 seconds"))).attempts, 2)
    }))
})
