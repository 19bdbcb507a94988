import { assert, describe, it } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { DeficitRoundRobin } from "../src/internal/rateLimiter/fair.ts"
import { integerBetween } from "./support/histories.ts"

const { concurrency, fixedWindow, policy, slidingWindow, tokenBucket } = RateLimiter

const memory = RateLimiter.layer.pipe(Layer.provideMerge(RateLimiter.layerStoreMemory()))

const fork = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

const timed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const start = yield* Clock.currentTimeMillis
    const exit = yield* Effect.exit(self)
    return [Exit.isSuccess(exit), (yield* Clock.currentTimeMillis) - start] as const
  })

const oneInTen = { policy: policy("p", [tokenBucket({ limit: 1, window: "10 seconds" })]), key: "k" }

describe("RL-7 waiting", () => {
  it.effect("is first come, first served, and nobody overtakes", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const served: Array<number> = []
      const call = (n: number) => fork(Effect.tap(limiter.wait(oneInTen), () => Effect.sync(() => served.push(n))))
      for (let n = 0; n < 6; n++) yield* call(n)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(served, [0, 1, 2, 3])
      yield* call(6)
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(served, [0, 1, 2, 3, 4, 5, 6])
    }).pipe(Effect.provide(memory)))

  it.effect("that is interrupted takes nothing: after five, the next waits its own time", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.consume(oneInTen)
      for (let i = 0; i < 5; i++) yield* Fiber.interrupt(yield* fork(limiter.wait(oneInTen)))
      const fiber = yield* fork(timed(limiter.wait(oneInTen)))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [true, 10_000])
    }).pipe(Effect.provide(memory)))

  it.effect("that is hopeless fails at once, also behind others", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const rules = [
        tokenBucket({ limit: 1, window: "10 seconds" }),
        slidingWindow({ limit: 1, window: "10 seconds" }),
        fixedWindow({ limit: 1, window: "10 seconds" })
      ]
      for (const [index, rule] of rules.entries()) {
        const check = { policy: policy(`p${index}`, [rule]), key: "k" }
        yield* limiter.consume(check)
        assert.deepStrictEqual(yield* timed(limiter.wait(check, { maxWait: "9999 millis" })), [false, 0])
        const first = yield* fork(timed(limiter.wait(check, { maxWait: "10 seconds" })))
        const second = yield* fork(timed(limiter.wait(check, { maxWait: "20 seconds" })))
        // Two are before it: its turn is in 30 seconds.
        const error = yield* Effect.flip(limiter.wait(check, { maxWait: "29998 millis" }))
        assert.isTrue(RateLimiter.isRateLimited(error) && Duration.toMillis(error.retryAfter) >= 29_999)
        const third = yield* fork(timed(limiter.wait(check, { maxWait: "30 seconds" })))
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(yield* Fiber.join(first), [true, 10_000])
        assert.deepStrictEqual(yield* Fiber.join(second), [true, 20_000])
        assert.deepStrictEqual(yield* Fiber.join(third), [true, 30_000])
      }
      const never = yield* Effect.flip(limiter.wait({ ...oneInTen, cost: 2 }))
      assert.deepInclude(never, { never: true })
    }).pipe(Effect.provide(memory)))

  it.effect.prop("is never given up that could have been served", {
    kind: integerBetween(0, 2),
    limit: integerBetween(1, 4),
    calls: Schema.Array(
      Schema.Struct({ gap: integerBetween(0, 900), cost: integerBetween(1, 4), maxWait: integerBetween(0, 6_000) })
    )
      .check(Schema.isMaxLength(25))
  }, ({ calls, kind, limit }) => {
    const rule = [tokenBucket, slidingWindow, fixedWindow][kind]!({ limit, window: "1 second" })
    const check = { policy: policy("p", [rule]), key: "k" }
    const run = (bounded: boolean) =>
      Effect.gen(function*() {
        const limiter = yield* RateLimiter.RateLimiter
        const fibers: Array<Fiber.Fiber<readonly [boolean, number]>> = []
        for (const { cost, gap, maxWait } of calls) {
          yield* TestClock.adjust(gap)
          const options = { maxWait: bounded ? maxWait : Infinity, maxQueue: Infinity }
          fibers.push(yield* fork(timed(limiter.wait({ ...check, cost: Math.min(cost, limit) }, options))))
        }
        yield* TestClock.adjust("10 minutes")
        return yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
      }).pipe(Effect.provide(Layer.fresh(memory), { local: true }), Effect.scoped)
    return Effect.map(Effect.all([run(true), run(false)]), ([bounded, unbounded]) => {
      bounded.forEach(([served, waited], index) => {
        const { maxWait } = calls[index]!
        assert.isAtMost(waited, maxWait)
        // Who gives up makes room, so who is served in time when nobody gives up is served when some do. (A fixed window begins
        // with its first hit: there, who gives up may move the beginning.)
        if (kind < 2 && unbounded[index]![1] <= maxWait) assert.isTrue(served, `call ${index}`)
      })
    })
  }, { arbitrary: { runs: 60 } })

  it.effect("is bounded in number", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      yield* limiter.consume(oneInTen)
      const waiting = yield* Effect.forEach([1, 2], () => fork(limiter.wait(oneInTen, { maxQueue: 2 })))
      assert.deepInclude(yield* Effect.flip(limiter.wait(oneInTen, { maxQueue: 2 })), { reason: "QueueFull" })
      yield* Fiber.interrupt(waiting[0]!)
      const late = yield* fork(limiter.wait(oneInTen, { maxQueue: 2 }))
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(late)
      assert.deepInclude(yield* Effect.flip(limiter.wait(oneInTen, { maxQueue: 0 })), { reason: "QueueFull" })
    }).pipe(Effect.provide(memory)))

  it.effect("ends early when something is given back, reset or unblocked", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const lease = { policy: policy("leases", [concurrency({ limit: 1 })]), key: "k" }
      const holder = yield* fork(limiter.limit(lease)(Effect.sleep("3 seconds")))
      const waiter = yield* fork(timed(limiter.limit(lease, { maxWait: "5 seconds" })(Effect.void)))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(holder)
      assert.deepStrictEqual(yield* Fiber.join(waiter), [true, 3_000])
      yield* limiter.consume(oneInTen)
      const reset = yield* fork(timed(limiter.wait(oneInTen)))
      yield* TestClock.adjust("1 second")
      yield* limiter.reset(oneInTen)
      assert.deepStrictEqual(yield* Fiber.join(reset), [true, 1_000])
    }).pipe(Effect.provide(memory)))

  it.effect("for what is held fails when its time is over", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const lease = { policy: policy("leases", [concurrency({ limit: 1 })]), key: "k" }
      yield* fork(limiter.limit(lease)(Effect.never))
      const waiters = yield* Effect.forEach([5, 7], (seconds) =>
        fork(timed(limiter.limit(lease, { maxWait: Duration.seconds(seconds) })(Effect.void))))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(
        yield* Effect.forEach(waiters, (fiber) =>
          Fiber.join(fiber)),
        [[false, 5_000], [false, 7_000]]
      )
    }).pipe(Effect.provide(memory)))
})

