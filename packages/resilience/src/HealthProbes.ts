/**
 * Whether a program lives, has started and is ready for traffic, from checks that run in the background.
 *
 * Three kinds of things are declared, and {@link layer} watches over them:
 *
 * - a {@link check} asks a dependency, on a `Schedule`, never twice at a time, never longer than its `timeout`;
 * - a {@link condition} is something the program waits for, such as plugins that are loaded;
 * - a {@link heartbeat} is a sign of life from a loop of the program itself.
 *
 * What a probe is told was found out before it asked. A thousand probes cause no call, and a dependency that hangs
 * delays none of them.
 *
 * | state | a check is in it |
 * | --- | --- |
 * | `Unknown` | before its first result, and after {@link reset}: the next result decides alone |
 * | `Healthy` | after a success from `Unknown`, else after `thresholds.healthy` successes in a row |
 * | `Degraded` | after 1 to `thresholds.failed - 1` failures since it was healthy |
 * | `Failed` | after `thresholds.failed` of them |
 *
 * | probe | is up |
 * | --- | --- |
 * | {@link live} | while all heartbeats beat. It never asks a dependency: a restart repairs none |
 * | {@link startup} | once all of the group `"startup"` was up, and from then on |
 * | {@link ready} | once started, unless something of the group `"ready"` is down or the program is {@link draining} |
 *
 * A check is down while it is `Unknown`. Beyond that only a `critical` one goes down: while it is `Failed`, and while it is
 * `Degraded` without ever having been `Healthy`. A dependency that all instances share would take all of them out of
 * service at once, so think twice before declaring it critical; without that its failure makes the program `"degraded"`.
 *
 * **Example** (A database, a cache that can be missed, and a worker)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HealthProbes } from "effect-resilience"
 *
 * const worker = HealthProbes.heartbeat("worker", { within: "30 seconds" })
 *
 * const health = HealthProbes.layer([
 *   HealthProbes.check({ name: "database", probe: Effect.void, critical: true }),
 *   HealthProbes.check({ name: "cache", probe: Effect.fail("connection refused") }),
 *   worker
 * ])
 *
 * const program = Effect.gen(function*() {
 *   yield* worker.beat
 *   yield* HealthProbes.waitUntilReady
 *   const ready = yield* HealthProbes.ready
 *   return [ready.ok, ready.status, ready.checks.map(({ name, state }) => `${name} ${state}`)]
 * })
 * await Effect.runPromise(Effect.provide(program, health)) // => [true, "degraded", ["database Healthy", "cache Degraded"]]
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Failure from "./Failure.ts"
import { CheckEntry, ConditionEntry, HeartbeatEntry } from "./internal/healthProbes/board.ts"
import type { Settings } from "./internal/healthProbes/checking.ts"
import { type Declared, watch } from "./internal/healthProbes/watch.ts"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { positiveInteger, positiveMillis } from "./internal/options.ts"
import type * as Signal from "./Signal.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/HealthProbes"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/HealthProbes"

/**
 * No check has this name. `known` are the names that there are.
 *
 * @category errors
 * @since 0.1.0
 */
export class CheckNotFound extends Schema.TaggedError<CheckNotFound>("effect-resilience/CheckNotFound")(
  "CheckNotFound",
  { name: Schema.String, known: Schema.Array(Schema.String) }
) {
  override get message(): string {
    return `There is no check ${JSON.stringify(this.name)}; there are: ${this.known.join(", ") || "none"}`
  }

  [Failure.symbol](): Failure.Info {
    return { kind: "Permanent", scope: "request", code: "CheckNotFound", message: this.message }
  }
}

/**
 * The verdict on one check, as in the signals.
 *
 * @category models
 * @since 0.1.0
 */
export type State = Signal.HealthState

/**
 * What a probe found out besides that all is well: a version, a replica's lag. Shown in the {@link CheckReport}.
 *
 * @category models
 * @since 0.1.0
 */
