/**
 * What happened, told by the policies as it happens.
 *
 * A `Signal` is a small immutable record: a circuit changed state, a retry was scheduled, a letter was kept. Policies emit
 * signals synchronously; listeners (metrics, tracing, logging, a console) are added as layers. No policy knows a
 * listener, and nothing is dropped between the two: a listener runs inside the emitting fiber's turn.
 *
 * - Nobody listening costs one context look-up. Signals are built only when somebody listens.
 * - A listener hears the fibers that run under its layer, in the order things happened to each.
 * - Layers of listeners add up: merging two of them, or providing one inside the other, keeps both.
 * - A listener that throws harms neither the policy nor the other listeners. The error is counted in the metric
 *   `signals_listener_errors_total` and the first one of each listener is logged.
 * - A listener must not block: it is called between two steps of somebody's request. For slow consumers use
 *   {@link stream}, which is bounded and says how many signals it dropped.
 *
 * A fiber started while a layer is built keeps the listeners of that moment, so provide listeners *under* the policies
 * whose background work they should hear.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Failure from "./Failure.ts"
import { positiveInteger } from "./internal/options.ts"
import { CurrentRegistry, type OnListenerError, type Registry, registryFor } from "./internal/signal/registry.ts"

/**
 * A circuit went from one state to another.
 *
 * When `to` is `"Open"`, `openFor` is how long it stays open, and `openings` counts the openings in a row, this one included.
 *
 * @category models
 * @since 0.1.0
 */
export interface CircuitTransition {
  readonly _tag: "CircuitTransition"
  readonly name: string
  readonly key: string
  readonly from: CircuitState
  readonly to: CircuitState
  readonly reason: string
  readonly openFor?: Duration.Duration | undefined
  readonly openings?: number | undefined
}

/**
 * The states of a circuit.
 *
 * @category models
 * @since 0.1.0
 */
export type CircuitState = "Closed" | "Open" | "HalfOpen" | "Recovering" | "ForcedOpen" | "ForcedClosed"

/**
 * A breaker let a call through.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallPermitted {
  readonly _tag: "CallPermitted"
  readonly name: string
  readonly key: string
  readonly state: CircuitState
}

/**
 * A breaker refused a call, or in shadow mode would have.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallRejected {
  readonly _tag: "CallRejected"
  readonly name: string
  readonly key: string
  readonly state: CircuitState
  readonly retryAfter: Duration.Duration
  readonly shadow: boolean
}

/**
 * A call that a breaker let through has ended. An ignored outcome counts neither for nor against the dependency.
 *
 * `failureRatio` and `slowRatio` are the shares of bad calls in the circuit's window after this one, from 0 to 1; only where
 * the breaker has such a rule and keeps its circuits in this process. A circuit that opens forgets its window.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallSettled {
  readonly _tag: "CallSettled"
  readonly name: string
  readonly key: string
  readonly outcome: "success" | "failure" | "ignored"
  readonly slow: boolean
  readonly duration: Duration.Duration
  readonly failureRatio?: number | undefined
  readonly slowRatio?: number | undefined
}

/**
 * An attempt failed and another one will follow after `delay`. `attempt` counts from 1 and is the one that failed.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryScheduled {
  readonly _tag: "RetryScheduled"
  readonly name: string
  readonly attempt: number
  readonly delay: Duration.Duration
  readonly failure: Failure.Info
}

/**
 * A retried call has ended for good after `attempts` attempts (1: it was not retried).
 *
 * @category models
 * @since 0.1.0
 */
export interface RetrySettled {
  readonly _tag: "RetrySettled"
  readonly name: string
  readonly attempts: number
  readonly outcome: "success" | "failure" | "interrupted"
}

/**
 * A retry was wanted and the budget refused it.
 *
 * @category models
 * @since 0.1.0
 */
export interface BudgetExhausted {
  readonly _tag: "BudgetExhausted"
  readonly budget: "ratio" | "tokens" | "inFlight" | "unlimited"
  readonly failure: Failure.Info
}

