/**
 * One look-up at a time for each key, whoever asks.
 *
 * Who finds one under way waits for it. When the last who waits goes away, the look-up is interrupted; one that was
 * started in the background goes on.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

interface Flight<A, E> {
  readonly landed: Deferred.Deferred<A, E>
  readonly background: boolean
  fiber: Fiber.Fiber<A, E> | undefined
  waiting: number
}

export class Flights<A, E> {
  private readonly flights = new Map<string, Flight<A, E>>()
  private readonly scope: Scope.Scope

  constructor(scope: Scope.Scope) {
    this.scope = scope
  }

  /** The outcome of the look-up that is under way, or of this one. `joined` says which. */
  join<R>(
    key: string,
    work: Effect.Effect<A, E, R>
  ): Effect.Effect<{ readonly value: A; readonly joined: boolean }, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        const found = this.flights.get(key)
        const flight = found ?? this.open(key, false)
        const joined = found !== undefined
        flight.waiting++
        const wait = Effect.onExit(restore(Deferred.await(flight.landed)), () => this.leave(key, flight))
        const value = joined ? wait : Effect.andThen(this.start(key, flight, work), wait)
        return Effect.map(value, (value) => ({ value, joined }))
      })
    )
  }

  /** Sees to it that a look-up is under way, and does not wait for it. */
  background<R>(key: string, work: Effect.Effect<A, E, R>): Effect.Effect<void, never, R> {
    return Effect.uninterruptible(
      Effect.suspend(() => this.flights.has(key) ? Effect.void : this.start(key, this.open(key, true), work))
    )
  }

  private open(key: string, background: boolean): Flight<A, E> {
    const flight: Flight<A, E> = { landed: Deferred.makeUnsafe(), background, fiber: undefined, waiting: 0 }
    this.flights.set(key, flight)
    return flight
  }

  private start<R>(key: string, flight: Flight<A, E>, work: Effect.Effect<A, E, R>): Effect.Effect<void, never, R> {
    return Effect.map(Effect.forkIn(Effect.interruptible(work), this.scope), (fiber) => {
      flight.fiber = fiber
      // An observer hears of the end even where the scope had closed and the fiber never began.
      fiber.addObserver((exit) => {
        this.close(key, flight)
        Deferred.doneUnsafe(flight.landed, exit)
      })
    })
  }

  private leave(key: string, flight: Flight<A, E>): Effect.Effect<void> {
    flight.waiting--
    if (flight.waiting > 0 || flight.background || flight.fiber === undefined) return Effect.void
    if (Deferred.isDoneUnsafe(flight.landed)) return Effect.void
    // Whoever comes while this one is being stopped starts another.
    this.close(key, flight)
    return Fiber.interrupt(flight.fiber)
  }

  private close(key: string, flight: Flight<A, E>): void {
    if (this.flights.get(key) === flight) this.flights.delete(key)
  }
}
