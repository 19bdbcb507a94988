/**
 * The log as one line of JSON an event: correlated, sampled by trace, without secrets.
 *
 * {@link layerJson} replaces the loggers of a program. Nothing else changes: `Effect.log` and its kin write the events,
 * `Effect.annotateLogs` adds fields, and the level is `References.MinimumLogLevel`.
 *
 * - **Correlation.** Each line has `trace_id` and `span_id` of the current span and all annotations, such as `request_id`,
 *   `agent` and `route`. A session is written as a hash.
 * - **Sampling.** DEBUG and TRACE are written for a share of the traces, decided by the trace id before anything is formatted, so a
 *   trace has all of its lines or none. INFO is written unless told otherwise; WARN and above always.
 * - **Redaction.** Values of secret keys and texts that look like secrets are not written, however deep they are.
 *   Prompts are not, unless switched on.
 * - **Bounded.** Lines wait in a queue of `capacity` places for the writer. Lines that find it full are lost and counted, in
 *   `logs_dropped_total` and in the log itself.
 *
 * **Gotchas**
 *
 * Lines that wait are written when the layer's scope closes, unless the writer takes too long; a process that is killed loses
 * those of its last turn.
 *
 * Redaction knows keys and shapes. A password in the middle of a sentence looks like a word: do not log it.
 *
 * **Example** (A line)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Logging } from "effect-resilience"
 *
 * const written: Array<string> = []
 * const layer = Logging.layerJson({
 *   service: "agent",
 *   version: "1.0.0",
 *   write: (lines) => Effect.sync(() => written.push(lines))
 * })
 *
 * const program = Effect.logInfo("signed in", { user: "ada", password: "hunter2" }).pipe(Logging.category("security"))
 * await Effect.runPromise(Effect.provide(program, layer))
 *
 * const { level, logger, msg, password, user } = JSON.parse(written.join(""))
 * const line = { level, logger, msg, password, user }
 * line // => { level: "INFO", logger: "security", msg: "signed in", password: "[redacted]", user: "ada" }
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { line } from "./internal/logging/line.ts"
import * as Outbox from "./internal/logging/outbox.ts"
import { plainer } from "./internal/logging/plain.ts"
import * as Redaction from "./internal/logging/redact.ts"
import { Sampling, type Shares } from "./internal/logging/sampling.ts"
import { saying } from "./internal/logging/saying.ts"
import { numberBetween, positiveInteger, positiveMillis } from "./internal/options.ts"
import * as Signal from "./Signal.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/Logging"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/Logging"

/**
 * What a line is about; its field `logger`. Lines without a category are of `"app"`.
 *
 * @category models
 * @since 0.1.0
 */
export type Category = "lifecycle" | "message" | "llm" | "storage" | "security" | "resilience"

/**
 * The shares of traces whose lines are written, from 0 to 1, by level. A number is the share of DEBUG and TRACE.
 *
 * @category models
 * @since 0.1.0
 */
export type Sample = number | {
  /** Default 1. */
  readonly info?: number | undefined
  /** Default 0.1. */
  readonly debug?: number | undefined
  /** Default 0.1. */
  readonly trace?: number | undefined
}

/**
 * What is not written.
 *
 * - `keys`: more keys whose values are secret. Letter case, `-`, `_`, `.` and blanks do not count.
 * - `patterns`: more shapes of secrets in texts
 * - `prompts`: write what was said to and by a model. Default false.
 *
 * @category models
 * @since 0.1.0
 */
export interface Redact extends Redaction.RedactOptions {}

/**
 * Options of {@link layerJson}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Written in each line. */
  readonly service: string
  /** Written in each line. */
  readonly version: string
  /** Default: a tenth of the traces for DEBUG and TRACE, all for INFO. */
  readonly sample?: Sample | undefined
  readonly redact?: Redact | undefined
  /** How many lines may wait for the writer. A positive integer. Default 10,000. */
  readonly capacity?: number | undefined
  /** How long the last lines may take when the layer ends, before they are given up. Default 5 seconds. */
  readonly shutdownTimeout?: Duration.Input | undefined
  /** Writes whole lines, each with its end. Default: Effect's `Console`, which is standard output. */
  readonly write?: ((lines: string) => Effect.Effect<void, unknown>) | undefined
}

