/** Effect's own `CircuitBreaker`, from `effect/persistence`, run by this engine. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Core from "effect/persistence/CircuitBreaker"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { CircuitState, CircuitTransition } from "../../Signal.ts"
import { stackless } from "../stackless.ts"
import { engine } from "./breaker.ts"
import { type CircuitStoreError } from "./errors.ts"
import type { Classify } from "./guard.ts"
import type { Options } from "./options.ts"
import { failure, type Outcome, success } from "./outcome.ts"
import type { CircuitBreakerStore, Snapshot } from "./store.ts"

export const layerCore = (options: Options): Layer.Layer<Core.CircuitBreaker, never, CircuitBreakerStore> => {
  const made = engine({ ...options, classify: options.classify ?? everyFailure }, rejection)
  return Layer.effect(
    Core.CircuitBreaker,
    Effect.map(made, ({ guard, operations }): Core.CircuitBreaker => ({
      [Core.TypeId]: Core.TypeId,
      execute: dual(2, <A, E, R, R2>(
        self: Effect.Effect<A, E, R>,
        { classify, key }: {
          readonly key: string
          readonly classify?: ((exit: Exit.Exit<A, E>) => Outcome | Effect.Effect<Outcome, never, R2>) | undefined
        }
      ): Effect.Effect<A, E | Core.CircuitBreakerError, R | R2> =>
        classify === undefined
          ? guard.run(self, key, undefined)
          : Effect.uninterruptibleMask((restore) => {
            const restored = (exit: Exit.Exit<A, E>) => {
              const outcome = classify(exit)
              return Effect.isEffect(outcome) ? restore(outcome) : outcome
            }
            // It runs in the caller's fiber, whose services are the caller's to have.
            return guard.run(restore(self), key, restored as Classify)
          })),
      state: (key) => Effect.mapBoth(operations.metrics(key), { onSuccess: stateOf, onFailure: storeError }),
      transitions: Stream.filterMap(operations.transitions, transitionOf)
    }))
  )
}

/** As Effect's has it: whatever fails is the dependency's fault. */
const everyFailure = (exit: Exit.Exit<unknown, unknown>): Outcome => exit._tag === "Success" ? success : failure()

const newError = stackless(Core.CircuitBreakerError)
const newOpen = stackless(Core.CircuitOpen)
const newHalfOpen = stackless(Core.CircuitHalfOpen)

const rejection = (_: string, key: string, retryAfterMillis: number, state: CircuitState): Core.CircuitBreakerError => {
  const error = newError()
  error._tag = "CircuitBreakerError"
  error[Core.ErrorTypeId] = Core.ErrorTypeId
  error.reason = state === "HalfOpen" ? halfOpen(key) : open(key, retryAfterMillis)
  return error
}

const open = (key: string, retryAfterMillis: number): Core.CircuitOpen => {
  const reason = newOpen()
  reason._tag = "CircuitOpen"
  reason.key = key
  reason.retryAfter = Duration.millis(retryAfterMillis)
  return reason
}

const halfOpen = (key: string): Core.CircuitHalfOpen => {
  const reason = newHalfOpen()
  reason._tag = "CircuitHalfOpen"
  reason.key = key
  return reason
}

const storeError = (error: CircuitStoreError): Core.CircuitBreakerError =>
  new Core.CircuitBreakerError({
    reason: new Core.CircuitBreakerStoreError({ message: error.message, cause: error.cause })
  })

const stateOf = ({ key, openings, probing, retryAfter, state }: Snapshot): Core.State => {
  switch (coreState(state)) {
    case "Closed":
      return { _tag: "Closed", key }
    case "Open":
      return { _tag: "Open", key, retryAfter: Duration.millis(retryAfter), consecutiveOpenings: openings }
    case "HalfOpen":
      return { _tag: "HalfOpen", key, probing: probing > 0, consecutiveOpenings: openings }
  }
}

/** Effect's breaker has three states: a circuit that recovers is closed there, a forced one what it is forced to. */
const coreState = (state: CircuitState): "Closed" | "Open" | "HalfOpen" => {
  switch (state) {
    case "Closed":
    case "Recovering":
    case "ForcedClosed":
      return "Closed"
    case "Open":
    case "ForcedOpen":
      return "Open"
    case "HalfOpen":
      return "HalfOpen"
  }
}

/** Fails for a change that Effect's breaker does not know, such as an open circuit that is reset. */
const transitionOf = (transition: CircuitTransition): Result.Result<Core.Transition, CircuitTransition> => {
  const { key, openFor, openings } = transition
  const from = coreState(transition.from)
  const to = coreState(transition.to)
  if (from !== "Open" && to === "Open") {
    return Result.succeed({ key, from, to, retryAfter: openFor ?? Duration.zero, consecutiveOpenings: openings ?? 0 })
  }
  if (from === "Open" && to === "HalfOpen") return Result.succeed({ key, from, to })
  if (from === "HalfOpen" && to === "Closed") return Result.succeed({ key, from, to })
  return Result.fail(transition)
}
