/** What becomes of the spans that end, counted once however many tracers stand on a span's way. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"

type Result = "exported" | "dropped_queue" | "dropped_export" | "unsampled"

export type Count = (result: Result, spans: number) => void

const results: ReadonlyArray<Result> = ["exported", "dropped_queue", "dropped_export", "unsampled"]

type Counts = { [R in Result]: number }

/** An update of one of Effect's counters costs as much as a whole span of ours; a number costs nothing. */
const counts = new WeakMap<Metric.MetricRegistry, Counts>()

/** Counts into the registry of the context, where each count exists from now on. */
export const counting = (context: Context.Context<never>): Count => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const known = counts.get(registry)
  const own: Counts = known ?? { exported: 0, dropped_queue: 0, dropped_export: 0, unsampled: 0 }
  if (known === undefined) {
    counts.set(registry, own)
    for (const result of results) register(result, own, context)
  }
  return (result, spans) => {
    own[result] += spans
  }
}

const register = (result: Result, counts: Counts, context: Context.Context<never>): void => {
  const counter = Metric.counter("telemetry_spans_total", {
    description: "Spans that ended, by what became of them",
    attributes: { result },
    incremental: true
  })
  Metric.registerUnsafe(counter, context, {
    get: () => ({ count: counts[result], incremental: true }),
    update: () => {},
    modify: () => {}
  })
}

const accountable = new WeakSet<Tracer.Tracer>()

/** A tracer that says itself what became of the spans that end there. */
export const accounts = (tracer: Tracer.Tracer): Tracer.Tracer => {
  accountable.add(tracer)
  return tracer
}

export const isAccountable = (tracer: Tracer.Tracer): boolean => accountable.has(tracer)

const queueSize = Metric.gauge("telemetry_queue_size", { description: "Spans that wait to be exported" })

/** Where spans wait, by registry: one gauge says how many there are in all of them. */
const queues = new WeakMap<Metric.MetricRegistry, Set<() => number>>()

/** Has the spans of a queue counted in `telemetry_queue_size` while the scope is open. */
export const waitIn = (size: () => number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.withFiber((fiber) => {
    const registry = fiber.getRef(Metric.MetricRegistry)
    let sizes = queues.get(registry)
    if (sizes === undefined) queues.set(registry, sizes = new Set())
    const all = sizes
    return Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => {
        all.add(size)
        return Metric.registerUnsafe(queueSize, fiber.context, {
          get: () => ({ value: [...all].reduce((sum, each) => sum + each(), 0) }),
          update: () => {},
          modify: () => {}
        })
      }),
      (registration) =>
        Effect.sync(() => {
          all.delete(size)
          // The last registration reads all queues, and leaves with the queue that made it only when no other is left.
          if (all.size === 0) registration.remove()
        })
    ))
  })