export type Detail = Schema.JsonObject

/**
 * A verdict went `from` one state `to` another.
 *
 * @category models
 * @since 0.1.0
 */
export interface Change {
  readonly check: string
  readonly from: State
  readonly to: State
}

/**
 * How one check, heartbeat or condition stands.
 *
 * - `url`: where a check's dependency is, as it was declared.
 * - `failures`: since it was last healthy.
 * - `lastCheck`, `lastSuccess`, `lastFailure`: when a result came in; absent before the first one.
 * - `lastError`: why it failed last, kept after it has recovered. It may quote the dependency, so it is not for everybody.
 * - `latency`: how long the latest run took.
 * - `detail`: what the latest successful run had to say.
 *
 * @category models
 * @since 0.1.0
 */
export interface CheckReport {
  readonly kind: "check" | "heartbeat" | "condition"
  readonly name: string
  readonly url?: string | undefined
  readonly state: State
  readonly critical: boolean
  readonly groups: ReadonlyArray<string>
  readonly failures: number
  readonly lastCheck?: DateTime.Utc | undefined
  readonly lastSuccess?: DateTime.Utc | undefined
  readonly lastFailure?: DateTime.Utc | undefined
  readonly lastError?: Failure.Info | undefined
  readonly latency?: Duration.Duration | undefined
  readonly detail?: Detail | undefined
}

/**
 * What a probe is told.
 *
 * - `ok`: up or not; over HTTP 200 or 503.
 * - `status`: `"healthy"`, `"degraded"` (up, but something in it is not healthy) or `"unhealthy"` (not up).
 * - `down`: the names of what keeps it from being up.
 * - `draining`: it is not up because the program is shutting down.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verdict {
  readonly ok: boolean
  readonly status: "healthy" | "degraded" | "unhealthy"
  readonly down: ReadonlyArray<string>
  readonly draining: boolean
  readonly checks: ReadonlyArray<CheckReport>
}

/**
 * Everything that is known: the verdict over all that was declared, whatever its group.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report extends Verdict {
  /** Whether {@link startup} is up. */
  readonly started: boolean
}

/**
 * How many results it takes to change a verdict. Positive integers.
 *
 * @category models
 * @since 0.1.0
 */
export interface Thresholds {
  /** So many failures since it was healthy make a check `Failed`. Default 3. */
  readonly failed?: number | undefined
  /** So many successes in a row make it `Healthy` again. Default 3. */
  readonly healthy?: number | undefined
}

/**
 * What checks have in common that say nothing else.
 *
 * @category models
 * @since 0.1.0
 */
export interface Defaults {
  /** The pause between two runs. Default 30 seconds. */
  readonly interval?: Duration.Input | undefined
  /** How long one run may take. Default 3 seconds. */
  readonly timeout?: Duration.Input | undefined
  readonly thresholds?: Thresholds | undefined
}

/**
 * Options of {@link check}.
 *
 * @category models
 * @since 0.1.0
 */
export interface CheckOptions<R> {
  readonly name: string
  /** Where the dependency is, for the reports. User and password in it are not kept. */
  readonly url?: string | undefined
  /** Succeeds when the dependency is well; any failure or defect means it is not. */
  readonly probe: Effect.Effect<void | Detail, unknown, R>
  /** Whether its groups go down with it. Default `false`. */
  readonly critical?: boolean | undefined
  /** What it counts for: `"ready"`, `"startup"`, or groups of one's own. Default `["ready"]`. Never `"live"`. */
  readonly groups?: ReadonlyArray<string> | undefined
  /**
   * When to run again, or the pause between two runs. Default 30 seconds. The Schedule is told the state, so it can ask
   * sooner what is not well. When it ends, the check keeps its state and runs no more.
   */
  readonly interval?: Duration.Input | Schedule.Schedule<unknown, State, never, R> | undefined
  /** How long one run may take. Default 3 seconds. */
  readonly timeout?: Duration.Input | undefined
  readonly thresholds?: Thresholds | undefined
  /**
   * Run once when the check becomes `Failed`, and once when it is `Healthy` after that: switch to the backup, switch
   * back. One at a time, in order, and no check waits for it. Its failure is logged.
   */
  readonly failover?: ((change: Change) => Effect.Effect<void, unknown, R>) | undefined
}

