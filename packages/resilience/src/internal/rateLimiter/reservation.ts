/** What is held while work runs: renewed while the process lives, settled once, given back when the work did not come to it. */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { positiveMillis } from "../options.ts"
import { type Asked, type Asking, type Cost, said } from "./checks.ts"
import type { RateLimited, RateLimiterStoreError, RateLimiterUnavailable } from "./errors.ts"
import type { Acquired, LimiterImpl } from "./limiter.ts"
import type { Reservation } from "./service.ts"
import { toUnits } from "./shape.ts"

export const leased = (asked: Asked, lease: Duration.Input | undefined): Asked => {
  if (lease === undefined) return asked
  const millis = Math.floor(positiveMillis("lease", lease))
  if (millis < 3) throw new RangeError(`lease must be at least 3 milliseconds, got ${millis}`)
  return { ...asked, entries: asked.entries.map((entry): Asking => ({ ...entry, lease: millis })) }
}

/** Those entries that were taken: a shadow that would have refused was not. */
const takenOf = ({ answer, asked }: Acquired): ReadonlyArray<Asking> => {
  const { decision, outcomes } = answer
  if (decision._tag !== "Allowed" || outcomes === undefined) {
    return asked.entries.filter(({ lease }) => lease !== undefined)
  }
  return asked.entries.filter(({ lease }, index) => lease !== undefined && outcomes[index]!.wait === 0)
}

/** Renews the leases three times in their length, until interrupted. A store that does not answer is asked again. */
const renewing = (impl: LimiterImpl, acquired: Acquired, taken: ReadonlyArray<Asking>): Effect.Effect<never> => {
  let lease = Infinity
  for (const entry of taken) lease = Math.min(lease, entry.lease!)
  if (lease === Infinity || acquired.answer.settle === undefined) return Effect.never
  const renew = impl.engine.settle(acquired.answer, {
    hold: acquired.hold,
    entries: taken.map((entry) => ({ ...entry, charge: 0 })),
    renew: lease,
    force: false
  })
  return Effect.forever(Effect.andThen(Effect.sleep(lease / 3), Effect.ignore(renew)))
}

const settleWith = (
  impl: LimiterImpl,
  acquired: Acquired,
  taken: ReadonlyArray<Asking>,
  chargeOf: (entry: Asking) => number,
  force: boolean
): Effect.Effect<void, RateLimiterStoreError> =>
  Effect.andThen(
    impl.engine.settle(acquired.answer, {
      hold: acquired.hold,
      entries: taken.map((entry) => ({ ...entry, charge: chargeOf(entry) })),
      renew: undefined,
      force
    }),
    Effect.sync(() => impl.nudge())
  )

/** Holds leases while an effect runs. They come back when it has ended, however. */
export const during = <A, E, R>(
  impl: LimiterImpl,
  acquiring: Acquiring,
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | RateLimited | RateLimiterUnavailable, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(acquireSafely(impl, acquiring, restore), (acquired) => {
      const taken = takenOf(acquired)
      return Effect.flatMap(Effect.forkChild(Effect.interruptible(renewing(impl, acquired, taken))), (fiber) =>
        Effect.onExit(restore(self), () =>
          Effect.andThen(
            Fiber.interrupt(fiber),
            Effect.ignore(settleWith(impl, acquired, taken, () =>
              0, false))
          )))
    })
  )

/** A way to take what is asked under a name. */
export interface Acquiring {
  readonly asked: Asked
  readonly hold: string
  readonly acquire: Effect.Effect<Acquired, RateLimited | RateLimiterUnavailable>
}

/**
 * What the store took before the caller was told is given back: an interruption may come when it has been taken and nobody here
 * has heard of it, so it is given back by its name.
 */
const acquireSafely = (
  impl: LimiterImpl,
  { acquire, asked, hold }: Acquiring,
  restore: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<Acquired, RateLimited | RateLimiterUnavailable> =>
  Effect.onExit(
    restore(acquire),
    (exit) => Exit.isFailure(exit) && !Cause.hasFails(exit.cause) ? impl.abandoned(asked, hold) : Effect.void
  )

export const reserve = (
  impl: LimiterImpl,
  acquiring: Acquiring
): Effect.Effect<Reservation, RateLimited | RateLimiterUnavailable, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const acquired = yield* acquireSafely(impl, acquiring, restore)
      const taken = takenOf(acquired)
      const recorded = new Map<Asking, number>()
      let settled = false
      let tried = false

      const settleBy = (chargeOf: (entry: Asking) => number) =>
        Effect.suspend(() => {
          if (settled) return Effect.void
          // Whether an attempt that failed was carried out is not known: after one, only what is still held is charged.
          const force = !tried
          tried = true
          return Effect.tap(settleWith(impl, acquired, taken, chargeOf, force), () =>
            Effect.sync(() => {
              settled = true
            }))
        })
      const unitsOf = (entry: Asking, cost: Cost): number | undefined => {
        const { entries, policies } = acquired.asked
        const found = said(policies[entries.indexOf(entry)]!, entry.rule, cost)
        return found === undefined ? undefined : toUnits(found, entry.shape.scale)
      }

      const fiber = yield* Effect.forkScoped(Effect.interruptible(renewing(impl, acquired, taken)))
      // `Effect.addFinalizer` would join all services of this fiber to those that its scope closes with; settling needs none.
      yield* Scope.addFinalizerExit(yield* Effect.scope, (exit) =>
        Effect.andThen(
          Fiber.interrupt(fiber),
          Effect.ignore(settleBy((entry) => recorded.get(entry) ?? (Exit.isSuccess(exit) ? entry.cost : 0)))
        ))
      return {
        decision: acquired.answer.decision as Reservation["decision"],
        settle: (actual: Cost) => {
          const charges = new Map(taken.map((entry) => [entry, unitsOf(entry, actual) ?? entry.cost]))
          return settleBy((entry) => charges.get(entry)!)
        },
        record: (used: Cost) => {
          const more = taken.map((entry) => [entry, unitsOf(entry, used)] as const)
          return Effect.sync(() => {
            for (const [entry, units] of more) {
              if (units !== undefined) recorded.set(entry, (recorded.get(entry) ?? 0) + units)
              // That anything was used at all makes it the request that it was thought to be.
              else if (entry.rule.unit === "requests") recorded.set(entry, entry.cost)
            }
          })
        }
      }
    })
  )
