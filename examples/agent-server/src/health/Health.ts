/**
 * What is watched, and what follows from it.
 *
 * Liveness looks at this process only. Readiness looks at what is critical. Everything else that is away makes the server
 * degraded, and is passed over by whoever asks `Availability`.
 */
import * as HealthProbes from "effect-resilience/HealthProbes"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Policies, type Values } from "../policies.ts"
import { Availability } from "./Availability.ts"
import type { Dependency } from "./Dependency.ts"

/** The event loop has not come round for so long: the process is stuck, and a restart repairs that. */
const eventLoop = HealthProbes.heartbeat("event-loop", { within: "15 seconds" })

/** Watches over these. */
export const layer = <R>(
  dependencies: ReadonlyArray<Dependency<R>>
): Layer.Layer<HealthProbes.HealthProbes, never, R | Policies> =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      yield* Effect.forkScoped(Effect.repeat(eventLoop.beat, Schedule.spaced("1 second")))
      const health = yield* HealthProbes.HealthProbes
      const { whenever } = yield* Policies
      yield* whenever((values) => health.reconfigure(defaultsOf(values)))
    })
  ).pipe(
    Layer.provideMerge(Layer.unwrap(Effect.map(
      Policies.use(({ now }) => now),
      (values) => HealthProbes.layer<R>([eventLoop, ...dependencies.map(check)], defaultsOf(values))
    )))
  )

const defaultsOf = (
  { health: { failed, healthy, interval, timeout } }: Pick<Values, "health">
): HealthProbes.Defaults => ({ interval, timeout, thresholds: { failed, healthy } })

const check = <R>({ critical, name, probe, url }: Dependency<R>) =>
  HealthProbes.check<R>({
    name,
    url,
    probe,
    critical,
    failover: ({ to }) => Effect.flatMap(Availability, (availability) => availability.tell(name, to !== "Failed"))
  })
