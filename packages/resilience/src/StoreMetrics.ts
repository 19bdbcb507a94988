/**
 * Measures what programs keep their data in: how long statements take, how many connections a pool has, how many letters
 * wait in a queue.
 *
 * - {@link layerSql} times every statement of every `SqlClient` under it, in `db_client_operation_duration_seconds`.
 * - {@link layerConnections} shows the connections of a pool, in `db_client_connection_count`.
 * - {@link layerDeadLetters} shows how full a dead letter queue is and how old its oldest letter, in `dlq_depth` and
 *   `dlq_oldest_age_seconds`.
 *
 * The last two ask now and then, by a `Schedule`. Where a store does not answer, the gauges stay as they are and the next
 * question is asked in its turn; the failure is logged at level DEBUG.
 *
 * **Example** (A pool that is half in use)
 *
 * ```ts
 * import { Effect, Metric } from "effect"
 * import { Metrics, StoreMetrics } from "effect-resilience"
 *
 * const pool = StoreMetrics.layerConnections(Effect.succeed({ idle: 5, used: 5 }))
 * const program = Effect.provide(Metrics.format(), pool)
 *
 * const text = await Effect.runPromise(Effect.provideService(program, Metric.MetricRegistry, new Map()))
 * text.includes(`db_client_connection_count{state="used"} 5`) // => true
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Statement from "effect/sql/Statement"
import type * as Tracer from "effect/Tracer"
import { monotonicMillis } from "./internal/monotonic.ts"
import * as Metrics from "./Metrics.ts"

const statements = Metrics.instrument("db_client_operation_duration_seconds")
const connections = Metrics.instrument("db_client_connection_count")
const depth = Metrics.instrument("dlq_depth")
const oldestAge = Metrics.instrument("dlq_oldest_age_seconds")

/**
 * Times every statement that is run under it, from when it is asked for until its rows are there.
 *
 * `db_operation_name` is the statement's first word, `SELECT` and its like, or `_OTHER`; `error_type` is the reason of the
 * `SqlError`, and empty for success and interruption. A transformer of statements that is there already still does its work.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSql = (options: {
  /** As OpenTelemetry names them: `sqlite`, `postgresql`. */
  readonly system: string
}): Layer.Layer<never> =>
  Layer.effect(
    Statement.CurrentTransformer,
    Effect.map(Statement.CurrentTransformer, (other): Statement.Transformer => (statement, sql, fiber, span) => {
      const start = monotonicMillis(fiber)
      whenEnded(span, (exit) =>
        statements.observeUnsafe(fiber, (monotonicMillis(fiber) - start) / 1000, {
          db_system_name: options.system,
          db_operation_name: operationOf(statement.compile()[0]),
          error_type: errorOf(exit)
        }))
      return other === undefined ? Effect.succeed(statement) : other(statement, sql, fiber, span)
    })
  )

/** A statement has a span from its beginning to its end, recorded or not, and nothing else that ends with it. */
const whenEnded = (span: Tracer.Span, tell: (exit: Exit.Exit<unknown, unknown>) => void): void => {
  const end = span.end.bind(span)
  let told = false
  span.end = (endTime, exit) => {
    if (!told) {
      told = true
      tell(exit)
    }
    end(endTime, exit)
  }
}

const known = new Set([
  "SELECT",
  "INSERT",
  "UPDATE",
  "DELETE",
  "WITH",
  "MERGE",
  "CREATE",
  "ALTER",
  "DROP",
  "TRUNCATE",
  "PRAGMA",
  "VACUUM",
  "ANALYZE",
  "CALL",
  "BEGIN",
  "COMMIT",
  "ROLLBACK",
  "SAVEPOINT"
])

/** A metric has no room for the words that people make up. */
const operationOf = (sql: string): string => {
  const word = /^\s*([a-z]+)/i.exec(sql)?.[1]?.toUpperCase() ?? ""
  return known.has(word) ? word : "_OTHER"
}

const errorOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success" || Cause.hasInterruptsOnly(exit.cause)) return ""
  const error = Cause.squash(exit.cause)
  const told = Predicate.hasProperty(error, "reason") ? error.reason : error
  return Predicate.hasProperty(told, "_tag") && typeof told._tag === "string" ? told._tag : "_OTHER"
}

/** How often a gauge is brought up to date unless told otherwise. */
const usually = Schedule.spaced("15 seconds")

/**
 * Shows the connections of a pool. Asks at once, and again by `every` (default: every 15 seconds).
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConnections = <E, R>(
  read: Effect.Effect<{ readonly idle: number; readonly used: number }, E, R>,
  options?: { readonly every?: Schedule.Schedule<unknown> | undefined }
): Layer.Layer<never, never, R> =>
  watched(
    Effect.flatMap(read, ({ idle, used }) =>
      Effect.andThen(connections.set(idle, { state: "idle" }), connections.set(used, { state: "used" }))),
    options?.every
  )

/**
 * What {@link layerDeadLetters} needs of a queue; `DeadLetterQueue` has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Letters<E> {
  readonly report: Effect.Effect<{ readonly states: { readonly [state: string]: number } }, E>
  readonly list: (
    filter: { readonly state: "Dead" },
    options: { readonly order: "oldest"; readonly limit: 1 }
  ) => Effect.Effect<{ readonly letters: ReadonlyArray<{ readonly failedAt: number }> }, E>
}

/**
 * Shows how many letters a queue has in each state, and how long ago the oldest dead one failed; 0 where there is none. Asks at once,
 * and again by `every` (default: every 15 seconds).
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDeadLetters = <E>(
  name: string,
  queue: Letters<E>,
  options?: { readonly every?: Schedule.Schedule<unknown> | undefined }
): Layer.Layer<never> =>
  watched(
    Effect.gen(function*() {
      const { states } = yield* queue.report
      for (const [state, count] of Object.entries(states)) yield* depth.set(count, { queue: name, state })
      const [oldest] = (yield* queue.list({ state: "Dead" }, { order: "oldest", limit: 1 })).letters
      const now = yield* Clock.currentTimeMillis
      yield* oldestAge.set(oldest === undefined ? 0 : Math.max(0, now - oldest.failedAt) / 1000, { queue: name })
    }),
    options?.every
  )

const watched = <E, R>(
  look: Effect.Effect<void, E, R>,
  every: Schedule.Schedule<unknown> = usually
): Layer.Layer<never, never, R> => {
  const once = Effect.catchCause(
    look,
    (cause) =>
      Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.logDebug("a store could not be measured", cause)
  )
  return Layer.effectDiscard(
    Effect.andThen(once, Effect.forkScoped(Effect.schedule(once, every)))
  )
}
