/** A guard over circuits that live elsewhere: two round trips a call, and each of them may fail. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as References from "effect/References"
import type { CircuitState } from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"
import type { Classify, Guard, Setup } from "./guard.ts"
import { settleWith } from "./local.ts"
import type { Observers } from "./observers.ts"
import { hintOf, type Outcome, verdictOf } from "./outcome.ts"
import type { Circuits, Move } from "./store.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

export class RemoteGuard<X> implements Guard<X> {
  private readonly setup: Setup<X>
  private readonly circuits: Circuits
  private readonly observers: Observers

  constructor(setup: Setup<X>, circuits: Circuits, observers: Observers) {
    this.setup = setup
    this.circuits = circuits
    this.observers = observers
  }

  run<A, E, R>(
    self: Effect.Effect<A, E, R>,
    key: string,
    classify: Classify | undefined
  ): Effect.Effect<A, E | X, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.withFiber((fiber): Effect.Effect<A, E | X, R> => {
        const { policy, watch } = this.setup
        if (watch !== undefined) watch(key)
        const chance = fiber.getRef(Random.Random).nextDoubleUnsafe()
        return Effect.flatMap(
          this.circuits.admit(key, policy, chance),
          (admission): Effect.Effect<A, E | X, R> => {
            switch (admission._tag) {
              case "Admitted":
                this.tellMoves(fiber, key, admission.moves)
                this.observers.permitted(fiber, key, admission.state)
                return this.admitted(fiber, restore(self), key, admission.permit, classify)
              case "Refused":
                this.tellMoves(fiber, key, admission.moves)
                return this.refused(fiber, restore(self), key, admission.state, admission.retryAfter)
              case "Unavailable":
                return admission.mode === "closed"
                  ? restore(self)
                  : this.refused(fiber, restore(self), key, "Open", admission.retryAfter)
            }
          }
        )
      })
    )
  }

  private admitted<A, E, R>(
    fiber: AnyFiber,
    self: Effect.Effect<A, E, R>,
    key: string,
    permit: string,
    classify: Classify | undefined
  ): Effect.Effect<A, E, R> {
    const startedAt = monotonicMillis(fiber)
    return Effect.onExitPrimitive(self, (exit) => {
      let settlement: Effect.Effect<void> = Effect.void
      const settle = (outcome: Outcome) => {
        const { policy } = this.setup
        const verdict = verdictOf(outcome)
        const millis = monotonicMillis(fiber) - startedAt
        this.observers.settled(fiber, key, verdict, millis, millis > policy.slowerThan)
        settlement = this.circuits.settle(key, policy, { permit, verdict, millis, hint: hintOf(outcome) }).pipe(
          Effect.map((moves) => this.tellMoves(fiber, key, moves)),
          // A store tells of its own troubles; the call is not to suffer from them.
          Effect.ignore
        )
      }
      const classified = settleWith(fiber, exit, classify ?? this.setup.classify, settle) ?? Effect.void
      return Effect.ensuring(classified, Effect.suspend(() => settlement))
    })
  }

  private refused<A, E, R>(
    fiber: AnyFiber,
    self: Effect.Effect<A, E, R>,
    key: string,
    state: CircuitState,
    retryAfter: number
  ): Effect.Effect<A, E | X, R> {
    const { name, rejection, shadow } = this.setup
    const millis = Math.ceil(retryAfter)
    this.observers.rejected(fiber, key, state, Duration.millis(millis), shadow)
    return shadow ? self : Effect.fail(rejection(name, key, millis, state))
  }

  private tellMoves(fiber: AnyFiber, key: string, moves: ReadonlyArray<Move>): void {
    for (const move of moves) this.observers.moved(fiber, key, move)
  }
}

/** An error that no caller is to hear of, at the level that the program keeps for those. */
export const report = (message: string, error: unknown): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const level = fiber.getRef(References.UnhandledLogLevel)
    return level === undefined ? Effect.void : Effect.logWithLevel(level)(message, error)
  })
