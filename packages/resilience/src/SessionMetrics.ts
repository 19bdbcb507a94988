/**
 * How long the stages of a voice session take, against targets, over the last hundred sessions.
 *
 * A session is one conversation. Its stages are transcription (`asr`), the model (`llm`, and `llm_ttft` to its first
 * token), speech (`tts`, and `tts_ttfb` to its first byte), and `e2e`: from the end of what the user said to the first
 * audio of the answer, measured and not summed.
 *
 * - Each measurement goes into a histogram at once. When a session ends its averages join those of the last `window` sessions,
 *   whose mean is compared with the targets.
 * - With a `path` an ended session is a line of JSON in that file before `end` returns, so a process that is killed loses none
 *   that has ended. At the start the last lines are read back.
 * - A stage that fails counts as an error and not as a measurement; an interrupted one as neither.
 *
 * **Gotchas**
 *
 * One process writes a file. The id of a session stands in it as it is; in metrics it does not.
 *
 * **Example** (A turn)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { SessionMetrics } from "effect-resilience"
 *
 * const call = Effect.scoped(Effect.gen(function*() {
 *   const session = yield* SessionMetrics.start("call-1")
 *   const text = yield* session.stage("asr")(Effect.succeed("hello"))
 *   yield* session.speechEnded
 *   yield* session.stage("llm")(Effect.succeed(`${text} yourself`))
 *   yield* session.count("llm", 2)
 *   yield* session.audioStarted
 * }))
 * const program = Effect.andThen(call, SessionMetrics.report)
 *
 * const report = await Effect.runPromise(Effect.provide(program, SessionMetrics.layer()))
 * report.sessions // => 1
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Scope from "effect/Scope"
import { nonNegativeInteger, oneOf, positiveInteger, positiveMillis } from "./internal/options.ts"
import { Conversation } from "./internal/sessionMetrics/conversation.ts"
import * as Gauges from "./internal/sessionMetrics/gauges.ts"
import * as Journal from "./internal/sessionMetrics/journal.ts"
import * as Summaries from "./internal/sessionMetrics/summary.ts"
import { Window } from "./internal/sessionMetrics/window.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/SessionMetrics"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/SessionMetrics"

/**
 * The stages of a session.
 *
 * @category models
 * @since 0.1.0
 */
export type Stage = "asr" | "llm" | "llm_ttft" | "tts" | "tts_ttfb" | "e2e"

/**
 * How a session ended: `"completed"`, `"failed"`, `"interrupted"`, or a word of one's own.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "completed" | "failed" | "interrupted" | (string & {})

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The stages that sessions have. Default: all. */
  readonly stages?: ReadonlyArray<Stage> | undefined
  /** What the mean of a stage should stay below. Default: `asr` 500 ms, `llm` 300 ms, `tts` 200 ms, `e2e` 1 second. */
  readonly targets?: { readonly [S in Stage]?: Duration.Input } | undefined
  /** Over how many of the last sessions the mean is taken. A positive integer. Default 100. */
  readonly window?: number | undefined
}

/**
 * Options of {@link layer} that keep sessions in a file.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions extends Options {
  /** The file, made where there is none. */
  readonly path: string
  /** When a file is put aside as `path.1`, and how many such are kept. Default: at 10 MB, five. */
  readonly rotate?: { readonly bytes?: number | undefined; readonly keep?: number | undefined } | undefined
}