/**
 * Something that {@link layer} watches over.
 *
 * @category models
 * @since 0.1.0
 */
export type Item<R = never> = Check<R> | Heartbeat | Condition

/**
 * A check, made by {@link check}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check<out R = never> {
  readonly _tag: "Check"
  readonly name: string
  readonly options: CheckOptions<R>
}

/**
 * A sign of life, made by {@link heartbeat}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Heartbeat {
  readonly _tag: "Heartbeat"
  readonly name: string
  readonly withinMillis: number
  /** There was progress. */
  readonly beat: Effect.Effect<void, never, HealthProbes>
  /** There is nothing to do, so there will be no progress until the next {@link beat}, and that is well. */
  readonly rest: Effect.Effect<void, never, HealthProbes>
}

/**
 * Something to wait for, made by {@link condition}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Condition {
  readonly _tag: "Condition"
  readonly name: string
  readonly groups: ReadonlyArray<string>
  /** It has come true. */
  readonly meet: Effect.Effect<void, never, HealthProbes>
  /** It is true no longer. */
  readonly unmeet: Effect.Effect<void, never, HealthProbes>
}

/**
 * What watches over the checks.
 *
 * - `live`, `ready`, `startup`: see the table above. `group`: the same for a group of one's own.
 * - `report`: everything.
 * - `reset`: forgets what is known about a check and runs it at once; the result decides alone.
 * - `changes`: the changes of verdicts from the moment the stream is run.
 * - `drain`: takes the program out of service for good; `draining` says whether that has been done.
 * - `waitUntilReady`: waits until `ready` is up.
 * - `reconfigure`: other defaults from now on, for the checks that do not say it themselves; what is left out stays. What is known
 *   of the checks stays, too. Those with another interval run at once.
 *
 * @category services
 * @since 0.1.0
 */
export class HealthProbes extends Context.Service<HealthProbes, {
  readonly [TypeId]: TypeId
  readonly live: Effect.Effect<Verdict>
  readonly ready: Effect.Effect<Verdict>
  readonly startup: Effect.Effect<Verdict>
  readonly group: (name: string) => Effect.Effect<Verdict>
  readonly report: Effect.Effect<Report>
  readonly reset: (name: string) => Effect.Effect<CheckReport, CheckNotFound>
  readonly changes: Stream.Stream<Change>
  readonly draining: Effect.Effect<boolean>
  readonly drain: Effect.Effect<void>
  readonly waitUntilReady: Effect.Effect<void>
  /** Throws a `RangeError` for a default out of its range. */
  readonly reconfigure: (defaults: Defaults) => Effect.Effect<void>
  /** Used by {@link Heartbeat} and {@link Condition}. */
  readonly tell: (item: Heartbeat | Condition, well: boolean) => Effect.Effect<void>
}>()("effect-resilience/HealthProbes") {}

/**
 * @category guards
 * @since 0.1.0
 */
export const isHealthProbes = (u: unknown): u is HealthProbes["Service"] => Predicate.hasProperty(u, TypeId)

