/**
 * How many retries a program may afford, all its calls together.
 *
 * Back-off spreads the retries of one call; it does not stop a thousand calls from tripling the load on a dependency
 * that is already down. A `RetryBudget` does: `Retry.withBudget` asks it before each wait, and when it is spent the call
 * fails with the error it has.
 *
 * | layer | a retry is allowed while | from |
 * | --- | --- | --- |
 * | {@link layer} | retries of the window < `ratio` x calls of the window + floor | Finagle |
 * | {@link layerTokens} | tokens are left; successes bring them back | the AWS SDKs' standard mode |
 * | {@link layerInFlight} | retries in flight < `ratio` x calls in flight | Envoy |
 * | {@link layerUnlimited} | always | |
 *
 * A budget is taken *before* the wait, and a wait that is interrupted gives it back, so a thousand calls that back off
 * at once cannot all have been promised the last retry.
 *
 * Share one budget among the calls to one dependency: that is what a layer does. Give each dependency its own.
 *
 * **Gotchas**
 *
 * Run budgeted policies with `Retry.retry`. `Effect.retry` cannot tell a policy that a wait was interrupted or how the
 * call ended. Under it the ratio budget does not get interrupted waits back, and the token and in-flight budgets, which
 * would run dry, refuse to start with a defect that says so.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Failure from "./Failure.ts"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { nonNegativeInteger, numberBetween, positiveInteger, positiveMillis } from "./internal/options.ts"
import type * as InFlight from "./internal/retryBudget/inFlight.ts"
import * as Ledgers from "./internal/retryBudget/ledgers.ts"
import type * as Ratio from "./internal/retryBudget/ratio.ts"
import type * as Tokens from "./internal/retryBudget/tokens.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/RetryBudget"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/RetryBudget"

/**
 * Which of the three rules a budget follows, or none.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule = "ratio" | "tokens" | "inFlight" | "unlimited"

/**
 * What one call has taken from the budget. Used by policies; programs do not need it.
 *
 * The order is: `reserveUnsafe` before each wait, `startedUnsafe` when the wait is over, `settleUnsafe` once at the end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Account {
  /** Takes one retry of a failure of this kind. `false`: there is none to be had, and nothing has changed. */
  readonly reserveUnsafe: (kind: Failure.Kind) => boolean
  /** The wait is over, the retry is being made. */
  readonly startedUnsafe: () => void
  /** The call has ended. A retry that was taken and not started is given back. */
  readonly settleUnsafe: (outcome: "success" | "failure" | "interrupted") => void
}

/**
 * The budget that the policies of a program draw on.
 *
 * - `rule`: which kind of budget it is.
 * - `available`: how many retries could be taken now; `Infinity` when unlimited.
 * - `openUnsafe`: registers a call that may retry.
 *
 * @category services
 * @since 0.1.0
 */
export class RetryBudget extends Context.Service<RetryBudget, {
  readonly [TypeId]: TypeId
  readonly rule: Rule
  readonly available: Effect.Effect<number>
  readonly openUnsafe: (fiber: Fiber.Fiber<unknown, unknown>) => Account
}>()("effect-resilience/RetryBudget") {}

/**
 * @category guards
 * @since 0.1.0
 */
export const isRetryBudget = (u: unknown): u is RetryBudget["Service"] => Predicate.hasProperty(u, TypeId)

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Retries that each call earns, 0 to 1,000. Default 0.2: one retry for five calls. */
  readonly ratio?: number | undefined
  /** Retries a second that are allowed on top, so that a program with few calls can retry at all. Default 10. */
  readonly floor?: number | undefined
  /** How long calls and retries count. Default 10 seconds. */
  readonly window?: Duration.Input | undefined
}

