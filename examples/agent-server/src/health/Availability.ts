/**
 * Which dependencies are known to be away.
 *
 * The health checks tell it, and circuit breakers listen: they open before their own calls have failed, and whoever is refused
 * by an open one asks somebody else. What is not watched counts as up.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"

/** The service. It is a reference, so that policies which are declared once and for all can ask it as well. */
export interface Availability {
  /** Whether it is up now, and each change of that. */
  readonly changes: (name: string) => Stream.Stream<boolean>
  readonly tell: (name: string, up: boolean) => Effect.Effect<void>
}

const everythingIsUp: Availability = {
  changes: () => Stream.make(true),
  tell: () => Effect.void
}

export const Availability: Context.Reference<Availability> = Context.Reference<Availability>(
  "agent-server/health/Availability",
  { defaultValue: () => everythingIsUp }
)

const make = Effect.map(SubscriptionRef.make<ReadonlySet<string>>(new Set()), (away): Availability => ({
  changes: (name) => Stream.changes(Stream.map(SubscriptionRef.changes(away), (names) => !names.has(name))),
  tell: (name, up) =>
    SubscriptionRef.update(away, (names) => {
      const others = [...names].filter((each) => each !== name)
      return new Set(up ? others : [...others, name])
    })
}))

/** Remembers what it is told. */
export const layer: Layer.Layer<never> = Layer.effect(Availability, make)

/** For the `health` of a circuit breaker: unhealthy opens it, and healthy lets it probe at once. */
export const changes = (name: string): Stream.Stream<boolean> =>
  Stream.unwrap(Effect.map(Availability, (availability) => availability.changes(name)))