/**
 * Declares a check of a dependency.
 *
 * Throws a `RangeError` for an option out of its range, and for the group `"live"`: a program that is restarted because
 * its database is down comes up with the database still down.
 *
 * **Example** (More often while it is not well, with a backup to switch to)
 *
 * ```ts
 * import { Effect, Fiber, Schedule } from "effect"
 * import { HealthProbes } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * const log: Array<string> = []
 * const health = HealthProbes.layer([
 *   HealthProbes.check({
 *     name: "search",
 *     probe: Effect.fail("connection refused"),
 *     interval: Schedule.spaced("30 seconds").pipe(
 *       Schedule.setInputType<HealthProbes.State>(),
 *       Schedule.modifyDelay(({ input }) => Effect.succeed(input === "Healthy" ? "30 seconds" : "5 seconds"))
 *     ),
 *     failover: ({ to }) => Effect.sync(() => log.push(to === "Failed" ? "use the backup" : "use the primary"))
 *   })
 * ])
 *
 * await Effect.runPromise(
 *   TestClock.adjust("1 minute").pipe(Effect.provide(health), Effect.provide(TestClock.layer()))
 * )
 * log // => ["use the backup"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = <R = never>(options: CheckOptions<R>): Check<R> => {
  settingsOf(options, {})
  const groups = groupsOf(options.groups)
  if (groups.includes("live")) throw new RangeError("groups must not contain live: liveness never asks a dependency")
  return { _tag: "Check", name: options.name, options }
}

/**
 * Declares a sign of life: {@link live} is up while each beats at least once `within` this time, counted from the start.
 *
 * Let the loop beat that does the work, not a timer beside it: a timer beats on while the loop is stuck.
 *
 * Throws a `RangeError` when `within` is not a finite duration above zero.
 *
 * **Example** (A loop that got stuck)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HealthProbes } from "effect-resilience"
 * import { TestClock } from "effect/testing"
 *
 * const worker = HealthProbes.heartbeat("worker", { within: "30 seconds" })
 *
 * const program = Effect.gen(function*() {
 *   yield* worker.beat
 *   yield* TestClock.adjust("31 seconds")
 *   const late = yield* HealthProbes.live
 *   yield* worker.beat
 *   const again = yield* HealthProbes.live
 *   return [late.ok, late.down, again.ok]
 * })
 * await Effect.runPromise(
 *   program.pipe(Effect.provide(HealthProbes.layer([worker])), Effect.provide(TestClock.layer()))
 * ) // => [false, ["worker"], true]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const heartbeat = (name: string, options: { readonly within: Duration.Input }): Heartbeat => {
  const heart: Heartbeat = {
    _tag: "Heartbeat",
    name,
    withinMillis: positiveMillis("within", options.within),
    beat: HealthProbes.use((health) => health.tell(heart, true)),
    rest: HealthProbes.use((health) => health.tell(heart, false))
  }
  return heart
}

/**
 * Declares something that has to come true: sockets that are connected, plugins that are loaded, an index that is warm.
 *
 * It counts for its `groups`, by default `["ready"]`; with `["startup"]` it has to come true once. Until it is met it is
 * `Unknown`.
 *
 * Throws a `RangeError` for the group `"live"`.
 *
 * **Example** (Not before the plugins are loaded)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HealthProbes } from "effect-resilience"
 *
 * const plugins = HealthProbes.condition("plugins", { groups: ["startup"] })
 *
 * const program = Effect.gen(function*() {
 *   const before = yield* HealthProbes.ready
 *   yield* plugins.meet
 *   const after = yield* HealthProbes.ready
 *   return [before.ok, before.down, after.ok]
 * })
 * await Effect.runPromise(Effect.provide(program, HealthProbes.layer([plugins]))) // => [false, ["plugins"], true]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const condition = (
  name: string,
  options?: { readonly groups?: ReadonlyArray<string> | undefined }
): Condition => {
  const groups = groupsOf(options?.groups)
  if (groups.includes("live")) throw new RangeError("groups must not contain live: a restart makes nothing come true")
  const declared: Condition = {
    _tag: "Condition",
    name,
    groups,
    meet: HealthProbes.use((health) => health.tell(declared, true)),
    unmeet: HealthProbes.use((health) => health.tell(declared, false))
  }
  return declared
}

/**
 * Watches over what was declared, until its scope closes. It does not wait for the first results; {@link waitUntilReady} does.
 *
 * Throws a `RangeError` for an option out of its range, and when two have the same name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <R = never>(
  items: ReadonlyArray<Item<R>>,
  defaults: Defaults = {}
): Effect.Effect<HealthProbes["Service"], never, R | Scope.Scope> => {
  const declared = items.map((item) =>
    item._tag === "Check" ? { item, settings: settingsOf(item.options, defaults) } : { item }
  )
  const twice = items.find(({ name }, index) => items.findIndex((other) => other.name === name) !== index)
  if (twice !== undefined) throw new RangeError(`name must be unique, got ${twice.name} twice`)
  return Effect.map(watch(declared), (watched) => serve(watched, retuned(watched.board, declared, defaults)))
}

/**
 * {@link make} as a layer.
 *
 * Throws a `RangeError` for an option out of its range, and when two have the same name.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  items: ReadonlyArray<Item<R>>,
  defaults?: Defaults
): Layer.Layer<HealthProbes, never, Exclude<R, Scope.Scope>> => Layer.effect(HealthProbes, make(items, defaults))

/**
 * {@link layer} with its defaults from `Config`. A value out of its range is a `ConfigError`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = <R = never>(
  items: ReadonlyArray<Item<R>>,
  defaults: Config.Wrap<Defaults>
): Layer.Layer<HealthProbes, Config.ConfigError, Exclude<R, Scope.Scope>> =>
  layerFromConfig(defaults, (found) => layer(items, found))

/**
 * Whether the program makes progress. Never asks a dependency, and stays up while the program is draining.
 *
 * @category accessors
 * @since 0.1.0
 */
