import * as Deadline from "effect-resilience/Deadline"
import * as Retry from "effect-resilience/Retry"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { describe, expect, test } from "tstyche"

class Busy extends Data.TaggedError("Busy")<{ readonly queue: number }> {}
class Lost extends Data.TaggedError("Lost")<{ readonly line: string }> {}
class Odd extends Data.TaggedError("Odd")<{}> {}
class Weather extends Context.Service<Weather, { readonly calm: Effect.Effect<boolean> }>()("Weather") {}

const busy: Effect.Effect<number, Busy> = Effect.fail(new Busy({ queue: 1 }))
const either: Effect.Effect<number, Busy | Lost> = Effect.fail(new Lost({ line: "a" }))

/** Understands `Busy` and nothing else. */
const whileShort = Schedule.recurs(5).pipe(
  Schedule.setInputType<Busy>(),
  Schedule.while(({ input }) => Effect.succeed(input.queue < 10))
)

describe("a policy's Input", () => {
  test("a back-off understands every error", () => {
    expect(Retry.backoff({ base: "1 second" })).type.toBe<Schedule.Schedule<Duration.Duration>>()
  })

  test("byKind understands what all of its schedules understand", () => {
    expect(Retry.byKind({ Transient: Schedule.recurs(1) })).type.toBe<Schedule.Schedule<Duration.Duration>>()
    expect(Retry.byKind({ Transient: whileShort, Timeout: Schedule.recurs(1) })).type.toBe<
      Schedule.Schedule<Duration.Duration, Busy>
    >()
  })

  test("a policy for one error does not fit a call that may fail with another", () => {
    const policy = Retry.byKind({ Transient: whileShort })
    expect(Retry.retry).type.toBeCallableWith(busy, policy)
    expect(Retry.retry).type.not.toBeCallableWith(either, policy)
  })

  test("only kinds that a retry can mend have a schedule", () => {
    expect(Retry.byKind).type.not.toBeCallableWith({ Permanent: Schedule.recurs(1) })
    expect(Retry.byKind).type.not.toBeCallableWith({ Cancelled: Schedule.recurs(1) })
  })
})

describe("a policy's Env", () => {
  test("is what its parts draw on", () => {
    expect(Retry.withBudget(Retry.backoff({ base: "1 second" }))).type.toBe<
      Schedule.Schedule<Duration.Duration, unknown, never, RetryBudget.RetryBudget>
    >()
    const calm = Schedule.recurs(1).pipe(Schedule.while(() => Effect.flatMap(Weather, (weather) => weather.calm)))
    expect(Retry.byKind({ Transient: calm, Timeout: Schedule.recurs(1) })).type.toBe<
      Schedule.Schedule<Duration.Duration, unknown, never, Weather>
    >()
    expect(Retry.standard).type.toBe<
      Schedule.Schedule<Duration.Duration, unknown, never, RetryBudget.RetryBudget>
    >()
  })

  test("becomes the call's, and leaving it out does not compile", () => {
    const call = Retry.retry(busy, Retry.standard)
    expect(call).type.toBe<Effect.Effect<number, Busy, RetryBudget.RetryBudget>>()
    expect(Effect.runPromise).type.not.toBeCallableWith(call)
    expect(Effect.runPromise).type.toBeCallableWith(Effect.provide(call, RetryBudget.layer()))
  })

  test("a deadline needs no service", () => {
    expect(Retry.withinDeadline(Retry.backoff({ base: "1 second" }))).type.toBe<Schedule.Schedule<Duration.Duration>>()
  })
})

describe("a policy's Error", () => {
  test("joins the call's", () => {
    const odd = Schedule.recurs(1).pipe(Schedule.while(() => Effect.fail(new Odd())))
    expect(Retry.retry(busy, odd)).type.toBe<Effect.Effect<number, Busy | Odd>>()
    expect(Retry.retry(busy, Retry.byKind({ Transient: odd }))).type.toBe<Effect.Effect<number, Busy | Odd>>()
  })
})

describe("Retry.retry", () => {
  test("keeps the call's errors, data first and data last", () => {
    const policy = Retry.backoff({ base: "1 second" })
    expect(Retry.retry(either, policy)).type.toBe<Effect.Effect<number, Busy | Lost>>()
    expect(either.pipe(Retry.retry(policy))).type.toBe<Effect.Effect<number, Busy | Lost>>()
    expect(either.pipe(Retry.retry(policy, { name: "named" }))).type.toBe<Effect.Effect<number, Busy | Lost>>()
  })
})

describe("Deadline", () => {
  test("adds its error to the call's", () => {
    expect(Deadline.within(busy, "1 second")).type.toBe<Effect.Effect<number, Busy | Deadline.DeadlineExceeded>>()
    expect(busy.pipe(Deadline.attempt("1 second"))).type.toBe<
      Effect.Effect<number, Busy | Deadline.DeadlineExceeded>
    >()
  })
})
