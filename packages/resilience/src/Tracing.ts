/**
 * Decides which traces are recorded: a share of all, and every one in which something went wrong.
 *
 * {@link layer} stands in front of a tracer that exports, Effect's OTLP tracer say.
 *
 * - **Head.** When a trace begins, a sampler decides by its id. The decision goes with every call to another process and is what
 *   the children of the trace are told. The default keeps 1 %, and follows who called.
 * - **Tail.** The spans of a trace that was not chosen are held until its root here ends. If one of them fails (interruption
 *   is no failure), if the root was slow, or if a policy had something to say, they are exported after all. Only this
 *   process knows of that: others were told that the trace is not recorded.
 * - **Events.** What policies say becomes an event of the pipeline's span, or of the current one.
 *
 * What becomes of the spans is counted in `telemetry_spans_total`.
 *
 * **Gotchas**
 *
 * Held spans are bounded, by trace and altogether. Where the bound is met the oldest trace loses what it holds; its failing
 * spans are still exported.
 *
 * **Example** (A failed trace is kept, at a share of nothing)
 *
 * ```ts
 * import { Effect, Layer, Tracer } from "effect"
 * import { Tracing } from "effect-resilience"
 *
 * const exported: Array<string> = []
 * class Recorded extends Tracer.NativeSpan {
 *   override end(...ending: Parameters<Tracer.NativeSpan["end"]>) {
 *     super.end(...ending)
 *     exported.push(this.name)
 *   }
 * }
 * const exporter = Layer.succeed(Tracer.Tracer, Tracer.make({ span: (options) => new Recorded(options) }))
 * const tracing = Layer.provide(Tracing.layer({ sampler: Tracing.sampler.never }), exporter)
 *
 * const good = Effect.void.pipe(Effect.withSpan("good"))
 * const bad = Effect.fail("no").pipe(Effect.withSpan("bad"), Effect.ignore)
 * await Effect.runPromise(Effect.provide(Effect.andThen(good, bad), tracing))
 * exported // => ["bad"]
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { numberBetween, positiveInteger, positiveMillis } from "./internal/options.ts"
import { pipelinePrefix } from "./internal/pipelineSpans.ts"
import { type Count, counting, isAccountable, waitIn } from "./internal/telemetrySpans.ts"
import { choose } from "./internal/tracing/env.ts"
import { eventOf } from "./internal/tracing/events.ts"
import * as Pipelines from "./internal/tracing/pipeline.ts"
import * as Samplers from "./internal/tracing/sampler.ts"
import { LocalSpan } from "./internal/tracing/span.ts"
import { Holdings } from "./internal/tracing/trace.ts"
import { sampling } from "./internal/tracing/tracer.ts"
import * as Signal from "./Signal.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/Tracing"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/Tracing"

/**
 * Decides, when a trace begins here, whether it is recorded.
 *
 * - `description`: how the log calls it
 * - `isSampled`: the decision. `parent` is the span of another process that the trace goes on from. Must not throw.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sampler extends Samplers.Sampler {}

/**
 * What is kept of the traces that the sampler did not choose, besides those that failed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tail {
  /** Keeps a trace whose root takes at least this long. Default: none for being slow. */
  readonly slow?: Duration.Input | undefined
  /** Ended spans that a trace may hold. A positive integer. Default 512. */
  readonly perTrace?: number | undefined
  /** Ended spans that all traces may hold together. A positive integer. Default 20,000. */
  readonly total?: number | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: {@link fromEnv}. */
  readonly sampler?: Sampler | undefined
  /** Default: on, where there is a tracer that records. `false` leaves out what the sampler did not choose, whatever happens. */
  readonly tail?: boolean | Tail | undefined
}

/**
 * Samplers.
 *
 * - `always`, `never`
 * - `ratio(share)`: this share of all traces, from 0 to 1, by their ids: the last 56 bits against a threshold, as
 *   OpenTelemetry's consistent probability sampling has it. All processes agree, and the traces of a share are among those of
 *   every larger one. Throws a `RangeError` for another share.
 * - `parentBased(root)`: what the caller decided; where the trace begins here, what `root` decides
 *
 * @category samplers
 * @since 0.1.0
 */
export const sampler: {
  readonly always: Sampler
  readonly never: Sampler
  readonly ratio: (share: number) => Sampler
  readonly parentBased: (root: Sampler) => Sampler
} = {
  always: Samplers.always,
  never: Samplers.never,
  ratio: (share) => Samplers.ratio(numberBetween("share", share, 0, 1)),
  parentBased: Samplers.parentBased
}

/**
 * The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` ask for: `always_on`, `always_off`, `traceidratio`,
 * `parentbased_always_on`, `parentbased_always_off` or `parentbased_traceidratio`.
 *
 * Without the first it is `parentbased_traceidratio`, at 0.01 or at what the second says. A ratio sampler without an argument takes
 * all, as the specification has it. What is neither is logged as a warning and answered with the default.
 *
 * **Example** (From the environment)
 *
 * ```ts
 * import { ConfigProvider, Effect } from "effect"
 * import { Tracing } from "effect-resilience"
 *
 * const environment = ConfigProvider.fromUnknown({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0.25" })
 * const program = Effect.provideService(Tracing.fromEnv, ConfigProvider.ConfigProvider, environment)
 *
 * const sampler = await Effect.runPromise(program)
 * sampler.description // => "TraceIdRatioBased{0.25}"
 * ```
 *
 * @category samplers
 * @since 0.1.0
 */