export const live: Effect.Effect<Verdict, never, HealthProbes> = HealthProbes.use((health) => health.live)

/**
 * Whether the program wants traffic.
 *
 * @category accessors
 * @since 0.1.0
 */
export const ready: Effect.Effect<Verdict, never, HealthProbes> = HealthProbes.use((health) => health.ready)

/**
 * Whether the program has started.
 *
 * @category accessors
 * @since 0.1.0
 */
export const startup: Effect.Effect<Verdict, never, HealthProbes> = HealthProbes.use((health) => health.startup)

/**
 * Whether a group of one's own is up.
 *
 * @category accessors
 * @since 0.1.0
 */
export const group = (name: string): Effect.Effect<Verdict, never, HealthProbes> =>
  HealthProbes.use((health) => health.group(name))

/**
 * Everything that is known.
 *
 * @category accessors
 * @since 0.1.0
 */
export const report: Effect.Effect<Report, never, HealthProbes> = HealthProbes.use((health) => health.report)

/**
 * Forgets what is known about a check and runs it at once. Until its result, which decides alone, it is `Unknown`; a
 * result of a run that began before counts no more. Says how the check stands then.
 *
 * @category operations
 * @since 0.1.0
 */
export const reset = (name: string): Effect.Effect<CheckReport, CheckNotFound, HealthProbes> =>
  HealthProbes.use((health) => health.reset(name))

/**
 * The changes of verdicts, from the moment the stream is run, in the order in which they happened. None is dropped.
 *
 * @category accessors
 * @since 0.1.0
 */
export const changes: Stream.Stream<Change, never, HealthProbes> = Stream.unwrap(
  Effect.map(HealthProbes, (health) => health.changes)
)

/**
 * Whether {@link drain} has been called.
 *
 * @category accessors
 * @since 0.1.0
 */
export const draining: Effect.Effect<boolean, never, HealthProbes> = HealthProbes.use((health) => health.draining)

/**
 * Takes the program out of service for good, as the first step of a shutdown: {@link ready} goes down at once, and
 * {@link live} stays as it is.
 *
 * @category operations
 * @since 0.1.0
 */
export const drain: Effect.Effect<void, never, HealthProbes> = HealthProbes.use((health) => health.drain)

/**
 * Waits until {@link ready} is up; for ever once the program is draining.
 *
 * @category operations
 * @since 0.1.0
 */
