/**
 * What every store of rate limits must do, as a suite of tests: all of a decision or nothing, denied requests change nothing, exact
 * times, keys that stay apart whatever they hold, reservations that settle once, leases that run out, and limits that hold under
 * contention.
 *
 * The tests run by the store's own clock, which must be near the machine's. Each uses policies of its own, so the store may hold
 * anything else beside.
 *
 * **Example** (Testing a store)
 *
 * ```ts no-run
 * import * as RateLimiterStoreSuite from "@effect-resilience/testing/RateLimiterStoreSuite"
 * import * as RateLimiter from "effect-resilience/RateLimiter"
 *
 * RateLimiterStoreSuite.suite("in memory", RateLimiter.layerStoreMemory())
 * ```
 *
 * @since 0.1.0
 */
import { layer as provide } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { decisionTests } from "./internal/rateLimiterStoreSuite/decisions.ts"
import { historyTests } from "./internal/rateLimiterStoreSuite/histories.ts"
import { holdTests } from "./internal/rateLimiterStoreSuite/holds.ts"
import { keyTests } from "./internal/rateLimiterStoreSuite/keys.ts"
import type { Test } from "./internal/rateLimiterStoreSuite/kit.ts"

/**
 * The tests, over the store of a layer.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  store: Layer.Layer<RateLimiter.RateLimiterStore, E>,
  options?: {
    /** Milliseconds that a test may take. Default 60,000. */
    readonly timeout?: number | undefined
  }
): void => {
  const timeout = options?.timeout ?? 60_000
  // A busy machine is no store that is down.
  const limiters = RateLimiter.layerWith({ storeTimeout: "20 seconds" }).pipe(Layer.provideMerge(store))
  provide(limiters, { excludeTestServices: true })(name, (it) => {
    const test: Test = (title, body) => it.effect(title, () => Effect.flatMap(RateLimiter.RateLimiter, body), timeout)
    decisionTests(test)
    keyTests(test)
    holdTests(test)
    historyTests(it, timeout)
  })
}