describe("RL-8 reservations", () => {
  const budget = { policy: policy("budget", [fixedWindow({ limit: 100, window: "1 day", unit: "tokens" })]), key: "k" }
  const left = (limiter: RateLimiter.RateLimiter["Service"]) =>
    Effect.map(limiter.peek({ ...budget, cost: 0 }), ({ rules }) => rules[0]!.remaining)

  it.effect("hold the estimate, and settle with what it was, once", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      yield* Effect.scoped(Effect.gen(function*() {
        const reservation = yield* limiter.reserve(budget, { estimate: 80 })
        assert.strictEqual(yield* left(limiter), 20)
        assert.deepInclude(yield* Effect.flip(limiter.reserve(budget, { estimate: 30 })), {
          _tag: "RateLimited",
          remaining: 20
        })
        yield* reservation.settle(15)
        assert.strictEqual(yield* left(limiter), 85)
        yield* reservation.settle(90)
        assert.strictEqual(yield* left(limiter), 85)
      }))
      assert.strictEqual(yield* left(limiter), 85)
    }).pipe(Effect.provide(memory)))

  it.effect("come back after a failure and an interruption, and are charged after a success", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const reserving = <E>(then: Effect.Effect<void, E>) =>
        Effect.exit(Effect.scoped(Effect.andThen(limiter.reserve(budget, { estimate: 40 }), then)))
      yield* reserving(Effect.fail("no"))
      assert.strictEqual(yield* left(limiter), 100)
      const fiber = yield* fork(reserving(Effect.never))
      assert.strictEqual(yield* left(limiter), 60)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* left(limiter), 100)
      yield* reserving(Effect.void)
      assert.strictEqual(yield* left(limiter), 60)
    }).pipe(Effect.provide(memory)))

  it.effect("of a stream settle on the last chunk, and an early abort settles what was used", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const stream = (chunks: number, end: Effect.Effect<void, string>) =>
        Effect.exit(Effect.scoped(Effect.gen(function*() {
          const reservation = yield* limiter.reserve(budget, { estimate: 50 })
          for (let i = 0; i < chunks; i++) yield* reservation.record(4)
          yield* end
        })))
      yield* stream(5, Effect.void)
      assert.strictEqual(yield* left(limiter), 80)
      yield* stream(3, Effect.fail("cut"))
      assert.strictEqual(yield* left(limiter), 68)
      yield* Fiber.interrupt(yield* fork(stream(2, Effect.never)))
      assert.strictEqual(yield* left(limiter), 60)
    }).pipe(Effect.provide(memory)))

  it.effect("count a request as one, however often its tokens are recorded", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const both = {
        policy: policy("p", [RateLimiter.perDay(10), RateLimiter.perDay(100, { unit: "tokens" })]),
        key: "k"
      }
      yield* Effect.scoped(Effect.gen(function*() {
        const reservation = yield* limiter.reserve(both, { estimate: 50 })
        for (let i = 0; i < 5; i++) yield* reservation.record({ tokens: 6 })
      }))
      const { rules } = yield* limiter.peek({ ...both, cost: 0 })
      assert.deepStrictEqual(rules.map(({ remaining }) => remaining), [9, 70])
    }).pipe(Effect.provide(memory)))

  it.effect("outlive their lease while the work runs", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const fiber = yield* fork(Effect.scoped(
        Effect.andThen(limiter.reserve(budget, { estimate: 70, lease: "1 second" }), Effect.sleep("1 hour"))
      ))
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual(yield* left(limiter), 30)
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* left(limiter), 30)
    }).pipe(Effect.provide(memory)))

  it.effect.prop("settled in total never exceed the budget when estimates are upper bounds", {
    kind: integerBetween(0, 2),
    works: Schema.Array(Schema.Struct({
      estimate: integerBetween(1, 60),
      share: integerBetween(0, 100),
      gap: integerBetween(0, 200),
      length: integerBetween(1, 1_000),
      end: Schema.Literals(["settle", "fail", "interrupt", "twice"])
    })).check(Schema.isMaxLength(40))
  }, ({ kind, works }) =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const rule = [fixedWindow, slidingWindow, tokenBucket][kind]!({ limit: 100, window: "400 days", unit: "tokens" })
      const check = { policy: policy("p", [rule]), key: "k" }
      let settled = 0
      for (const { end, estimate, gap, length, share } of works) {
        const actual = Math.floor(estimate * share / 100)
        const work = Effect.scoped(Effect.gen(function*() {
          const reservation = yield* limiter.reserve(check, { estimate })
          yield* Effect.sleep(length)
          if (end === "fail") return yield* Effect.fail("no")
          yield* reservation.settle(actual)
          settled += actual
          if (end === "twice") yield* reservation.settle(actual)
        }))
        const fiber = yield* fork(Effect.ignore(work))
        yield* TestClock.adjust(gap)
        if (end === "interrupt") yield* Fiber.interrupt(fiber)
      }
      yield* TestClock.adjust("1 minute")
      assert.isAtMost(settled, 100)
      const { rules } = yield* limiter.peek({ ...check, cost: 0 })
      assert.closeTo(rules[0]!.remaining, 100 - settled, 0.01)
    }).pipe(Effect.provide(memory), Effect.scoped), { arbitrary: { runs: 60 } })
})

