/** What losers, winners and interrupted calls leave behind: nothing that is not the caller's. */
import * as Dependency from "@effect-resilience/testing/Dependency"
import { assert, describe, it } from "@effect/vitest"
import * as Hedge from "effect-resilience/Hedge"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { finish } from "./support/faults.ts"

const options: Hedge.Options = { delay: "50 millis", maxExtraLoad: 100 }

/** Resources that say when they are opened and closed. Closing takes a second. */
const resources = () => {
  const log: Array<string> = []
  const open = (name: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        log.push(`open ${name}`)
      }),
      () => Effect.delay(Effect.sync(() => log.push(`close ${name}`)), "1 second")
    )
  return { log, open }
}

/** What the caller does once it has the result. */
const thenSay = (log: Array<string>) =>
  Effect.tap((result: unknown) =>
    Effect.sync(() => {
      log.push(`got ${result}`)
    })
  )

const sizeOf = (scope: Scope.Scope): number => scope.state._tag !== "Open" ? 0 : scope.state.finalizers?.size ?? 1

describe("a loser", () => {
  it.effect("RT-9 is interrupted and its scope closed before the winner is returned", () =>
    Effect.gen(function*() {
      const { log, open } = resources()
      const search = Dependency.scripted([
        Effect.scoped(Effect.andThen(open("primary"), Effect.never)),
        Effect.scoped(Effect.as(open("hedge"), "the hedge"))
      ])
      yield* finish(Hedge.run(search.call, options).pipe(thenSay(log)))
      assert.deepStrictEqual(log, ["open primary", "open hedge", "close hedge", "close primary", "got the hedge"])
      assert.strictEqual(search.inFlight, 0)
    }))

  it.effect("RT-9 gives back what it acquired in the caller's scope, and the winner's stays open for the caller", () =>
    Effect.gen(function*() {
      const { log, open } = resources()
      const search = Dependency.scripted([
        Effect.andThen(open("primary"), Effect.never),
        Effect.as(open("hedge"), "the hedge")
      ])
      yield* finish(Effect.scoped(Hedge.run(search.call, options).pipe(thenSay(log))))
      assert.deepStrictEqual(log, ["open primary", "open hedge", "close primary", "got the hedge", "close hedge"])
    }))

  it.effect("gives back what it acquired when it fails, while others still run", () =>
    Effect.gen(function*() {
      const { log, open } = resources()
      const search = Dependency.scripted([
        Effect.andThen(open("primary"), Effect.delay(Effect.fail("no"), "60 millis")),
        Effect.delay(Effect.as(open("hedge"), "the hedge"), "1 hour")
      ])
      yield* finish(Effect.scoped(Hedge.run(search.call, options).pipe(thenSay(log))))
      assert.deepStrictEqual(log, ["open primary", "close primary", "open hedge", "got the hedge", "close hedge"])
    }))

  it.effect("that cannot be interrupted is waited for", () =>
    Effect.gen(function*() {
      const search = Dependency.scripted([
        Effect.uninterruptible(Effect.delay(Effect.succeed("primary"), "1 minute")),
        Effect.succeed("the hedge")
      ])
      const fiber = yield* Effect.forkChild(Hedge.run(search.call, options))
      yield* TestClock.adjust("59 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), "the hedge")
    }))

  it.effect("that cannot be interrupted and succeeds too late keeps nothing", () =>
    Effect.gen(function*() {
      const { log, open } = resources()
      const search = Dependency.scripted([
        Effect.uninterruptible(Effect.delay(open("primary"), "1 minute")),
        Effect.succeed("the hedge")
      ])
      yield* finish(Effect.scoped(Hedge.run(search.call, options).pipe(thenSay(log))))
      assert.deepStrictEqual(log, ["open primary", "close primary", "got the hedge"])
    }))
})

describe("a winner", () => {
  it.effect("is one, also when two succeed in the same moment: the other gives back what it acquired", () =>
    Effect.gen(function*() {
      // Fibers that give way after three steps, at different places: some between its success and the call's result.
      for (let more = 0; more < 12; more++) {
        const steps = Array.from({ length: more }).reduce<Effect.Effect<void>>(
          (all) => Effect.flatMap(all, () => Effect.void),
          Effect.void
        )
        const log: Array<string> = []
        const open = (name: string) =>
          Effect.acquireRelease(
            Effect.sync(() => log.push(`open ${name}`)),
            () => Effect.sync(() => log.push(`close ${name}`))
          )
        const moment = yield* Latch.make()
        const search = Dependency.scripted([
          Effect.as(Effect.andThen(Effect.andThen(open("primary"), moment.await), steps), "primary"),
          Effect.as(Effect.andThen(Effect.andThen(open("hedge"), moment.await), steps), "hedge")
        ])
        const fiber = yield* Effect.forkChild(
          Effect.scoped(Hedge.run(search.call, { ...options, delay: 0 }).pipe(thenSay(log))).pipe(
            Effect.provideService(Scheduler.MaxOpsBeforeYield, 3)
          )
        )
        // Long enough for both to wait for the moment.
        for (let i = 0; i < 100; i++) yield* Effect.yieldNow
        yield* moment.open
        const winner = yield* Fiber.join(fiber)
        const loser = winner === "primary" ? "hedge" : "primary"
        assert.deepStrictEqual(
          log.slice(2),
          [`close ${loser}`, `got ${winner}`, `close ${winner}`],
          `${more} more steps`
        )
      }
    }))

  it.effect("may acquire more in the caller's scope after it has won", () =>
    Effect.gen(function*() {
      const { log, open } = resources()
      const later = Hedge.run(Effect.map(Effect.scope, (scope) => Scope.provide(open("later"), scope)), options)
      yield* finish(Effect.scoped(Effect.flatMap(later, (open) => open)))
      assert.deepStrictEqual(log, ["open later", "close later"])
    }))

  it.effect("leaves nothing in the caller's scope when it acquired nothing", () =>
    Effect.scoped(Effect.gen(function*() {
      const before = sizeOf(yield* Effect.scope)
      for (let i = 0; i < 100; i++) {
        yield* Hedge.run(Effect.yieldNow, options)
        yield* Effect.exit(Hedge.run(Effect.fail("no"), options))
      }
      assert.strictEqual(sizeOf(yield* Effect.scope), before)
    })))

  it.effect("keeps what it acquired for the caller where it is the only attempt", () =>
    Effect.gen(function*() {
      const { log, open } = resources()
      const exit = yield* finish(Effect.scoped(Hedge.run(Effect.as(open("primary"), "primary"), options)))
      assert.deepStrictEqual(exit, Exit.succeed("primary"))
      assert.deepStrictEqual(log, ["open primary", "close primary"])
    }))
})

describe("an interrupted call", () => {
  it.effect("interrupts all its attempts, waits for them, and starts no more", () =>
    Effect.gen(function*() {
      const { log, open } = resources()
      const search = Dependency.scripted([Effect.andThen(open("attempt"), Effect.never)])
      const fiber = yield* Effect.forkChild(
        Effect.scoped(Hedge.run(search.call, { ...options, max: 5 })),
        { startImmediately: true }
      )
      yield* TestClock.adjust("120 millis")
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(log.toSorted(), [...Array(3).fill("close attempt"), ...Array(3).fill("open attempt")])
      assert.deepStrictEqual(search.calls.map(({ outcome }) => outcome), Array(3).fill("interrupted"))
    }))

  it.effect("interrupts the attempt that was just being started, too", () =>
    Effect.gen(function*() {
      let caller: Fiber.Fiber<unknown, unknown> | undefined
      const search = Dependency.scripted([
        Effect.never,
        Effect.suspend(() => {
          caller?.interruptUnsafe()
          return Effect.never
        })
      ])
      caller = yield* Effect.forkChild(Hedge.run(search.call, options))
      yield* TestClock.adjust("50 millis")
      yield* Fiber.await(caller)
      assert.deepStrictEqual(search.calls.map(({ outcome }) => outcome), ["interrupted", "interrupted"])
    }))

  it.effect("RT-5 10,000 interruptions at random moments leak no attempt, no scope and no timer", () =>
    Effect.gen(function*() {
      // The first hedge after 10 ms, the second after an hour: a timer that was forgotten is still there at the end.
      const delay = Schedule.exponential("10 millis", 360_000)
      const hedge = yield* Hedge.make({ delay, max: 2, maxExtraLoad: 100 })
      const program = yield* Scope.make()
      let sleeping = 0
      const testClock = yield* Clock.Clock
      const clock: Clock.Clock = {
        ...testClock,
        sleep: (duration) =>
          Effect.acquireUseRelease(
            Effect.sync(() => sleeping++),
            () => testClock.sleep(duration),
            () => Effect.sync(() => sleeping--)
          )
      }
      let running = 0
      let open = 0
      let started = 0
      let isOver = false
      const pause = Effect.flatMap(
        Random.nextIntBetween(0, 4),
        (n) => n === 0 ? Effect.void : n === 1 ? Effect.yieldNow : Effect.sleep(n * 5)
      )
      const count = Effect.acquireRelease(
        Effect.andThen(
          pause,
          Effect.sync(() => {
            open++
          })
        ),
        () => Effect.andThen(Effect.suspend(() => isOver ? Effect.void : pause), Effect.sync(() => open--))
      )
      const attempt = Effect.acquireUseRelease(
        Effect.sync(() => {
          started++
          running++
        }),
        () =>
          Effect.andThen(
            Effect.andThen(count, pause),
            Effect.flatMap(Random.nextBoolean, (fails) => fails ? Effect.fail("no") : Effect.void)
          ),
        () => Effect.andThen(pause, Effect.sync(() => running--))
      )

      let interruptions = 0
      for (let round = 0; round < 150; round++) {
        const fibers: Array<Fiber.Fiber<void, string>> = []
        for (let i = 0; i < 100; i++) {
          const call = hedge.run(attempt).pipe(
            Effect.provideService(Clock.Clock, clock),
            // Fibers give way after few steps: so interruptions come between any two of them.
            Effect.provideService(Scheduler.MaxOpsBeforeYield, yield* Random.choice([3, 16, 20, 2048]))
          )
          fibers.push(
            yield* Effect.forkChild(
              i % 2 === 0 ? Effect.scoped(call) : Scope.provide(call, program),
              { startImmediately: true }
            )
          )
          if (i % 3 === 0) yield* Effect.yieldNow
        }
        yield* TestClock.adjust(yield* Random.nextIntBetween(0, 30))
        for (const fiber of fibers) if (fiber.pollUnsafe() === undefined) interruptions++
        const interrupting = yield* Effect.forkChild(Fiber.interruptAll(fibers), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(interrupting)
        assert.strictEqual(running, 0)
        assert.strictEqual(sleeping, 0)
        // What is still open was acquired by winners, and the caller's scope holds that and no more.
        assert.strictEqual(open, sizeOf(program))
      }
      assert.isTrue(interruptions >= 10_000, `${interruptions} interruptions`)
      assert.isTrue(open > 100, `${open} winners kept what they acquired`)
      const startedBefore = started
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(started, startedBefore)
      isOver = true
      yield* Scope.close(program, Exit.void)
      assert.strictEqual(open, 0)
    }).pipe(Random.withSeed("RT-5")))
})