/**
 * One conversation.
 *
 * - `stage(name)`: measures an effect. What it does not have as a stage it does not measure.
 * - `record(name, duration)`: adds a measurement that was taken elsewhere, of a stream's first chunk say
 * - `speechEnded`, `audioStarted`: the two ends of `e2e`; the second without the first is no measurement
 * - `count(stage, by)`: adds to the chunks of `asr`, the tokens of `llm` or the frames of `tts`
 * - `bargeIn`: the user spoke over the agent, who is thereby done with this answer
 * - `end(outcome)`: ends the session; default `"completed"`. A second end changes nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session {
  readonly id: string
  readonly stage: (name: Stage) => <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly record: (name: Stage, duration: Duration.Input) => Effect.Effect<void>
  readonly speechEnded: Effect.Effect<void>
  readonly audioStarted: Effect.Effect<void>
  readonly count: (name: "asr" | "llm" | "tts", by: number) => Effect.Effect<void>
  readonly bargeIn: Effect.Effect<void>
  readonly end: (outcome?: Outcome) => Effect.Effect<void>
}

/**
 * How the last sessions went.
 *
 * - `sessions`: how many are in the window
 * - `active`: how many are open
 * - `totals`: sessions that ended, stages that failed and barge-ins since the program started: the counters of the metrics
 * - `stages`: of each stage the mean, which is `undefined` before the first measurement, its target if it has one, and
 *   whether that is met
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly sessions: number
  readonly active: number
  readonly totals: { readonly sessions: number; readonly errors: number; readonly bargeIns: number }
  readonly stages: ReadonlyArray<{
    readonly stage: Stage
    readonly average: Duration.Duration | undefined
    readonly target: Duration.Duration | undefined
    readonly met: boolean
  }>
}

/**
 * @category services
 * @since 0.1.0
 */
export class SessionMetrics extends Context.Service<SessionMetrics, {
  readonly [TypeId]: TypeId
  readonly start: (id: string) => Effect.Effect<Session, never, Scope.Scope>
  readonly report: Effect.Effect<Report>
}>()("effect-resilience/SessionMetrics") {}

/**
 * @category guards
 * @since 0.1.0
 */
export const isSessionMetrics = (u: unknown): u is SessionMetrics["Service"] => Predicate.hasProperty(u, TypeId)

/**
 * Measures sessions. With a `path` it keeps them in a file, and fails when that cannot be read at the start.
 *
 * Throws a `RangeError` for an unknown stage, a target that is not above zero, and a window or a size that is no positive
 * integer.
 *
 * @category layers
 * @since 0.1.0
 */
export function layer(options: FileOptions): Layer.Layer<SessionMetrics, PlatformError, FileSystem.FileSystem>
export function layer(options?: Options & { readonly path?: undefined }): Layer.Layer<SessionMetrics>
export function layer(
  options: Options | FileOptions = {}
): Layer.Layer<SessionMetrics, PlatformError, FileSystem.FileSystem> {
  const settings = check(options)
  if (!("path" in options) || options.path === undefined) return Layer.effect(SessionMetrics, make(settings, forgotten))
  const { path, rotate } = options
  const bytes = positiveInteger("rotate.bytes", rotate?.bytes ?? 10_000_000)
  const keep = nonNegativeInteger("rotate.keep", rotate?.keep ?? 5)
  return Layer.effect(
    SessionMetrics,
    Effect.flatMap(Journal.make({ path, bytes, keep }), (journal) => make(settings, journal))
  )
}

/**
 * Begins a session that ends, at the latest, with its scope: as completed, failed or interrupted, as the scope does.
 *
 * @category accessors
 * @since 0.1.0
 */
export const start = (id: string): Effect.Effect<Session, never, SessionMetrics | Scope.Scope> =>
  Effect.flatMap(SessionMetrics, (service) => service.start(id))

/**
 * How the last sessions went.
 *
 * @category accessors
 * @since 0.1.0
 */
export const report: Effect.Effect<Report, never, SessionMetrics> = Effect.flatMap(
  SessionMetrics,
  (service) => service.report
)

interface Settings {
  readonly stages: ReadonlyArray<Stage>
  /** In milliseconds. */
  readonly targets: ReadonlyMap<Stage, number>
  readonly window: number
}

const defaultTargets: { readonly [S in Stage]?: Duration.Input } = { asr: 500, llm: 300, tts: 200, e2e: 1_000 }

