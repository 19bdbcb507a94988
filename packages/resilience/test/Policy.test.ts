import { assert, describe, it } from "@effect/vitest"
import * as Bulkhead from "effect-resilience/Bulkhead"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Deadline from "effect-resilience/Deadline"
import * as Failure from "effect-resilience/Failure"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Policy from "effect-resilience/Policy"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as ResponseCache from "effect-resilience/ResponseCache"
import * as Retry from "effect-resilience/Retry"
import * as RetryBudget from "effect-resilience/RetryBudget"
import * as Signal from "effect-resilience/Signal"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"

class Glitch extends Data.TaggedError("Glitch")<{ readonly attempt: number }> {
  [Failure.symbol](): Failure.Info {
    return { kind: "Transient", scope: "dependency", message: "a glitch" }
  }
}

const services = Layer.mergeAll(
  CircuitBreaker.layerStoreMemory,
  Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory()),
  ResponseCache.layerStoreMemory,
  DeadLetterQueue.layerStoreMemory
)

const forkNow = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** Runs it to its end in virtual time; an open circuit stays open meanwhile. */
const finished = <A, E, R>(self: Effect.Effect<A, E, R>, time: Duration.Input = "14 seconds") =>
  Effect.gen(function*() {
    const fiber = yield* forkNow(self)
    yield* TestClock.adjust(time)
    return yield* Fiber.await(fiber)
  })

const failing = () => {
  const seen = { attempts: 0 }
  return { seen, call: Effect.suspend(() => Effect.fail(new Glitch({ attempt: ++seen.attempts }))) }
}

const twice = Retry.backoff({ base: "1 second", jitter: "none", times: 2 })

const failureOf = <A, E>(exit: Exit.Exit<A, E>): E => {
  if (Exit.isSuccess(exit)) throw new Error(`succeeded with ${String(exit.value)}`)
  return Cause.findErrorOption(exit.cause).pipe((error) => {
    if (error._tag === "None") throw new Error(Cause.pretty(exit.cause))
    return error.value
  })
}

