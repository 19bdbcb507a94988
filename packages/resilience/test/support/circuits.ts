/** Calls under a breaker that run until the test says how they end. */
import type * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Signal from "effect-resilience/Signal"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { type Fault, fault } from "./faults.ts"

type Classify = (exit: Exit.Exit<string, unknown>) => CircuitBreaker.Outcome

export interface Started {
  /** Whether the breaker let it through, as far as is known: a store in memory decides before `start` returns. */
  readonly ran: boolean
  /** Each ends the call, and waits until it is settled. */
  readonly succeed: Effect.Effect<Exit.Exit<string, unknown>>
  readonly fail: (error?: unknown) => Effect.Effect<Exit.Exit<string, unknown>>
  readonly interrupt: Effect.Effect<Exit.Exit<string, unknown>>
  /** How it ended. */
  readonly exit: Effect.Effect<Exit.Exit<string, unknown>>
}

/** Starts a call. One that is rejected has ended when this returns. */
export const start = (
  breaker: CircuitBreaker.Breaker,
  options?: { readonly key?: string; readonly classify?: Classify }
): Effect.Effect<Started> =>
  Effect.gen(function*() {
    const end = yield* Deferred.make<string, unknown>()
    let ran = false
    const call = Effect.suspend(() => {
      ran = true
      return Deferred.await(end)
    })
    const fiber = yield* Effect.forkDetach(breaker.protect(call, options ?? {}), { startImmediately: true })
    const exit = Fiber.await(fiber)
    return {
      get ran() {
        return ran
      },
      exit,
      succeed: Effect.andThen(Deferred.succeed(end, "done"), exit),
      fail: (error = fault("Transient")) => Effect.andThen(Deferred.fail(end, error), exit),
      interrupt: Effect.andThen(Fiber.interrupt(fiber), exit)
    }
  })

/** As many calls, all of them started. */
export const startMany = (breaker: CircuitBreaker.Breaker, count: number, options?: { readonly key?: string }) =>
  Effect.replicateEffect(start(breaker, options), count)

/** Calls that fail at once, one after the other. */
export const failing = (
  breaker: CircuitBreaker.Breaker,
  count: number,
  options: { readonly key?: string; readonly error?: Fault } = {}
) =>
  Effect.replicateEffect(Effect.exit(breaker.protect(Effect.fail(options.error ?? fault("Transient")), options)), count)

/** Calls that succeed at once, one after the other. */
export const succeeding = (breaker: CircuitBreaker.Breaker, count: number, options?: { readonly key?: string }) =>
  Effect.replicateEffect(Effect.exit(breaker.protect(Effect.succeed("done"), options ?? {})), count)

/** Whether one more call would be let through; it succeeds if so. */
export const isLetThrough = (breaker: CircuitBreaker.Breaker, options?: { readonly key?: string }) =>
  Effect.map(Effect.exit(breaker.protect(Effect.succeed("done"), options ?? {})), Exit.isSuccess)

/** Listens, and gives what was heard as short texts. */
export const listening = () => {
  const signals: Array<Signal.Signal> = []
  const moves = () =>
    signals.flatMap((signal) =>
      signal._tag === "CircuitTransition" ? [`${signal.from} > ${signal.to}: ${signal.reason}`] : []
    )
  const count = (tag: Signal.Signal["_tag"]) => signals.filter((signal) => signal._tag === tag).length
  return { signals, moves, count, layer: Signal.layer((signal) => signals.push(signal)) }
}
