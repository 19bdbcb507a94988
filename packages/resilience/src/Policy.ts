/**
 * Several policies as one value, in an order that has been thought about.
 *
 * {@link make} takes what is to be done around a call and composes it, from the outside in:
 *
 * | part | why there |
 * | --- | --- |
 * | `fallback`, a function | outside of the deadline: a call that was cut has a reply too |
 * | `deadLetter` | after all else failed, and whatever is replied |
 * | `deadline.total` | bounds the waiting for limits and places too |
 * | `cache` | a kept answer costs no limit, place or attempt |
 * | `fallback`, a chain | what follows is there for each route apart |
 * | `limit` | a call takes once, however often it is tried; a refusal is no failure of the dependency |
 * | `breaker` | outside of the retries: it counts calls that failed for good |
 * | `bulkhead` | a call that the breaker refuses takes no place |
 * | `deadline.call` | ends inside of the breaker, so that a call that hangs counts |
 * | `retry` | |
 * | `deadline.attempt` | one attempt that hangs leaves time for another |
 * | `hedge` | to all the others the two attempts are one |
 *
 * What is left out is not there and costs nothing. The type of the policy says what it adds to the errors of a call.
 *
 * The same can be written as data, one policy or many in a document: {@link Config}, {@link parse}, {@link layerFromFile}.
 *
 * What it does not do: it sees one call and knows no HTTP; for Effect's client see `HttpClientPolicy`.
 *
 * **Gotchas**
 *
 * A policy holds circuits, places and budgets: make it once, not in the function that makes the call.
 *
 * **Example** (Five seconds, two attempts, and a circuit)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { CircuitBreaker, Policy, Retry } from "effect-resilience"
 *
 * let attempts = 0
 * const call = Effect.suspend(() => ++attempts === 1 ? Effect.fail("a glitch") : Effect.succeed("an answer"))
 *
 * const program = Effect.gen(function*() {
 *   const policy = yield* Policy.make({
 *     name: "payments",
 *     deadline: { total: "5 seconds", attempt: "2 seconds" },
 *     retry: Retry.backoff({ base: "1 millis", times: 1 }),
 *     breaker: { trip: CircuitBreaker.consecutive(5) }
 *   })
 *   return yield* policy.run(call, { key: "eu" })
 * })
 *
 * await Effect.runPromise(
 *   program.pipe(Effect.scoped, Effect.provide(CircuitBreaker.layerStoreMemory))
 * ) // => "an answer"
 * ```
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { ErrorOf, MakingOf, Options, ServicesOf, TraitsOf } from "./internal/policy/options.ts"
import { partsOf } from "./internal/policy/parts.ts"
import { Composed, type Policy, typed } from "./internal/policy/policy.ts"
import * as Policies from "./internal/policy/policy.ts"

export type { Warning, WarningCode } from "./internal/policy/lint.ts"
export type {
  CallOptions,
  ErrorOf,
  LimitOptions,
  MakingOf,
  Options,
  Plain,
  ServicesOf,
  Times,
  Traits,
  TraitsOf
} from "./internal/policy/options.ts"
export type { CallArguments, Policy } from "./internal/policy/policy.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = Policies.TypeId

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/Policy"

/**
 * @category guards
 * @since 0.1.0
 */
export const isPolicy = (u: unknown): u is Policy<unknown, unknown> => Predicate.hasProperty(u, TypeId)

/** An option that there is not. */
type NoOthers<O> = { readonly [Name in Exclude<keyof O, keyof Options>]: never }

/**
 * The policy of these options.
 *
 * @category models
 * @since 0.1.0
 */
export type Made<O> = Policy<ErrorOf<O>, ServicesOf<O>, TraitsOf<O>>

/**
 * A policy of all that is given. A breaker is made in the `CircuitBreakerStore` and for as long as the scope, a limit counts in
 * the `RateLimiter`.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const O extends Options>(
  options: O & NoOthers<O>
): Effect.Effect<Made<O>, never, MakingOf<O>> => {
  const parts = partsOf(options)
  // What the parts need depends on the options in the way that `MakingOf` says.
  return Effect.map(parts, (made) => typed(new Composed(made, options))) as Effect.Effect<Made<O>, never, MakingOf<O>>
}

/**
 * {@link make} as a layer for a tag of your own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, const O extends Options>(
  tag: Context.Key<Self, Made<O>>,
  options: O & NoOthers<O>
): Layer.Layer<Self, never, Exclude<MakingOf<O>, Scope.Scope>> => Layer.effect(tag, make(options))