describe("Policy.make", () => {
  it.effect("without anything given runs calls as they are, and says so", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({ name: "empty" })
      assert.deepStrictEqual(yield* Effect.exit(policy.run(Effect.succeed(1))), Exit.succeed(1))
      assert.deepStrictEqual(yield* Effect.exit(policy.run(Effect.fail("no"))), Exit.fail("no"))
      assert.deepStrictEqual(policy.lint.map(({ code }) => code), ["Empty"])
      assert.strictEqual(policy.explain, "Policy \"empty\", from the outside in:\n1. the call")
    }))

  it("refuses options out of their range at once, naming option and value", () => {
    assert.throws(() => Policy.make({ name: "" }), RangeError, "name must not be empty")
    assert.throws(() => Policy.make({ name: "a", deadline: 0 }), RangeError, "deadline.total")
    assert.throws(() => Policy.make({ name: "a", deadline: { attempt: NaN } }), RangeError, "deadline.attempt")
    assert.throws(() => Policy.make({ name: "a", deadline: { call: -1 } }), RangeError, "deadline.call")
    assert.throws(() => Policy.make({ name: "a", bulkhead: { limit: 0 } }), RangeError, "limit must be")
    assert.throws(() => Policy.make({ name: "a", limit: [] }), RangeError, "rules of policy \"a\" must not be empty")
    assert.throws(() => Policy.make({ name: "a", hedge: { delay: 1, max: 0 } }), RangeError, "max must be")
    assert.throws(
      () => Policy.make({ name: "a", breaker: { trip: CircuitBreaker.consecutive(1), capacity: 0 } }),
      RangeError,
      "capacity must be"
    )
  })

  it.effect("the deadline cuts the retries", () =>
    Effect.gen(function*() {
      const { call, seen } = failing()
      const policy = yield* Policy.make({
        name: "a",
        deadline: "3500 millis",
        retry: Schedule.spaced("1 second")
      })
      const started = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      const fiber = yield* forkNow(policy.run(Effect.delay(call, "400 millis")))
      yield* TestClock.adjust("1 minute")
      // Attempts end at 0.4, 1.8 and 3.2 seconds; the next would begin at 4.2.
      assert.deepStrictEqual(failureOf(yield* Fiber.await(fiber)), new Glitch({ attempt: 3 }))
      assert.strictEqual(seen.attempts, 3)
      assert.strictEqual(started, 0)

      const hang = yield* finished(policy.run(Effect.never))
      const error = failureOf(hang)
      assert.isTrue(Deadline.isDeadlineExceeded(error) && error.scope === "total")
    }))

  it.effect("the breaker counts one outcome for a call, however many its attempts", () =>
    Effect.gen(function*() {
      const { call, seen } = failing()
      const policy = yield* Policy.make({
        name: "a",
        retry: twice,
        breaker: { trip: CircuitBreaker.consecutive(2) }
      })
      assert.isTrue(Exit.isFailure(yield* finished(policy.run(call))))
      assert.strictEqual(seen.attempts, 3)
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state()), "Closed")
      assert.isTrue(Exit.isFailure(yield* finished(policy.run(call))))
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state()), "Open")
      const refused = failureOf(yield* Effect.exit(policy.run(call)))
      assert.isTrue(CircuitBreaker.isCircuitOpen(refused))
      // Refused calls are not retried.
      assert.strictEqual(seen.attempts, 6)
    }).pipe(Effect.provide(services)))

  it.effect("a call that hangs is a failure to the breaker, though its total time is all that is given", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({
        name: "a",
        deadline: "10 seconds",
        breaker: { trip: CircuitBreaker.consecutive(1) }
      })
      const error = failureOf(yield* finished(policy.run(Effect.never)))
      assert.isTrue(Deadline.isDeadlineExceeded(error) && Duration.toMillis(error.budget) === 9000)
      assert.isTrue(CircuitBreaker.isCircuitOpen(failureOf(yield* Effect.exit(policy.run(Effect.void)))))
    }).pipe(Effect.provide(services)))

  it.effect("refusals of a limit and of a bulkhead are no failures of the dependency", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({
        name: "a",
        limit: RateLimiter.fixedWindow({ limit: 2, window: "1 minute" }),
        breaker: { trip: CircuitBreaker.consecutive(1) },
        bulkhead: { limit: 1 }
      })
      const running = yield* forkNow(policy.run(Effect.never))
      assert.isTrue(Bulkhead.isBulkheadRejected(failureOf(yield* Effect.exit(policy.run(Effect.void)))))
      assert.isTrue(RateLimiter.isRateLimited(failureOf(yield* Effect.exit(policy.run(Effect.void)))))
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state()), "Closed")
      yield* Fiber.interrupt(running)
      assert.strictEqual((yield* policy.bulkhead()!.state).inFlight, 0)
    }).pipe(Effect.provide(services)))

  it.effect("a call takes once of its limit, and its place while it waits for a retry", () =>
    Effect.gen(function*() {
      const { call, seen } = failing()
      const policy = yield* Policy.make({
        name: "a",
        limit: RateLimiter.fixedWindow({ limit: 1, window: "1 hour" }),
        bulkhead: { limit: 1 },
        retry: twice
      })
      const fiber = yield* forkNow(policy.run(call))
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(seen.attempts, 1)
      assert.strictEqual((yield* policy.bulkhead()!.state).inFlight, 1)
      yield* TestClock.adjust("1 minute")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      assert.strictEqual(seen.attempts, 3)
    }).pipe(Effect.provide(services)))

  it.effect("the deadline bounds the waiting for a place, which the breaker hears nothing of", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({
        name: "a",
        deadline: { total: "2 seconds", call: "1 hour" },
        breaker: { trip: CircuitBreaker.consecutive(1) },
        bulkhead: { limit: 1, queue: 5 }
      })
      const first = yield* forkNow(policy.bulkhead()!.run(Effect.never))
      const error = failureOf(yield* finished(policy.run(Effect.void)))
      assert.isTrue(Deadline.isDeadlineExceeded(error))
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state()), "Closed")
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(yield* policy.bulkhead()!.state, { limit: 1, inFlight: 0, queue: 5, queued: 0 })
    }).pipe(Effect.provide(services)))

  it.effect("an attempt that hangs leaves time for another", () =>
    Effect.gen(function*() {
      let attempts = 0
      const policy = yield* Policy.make({
        name: "a",
        deadline: { total: "10 seconds", attempt: "2 seconds" },
        retry: Retry.byKind({ Timeout: Retry.backoff({ base: "1 second", jitter: "none", times: 3 }) })
      })
      const call = Effect.suspend(() => ++attempts < 3 ? Effect.never : Effect.succeed(attempts))
      assert.deepStrictEqual(yield* finished(policy.run(call)), Exit.succeed(3))
    }))

  it.effect("what may not be done twice is neither retried nor hedged", () =>
    Effect.gen(function*() {
      const { call, seen } = failing()
      const policy = yield* Policy.make({ name: "a", retry: twice, hedge: { delay: "1 second", maxExtraLoad: 10 } })
      assert.isTrue(Exit.isFailure(yield* finished(policy.run(call, { idempotent: false }))))
      assert.strictEqual(seen.attempts, 1)
      let started = 0
      const slow = Effect.suspend(() => Effect.delay(Effect.succeed(++started), "5 seconds"))
      yield* finished(policy.run(slow, { idempotent: false }))
      assert.strictEqual(started, 1)
      yield* finished(policy.run(slow))
      assert.strictEqual(started, 3)

      const careful = yield* Policy.make({ name: "b", retry: twice, idempotent: false })
      assert.isTrue(Exit.isFailure(yield* finished(careful.run(call))))
      assert.strictEqual(seen.attempts, 2)
      assert.isTrue(Exit.isFailure(yield* finished(careful.run(call, { idempotent: true }))))
      assert.strictEqual(seen.attempts, 5)
    }))

  it.effect("to the breaker a call and its hedge are one", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({
        name: "a",
        hedge: { delay: "1 second", maxExtraLoad: 1 },
        breaker: { trip: CircuitBreaker.consecutive(2) }
      })
      const slow = Effect.delay(Effect.fail("no"), "2 seconds")
      yield* finished(policy.run(slow))
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state()), "Closed")
    }).pipe(Effect.provide(services)))

  it.effect("circuits, places and limits are of a key", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({
        name: "a",
        limit: [RateLimiter.fixedWindow({ limit: 2, window: "1 hour" })],
        breaker: { trip: CircuitBreaker.consecutive(1) },
        bulkhead: { limit: 1 }
      })
      const ill = yield* forkNow(policy.run(Effect.never, { key: "one" }))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(policy.run(Effect.void, { key: "one" }))))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(policy.run(Effect.void, { key: "two" }))))
      yield* Fiber.interrupt(ill)
      assert.isTrue(Exit.isFailure(yield* Effect.exit(policy.run(Effect.fail("no"), { key: "two", limitKey: "x" }))))
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state("two")), "Open")
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state("one")), "Closed")
    }).pipe(Effect.provide(services)))

  it.effect("a cost counts against the limit", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({
        name: "a",
        limit: { rules: [RateLimiter.perMinute(100, { unit: "tokens" })], maxWait: "2 minutes" }
      })
      yield* policy.run(Effect.void, { cost: 80 })
      const second = yield* forkNow(policy.run(Effect.void, { cost: 80 }))
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(second.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.await(second), Exit.void)
    }).pipe(Effect.provide(services)))

  it.effect("a policy given as a service is shared, not made again", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "shared", limit: 1 })
      const one = yield* Policy.make({ name: "one", bulkhead })
      const two = yield* Policy.make({ name: "two", bulkhead })
      yield* forkNow(one.run(Effect.never))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(two.run(Effect.void))))
    }))
})

