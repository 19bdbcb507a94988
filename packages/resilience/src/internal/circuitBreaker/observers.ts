/** Tells what a breaker does: as signals of the fiber that did it, and to the streams of its transitions. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Signal from "../../Signal.ts"
import type { Verdict } from "./machine.ts"
import type { Move } from "./store.ts"
import type { Tally } from "./windows.ts"

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** A reader that is slower than this many transitions loses the oldest ones. */
const transitionsKept = 1024

export class Observers {
  readonly name: string
  readonly transitions: Stream.Stream<Signal.CircuitTransition>
  private readonly hub: PubSub.PubSub<Signal.CircuitTransition>

  constructor(name: string, hub: PubSub.PubSub<Signal.CircuitTransition>) {
    this.name = name
    this.hub = hub
    this.transitions = Stream.fromPubSub(hub)
  }

  permitted(fiber: AnyFiber, key: string, state: Signal.CircuitState): void {
    Signal.emitUnsafe(fiber, { _tag: "CallPermitted", name: this.name, key, state })
  }

  rejected(
    fiber: AnyFiber,
    key: string,
    state: Signal.CircuitState,
    retryAfter: Duration.Duration,
    shadow: boolean
  ): void {
    Signal.emitUnsafe(fiber, () => ({ _tag: "CallRejected", name: this.name, key, state, retryAfter, shadow }))
  }

  settled(
    fiber: AnyFiber,
    key: string,
    outcome: Verdict,
    millis: number,
    slow: boolean,
    tallies: ReadonlyArray<Tally> = []
  ): void {
    const duration = Duration.millis(millis)
    const ratios: { failureRatio?: number; slowRatio?: number } = {}
    for (const { bad, calls, rule } of tallies) {
      // The call opened the circuit, or was let through before it was: nothing is remembered.
      if (calls === 0) continue
      if (rule === "FailureRate") ratios.failureRatio = bad / calls
      if (rule === "SlowCallRate") ratios.slowRatio = bad / calls
    }
    Signal.emitUnsafe(fiber, { _tag: "CallSettled", name: this.name, key, outcome, slow, duration, ...ratios })
  }

  moved(fiber: AnyFiber, key: string, { from, openFor, openings, reason, to }: Move): void {
    const transition: Signal.CircuitTransition = {
      _tag: "CircuitTransition",
      name: this.name,
      key,
      from,
      to,
      reason,
      ...(openFor === undefined ? undefined : { openFor: Duration.millis(openFor), openings })
    }
    PubSub.publishUnsafe(this.hub, transition)
    Signal.emitUnsafe(fiber, transition)
  }
}

export const make = (name: string): Effect.Effect<Observers, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(PubSub.sliding<Signal.CircuitTransition>(transitionsKept), PubSub.shutdown),
    (hub) => new Observers(name, hub)
  )