const check = (options: Options): Settings => {
  const stages = (options.stages ?? Summaries.stages).map((stage) => oneOf("stages", stage, Summaries.stages))
  const targets = new Map<Stage, number>()
  for (const [stage, target] of Object.entries({ ...defaultTargets, ...options.targets })) {
    if (target === undefined) continue
    const name = oneOf<Stage>("targets", stage as Stage, Summaries.stages)
    if (stages.includes(name)) targets.set(name, positiveMillis(`targets.${stage}`, target))
  }
  return { stages, targets, window: positiveInteger("window", options.window ?? 100) }
}

/** Where no file is wanted. */
const forgotten: Journal.Journal<never> = { append: () => Effect.void, last: () => Effect.succeed([]) }

const make = <E>(settings: Settings, journal: Journal.Journal<E>): Effect.Effect<SessionMetrics["Service"], E> =>
  Effect.gen(function*() {
    const context = yield* Effect.context<never>()
    const metrics = Gauges.make(settings.stages, context)
    const window = new Window(settings.window)
    const totals = { sessions: 0, errors: 0, bargeIns: 0 }
    let active = 0

    for (const line of yield* journal.last(settings.window)) {
      const averages = Summaries.decode(line)
      if (averages !== undefined) window.add(averages)
    }

    const isMet = (stage: Stage): boolean => {
      const target = settings.targets.get(stage)
      const average = window.average(stage)
      // What has not been measured has not missed its target.
      return target === undefined || average === undefined || average <= target
    }
    const show = () => {
      for (const [stage, { average, met, target }] of metrics.stages) {
        average.updateUnsafe((window.average(stage) ?? 0) / 1_000, context)
        target.updateUnsafe((settings.targets.get(stage) ?? 0) / 1_000, context)
        met.updateUnsafe(isMet(stage) ? 1 : 0, context)
      }
    }
    show()

    const changeActive = (by: number) => {
      active += by
      metrics.active.updateUnsafe(active, context)
    }

    const keep = (summary: Summaries.Summary): Effect.Effect<void> => {
      window.add(Summaries.averages(summary))
      totals.sessions++
      metrics.total.updateUnsafe(1, context)
      changeActive(-1)
      show()
      return Effect.catch(
        journal.append(Summaries.encode(summary)),
        (error) => Effect.logError("a session could not be written", error)
      )
    }

    const listener = {
      onMeasured: (stage: Stage, millis: number) =>
        metrics.stages.get(stage)?.duration.updateUnsafe(millis / 1_000, context),
      onError: () => {
        totals.errors++
        metrics.errors.updateUnsafe(1, context)
      },
      onBargeIn: () => {
        totals.bargeIns++
        metrics.bargeIns.updateUnsafe(1, context)
      },
      onEnd: keep
    }

    const begin = (id: string): Effect.Effect<Session, never, Scope.Scope> =>
      Effect.uninterruptible(Effect.withFiber((fiber) => {
        changeActive(1)
        const session = new Conversation(id, settings.stages, fiber, listener)
        // `Effect.acquireRelease` would join all services of this fiber to those that its scope closes with; ending needs none.
        return Effect.as(
          Effect.flatMap(
            Effect.scope,
            (scope) => Scope.addFinalizerExit(scope, (exit) => session.end(outcomeOf(exit)))
          ),
          session
        )
      }))

    return SessionMetrics.of({
      [TypeId]: TypeId,
      start: begin,
      report: Effect.sync(() => ({
        sessions: window.length,
        active,
        totals: { ...totals },
        stages: settings.stages.map((stage) => ({
          stage,
          average: durationOf(window.average(stage)),
          target: durationOf(settings.targets.get(stage)),
          met: isMet(stage)
        }))
      }))
    })
  })

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome =>
  Exit.isSuccess(exit) ? "completed" : Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "failed"

const durationOf = (millis: number | undefined): Duration.Duration | undefined =>
  millis === undefined ? undefined : Duration.millis(millis)