/**
 * A call was cut because its time was up.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadlinePassed {
  readonly _tag: "DeadlinePassed"
  readonly scope: "attempt" | "total"
  readonly budget: Duration.Duration
  readonly elapsed: Duration.Duration
}

/**
 * A bulkhead or a concurrency limit decided on a call, at once or after it had `waited`.
 *
 * `limit`, `inFlight` and `queued` are how things stand after the decision. `reason` says why a call was rejected.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConcurrencyDecided {
  readonly _tag: "ConcurrencyDecided"
  readonly name: string
  readonly policy: ConcurrencyPolicy
  readonly decision: "admitted" | "rejected"
  readonly reason?: string | undefined
  readonly waited: Duration.Duration
  readonly limit: number
  readonly inFlight: number
  readonly queued: number
}

/**
 * A call that a bulkhead or a concurrency limit had admitted has ended, or one that waited has given up. The numbers are
 * how things stand now.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConcurrencyReleased {
  readonly _tag: "ConcurrencyReleased"
  readonly name: string
  readonly policy: ConcurrencyPolicy
  readonly limit: number
  readonly inFlight: number
  readonly queued: number
}

/**
 * Which policy bounds the calls in flight.
 *
 * @category models
 * @since 0.1.0
 */
export type ConcurrencyPolicy = "bulkhead" | "concurrencyLimit" | "shedder"

/**
 * A rate limiter decided. One signal a rule.
 *
 * @category models
 * @since 0.1.0
 */
export interface LimitDecided {
  readonly _tag: "LimitDecided"
  readonly policy: string
  readonly rule: string
  readonly decision: "allowed" | "denied" | "shadow_denied" | "store_unavailable"
}

/**
 * A call began to wait for room in a rate limiter, or is done waiting after it had `waited`, however that ended. `waiting`
 * is how many calls wait in that line now.
 *
 * @category models
 * @since 0.1.0
 */
export interface LimitWaited {
  readonly _tag: "LimitWaited"
  readonly policy: string
  readonly waiting: number
  readonly waited?: Duration.Duration | undefined
}

/**
 * A request was refused because of its credentials: it had none (`"missing"`), nobody has them (`"unknown"`), or they do not
 * open what was asked for (`"forbidden"`).
 *
 * @category models
 * @since 0.1.0
 */
export interface AuthenticationFailed {
  readonly _tag: "AuthenticationFailed"
  readonly reason: "missing" | "unknown" | "forbidden"
}

/**
 * A chain answered from `route`. `degraded` says that it was not the first eligible one.
 *
 * @category models
 * @since 0.1.0
 */
export interface FallbackServed {
  readonly _tag: "FallbackServed"
  readonly chain: string
  readonly route: string
  readonly index: number
  readonly degraded: boolean
  readonly reason?: Failure.Kind | undefined
}

/**
 * A call ended that launched hedges, or wanted one that the budget `refused`.
 *
 * `winner` is the attempt whose result it has: 0 the primary, 1 the first hedge, `undefined` when it was interrupted.
 * `launched` is the number of hedges.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hedged {
  readonly _tag: "Hedged"
  readonly name: string
  readonly winner: number | undefined
  readonly launched: number
  readonly refused?: boolean | undefined
}

/**
 * A cache was asked.
 *
 * `reason` says why it was no hit. A miss: nothing was kept (`"Absent"`), it was too old (`"Expired"`), another call was
 * looking the same thing up (`"Joined"`), what was kept could not be read any more (`"Undecodable"`), the store did not
 * answer (`"StoreUnavailable"`). A stale reply: it is being looked up again (`"Revalidating"`), or that failed (`"Error"`).
 *
 * @category models
 * @since 0.1.0
 */
export interface CacheServed {
  readonly _tag: "CacheServed"
  readonly cache: string
  readonly result: "hit" | "miss" | "stale"
  readonly reason?: CacheReason | undefined
}

/**
 * Why a cache did not answer with something fresh.
 *
 * @category models
 * @since 0.1.0
 */
export type CacheReason =
  | "Absent"
  | "Expired"
  | "Joined"
  | "Undecodable"
  | "StoreUnavailable"
  | "Revalidating"
  | "Error"

/**
 * Work that could not be done was kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLettered {
  readonly _tag: "DeadLettered"
  readonly queue: string
  readonly id: string
  readonly kind: Failure.Kind
}

/**
 * A redrive of a letter ended. `attempt` counts from 1. That one `crashed` is told by whoever finds its letter.
 *
 * @category models
 * @since 0.1.0
 */