describe("fallbacks of a policy", () => {
  class Model extends Context.Service<Model, { readonly ask: Effect.Effect<string, Glitch> }>()("Model") {}

  const chain = (primary: Effect.Effect<string, Glitch>) =>
    FallbackChain.make("models", [
      FallbackChain.route("primary", Context.make(Model, { ask: primary })),
      FallbackChain.route("secondary", Context.make(Model, { ask: Effect.succeed("from the secondary") }))
    ])

  it.effect("each route of a chain has a circuit and a bulkhead of its own", () =>
    Effect.gen(function*() {
      const { call, seen } = failing()
      const policy = yield* Policy.make({
        name: "chat",
        fallback: yield* chain(call),
        retry: twice,
        breaker: { trip: CircuitBreaker.consecutive(1) },
        bulkhead: { limit: 1 }
      })
      const ask = policy.run(Model.use(({ ask }) => ask))
      assert.deepStrictEqual(yield* finished(ask), Exit.succeed("from the secondary"))
      assert.strictEqual(seen.attempts, 3)
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state("primary")), "Open")
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state("secondary")), "Closed")
      assert.deepStrictEqual(yield* finished(ask), Exit.succeed("from the secondary"))
      assert.strictEqual(seen.attempts, 3)
      yield* finished(policy.run(Model.use(({ ask }) => ask), { key: "eu" }))
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state("secondary/eu")), "Closed")
    }).pipe(Effect.provide(services)))

  it.effect("a route that hangs is cut in time for the next one", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({
        name: "chat",
        deadline: { total: "10 seconds", call: "4 seconds" },
        fallback: yield* chain(Effect.never)
      })
      assert.deepStrictEqual(
        yield* finished(policy.run(Model.use(({ ask }) => ask))),
        Exit.succeed("from the secondary")
      )
    }))

  it.effect("a function replies to a final failure, a passed deadline included, and not to a bad request", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({
        name: "chat",
        deadline: "1 second",
        fallback: (error) => Effect.succeed(Deadline.isDeadlineExceeded(error) ? "too late" : "sorry")
      })
      assert.deepStrictEqual(yield* finished(policy.run(Effect.never)), Exit.succeed("too late"))
      assert.deepStrictEqual(yield* finished(policy.run(Effect.fail("no"))), Exit.succeed("sorry"))
      const wrong = { [Failure.symbol]: () => Failure.fromHttpStatus(400) }
      assert.deepStrictEqual(yield* finished(policy.run(Effect.fail(wrong))), Exit.fail(wrong))
      assert.isTrue(Exit.hasDies(yield* finished(policy.run(Effect.die("bad")))))
    }))

  it.effect("a letter is kept when all has failed, whatever is replied, and not when the call is interrupted", () =>
    Effect.gen(function*() {
      const { call } = failing()
      const queue = yield* DeadLetterQueue.make({ name: "lost", schema: Schema.Struct({ order: Schema.Int }) })
      const policy = yield* Policy.make({
        name: "orders",
        deadline: "1 minute",
        retry: twice,
        deadLetter: queue,
        fallback: () => Effect.succeed("we will see to it")
      })
      assert.deepStrictEqual(
        yield* finished(policy.run(call, { letter: { order: 17 } })),
        Exit.succeed("we will see to it")
      )
      assert.deepStrictEqual(
        yield* finished(policy.run(Effect.succeed("done"), { letter: { order: 18 } })),
        Exit.succeed("done")
      )
      const interrupted = yield* forkNow(policy.run(Effect.never, { letter: { order: 19 } }))
      yield* Fiber.interrupt(interrupted)
      assert.strictEqual(yield* queue.count(), 1)
      yield* finished(policy.run(Effect.never, { letter: { order: 20 } }), "1 minute")
      assert.strictEqual(yield* queue.count(), 2)
    }).pipe(Effect.scoped, Effect.provide(services)))
})