/**
 * Writes the log of the program as lines of JSON, in place of its other loggers.
 *
 * | field | what |
 * | --- | --- |
 * | `ts`, `level`, `msg` | when, how bad, what |
 * | `logger` | the category, see {@link category} |
 * | `service`, `version` | who |
 * | `trace_id`, `span_id` | the current span |
 * | annotations | under their names: `request_id`, `agent`, `route`, `duration_ms`, … |
 * | `session` | a hash of the annotation `session` or `session_id` |
 * | `spans` | milliseconds of each `Effect.withLogSpan` |
 * | `error` | `type`, `message` and `stack` of the failure |
 * | `sampled_rate` | the share that the line's level is sampled at; multiply by its inverse to count |
 *
 * A record among the arguments of `Effect.log` adds its entries as fields. An annotation with the name of one of the logger's own
 * fields is written as `annotation.<name>`.
 *
 * Throws a `RangeError` for a share out of 0 to 1, a capacity that is no positive integer, and a timeout that is not above zero.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerJson = (options: Options): Layer.Layer<never> => {
  const shares = sharesOf(options.sample)
  const capacity = positiveInteger("capacity", options.capacity ?? 10_000)
  const shutdownMillis = positiveMillis("shutdownTimeout", options.shutdownTimeout ?? "5 seconds")
  const source = { service: options.service, version: options.version }
  const plain = plainer(Redaction.redactor(options.redact))
  const logger = Effect.gen(function*() {
    const context = yield* Effect.context<never>()
    for (const counter of [...Object.values(dropped), unsampled]) counter.updateUnsafe(0, context)
    const sampling = new Sampling(shares)
    const outbox = yield* Outbox.make({
      capacity,
      shutdownMillis,
      write: options.write ?? toConsole,
      onLost: (reason, count) => dropped[reason].updateUnsafe(count, context),
      notice: (lost) => noticeOf(lost, source)
    })
    return Logger.make<unknown, void>((event) => {
      const { fiber, logLevel } = event
      const share = sampling.shareOf(logLevel)
      if (share !== undefined && !sampling.keeps(logLevel as keyof Shares, share, fiber.cache.span?.traceId)) {
        unsampled.updateUnsafe(1, context)
        return
      }
      outbox.offer(line(event, source, share, plain))
    })
  })
  return Logger.layer([logger])
}

/**
 * {@link layerJson} with its options from `Config`. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerJsonConfig = (
  options: Config.Wrap<Pick<Options, "service" | "version" | "capacity"> & { readonly sample?: number | undefined }>
): Layer.Layer<never, Config.ConfigError> => layerFromConfig(options, layerJson)

/**
 * Logs what the policies under it say, in category `"resilience"`.
 *
 * WARN: a circuit opens, a letter is kept, a check fails. INFO: other changes of a circuit or a check, degraded answers. DEBUG:
 * retries, refused retries, passed deadlines, rejected calls.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSignals: Layer.Layer<never> = Layer.suspend(() =>
  Signal.layer((signal, fiber) => {
    const said = saying(signal)
    if (said === undefined) return
    // As the fiber that it happened to: with its span, its annotations and its loggers.
    Effect.runForkWith(fiber.context)(
      category(Effect.logWithLevel(said.level)(said.message, said.fields), "resilience")
    )
  })
)

/**
 * Says what the lines of an effect are about.
 *
 * @category combinators
 * @since 0.1.0
 */
export const category: {
  (category: Category): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, category: Category): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, category: Category): Effect.Effect<A, E, R> =>
    Effect.annotateLogs(self, "logger", category)
)

const sharesOf = (sample: Sample | undefined): Shares => {
  const { debug = 0.1, info = 1, trace = 0.1 } = typeof sample === "number"
    ? { debug: sample, trace: sample }
    : sample ?? {}
  return {
    Info: numberBetween("sample.info", info, 0, 1),
    Debug: numberBetween("sample.debug", debug, 0, 1),
    Trace: numberBetween("sample.trace", trace, 0, 1)
  }
}

/** The console ends the line itself. */
const toConsole = (lines: string): Effect.Effect<void> =>
  Effect.map(Console.Console, (console) => console.log(lines.slice(0, -1)))

const noticeOf = (
  lost: number,
  source: { readonly service: string; readonly version: string }
): Effect.Effect<string> =>
  Effect.map(DateTime.now, (now) =>
    JSON.stringify({
      ts: DateTime.formatIso(now),
      level: "WARN",
      msg: "log lines were lost: more came than could be written",
      logger: "lifecycle",
      ...source,
      lost
    }))

const lines = (reason: string) =>
  Metric.counter("logs_dropped_total", {
    description: "Log lines that were lost",
    attributes: { reason },
    incremental: true
  })

const dropped = { queue: lines("queue"), write: lines("write") }

const unsampled = Metric.counter("logs_unsampled_total", {
  description: "Log lines that sampling left out",
  incremental: true
})
