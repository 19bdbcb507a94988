/** How far the shutdown of a server has come. It only goes forward. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

const order = ["Serving", "Draining", "Closing", "Deadline", "Cutting", "Closed"] as const

export type Phase = typeof order[number]

export class Phases {
  private reached = 0
  private readonly latches = order.map((_, index) => Latch.makeUnsafe(index === 0))

  get current(): Phase {
    return order[this.reached] ?? "Closed"
  }

  has(phase: Phase): boolean {
    return this.reached >= order.indexOf(phase)
  }

  /** Goes on to this phase, and past those before it. */
  enter(phase: Phase): void {
    while (!this.has(phase)) {
      this.reached++
      this.latches[this.reached]?.openUnsafe()
    }
  }

  /** Waits until this phase is reached. */
  until(phase: Phase): Effect.Effect<void> {
    return this.latches[order.indexOf(phase)]?.await ?? Effect.void
  }
}
