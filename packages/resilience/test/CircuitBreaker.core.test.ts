/** The documented examples of Effect's own circuit breaker, run on this engine. */
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionPlan from "effect/ExecutionPlan"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Core from "effect/persistence/CircuitBreaker"
import * as Ref from "effect/Ref"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { fault } from "./support/faults.ts"

const layer = (options: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.layerCore({ name: "core", trip: CircuitBreaker.consecutive(1), openFor: "1 minute", ...options }).pipe(
    Layer.provide(CircuitBreaker.layerStoreMemory)
  )

class CallError extends Data.TaggedError("CallError") {}

/** Runs it to its end with all the virtual time that it wants. */
const finish = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(self)
    yield* TestClock.adjust("10 minutes")
    return yield* Fiber.join(fiber)
  })

describe("layerCore", () => {
  it.effect("CB-20 rejects calls once a circuit opens", () =>
    Effect.gen(function*() {
      const breaker = yield* Core.CircuitBreaker
      const charge = Effect.fail(new CallError()).pipe(breaker.execute({ key: "payments" }))
      yield* Effect.flip(charge)
      yield* Effect.flip(charge)
      const result = yield* charge.pipe(
        Effect.catchReason("CircuitBreakerError", "CircuitOpen", (reason) => Effect.succeed(`${reason.key} is open`))
      )
      assert.strictEqual(result, "payments is open")
    }).pipe(Effect.provide(layer({ trip: CircuitBreaker.consecutive(2), openFor: "30 seconds" }))))

  it.effect("CB-20 lets rejections be retried", () =>
    Effect.gen(function*() {
      const isRejection = (error: unknown): error is Core.CircuitBreakerError =>
        error instanceof Core.CircuitBreakerError && error.reason._tag !== "CircuitBreakerStoreError"
      const retryRejections = Schedule.exponential("20 millis").pipe(
        Schedule.jittered,
        Schedule.modifyDelay(({ duration, input }) =>
          Effect.succeed(
            isRejection(input) && input.reason._tag === "CircuitOpen"
              ? Duration.max(duration, input.reason.retryAfter)
              : duration
          )
        )
      )
      const breaker = yield* Core.CircuitBreaker
      const healthy = yield* Ref.make(false)
      const quote = Effect.flatMap(Ref.get(healthy), (ok) => ok ? Effect.succeed(42) : Effect.fail(new CallError()))
      yield* Effect.flip(quote.pipe(breaker.execute({ key: "quotes" })))
      yield* Ref.set(healthy, true)
      const result = yield* finish(quote.pipe(
        breaker.execute({ key: "quotes" }),
        Effect.retry({ schedule: retryRejections, while: isRejection, times: 5 })
      ))
      assert.strictEqual(result, 42)
    }).pipe(Effect.provide(layer({ openFor: "50 millis" }))))

  it.effect("CB-20 counts a timeout inside and ignores one outside", () =>
    Effect.gen(function*() {
      const breaker = yield* Core.CircuitBreaker
      yield* finish(Effect.never.pipe(Effect.timeout("10 millis"), breaker.execute({ key: "inside" }), Effect.ignore))
      yield* finish(Effect.never.pipe(breaker.execute({ key: "outside" }), Effect.timeout("10 millis"), Effect.ignore))
      const inside = yield* breaker.state("inside")
      const outside = yield* breaker.state("outside")
      assert.deepStrictEqual([inside._tag, outside._tag], ["Open", "Closed"])
    }).pipe(Effect.provide(layer({ openFor: "1 hour" }))))

  it.effect("CB-20 sees one outcome of a call that is retried inside", () =>
    Effect.gen(function*() {
      const breaker = yield* Core.CircuitBreaker
      const attempts = yield* Ref.make(0)
      const stock = Effect.flatMap(
        Ref.updateAndGet(attempts, (n) => n + 1),
        (n) => n <= 2 ? Effect.fail(new CallError()) : Effect.succeed(7)
      )
      const result = yield* finish(stock.pipe(
        Effect.retry({ schedule: Schedule.exponential("1 millis"), times: 3 }),
        breaker.execute({ key: "inventory" })
      ))
      const state = yield* breaker.state("inventory")
      assert.deepStrictEqual([result, state._tag], [7, "Closed"])
    }).pipe(Effect.provide(layer())))

  it.effect("CB-20 lets an ExecutionPlan fall back", () =>
    Effect.gen(function*() {
      class Geocoder extends Context.Service<Geocoder, {
        readonly lookup: (address: string) => Effect.Effect<string, CallError | Core.CircuitBreakerError>
      }>()("app/Geocoder") {}
      const provider = (name: string, lookup: (address: string) => Effect.Effect<string, CallError>) =>
        Layer.effect(
          Geocoder,
          Effect.map(Core.CircuitBreaker, (breaker) =>
            Geocoder.of({
              lookup: (address) => lookup(address).pipe(breaker.execute({ key: `geocoder:${name}` }))
            }))
        )
      const plan = ExecutionPlan.make(
        { provide: provider("primary", () => Effect.fail(new CallError())) },
        { provide: provider("fallback", (address) => Effect.succeed(`${address} (fallback)`)) }
      )
      const program = Effect.gen(function*() {
        const geocoder = yield* Geocoder
        return yield* geocoder.lookup("1 Main St")
      })
      assert.strictEqual(yield* Effect.withExecutionPlan(program, plan), "1 Main St (fallback)")
    }).pipe(Effect.provide(layer({ trip: CircuitBreaker.consecutive(3) }))))

  it.effect("CB-20 lets transitions be counted", () =>
    Effect.gen(function*() {
      const transitionsTotal = Metric.counter("circuit_breaker_transitions_total", { incremental: true })
      const breaker = yield* Core.CircuitBreaker
      yield* breaker.transitions.pipe(
        Stream.runForEach((transition) =>
          Metric.update(Metric.withAttributes(transitionsTotal, { from: transition.from, to: transition.to }), 1)
        ),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* Effect.fail("unavailable").pipe(breaker.execute({ key: "a" }), Effect.ignore)
      yield* Effect.fail("unavailable").pipe(breaker.execute({ key: "b" }), Effect.ignore)
      yield* Effect.yieldNow
      const opened = yield* Metric.value(Metric.withAttributes(transitionsTotal, { from: "Closed", to: "Open" }))
      assert.strictEqual(opened.count, 2)
    }).pipe(Effect.provide(layer()), Effect.provideService(Metric.MetricRegistry, new Map())))

  it.effect("CB-20 opens for as long as the schedule says, capped by time spent open", () =>
    Effect.gen(function*() {
      const breaker = yield* Core.CircuitBreaker
      const openTimes: Array<number> = []
      for (let i = 0; i < 8; i++) {
        yield* Effect.ignore(Effect.fail("down").pipe(breaker.execute({ key: "a" })))
        const state = yield* breaker.state("a")
        assert.strictEqual(state._tag, "Open")
        if (state._tag !== "Open") return
        assert.strictEqual(state.consecutiveOpenings, i + 1)
        openTimes.push(Duration.toSeconds(state.retryAfter))
        yield* TestClock.adjust(state.retryAfter)
      }
      assert.deepStrictEqual(openTimes, [1, 2, 4, 8, 16, 32, 32, 32])
    }).pipe(
      Effect.provide(layer({ openFor: Schedule.exponential("1 second").pipe(Schedule.upTo({ duration: "1 minute" })) }))
    ))

  it.effect("CB-20 guards an HttpClient, in the recommended order and with a classifier of its own", () =>
    Effect.gen(function*() {
      const breaker = yield* Core.CircuitBreaker
      const requests = yield* Ref.make(0)
      const unavailable = HttpClient.make((request) =>
        Effect.as(
          Ref.update(requests, (n) => n + 1),
          HttpClientResponse.fromWeb(request, new Response(null, { status: 503 }))
        )
      )
      const client = unavailable.pipe(
        HttpClient.retryTransient({ times: 2, schedule: Schedule.exponential("1 millis") }),
        HttpClient.withCircuitBreaker({ breaker })
      )
      yield* finish(client.get("http://inventory.test/items"))
      const rejected = yield* Effect.flip(client.get("http://inventory.test/items"))
      assert.deepStrictEqual([yield* Ref.get(requests), rejected._tag], [3, "CircuitBreakerError"])

      class Degraded extends Data.TaggedError("Degraded") {}
      const degraded = HttpClient.make((request) =>
        Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ status: "degraded" })))
      ).pipe(
        HttpClient.transformResponse(Effect.flatMap(() => Effect.fail(new Degraded()))),
        HttpClient.withCircuitBreaker({
          breaker,
          classify: (exit) =>
            Option.exists(Exit.findErrorOption(exit), (error) => error._tag === "Degraded")
              ? Core.failure()
              : HttpClient.circuitBreakerClassifier(exit)
        })
      )
      yield* Effect.flip(degraded.get("http://status.test/"))
      assert.strictEqual((yield* breaker.state("http://status.test"))._tag, "Open")
    }).pipe(Effect.provide(layer({ openFor: "1 hour" }))))

  it.effect("gives Effect's errors, states and legal transitions, and no others", () =>
    Effect.gen(function*() {
      const breaker = yield* Core.CircuitBreaker
      const seen = yield* breaker.transitions.pipe(
        Stream.take(4),
        Stream.map((transition) => `${transition.from} > ${transition.to}`),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true })
      )
      yield* Effect.yieldNow
      const call = <A, E>(self: Effect.Effect<A, E>) => breaker.execute(self, { key: "a" })
      yield* Effect.ignore(call(Effect.fail("down")))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* breaker.state("a"), {
        _tag: "Open",
        key: "a",
        retryAfter: Duration.zero,
        consecutiveOpenings: 1
      })
      const probe = yield* Effect.forkChild(call(Effect.never), { startImmediately: true })
      assert.deepStrictEqual(yield* breaker.state("a"), {
        _tag: "HalfOpen",
        key: "a",
        probing: true,
        consecutiveOpenings: 1
      })
      const error = yield* Effect.flip(call(Effect.void))
      assert.instanceOf(error, Core.CircuitBreakerError)
      assert.instanceOf(error.reason, Core.CircuitHalfOpen)
      assert.strictEqual(error.message, "Circuit half-open")
      yield* Fiber.interrupt(probe)
      yield* Effect.ignore(call(Effect.fail("down")))
      yield* TestClock.adjust("1 minute")
      yield* call(Effect.void)
      assert.deepStrictEqual(yield* breaker.state("a"), { _tag: "Closed", key: "a" })
      assert.deepStrictEqual(yield* Fiber.join(seen), [
        "Closed > Open",
        "Open > HalfOpen",
        "HalfOpen > Open",
        "Open > HalfOpen"
      ])
    }).pipe(Effect.provide(layer())))

  it.effect("takes a classifier that is an effect, and frees the probe of one that dies or is interrupted", () =>
    Effect.gen(function*() {
      class Judge extends Context.Service<Judge, { readonly outcome: Core.Outcome }>()("test/Judge") {}
      const breaker = yield* Core.CircuitBreaker
      yield* Effect.succeed("done").pipe(
        breaker.execute({ key: "a", classify: () => Effect.map(Judge, ({ outcome }) => outcome) }),
        Effect.provideService(Judge, { outcome: Core.failure({ retryAfter: "2 minutes" }) })
      )
      const state = yield* breaker.state("a")
      assert.deepInclude(state, { _tag: "Open", retryAfter: Duration.minutes(2) })
      yield* TestClock.adjust("2 minutes")
      const dead = yield* Effect.exit(Effect.void.pipe(breaker.execute({ key: "a", classify: () => Effect.die("no") })))
      assert.deepStrictEqual(dead, Exit.die("no"))
      assert.deepInclude(yield* breaker.state("a"), { _tag: "HalfOpen", probing: false })
      const asking = yield* Effect.void.pipe(
        breaker.execute({ key: "a", classify: () => Effect.never }),
        Effect.forkChild({ startImmediately: true })
      )
      assert.deepInclude(yield* breaker.state("a"), { _tag: "HalfOpen", probing: true })
      yield* Fiber.interrupt(asking)
      assert.deepInclude(yield* breaker.state("a"), { _tag: "HalfOpen", probing: false })
    }).pipe(Effect.provide(layer())))

  it.effect("counts every failure as Effect's does, unless told otherwise", () =>
    Effect.gen(function*() {
      const breaker = yield* Core.CircuitBreaker
      yield* Effect.ignore(breaker.execute(Effect.fail(fault("RateLimited")), { key: "a" }))
      return yield* breaker.state("a")
    }).pipe(
      (asked) =>
        Effect.all([
          Effect.provide(asked, layer()),
          Effect.provide(asked, layer({ classify: () => CircuitBreaker.ignored }))
        ]),
      Effect.map((states) => assert.deepStrictEqual(states.map(({ _tag }) => _tag), ["Open", "Closed"]))
    ))
})
