/**
 * A guard over circuits in this process.
 *
 * A closed call allocates three closures and two effects, and reads the clock only where a rule or a listener wants to
 * know how long it took. The finalizer is in place before the permit is taken: a fiber may be interrupted between any
 * two effects, and nothing must be held by then that nobody gives back.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Signal from "../../Signal.ts"
import type { Classify, Guard, Setup } from "./guard.ts"
import * as Machine from "./machine.ts"
import { FiberWorld } from "./memory.ts"
import type { Observers } from "./observers.ts"
import { byKind, hintOf, ignored, isInterruption, type Outcome, verdictOf } from "./outcome.ts"
import type { Registry } from "./registry.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

export class LocalGuard<X> implements Guard<X> {
  private readonly setup: Setup<X>
  private readonly registry: Registry
  private readonly observers: Observers
  private readonly world = new FiberWorld()

  constructor(setup: Setup<X>, registry: Registry, observers: Observers) {
    this.setup = setup
    this.registry = registry
    this.observers = observers
  }

  run<A, E, R>(
    self: Effect.Effect<A, E, R>,
    key: string,
    classify: Classify | undefined
  ): Effect.Effect<A, E | X, R> {
    return Effect.withFiber((fiber) => {
      const { registry, setup, world } = this
      world.fiber = fiber
      if (setup.watch !== undefined) setup.watch(key)
      const circuit = registry.get(key, setup.policy, world.now)
      // A rejection holds nothing that would have to be given back.
      if (circuit.state === "Open" && !setup.shadow) {
        const now = world.now()
        if (now < circuit.openUntil) return this.reject(fiber, circuit, now)
      }
      let permit = Machine.refused
      let heard = false
      let timed = false
      let startedAt = 0
      const admitted = Effect.suspend((): Effect.Effect<A, E | X, R> => {
        world.fiber = fiber
        permit = Machine.admit(setup.policy, circuit, world)
        this.tellMoves(fiber)
        if (permit === Machine.refused) {
          world.fiber = fiber
          const now = world.now()
          if (!setup.shadow) return this.reject(fiber, circuit, now)
          this.tellRejection(fiber, circuit, now)
          return self
        }
        heard = Signal.isHeardUnsafe(fiber)
        if (heard) this.observers.permitted(fiber, key, circuit.state)
        timed = heard || setup.policy.slowerThan !== Infinity
        if (timed) {
          world.fiber = fiber
          startedAt = world.now()
        }
        return self
      })
      const settle: Settle = (verdict, hint) => {
        world.fiber = fiber
        const { policy } = setup
        const millis = timed ? world.now() - startedAt : 0
        Machine.settle(policy, circuit, permit, verdict, millis, hint, world)
        if (heard) {
          const tallies = circuit.window.tallies(world.now)
          this.observers.settled(fiber, key, verdict, millis, millis > policy.slowerThan, tallies)
        }
        this.tellMoves(fiber)
      }
      return Effect.onExitPrimitive(
        admitted,
        (exit) => permit === Machine.refused ? undefined : settleWith(fiber, exit, classify ?? setup.classify, settle)
      )
    })
  }

  private reject(fiber: AnyFiber, circuit: Machine.Circuit, now: number): Effect.Effect<never, X> {
    const { name, rejection } = this.setup
    const millis = this.tellRejection(fiber, circuit, now)
    return Effect.fail(rejection(name, circuit.key, millis, circuit.state))
  }

  /** Gives the wait that it tells: rounded up, so that who waits as long is not a fraction of a millisecond early. */
  private tellRejection(fiber: AnyFiber, circuit: Machine.Circuit, now: number): number {
    const { policy, shadow } = this.setup
    const millis = Math.ceil(Machine.retryAfter(policy, circuit, now))
    if (Signal.isHeardUnsafe(fiber)) {
      this.observers.rejected(fiber, circuit.key, circuit.state, Duration.millis(millis), shadow)
    }
    return millis
  }

  /** After the step, when the circuit is whole again: a listener may look at it, or call. */
  private tellMoves(fiber: AnyFiber): void {
    if (this.world.moves.length === 0) return
    for (const move of this.world.taken()) this.observers.moved(fiber, move.key, move)
  }
}

/** Counts the end of a call, once. `hint` is the wait that was asked for, in milliseconds. */
export type Settle = (verdict: Machine.Verdict, hint: number) => void

/** Settles whatever happens: a classifier that throws, dies, is interrupted or gives nonsense frees the permit. */
export const settleWith = (
  fiber: AnyFiber,
  exit: Exit.Exit<unknown, unknown>,
  classify: Classify | undefined,
  settle: Settle
): Effect.Effect<void> | undefined => {
  if (isInterruption(exit)) return void settle("ignored", 0)
  if (classify === undefined) return settleAs(byKind(fiber, exit), settle)
  let outcome: Outcome | Effect.Effect<Outcome>
  try {
    // The caller's classifier was made for the caller's exits.
    outcome = classify(exit as Exit.Exit<never, never>)
  } catch (defect) {
    settle("ignored", 0)
    return Effect.die(defect)
  }
  if (!Effect.isEffect(outcome)) return settleAs(outcome, settle)
  return Effect.asVoid(
    Effect.onExitPrimitive(
      outcome,
      (classified) => settleAs(Exit.isSuccess(classified) ? classified.value : ignored, settle)
    )
  )
}

const settleAs = (outcome: Outcome, settle: Settle): Effect.Effect<void> | undefined => {
  let verdict: Machine.Verdict = "ignored"
  let hint = 0
  try {
    hint = hintOf(outcome)
    verdict = verdictOf(outcome)
  } catch (defect) {
    settle("ignored", 0)
    return Effect.die(defect)
  }
  return void settle(verdict, hint)
}