describe("a policy with a cache", () => {
  it.effect("answers without limit, place or attempt, and calls at the same time share one", () =>
    Effect.gen(function*() {
      const cache = yield* ResponseCache.make({
        name: "replies",
        schema: Schema.String,
        key: (question: string) => Effect.succeed(question),
        ttl: "1 minute",
        staleIfError: "1 hour",
        capacity: 10
      })
      const policy = yield* Policy.make({
        name: "chat",
        cache,
        limit: RateLimiter.fixedWindow({ limit: 2, window: "1 day" })
      })
      let asked = 0
      const ask = Effect.suspend(() => Effect.delay(Effect.succeed(`answer ${++asked}`), "1 second"))
      const both = Effect.all([policy.run(ask, { request: "why?" }), policy.run(ask, { request: "why?" })], {
        concurrency: 2
      })
      assert.deepStrictEqual(yield* finished(both), Exit.succeed<[string, string]>(["answer 1", "answer 1"]))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(
        yield* finished(policy.run(Effect.fail("down"), { request: "why?" })),
        Exit.succeed("answer 1")
      )
      assert.strictEqual(asked, 1)
    }).pipe(Effect.scoped, Effect.provide(services)))
})

describe("what a policy tells", () => {
  const everything = Effect.gen(function*() {
    return yield* Policy.make({
      name: "all",
      deadline: { total: "30 seconds", attempt: "5 seconds" },
      limit: RateLimiter.perMinute(1_000),
      breaker: { trip: CircuitBreaker.consecutive(5) },
      bulkhead: { limit: 10 },
      retry: Retry.standard,
      hedge: { delay: "1 second" }
    })
  })

  it.effect("explains its order from the outside in", () =>
    Effect.gen(function*() {
      const { explain } = yield* everything
      const parts = explain.split("\n").map((line) => /^\d+\. ([\w.]+)/.exec(line)?.[1]).filter((part) =>
        part !== undefined
      )
      assert.deepStrictEqual(parts, [
        "deadline.total",
        "limit",
        "breaker",
        "bulkhead",
        "deadline.call",
        "retry",
        "deadline.attempt",
        "hedge",
        "the"
      ])
    }).pipe(Effect.provide(services)))

  it.effect("says how long calls and attempts took, once each", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const policy = yield* Policy.make({ name: "a", retry: twice })
      let attempts = 0
      const call = Effect.suspend(() => Effect.delay(++attempts < 2 ? Effect.fail("no") : Effect.void, "1 second"))
      yield* Effect.provide(finished(policy.run(call)), Signal.layer((signal) => heard.push(signal)))
      assert.deepStrictEqual(
        heard.filter(({ _tag }) => _tag === "PipelineSettled" || _tag === "AttemptSettled"),
        [
          { _tag: "AttemptSettled", name: "a", attempt: 1, outcome: "failure", duration: Duration.seconds(1) },
          { _tag: "AttemptSettled", name: "a", attempt: 2, outcome: "success", duration: Duration.seconds(1) },
          { _tag: "PipelineSettled", name: "a", outcome: "success", duration: Duration.seconds(3) }
        ]
      )
      heard.length = 0
      const interrupted = Effect.gen(function*() {
        const fiber = yield* forkNow(policy.run(Effect.never))
        yield* Fiber.interrupt(fiber)
      })
      yield* Effect.provide(interrupted, Signal.layer((signal) => heard.push(signal)))
      assert.deepStrictEqual(
        heard.filter((signal) => signal._tag === "PipelineSettled").map(({ outcome }) => outcome),
        ["interrupted"]
      )
    }))

  it.effect("has a span of its own with one for each attempt, where there is a trace", () =>
    Effect.gen(function*() {
      const names: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          names.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      const policy = yield* Policy.make({ name: "a", retry: twice })
      const { call } = failing()
      const traced = finished(policy.run(call)).pipe(Effect.withSpan("request"), Effect.withTracer(tracer))
      yield* traced
      assert.deepStrictEqual(names, [
        "request",
        "resilience.pipeline a",
        "resilience.attempt",
        "resilience.attempt",
        "resilience.attempt"
      ])
      names.length = 0
      yield* Effect.withTracer(finished(policy.run(call)), tracer)
      assert.deepStrictEqual(names, [])
    }))

  it.effect("warns of what is allowed and not meant", () =>
    Effect.gen(function*() {
      const codes = <const O extends Policy.Options>(options: O) =>
        // What is not given is not needed.
        Effect.map(Policy.make(options as Policy.Options), ({ lint }) => lint.map(({ code }) => code))
      const retry = Retry.withBudget(twice)
      assert.deepStrictEqual((yield* everything).lint, [])
      assert.deepStrictEqual(yield* codes({ name: "a", bulkhead: { limit: 1 } }), ["NoDeadline"])
      assert.deepStrictEqual(
        yield* codes({
          name: "a",
          deadline: { total: "1 second", call: "1 second" },
          breaker: { trip: CircuitBreaker.consecutive(1) }
        }),
        ["CallOutlivesTotal"]
      )
      assert.deepStrictEqual(
        yield* codes({ name: "a", deadline: { total: "2 seconds", attempt: "2 seconds" }, retry }),
        ["AttemptOutlivesCall"]
      )
      assert.deepStrictEqual(
        yield* codes({ name: "a", deadline: { total: "3 seconds", attempt: "2 seconds" }, retry }),
        ["NoTimeForSecondAttempt"]
      )
      assert.deepStrictEqual(yield* codes({ name: "a", deadline: "3 seconds", retry }), ["RetryWithoutAttemptTime"])
      assert.deepStrictEqual(
        yield* codes({ name: "a", deadline: { total: "9 seconds", attempt: "2 seconds" }, retry: twice }),
        ["RetryWithoutBudget"]
      )
      assert.deepStrictEqual(
        yield* codes({ name: "a", deadline: "3 seconds", hedge: { delay: "1 second" }, idempotent: false }),
        ["RepeatsWhatIsNotIdempotent"]
      )
      assert.deepStrictEqual(
        yield* codes({ name: "a", deadline: "3 seconds", hedge: { delay: "3 seconds" } }),
        ["HedgeTooLate"]
      )
      assert.deepStrictEqual(
        yield* codes({ name: "a", deadline: "3 seconds", bulkhead: { limit: 1, queue: 1 } }),
        ["QueueOutlivesDeadline"]
      )
      assert.deepStrictEqual(
        yield* codes({
          name: "a",
          deadline: "3 seconds",
          limit: { rules: [RateLimiter.perSecond(1)], maxWait: "4 seconds" }
        }),
        ["LimitOutlivesDeadline"]
      )
      assert.deepStrictEqual(
        yield* codes({ name: "a", deadline: "1 minute", breaker: { trip: CircuitBreaker.consecutive(1) } }),
        ["ProbeCutShort"]
      )
      assert.deepStrictEqual(
        yield* codes({
          name: "a",
          deadline: "10 seconds",
          breaker: {
            trip: CircuitBreaker.slowCallRate({ threshold: 0.5, slowerThan: "9 seconds", window: "1 minute" }),
            openFor: "20 minutes"
          }
        }),
        ["SlowIsNeverReached", "OpenForLong"]
      )
      const routes = yield* FallbackChain.make("routes", [FallbackChain.route("one", Context.empty())])
      assert.deepStrictEqual(yield* codes({ name: "a", deadline: "10 seconds", fallback: routes }), [
        "NoTimeForSecondRoute"
      ])
    }).pipe(Effect.scoped, Effect.provide(services)))
})

