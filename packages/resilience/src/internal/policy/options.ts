/** What a policy is made from, and what that says of the effects it runs. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Bulkhead from "../../Bulkhead.ts"
import type * as CircuitBreaker from "../../CircuitBreaker.ts"
import type * as DeadLetterQueue from "../../DeadLetterQueue.ts"
import type * as Deadline from "../../Deadline.ts"
import type * as FallbackChain from "../../FallbackChain.ts"
import type * as Hedge from "../../Hedge.ts"
import type * as RateLimiter from "../../RateLimiter.ts"
import type * as ResponseCache from "../../ResponseCache.ts"

/**
 * How long things may take.
 *
 * - `total`: the whole call, with its waiting for limits and places, and all routes of a chain
 * - `call`: the dependency with all of its retries. It ends inside of the breaker, so it counts as a failure. Default: 0.9 of
 *   `total` where there is a breaker or a chain, which else would never hear of a call that hangs; none otherwise.
 * - `attempt`: one attempt
 *
 * @category models
 * @since 0.1.0
 */
export interface Times {
  readonly total?: Duration.Input | undefined
  readonly call?: Duration.Input | undefined
  readonly attempt?: Duration.Input | undefined
}

/**
 * A limit and, where calls may wait for room, how long and how many.
 *
 * @category models
 * @since 0.1.0
 */
export interface LimitOptions extends RateLimiter.WaitOptions {
  readonly rules: RateLimiter.Policy | ReadonlyArray<RateLimiter.Rule>
}

/** What tells a chain from other values. A chain is invariant in what its routes are, so no type stands for all chains. */
type AnyChain = Pick<FallbackChain.FallbackChain<never, never, never>, typeof FallbackChain.TypeId | "name">

// oxlint-disable-next-line typescript/no-explicit-any -- invariant in its letters: only `any` stands for all queues
type AnyQueue = DeadLetterQueue.DeadLetterQueue<any>
// oxlint-disable-next-line typescript/no-explicit-any -- invariant in both: only `any` stands for all caches
type AnyCache = ResponseCache.ResponseCache<any, any>

/**
 * What a policy is made from. What is left out is not there, and costs nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** What errors, signals, metrics and spans call it. Not empty. */
  readonly name: string
  /** The time for the whole call, or {@link Times}. */
  readonly deadline?: Duration.Input | Times | undefined
  /** When to try again. Its waits always have to fit into the deadline. */
  readonly retry?: Schedule.Schedule<unknown, never, unknown, unknown> | undefined
  /** One circuit a key. A breaker that is there already, or what to make one from; the policy's name is its name then. */
  readonly breaker?: CircuitBreaker.Breaker | Omit<CircuitBreaker.Options, "name"> | undefined
  /** How many calls may be in flight: of each key by itself, or, of a bulkhead that is there already, of all keys together. */
  readonly bulkhead?: Bulkhead.Bulkhead["Service"] | Bulkhead.UnnamedOptions | undefined
  /** How much may be taken in a time, by each key. */
  readonly limit?: RateLimiter.Policy | RateLimiter.Rule | ReadonlyArray<RateLimiter.Rule> | LimitOptions | undefined
  /** A second attempt while the first is slow. Only for calls that may be done twice at once. */
  readonly hedge?: Hedge.Hedge["Service"] | Omit<Hedge.Options, "name"> | undefined
  /**
   * A chain: each call goes along its routes, each route with circuits, limits and places of its own.
   * A function: gives an answer in place of a final failure, the passed deadline included, and so must be quick. It is not
   * asked about bad requests, defects and interruptions.
   */
  readonly fallback?: AnyChain | ((error: unknown) => Effect.Effect<unknown, unknown, unknown>) | undefined
  /** Keeps the `letter` of a call that failed for good. */
  readonly deadLetter?: AnyQueue | undefined
  /** Answers `request`s that were answered before. */
  readonly cache?: AnyCache | undefined
  /** Whether a call may be done twice. Calls can say otherwise; those that may not are neither retried nor hedged. Default `true`. */
  readonly idempotent?: boolean | undefined
}

/**
 * What a call may say of itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallOptions {
  /** Which circuit, limit and bulkhead: a host, a tenant, a model. Default `"default"`. */
  readonly key?: string | undefined
  /** Whose limit, where that is not `key`. */
  readonly limitKey?: string | undefined
  /** What it costs of the limit. Default: one request. */
  readonly cost?: RateLimiter.Cost | undefined
  /** How important it is to a bulkhead of order `"priority"`. Default 0. */
  readonly priority?: number | undefined
  /** Whether it may be done twice. Default: as the policy says. */
  readonly idempotent?: boolean | undefined
  /** What it asks of the routes of a chain. */
  readonly route?: FallbackChain.Request | undefined
}