describe("RL-10 leases", () => {
  it.effect("an interruption at any step between two turns gives a lease back", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const check = { policy: policy("p", [concurrency({ limit: 1 })]), key: "k" }
      const work = Effect.andThen(Effect.yieldNow, Effect.sleep("1 second"))
      for (let turns = 0; turns < 60; turns++) {
        const fiber = yield* limiter.limit(check)(work).pipe(
          Effect.provideService(Scheduler.MaxOpsBeforeYield, 3),
          Effect.forkChild
        )
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* limiter.peek(check)).rules[0]!.remaining, 1, `after ${turns} turns`)
      }
    }).pipe(Effect.provide(memory), Effect.scoped))

  it.effect("10,000 random interruptions return the count to 0", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const check = {
        policy: policy("p", [concurrency({ limit: 50 }), concurrency({ name: "b", limit: 3 })]),
        key: "k"
      }
      let most = 0
      let running = 0
      const work = Effect.acquireUseRelease(
        Effect.sync(() => most = Math.max(most, ++running)),
        () => Effect.sleep("10 millis"),
        () => Effect.sync(() => running--)
      )
      let random = 1
      for (let round = 0; round < 500; round++) {
        const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () => {
          random = random * 48_271 % 2_147_483_647
          return Effect.map(
            Effect.forkChild(limiter.limit(check, random % 2 === 0 ? undefined : { maxWait: "1 second" })(work), {
              startImmediately: random % 3 === 0
            }),
            (fiber) => [fiber, random % 5] as const
          )
        })
        for (const [fiber, yields] of fibers) {
          for (let i = 0; i < yields; i++) yield* Effect.yieldNow
          if (yields === 4) yield* TestClock.adjust("10 millis")
          yield* Fiber.interrupt(fiber)
        }
      }
      assert.strictEqual(most, 3)
      assert.strictEqual(running, 0)
      const { rules } = yield* limiter.peek(check)
      assert.deepStrictEqual(rules.map(({ remaining }) => remaining), [50, 3])
    }).pipe(Effect.provide(memory)))

  it.effect("are renewed while the work runs, and run out where nobody renews", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const check = { policy: policy("p", [concurrency({ limit: 1, lease: "3 seconds" })]), key: "k" }
      const worker = yield* fork(limiter.limit(check)(Effect.sleep("1 hour")))
      yield* TestClock.adjust("59 minutes")
      assert.strictEqual((yield* limiter.peek(check))._tag, "Denied")
      yield* Fiber.interrupt(worker)
      assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
      yield* TestClock.adjust("2999 millis")
      const denied = yield* limiter.peek(check)
      assert.isTrue(denied._tag === "Denied" && Duration.toMillis(denied.retryAfter) === 1)
      yield* TestClock.adjust("1 milli")
      assert.strictEqual((yield* limiter.peek(check))._tag, "Allowed")
    }).pipe(Effect.provide(memory)))
})