describe("RT-5 interruption", () => {
  it.effect("at every yield point leaves permits, tokens, probes and budgets whole", () =>
    Effect.gen(function*() {
      const policy = yield* Policy.make({
        name: "a",
        deadline: { total: "1 hour", attempt: "30 minutes" },
        limit: RateLimiter.concurrency({ limit: 3 }),
        breaker: { trip: CircuitBreaker.consecutive(5), inFlight: { maxWhileUnhealthy: 3 } },
        bulkhead: { limit: 2, queue: 5 },
        retry: Retry.withBudget(Retry.backoff({ base: "1 second", times: 3 })),
        hedge: { delay: "1 second", maxExtraLoad: 1 }
      })
      let n = 0
      const work = Effect.suspend(() =>
        n++ % 3 === 0 ? Effect.andThen(Effect.yieldNow, Effect.fail(new Glitch({ attempt: n }))) : Effect.sleep(100)
      )
      for (let turns = 0; turns < 120; turns++) {
        // A few operations a turn: each number of turns stops it somewhere else.
        const fiber = yield* policy.run(work).pipe(
          Effect.provideService(Scheduler.MaxOpsBeforeYield, 3),
          Effect.forkChild
        )
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        if (turns % 4 === 3) yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        yield* policy.breaker!.reset()
      }
      assert.deepStrictEqual(yield* policy.bulkhead()!.state, { limit: 2, inFlight: 0, queue: 5, queued: 0 })
      assert.strictEqual((yield* policy.breaker!.metrics()).inFlight, 0)
      // All three leases are free.
      const limiter = yield* RateLimiter.RateLimiter
      const decision = yield* limiter.peek({
        policy: RateLimiter.policy("a", [RateLimiter.concurrency({ limit: 3 })]),
        key: "default",
        cost: 3
      })
      assert.deepStrictEqual(decision.rules.map(({ remaining }) => remaining), [3])
      assert.strictEqual(decision._tag, "Allowed")
    }).pipe(Effect.provide([services, RetryBudget.layer()])))
})