export const fromEnv: Effect.Effect<Sampler> = Effect.gen(function*() {
  const [name, argument] = yield* Effect.all([
    variable("OTEL_TRACES_SAMPLER"),
    variable("OTEL_TRACES_SAMPLER_ARG")
  ])
  const { sampler, warning } = choose(name, argument)
  if (warning !== undefined) yield* Effect.logWarning(`${warning}; the sampler is ${sampler.description}`)
  return sampler
})

/**
 * Samples in front of the tracer of the enclosing context, and makes events of what policies say. The sampler is logged once.
 *
 * Throws a `RangeError` for limits that are no positive integers, and for a `slow` that is not above zero.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<never> => {
  const tail = settings(options.tail)
  const tracer = Layer.effect(
    Tracer.Tracer,
    Effect.gen(function*() {
      const sampler = options.sampler ?? (yield* fromEnv)
      const inner = yield* Tracer.Tracer
      // Nobody would get what is held for the tracer that records nothing.
      const holds = tail !== undefined && inner !== Tracer.nativeTracer
      yield* Effect.logInfo("tracing", { sampler: sampler.description, tail: holds })
      const context = yield* Effect.context<never>()
      const counted = counting(context)
      // A span that an exporter of ours is given is exported when the collector has it, and the exporter says so.
      const count: Count = isAccountable(inner)
        ? (result, number) => result === "exported" ? undefined : counted(result, number)
        : counted
      const holdings = holds ? new Holdings(tail, count) : undefined
      if (tail !== undefined) yield* waitIn(() => holdings?.size ?? 0)
      return sampling(inner, { sampler, holdings, slowNanos: tail?.slowNanos, count })
    })
  )
  return Layer.merge(tracer, Signal.layer(tell))
}

/**
 * Runs a call with all of its policies under one span, `resilience.pipeline <name>`, and tells how it ended: what the policies
 * inside say becomes events of this span, and its duration is in `resilience_pipeline_duration_seconds`.
 *
 * `name` is that of a dependency, not of a request: there is a series for each.
 *
 * **Example** (Two attempts of one call)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Retry, Signal, Tracing } from "effect-resilience"
 *
 * let calls = 0
 * const flaky = Effect.suspend(() => ++calls === 1 ? Effect.fail("reset") : Effect.succeed("sunny"))
 * const call = Tracing.attempt(flaky).pipe(Retry.retry(Retry.backoff({ base: "1 millis" })), Tracing.pipeline("weather"))
 *
 * const heard: Array<unknown> = []
 * const listening = Signal.layer((signal) => {
 *   if (signal._tag === "AttemptSettled") heard.push([signal.name, signal.attempt, signal.outcome])
 * })
 * await Effect.runPromise(Effect.provide(call, listening))
 * heard // => [["weather", 1, "failure"], ["weather", 2, "success"]]
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const pipeline: {
  (name: string): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, name: string): Effect.Effect<A, E, R>
} = dual(2, Pipelines.pipeline)

/**
 * Runs one attempt of a call under a span `resilience.attempt` with its number in `resilience.attempt.number`, inside of what
 * repeats it. Numbers count from 1 within the {@link pipeline} around; outside of one each attempt is the first, of `"unnamed"`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const attempt = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => Pipelines.attempt(self)

/** Adds what a policy says to the span that it belongs to, and has its trace kept. */
const tell: Signal.Listener = (signal, fiber) => {
  const span = spanOf(fiber)
  if (span === undefined) return
  const event = eventOf(signal)
  if (event === undefined) return
  span.event(event.name, fiber.getRef(Clock.Clock).currentTimeNanosUnsafe(), event.attributes)
  if (span instanceof LocalSpan) span.trace.keep()
}

/** The span of the pipeline around, else the current one. */
const spanOf = (fiber: Fiber.Fiber<unknown, unknown>): Tracer.Span | undefined => {
  const current = fiber.cache.span
  if (current?._tag !== "Span") return undefined
  let span: Tracer.AnySpan | undefined = current
  for (let height = 0; span?._tag === "Span" && height < 16; height++) {
    if (span.name.startsWith(pipelinePrefix)) return span
    span = Option.getOrUndefined(span.parent)
  }
  return current
}

const settings = (tail: Options["tail"]) => {
  if (tail === false) return undefined
  const { perTrace = 512, slow, total = 20_000 } = tail === undefined || tail === true ? {} : tail
  return {
    perTrace: positiveInteger("tail.perTrace", perTrace),
    total: positiveInteger("tail.total", total),
    slowNanos: slow === undefined ? undefined : BigInt(Math.round(positiveMillis("tail.slow", slow) * 1_000_000))
  }
}

/** A variable that cannot be read is as good as none. */
const variable = (name: string): Effect.Effect<string | undefined> =>
  Effect.map(Effect.option(Config.String(name)), Option.getOrUndefined)