export interface LetterRedriven {
  readonly _tag: "LetterRedriven"
  readonly queue: string
  readonly id: string
  readonly attempt: number
  readonly outcome: "redriven" | "failed" | "interrupted" | "crashed" | "quarantined" | "givenBack" | "leaseLost"
}

/**
 * A letter was thrown away to keep to the queue's retention.
 *
 * @category models
 * @since 0.1.0
 */
export interface LetterEvicted {
  readonly _tag: "LetterEvicted"
  readonly queue: string
  readonly id: string
  readonly kind: Failure.Kind
  readonly reason: "age" | "size"
}

/**
 * A health check was run. `state` is the verdict after that, which one result does not always change.
 *
 * @category models
 * @since 0.1.0
 */
export interface HealthChecked {
  readonly _tag: "HealthChecked"
  readonly check: string
  readonly outcome: "success" | "failure"
  readonly state: HealthState
  readonly duration: Duration.Duration
}

/**
 * A health check changed its verdict.
 *
 * @category models
 * @since 0.1.0
 */
export interface HealthChanged {
  readonly _tag: "HealthChanged"
  readonly check: string
  readonly from: HealthState
  readonly to: HealthState
}

/**
 * The verdicts of a health check.
 *
 * @category models
 * @since 0.1.0
 */
export type HealthState = "Unknown" | "Healthy" | "Degraded" | "Failed"

/**
 * The program wants traffic, or does not. Told at the start as well.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReadinessChanged {
  readonly _tag: "ReadinessChanged"
  readonly ready: boolean
  readonly draining: boolean
}

/**
 * A call with all its policies has ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface PipelineSettled {
  readonly _tag: "PipelineSettled"
  readonly name: string
  readonly outcome: "success" | "failure" | "interrupted"
  readonly duration: Duration.Duration
}

/**
 * One attempt of a call with policies has ended. `attempt` counts from 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface AttemptSettled {
  readonly _tag: "AttemptSettled"
  readonly name: string
  readonly attempt: number
  readonly outcome: "success" | "failure" | "interrupted"
  readonly duration: Duration.Duration
}

/**
 * A document of policies came, from `source`, and was taken over or, with all its `problems`, refused.
 *
 * @category models
 * @since 0.1.0
 */
export interface PoliciesReloaded {
  readonly _tag: "PoliciesReloaded"
  readonly source: string
  readonly outcome: "applied" | "refused"
  readonly problems: ReadonlyArray<string>
}

/**
 * A {@link stream} was read too slowly and lost `count` signals at this place.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignalsDropped {
  readonly _tag: "SignalsDropped"
  readonly count: number
}

/**
 * Everything a policy can say.
 *
 * @category models
 * @since 0.1.0
 */
export type Signal =
  | CircuitTransition
  | CallPermitted
  | CallRejected
  | CallSettled
  | RetryScheduled
  | RetrySettled
  | BudgetExhausted
  | DeadlinePassed
  | ConcurrencyDecided
  | ConcurrencyReleased
  | LimitDecided
  | LimitWaited
  | AuthenticationFailed
  | FallbackServed
  | Hedged
  | CacheServed
  | DeadLettered
  | LetterRedriven
  | LetterEvicted
  | HealthChecked
  | HealthChanged
  | ReadinessChanged
  | PipelineSettled
  | AttemptSettled
  | PoliciesReloaded

/**
 * Called with each signal and the fiber that emitted it, in that fiber's turn. Must return soon; may throw.
 *
 * @category models
 * @since 0.1.0
 */
export type Listener = (signal: Signal, fiber: Fiber.Fiber<unknown, unknown>) => void

const signals = Data.taggedEnum<Signal>()

/**
 * Tells one kind of signal from the others.
 *
 * @category guards
 * @since 0.1.0
 */
export const is: typeof signals.$is = signals.$is

/**
 * Handles every kind of signal, checked to be exhaustive.
 *
 * @category pattern matching
 * @since 0.1.0
 */
export const match: typeof signals.$match = signals.$match

/**
 * How many times listeners threw, since the process started.
 *
 * @category metrics
 * @since 0.1.0
 */