describe("RL-17 fairness", () => {
  const model = { policy: policy("model", [tokenBucket({ limit: 10, window: "1 second", burst: 1 })]), key: "" }

  /** Offers calls steadily for a minute and counts who is served. */
  const offer = (options: RateLimiter.FairOptions, rates: Readonly<Record<string, number>>, seconds = 60) =>
    Effect.gen(function*() {
      const queue = yield* RateLimiter.fair({ maxQueue: 50, maxWait: "1 day", ...options })
      const served: Record<string, number> = {}
      const fibers: Array<Fiber.Fiber<unknown>> = []
      for (let tick = 0; tick < seconds * 10; tick++) {
        for (const [tenant, rate] of Object.entries(rates)) {
          const count = Math.floor((tick + 1) * rate / 10) - Math.floor(tick * rate / 10)
          for (let i = 0; i < count; i++) {
            fibers.push(
              yield* fork(
                Effect.ignore(
                  Effect.tap(
                    queue.wait(tenant, model),
                    () => Effect.sync(() => served[tenant] = (served[tenant] ?? 0) + 1)
                  )
                )
              )
            )
          }
        }
        yield* TestClock.adjust("100 millis")
      }
      yield* Effect.forEach(fibers, (fiber) => Fiber.interrupt(fiber))
      return served
    }).pipe(Effect.provide(memory))

  it.effect("offered 100:1, the light tenant gets at least 90 % of its fair share", () =>
    Effect.gen(function*() {
      const served = yield* offer({}, { heavy: 500, light: 5 })
      assert.isAtLeast(served["light"]!, 0.9 * 300)
      assert.isAtLeast(served["light"]! + served["heavy"]!, 595)
    }))

  it.effect("among ten tenants of very different load the Gini coefficient of what is served stays below 0.3", () =>
    Effect.gen(function*() {
      const rates = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`t${i}`, 1 + i * i]))
      const counts = Object.values(yield* offer({}, rates)).toSorted((a, b) => a - b)
      const sum = counts.reduce((a, b) => a + b)
      const gini = counts.reduce((total, count, i) => total + (2 * (i + 1) - counts.length - 1) * count, 0) /
        (counts.length * sum)
      assert.isBelow(gini, 0.3)
    }))

  it.effect("weights share what there is, and what one does not use goes to the others", () =>
    Effect.gen(function*() {
      const weighted = yield* offer({ weights: { gold: 3 } }, { gold: 50, free: 50 })
      assert.closeTo(weighted["gold"]! / weighted["free"]!, 3, 0.2)
      const lent = yield* offer({ weights: { gold: 3 } }, { gold: 1, free: 50 })
      assert.isAtLeast(lent["gold"]!, 55)
      assert.isAtLeast(lent["free"]!, 530)
    }))

  it.effect("each tenant has its own places, and bad weights are refused", () =>
    Effect.gen(function*() {
      const queue = yield* RateLimiter.fair({ maxQueue: 1 })
      yield* queue.wait("a", model)
      yield* fork(queue.wait("a", model))
      yield* fork(queue.wait("a", model))
      assert.deepInclude(yield* Effect.flip(queue.wait("a", model)), { reason: "QueueFull" })
      const other = yield* fork(queue.limit("b", model)(Effect.succeed("b")))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(other), "b")
      assert.throws(() => RateLimiter.fair({ weights: { a: 0 } }), RangeError, /weights.a/)
    }).pipe(Effect.provide(memory)))

  it.prop("in the long run each of several backlogged tenants is served by its weight, whatever its calls cost", {
    tenants: Schema.Array(Schema.Struct({ weight: integerBetween(1, 9), cost: integerBetween(1, 20) })).check(
      Schema.isMinLength(2),
      Schema.isMaxLength(6)
    )
  }, ({ tenants }) => {
    const turns = new DeficitRoundRobin((name) => tenants[Number(name)]!.weight)
    const make = (index: number) => ({ tenant: `${index}`, cost: tenants[index]!.cost, wake: undefined })
    tenants.forEach((_, index) => turns.add(make(index)))
    const served = tenants.map(() => 0)
    const total = 5_000
    for (let sum = 0; sum < total;) {
      // Always backlogged: the next is in line before this one is taken.
      tenants.forEach((_, index) => {
        while (turns.count(`${index}`) < 2) turns.add(make(index))
      })
      const { cost, tenant } = turns.take()!
      served[Number(tenant)]! += cost
      sum += cost
    }
    const weights = tenants.reduce((sum, { weight }) => sum + weight, 0)
    tenants.forEach(({ cost, weight }, index) => {
      // Off by at most what a tenant may have left over or be behind by in a round.
      assert.closeTo(served[index]!, total * weight / weights, 20 + weights + 2 * Math.max(cost, weight) + 20 * weight)
    })
  })
})