/**
 * Retries stay within a share of the calls: in any window at most `ratio` x calls + `floor` x seconds of the window.
 *
 * Fractions count: a ratio of 0.75 gives three retries for four calls, and none for one.
 *
 * **Example** (One retry for two calls)
 *
 * ```ts
 * import { Effect, Fiber } from "effect"
 * import { Retry, RetryBudget } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * let attempts = 0
 * const call = Effect.suspend(() => Effect.fail(`failure ${++attempts}`)).pipe(
 *   Retry.retry(Retry.withBudget(Retry.backoff({ base: "10 millis", times: 1 }))),
 *   Effect.ignore
 * )
 *
 * const program = Effect.gen(function*() {
 *   const calls = yield* Effect.forkChild(Effect.replicateEffect(call, 10))
 *   yield* TestClock.adjust("1 second")
 *   yield* Fiber.join(calls)
 * })
 * await Effect.runPromise(program.pipe(
 *   Effect.provide([RetryBudget.layer({ ratio: 0.5, floor: 0 }), TestClock.layer()])
 * ))
 * attempts // => 15
 * ```
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<RetryBudget> => {
  const windowMillis = positiveMillis("window", options.window ?? "10 seconds")
  const ratioOptions: Ratio.Options = {
    ratio: numberBetween("ratio", options.ratio ?? 0.2, 0, 1000),
    floor: numberBetween("floor", options.floor ?? 10, 0, Infinity) * windowMillis / 1000,
    windowMillis
  }
  return makeLayer("ratio", () => Ledgers.ratio(ratioOptions))
}

/**
 * {@link layer} with its options from `Config`. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Config.Wrap<Options>): Layer.Layer<RetryBudget, Config.ConfigError> =>
  layerFromConfig(options, layer)

/**
 * Options of {@link layerTokens}.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokensOptions {
  /** Tokens at the start, and at most. Default 500. */
  readonly capacity?: number | undefined
  /** What a retry costs. Default 14. */
  readonly retryCost?: number | undefined
  /** What a retry after a failure of kind `Timeout` costs. Default: as `retryCost`. */
  readonly timeoutCost?: number | undefined
  /** What a call that succeeds at once brings back. Default 1. */
  readonly refund?: number | undefined
}

/**
 * Retries are paid from a store of tokens. A call that succeeds after retries returns the cost of its last retry, one
 * that succeeds at once returns `refund`. The defaults are those of the AWS SDKs' standard mode.
 *
 * Throws a `RangeError` for an option out of its range: `capacity` is a positive integer, the others are integers of at
 * least 0.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTokens = (options: TokensOptions = {}): Layer.Layer<RetryBudget> => {
  const retryCost = nonNegativeInteger("retryCost", options.retryCost ?? 14)
  const tokensOptions: Tokens.Options = {
    capacity: positiveInteger("capacity", options.capacity ?? 500),
    retryCost,
    timeoutCost: nonNegativeInteger("timeoutCost", options.timeoutCost ?? retryCost),
    refund: nonNegativeInteger("refund", options.refund ?? 1)
  }
  return makeLayer("tokens", () => Ledgers.tokens(tokensOptions))
}

/**
 * Options of {@link layerInFlight}.
 *
 * @category models
 * @since 0.1.0
 */
export interface InFlightOptions {
  /** Retries that each call in flight allows, 0 to 1,000. Default 0.2. */
  readonly ratio?: number | undefined
  /** Retries in flight that are allowed however few calls there are. Default 3. */
  readonly minimum?: number | undefined
}

/**
 * Retries in flight, waiting or running, stay within a share of the calls in flight.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerInFlight = (options: InFlightOptions = {}): Layer.Layer<RetryBudget> => {
  const inFlightOptions: InFlight.Options = {
    ratio: numberBetween("ratio", options.ratio ?? 0.2, 0, 1000),
    minimum: nonNegativeInteger("minimum", options.minimum ?? 3)
  }
  return makeLayer("inFlight", () => Ledgers.inFlight(inFlightOptions))
}

/**
 * Every retry is allowed: for programs, and tests, that want budgeted policies without a budget.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerUnlimited: Layer.Layer<RetryBudget> = makeLayer("unlimited", () => Ledgers.unlimited)

/** Each layer that is built has a ledger of its own. */
function makeLayer(rule: Rule, makeLedger: () => Ledgers.Ledger): Layer.Layer<RetryBudget> {
  return Layer.sync(RetryBudget, () => {
    const ledger = makeLedger()
    return {
      [TypeId]: TypeId,
      rule,
      available: Effect.withFiber((fiber) => Effect.succeed(ledger.available(fiber))),
      openUnsafe: ledger.open
    }
  })
}
