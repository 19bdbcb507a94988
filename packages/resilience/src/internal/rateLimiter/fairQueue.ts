/** Waiting with fairness between tenants. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { durationMillis, nonNegativeInteger, numberBetween } from "../options.ts"
import type { Asked, Checks } from "./checks.ts"
import type { Allowed, StoreUnavailable } from "./decision.ts"
import type { RateLimited, RateLimiterUnavailable } from "./errors.ts"
import { DeficitRoundRobin } from "./fair.ts"
import { type Acquired, implOf, makeLine, waitable } from "./limiter.ts"
import * as Reservations from "./reservation.ts"
import { Room } from "./room.ts"
import { RateLimiter } from "./service.ts"
import type { Visitor } from "./waiting.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface FairOptions {
  /** How much of the room a tenant gets when all of them want more than there is. Above zero. */
  readonly weights?: { readonly [tenant: string]: number } | undefined
  /** The weight of a tenant that is not named. Default 1. */
  readonly defaultWeight?: number | undefined
  /** How long a call waits. Default 1 minute. */
  readonly maxWait?: Duration.Input | undefined
  /** How many calls of one tenant may wait. Default 1,000. */
  readonly maxQueue?: number | undefined
}

/**
 * A line in which tenants take turns, made by `fair`. As `wait` and `limit` of the limiter, for a tenant.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fair {
  readonly wait: (
    tenant: string,
    checks: Checks
  ) => Effect.Effect<Allowed | StoreUnavailable, RateLimited | RateLimiterUnavailable>
  readonly limit: (
    tenant: string,
    checks: Checks
  ) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimited | RateLimiterUnavailable, R>
}

export const fair = (options: FairOptions = {}): Effect.Effect<Fair, never, RateLimiter> => {
  const weights = new Map(
    Object.entries(options.weights ?? {}).map(([tenant, weight]) => [tenant, positive(`weights.${tenant}`, weight)])
  )
  const defaultWeight = positive("defaultWeight", options.defaultWeight ?? 1)
  const bounds = { maxWaitMillis: durationMillis("maxWait", options.maxWait ?? "1 minute"), maxQueue: Infinity }
  const maxQueue = nonNegativeInteger("maxQueue", options.maxQueue ?? 1_000)
  return Effect.map(RateLimiter, (limiter): Fair => {
    const impl = implOf(limiter)
    const turns = new DeficitRoundRobin<Visitor>((tenant) => weights.get(tenant) ?? defaultWeight)
    const line = {
      ...makeLine(new Room<Visitor>(turns), false),
      isFull: ({ tenant }: Visitor) => turns.count(tenant) >= maxQueue
    }
    impl.watch(line)
    const acquire = (
      tenant: string,
      asked: Asked,
      hold: string
    ): Effect.Effect<Acquired, RateLimited | RateLimiterUnavailable> =>
      impl.acquire(asked, bounds, hold, { line, tenant, cost: shareOf(asked) })
    return {
      wait: (tenant, checks) => {
        const { asked } = waitable(impl.prepare(checks, false), {})
        return Effect.suspend(() =>
          Effect.map(
            acquire(tenant, asked, asked.holds ? impl.engine.nextHold() : ""),
            ({ answer }) => answer.decision as Allowed | StoreUnavailable
          )
        )
      },
      limit: (tenant, checks) => {
        const { asked } = waitable(impl.prepare(checks, false), {})
        return (self) =>
          asked.holds
            ? Effect.suspend(() => {
              const hold = impl.engine.nextHold()
              return Reservations.during(impl, { asked, hold, acquire: acquire(tenant, asked, hold) }, self)
            })
            : Effect.andThen(acquire(tenant, asked, ""), self)
      }
    }
  })
}

const positive = (name: string, value: number): number => {
  if (numberBetween(name, value, 0, Infinity) > 0) return value
  throw new RangeError(`${name} must be above 0, got ${value}`)
}

/** What a request takes of the rule that it takes most of. */
const shareOf = ({ entries }: Asked): number => {
  let most = 0
  for (const { cost, shadow, shape } of entries) if (!shadow) most = Math.max(most, cost / shape.limit)
  return most
}