/**
 * What a policy says of the effects it runs, besides what it adds to their errors and needs.
 *
 * - `accepts`, `answers`: the values they may have, and the ones that may come in their place
 * - `fails`: the errors that its retries understand
 * - `provides`: the services that its routes give them
 * - `call`: the options of a call
 *
 * @category models
 * @since 0.1.0
 */
export interface Traits {
  readonly accepts: unknown
  readonly answers: unknown
  readonly fails: unknown
  readonly provides: unknown
  readonly call: CallOptions
}

/**
 * The traits of a policy that takes every effect.
 *
 * @category models
 * @since 0.1.0
 */
export interface Plain extends Traits {
  readonly accepts: unknown
  readonly answers: never
  readonly fails: unknown
  readonly provides: never
  readonly call: CallOptions
}

/** Whether an option was given. */
type Given<O, Name extends keyof Options> = O extends { readonly [N in Name]: infer Value }
  ? undefined extends Value ? false : true
  : false

type If<Condition extends boolean, Then, Else = never> = Condition extends true ? Then : Else

type Fallback<O> = O extends { readonly fallback: infer F } ? F : never

/** What a fallback gives, fails with, needs and provides: a chain answers with what the effect does on a route. */
type FallbackTypes<F> = F extends FallbackChain.FallbackChain<infer P, infer E, infer R> ? {
    readonly answer: never
    readonly error: E | FallbackChain.FallbackExhausted
    readonly needs: R
    readonly gives: P
  }
  : F extends (...args: infer _Args) => Effect.Effect<infer A, infer E, infer R>
    ? { readonly answer: A; readonly error: E; readonly needs: R; readonly gives: never }
  : never

/**
 * What a policy of these options may fail with besides what the effect does.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorOf<O> =
  | If<Given<O, "deadline">, Deadline.DeadlineExceeded>
  | If<Given<O, "breaker">, CircuitBreaker.CircuitOpen>
  | If<Given<O, "bulkhead">, Bulkhead.BulkheadRejected>
  | If<Given<O, "limit">, RateLimiter.RateLimited | RateLimiter.RateLimiterUnavailable>
  | If<Given<O, "deadLetter">, DeadLetterQueue.DeadLetterStoreError | DeadLetterQueue.PayloadUnencodable>
  | (O extends { readonly retry: Schedule.Schedule<infer _Output, infer _Input, infer Error, infer _Env> } ? Error
    : never)
  | FallbackTypes<Fallback<O>>["error"]

/**
 * What the calls of a policy of these options need besides what the effect does.
 *
 * @category models
 * @since 0.1.0
 */
export type ServicesOf<O> =
  | (O extends { readonly retry: Schedule.Schedule<infer _Output, infer _Input, infer _Error, infer Env> } ? Env
    : never)
  | FallbackTypes<Fallback<O>>["needs"]

/**
 * The {@link Traits} of a policy of these options.
 *
 * @category models
 * @since 0.1.0
 */
export interface TraitsOf<O> extends Traits {
  readonly accepts: O extends { readonly cache: ResponseCache.ResponseCache<infer _Request, infer A> } ? A : unknown
  readonly answers:
    | (O extends { readonly cache: ResponseCache.ResponseCache<infer _Request, infer A> } ? A : never)
    | FallbackTypes<Fallback<O>>["answer"]
  readonly fails: O extends { readonly retry: Schedule.Schedule<infer _Output, infer Input, infer _Error, infer _Env> }
    ? Input
    : unknown
  readonly provides: FallbackTypes<Fallback<O>>["gives"]
  readonly call:
    & CallOptions
    & (O extends { readonly cache: ResponseCache.ResponseCache<infer Request, infer _A> }
      ? { readonly request: Request }
      : unknown)
    & (O extends { readonly deadLetter: DeadLetterQueue.DeadLetterQueue<infer Letter> } ? { readonly letter: Letter }
      : unknown)
}

/**
 * What making a policy of these options needs.
 *
 * @category models
 * @since 0.1.0
 */
export type MakingOf<O> =
  | (O extends { readonly breaker: infer B } ? B extends CircuitBreaker.Breaker | undefined ? never
    : CircuitBreaker.CircuitBreakerStore | Scope.Scope
    : never)
  | If<Given<O, "limit">, RateLimiter.RateLimiter>