export const listenerErrors: Metric.Counter<number> = Metric.counter("signals_listener_errors_total", {
  description: "Signals that a listener failed to take",
  incremental: true
})

/**
 * Whether anybody would hear a signal of this fiber. Ask before building an expensive one.
 *
 * @category emitting
 * @since 0.1.0
 */
export const isHeardUnsafe = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.getRef(CurrentRegistry).isHeard()

/**
 * Tells a signal to whoever listens to this fiber, before it returns. Give a function to have the signal built only
 * when somebody listens.
 *
 * **Example** (A policy of your own that can be observed)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signal } from "effect-resilience"
 *
 * const heard: Array<Signal.Signal> = []
 * const program = Effect.withFiber((fiber) => {
 *   Signal.emitUnsafe(fiber, () => ({ _tag: "CacheServed", cache: "replies", result: "hit" }))
 *   return Effect.void
 * })
 *
 * await Effect.runPromise(Effect.provide(program, Signal.layer((signal) => heard.push(signal))))
 * heard // => [{ _tag: "CacheServed", cache: "replies", result: "hit" }]
 * ```
 *
 * @category emitting
 * @since 0.1.0
 */
export const emitUnsafe = (
  fiber: Fiber.Fiber<unknown, unknown>,
  signal: Signal | (() => Signal)
): void => {
  const registry = fiber.getRef(CurrentRegistry)
  if (!registry.isHeard()) return
  registry.notify(typeof signal === "function" ? signal() : signal, fiber, listenerFailed)
}

/**
 * Tells a signal to whoever listens to the running fiber.
 *
 * @category emitting
 * @since 0.1.0
 */
export const emit = (signal: Signal): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    emitUnsafe(fiber, signal)
    return Effect.void
  })

/**
 * Adds a listener to those of the enclosing scope, and removes it when the layer's scope closes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (listener: Listener): Layer.Layer<never> =>
  Layer.fromBuildMemo((memoMap, scope) =>
    Effect.withFiber((fiber) => {
      const registry = registryFor(memoMap, fiber.getRef(CurrentRegistry))
      return Effect.as(listenScoped(registry, listener, scope), Context.make(CurrentRegistry, registry))
    })
  )

/**
 * The signals of the enclosing scope, from the moment the stream is run, for a reader that may be slow.
 *
 * At most `capacity` signals wait (default 1,024); more are dropped and the stream says how many in a
 * {@link SignalsDropped}, in their place.
 *
 * @category streams
 * @since 0.1.0
 */
export const stream = (options?: {
  readonly capacity?: number | undefined
}): Stream.Stream<Signal | SignalsDropped> => {
  const capacity = positiveInteger("capacity", options?.capacity ?? 1024)
  return Stream.callback<Signal | SignalsDropped>((queue) => {
    let dropped = 0
    const listener: Listener = (signal) => {
      // One place is kept for the notice, so that it stands where the gap is.
      if (Queue.sizeUnsafe(queue) >= capacity) {
        dropped++
        return
      }
      if (dropped > 0) {
        Queue.offerUnsafe(queue, { _tag: "SignalsDropped", count: dropped })
        dropped = 0
      }
      Queue.offerUnsafe(queue, signal)
    }
    return Effect.withFiber((fiber) =>
      Effect.flatMap(Effect.scope, (scope) => listenScoped(fiber.getRef(CurrentRegistry), listener, scope))
    )
  }, { bufferSize: capacity + 1, strategy: "dropping" })
}

/** Errors of listeners are their own: counted each time, logged the first time. */
const failedBefore = new WeakSet<Listener>()

const listenerFailed: OnListenerError = (error, listener, fiber) => {
  listenerErrors.updateUnsafe(1, fiber.context)
  if (failedBefore.has(listener)) return
  failedBefore.add(listener)
  Effect.runForkWith(fiber.context)(
    Effect.logError("A signal listener failed; its further errors are counted, not logged", Cause.die(error))
  )
}

const listenScoped = (registry: Registry, listener: Listener, scope: Scope.Scope): Effect.Effect<void> =>
  Effect.suspend(() => {
    registry.add(listener)
    return Scope.addFinalizer(scope, Effect.sync(() => registry.remove(listener)))
  })