export const waitUntilReady: Effect.Effect<void, never, HealthProbes> = HealthProbes.use((health) =>
  health.waitUntilReady
)

const groupsOf = (groups: ReadonlyArray<string> | undefined): ReadonlyArray<string> => groups ?? ["ready"]

const settingsOf = <R>(options: CheckOptions<R>, defaults: Defaults): Settings<R> => {
  const prefix = `${options.name}.`
  const interval = options.interval ?? defaults.interval ?? "30 seconds"
  return {
    name: options.name,
    probe: options.probe,
    interval: Schedule.isSchedule(interval)
      ? interval
      : Schedule.spaced(positiveMillis(`${prefix}interval`, interval)),
    timeoutMillis: positiveMillis(`${prefix}timeout`, options.timeout ?? defaults.timeout ?? "3 seconds"),
    thresholds: {
      failed: positiveInteger(
        `${prefix}thresholds.failed`,
        options.thresholds?.failed ?? defaults.thresholds?.failed ?? 3
      ),
      healthy: positiveInteger(
        `${prefix}thresholds.healthy`,
        options.thresholds?.healthy ?? defaults.thresholds?.healthy ?? 3
      )
    }
  }
}

/** Checks all of a change before anything is changed. */
const retuned = <R>(
  board: Effect.Success<ReturnType<typeof watch>>["board"],
  declared: ReadonlyArray<Declared<R>>,
  defaults: Defaults
): HealthProbes["Service"]["reconfigure"] => {
  let current = defaults
  return (changes) => {
    const next: Defaults = { ...current, ...changes, thresholds: { ...current.thresholds, ...changes.thresholds } }
    const anew = declared.flatMap(({ item, settings }) =>
      settings === undefined ? [] : [{ item, settings, other: settingsOf(item.options, next) }]
    )
    return Effect.sync(() => {
      for (const { item, other, settings } of anew) {
        settings.timeoutMillis = other.timeoutMillis
        settings.thresholds = other.thresholds
        const entry = board.entries.get(item.name)
        const isOften = item.options.interval === undefined && next.interval !== current.interval
        if (!isOften || !(entry instanceof CheckEntry)) continue
        settings.interval = other.interval
        entry.wake.openUnsafe()
      }
      current = next
    })
  }
}

const serve = (
  { board, changes }: Effect.Success<ReturnType<typeof watch>>,
  reconfigure: HealthProbes["Service"]["reconfigure"]
): HealthProbes["Service"] => {
  const checks = [...board.entries.values()].filter((entry) => entry instanceof CheckEntry)

  return {
    [TypeId]: TypeId,
    live: Effect.sync(() => board.group("live")),
    ready: Effect.sync(() => board.readiness()),
    startup: Effect.sync(() => board.startup()),
    group: (name) => Effect.sync(() => board.group(name)),
    report: Effect.sync(() => board.report()),
    reset: (name) =>
      Effect.withFiber((fiber) => {
        const entry = checks.find((entry) => entry.name === name)
        if (entry === undefined) {
          return Effect.fail(new CheckNotFound({ name, known: checks.map((entry) => entry.name) }))
        }
        board.reset(entry, fiber)
        return Effect.succeed(entry.report())
      }),
    changes,
    draining: Effect.sync(() => board.draining),
    drain: Effect.withFiber((fiber) => {
      board.drain(fiber)
      return Effect.void
    }),
    waitUntilReady: board.ready.await,
    reconfigure,
    tell: (item, well) =>
      Effect.withFiber((fiber) => {
        const entry = board.entries.get(item.name)
        if (item._tag === "Heartbeat" && entry instanceof HeartbeatEntry) entry.beat(board, fiber, !well)
        else if (item._tag === "Condition" && entry instanceof ConditionEntry) entry.meet(board, fiber, well)
        else return Effect.die(new RangeError(`items must contain ${item.name}: it was not declared to this layer`))
        return Effect.void
      })
  }
}
