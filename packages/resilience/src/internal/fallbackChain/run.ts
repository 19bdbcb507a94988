/** Running an effect along a chain. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Retry from "../../Retry.ts"
import { monotonicMillis } from "../monotonic.ts"
import { provideOver } from "../provideOver.ts"
import { CurrentAttempt, type Engine, type OnRoute, type Served } from "./engine.ts"
import type { FallbackExhausted } from "./errors.ts"
import type { Request } from "./route.ts"

/** The effect on each route in turn, until one answers or a failure says that none can. */
export const runServed = <Provides, RE, Builds, RR, A, E, R>(
  engine: Engine<Provides, RE, Builds, RR>,
  self: Effect.Effect<A, E, R>,
  request: Request
): Effect.Effect<readonly [A, Served], E | RE | FallbackExhausted, Exclude<R, Provides> | RR> =>
  Effect.gen(function*() {
    const walk = yield* engine.walk(request)
    while (true) {
      const state = yield* engine.next(walk)
      const started = yield* now
      const exit = yield* Effect.exit(attempt(engine, state, self))
      if (Exit.isSuccess(exit)) {
        engine.answered(state, started, (yield* now) - started)
        const served = yield* Effect.withFiber((fiber) => Effect.succeed(engine.served(fiber, walk, state)))
        return [exit.value, served] as const
      }
      // Defects are for somebody to mend and interruptions for nobody to survive: neither goes on to another route.
      const error = failureOf(exit.cause)
      if (Option.isNone(error)) return yield* Effect.failCause(exit.cause)
      if (!(yield* engine.failed(walk, state, started, error.value))) return yield* Effect.failCause(exit.cause)
    }
  })

/** The typed error of a cause that has nothing worse in it. */
export const failureOf = <E>(cause: Cause.Cause<E>): Option.Option<E> =>
  Cause.hasDies(cause) ? Option.none() : Cause.findErrorOption(cause)

export const now: Effect.Effect<number> = Effect.withFiber((fiber) => Effect.succeed(monotonicMillis(fiber)))

/** One route, with its retries, its guard and what it provides. */
const attempt = <Provides, RE, Builds, RR, A, E, R>(
  engine: Engine<Provides, RE, Builds, RR>,
  state: Engine<Provides, RE, Builds, RR>["states"][number],
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | RE, Exclude<R, Provides> | RR> =>
  guarded(
    state,
    Effect.flatMap(state.context, (context) => provided(self, context, engine.onRoute(state)))
  )

/** What an effect on a route sees of it. */
export const provided = <Provides, A, E, R>(
  self: Effect.Effect<A, E, R>,
  context: Context.Context<Provides>,
  onRoute: OnRoute
): Effect.Effect<A, E, Exclude<R, Provides>> =>
  provideOver(context)(Effect.provideService(self, CurrentAttempt, onRoute))

/** A call of a route in its guard, again and again as its schedule says. */
export const guarded = <Provides, RE, Builds, RR, A, E, R>(
  state: Engine<Provides, RE, Builds, RR>["states"][number],
  once: Effect.Effect<A, E, R>
): Effect.Effect<A, E | RE, R | RR> => {
  const { guard, retry } = state.route.options
  // A guard takes every effect, which its type says with stand-ins for what it only passes on.
  const around = guard as
    | (<A1, E1, R1>(self: Effect.Effect<A1, E1, R1>) => Effect.Effect<A1, E1 | RE, R1 | RR>)
    | undefined
  const protectedOnce = around === undefined ? once : around(once)
  return retry === undefined ? protectedOnce : Retry.retry(protectedOnce, retry, { name: state.facts.name })
}
