import { assert, describe, it } from "@effect/vitest"
import * as Deadline from "effect-resilience/Deadline"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Retry from "effect-resilience/Retry"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import { ask, dependencyFault, type Fault, Model } from "./support/routes.ts"

/** A route that is down from one second to another, and otherwise fails with these chances. */
const stormy = (
  name: string,
  chance: { readonly transient: number; readonly limited: number },
  down: readonly [from: number, to: number],
  failed: () => void
) => {
  const answer = Effect.gen(function*() {
    const seconds = (yield* Clock.currentTimeMillis) / 1_000
    const drawn = yield* Random.next
    const fault: Fault | undefined = (seconds >= down[0] && seconds < down[1]) || drawn < chance.transient
      ? dependencyFault("Transient", { code: "500" })
      : drawn < chance.transient + chance.limited
      ? dependencyFault("RateLimited", { code: "429", retryAfter: "1 second" })
      : undefined
    if (fault === undefined) return name
    failed()
    return yield* fault
  })
  return FallbackChain.route(name, Context.make(Model, { ask: answer }), {
    retry: Retry.byKind({ Transient: Retry.backoff({ base: "100 millis", times: 2 }) })
  })
}

describe("FallbackChain in a storm", () => {
  it.effect("FB-9 serves 90 % and more while one of two routes is down, and recovers 95 % and more of what fails", () =>
    Effect.gen(function*() {
      const count = { calls: 0, touched: 0, recovered: 0, duringOutage: 0, servedDuringOutage: 0 }
      let failures = 0
      const chain = yield* FallbackChain.make("chain", [
        stormy("a", { transient: 0.2, limited: 0.05 }, [300, 330], () => failures++),
        stormy("b", { transient: 0.02, limited: 0 }, [600, 600], () => failures++)
      ])
      const one = Effect.gen(function*() {
        const second = (yield* Clock.currentTimeMillis) / 1_000
        const isOutage = second >= 300 && second < 330
        const before = failures
        const exit = yield* Effect.exit(Deadline.within(chain.run(ask), "10 seconds"))
        const isServed = exit._tag === "Success"
        count.calls++
        if (isOutage) count.duringOutage++
        if (isOutage && isServed) count.servedDuringOutage++
        // Other calls may have failed meanwhile: that only makes the bound harder to meet by luck.
        if (failures > before) count.touched++
        if (failures > before && isServed) count.recovered++
      })
      const fibers: Array<Fiber.Fiber<void>> = []
      for (let second = 0; second < 1_000; second++) {
        fibers.push(yield* Effect.forkChild(one))
        yield* TestClock.adjust("1 second")
      }
      yield* TestClock.adjust("1 minute")
      for (const fiber of fibers) yield* Fiber.join(fiber)
      assert.strictEqual(count.calls, 1_000)
      assert.isAtLeast(count.servedDuringOutage / count.duringOutage, 0.9)
      assert.isAtLeast(count.touched, 100)
      assert.isAtLeast(count.recovered / count.touched, 0.95)
    }).pipe(Random.withSeed("storm")))
})
