/**
 * Keeps the work that could not be done, until somebody or something does it.
 *
 * A letter is the payload with what is known of its failure: kind, code, message, causes, the attempts that were made,
 * the trace it belongs to, versions of payload and application, headers. It is `Dead` until it is redriven, archived or
 * discarded:
 *
 * ```text
 * offer -> Dead <-> Redriving -> Archived
 *            |          |
 *            v          v
 *        Discarded   Quarantined (undecodable, or out of redrives)
 * ```
 *
 * - A redrive leases the letter and renews the lease while the handler runs. A worker that dies is noticed when the
 *   lease ends, one that lost its lease is interrupted, and its answer is refused: each claim has a fence.
 * - A letter that fails again is dead again, with its history extended. Redrives that failed, were interrupted or crashed
 *   are counted apart, each with a budget; a letter that used one up is quarantined.
 * - A redrive means the letters that are there when it starts. What comes later waits for the next one.
 * - What cannot be decoded is quarantined byte for byte, and keeps nothing else from being redriven.
 * - Secrets are taken out before anything is stored; payloads can be sealed.
 *
 * Letters live in a {@link DeadLetterStore}: in memory, in a file, in Redis, or in PostgreSQL or SQLite.
 *
 * What it does not do: it does not retry (give {@link DeadLetterQueue} handlers a `Retry` policy), and it does not make
 * your handler idempotent: a worker that is killed between the work and its note makes the work come again, with the same
 * `idempotencyKey`. With `atomically` and a SQL store it does not.
 *
 * **Example** (Keep what fails, do it later)
 *
 * ```ts
 * import { Effect, Schema, Stream } from "effect"
 * import { DeadLetterQueue } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const queue = yield* DeadLetterQueue.make({ name: "orders", schema: Schema.Struct({ order: Schema.Int }) })
 *
 *   const place = queue.deadLetterOnFailure(({ order }) => Effect.fail(`no stock for ${order}`))
 *   yield* place({ order: 17 })
 *
 *   const done: Array<number> = []
 *   const restock = ({ order }: { readonly order: number }) => Effect.sync(() => done.push(order))
 *   const progress = yield* Stream.runCollect(queue.redrive({ kind: "Permanent" }, restock))
 *   return [done, progress.map(({ outcome }) => outcome)]
 * })
 * await Effect.runPromise(
 *   Effect.provide(Effect.scoped(program), DeadLetterQueue.layerStoreMemory)
 * ) // => [[17], ["redriven"]]
 * ```
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as SecureRandom from "effect/crypto/SecureRandom"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PersistedQueueStore } from "effect/persistence/PersistedQueue"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as Body from "./internal/deadLetterQueue/body.ts"
import * as Browse from "./internal/deadLetterQueue/browse.ts"
import type { Encryption } from "./internal/deadLetterQueue/encryption.ts"
import type { Engine } from "./internal/deadLetterQueue/engine.ts"
import type {
  CursorInvalid,
  DeadLetterStoreError,
  LetterNotFound,
  LetterRefused,
  PayloadUnencodable,
  PayloadUnreadable
} from "./internal/deadLetterQueue/errors.ts"
import type { Attempts, Letter } from "./internal/deadLetterQueue/letter.ts"
import { offer, type OfferOptions } from "./internal/deadLetterQueue/offer.ts"
import { type Kept, onFailure, type OnFailureOptions } from "./internal/deadLetterQueue/onFailure.ts"
import * as Operate from "./internal/deadLetterQueue/operate.ts"
import { fromPersistedQueue as persistedQueue } from "./internal/deadLetterQueue/persistedQueue.ts"
import * as Redaction_ from "./internal/deadLetterQueue/redaction.ts"
import * as Redrive from "./internal/deadLetterQueue/redrive.ts"
import { limits as retentionLimits, type Retention } from "./internal/deadLetterQueue/retention.ts"
import type { Filter, Selection } from "./internal/deadLetterQueue/selection.ts"
import { DeadLetterStore } from "./internal/deadLetterQueue/store.ts"
import { sweep } from "./internal/deadLetterQueue/sweep.ts"
import * as Transfer from "./internal/deadLetterQueue/transfer.ts"
import type { Handler } from "./internal/deadLetterQueue/work.ts"
import { layerFromConfig } from "./internal/layerFromConfig.ts"
import { positiveInteger, positiveMillis } from "./internal/options.ts"

export type { ListOptions, OpenedLetter, Page, Report } from "./internal/deadLetterQueue/browse.ts"
export { type Encryption, encryption } from "./internal/deadLetterQueue/encryption.ts"
export {
  CursorInvalid,
  DeadLetterStoreError,
  LeaseLost,
  LetterNotFound,
  LetterRefused,
  PayloadUnencodable,
  PayloadUnreadable
} from "./internal/deadLetterQueue/errors.ts"
export type {
  Attempts,
  Budget,
  HistoryEntry,
  Lease,
  Letter,
  Reason,
  SourceAttempt,
  State,
  TraceLink
} from "./internal/deadLetterQueue/letter.ts"
export type { OfferOptions } from "./internal/deadLetterQueue/offer.ts"
export type { Kept, OnFailureOptions } from "./internal/deadLetterQueue/onFailure.ts"
export type { Rate } from "./internal/deadLetterQueue/pacer.ts"
export type { Redaction } from "./internal/deadLetterQueue/redaction.ts"
export type {
  AutoRedriveOptions,
  Destination,
  Progress,
  RedriveOptions,
  Selected
} from "./internal/deadLetterQueue/redrive.ts"
export type { Evicted, EvictionCause, Retention } from "./internal/deadLetterQueue/retention.ts"
export { type Filter, Selection } from "./internal/deadLetterQueue/selection.ts"
export {
  DeadLetterStore,
  type Group,
  type Inserted,
  type PageOptions,
  type Query,
  type Row,
  type RowHead
} from "./internal/deadLetterQueue/store.ts"
export { type FileStoreOptions, layerStoreFile } from "./internal/deadLetterQueue/storeFile.ts"
export { layerStoreMemory } from "./internal/deadLetterQueue/storeMemory.ts"
export { layerStoreRedis, type RedisStoreOptions } from "./internal/deadLetterQueue/storeRedis.ts"
export { layerStoreSql, type SqlStoreOptions } from "./internal/deadLetterQueue/storeSql.ts"
export type { ImportReport } from "./internal/deadLetterQueue/transfer.ts"
export type { Atomically, Outcome, RedriveContext } from "./internal/deadLetterQueue/work.ts"

/**
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~effect-resilience/DeadLetterQueue"

/**
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~effect-resilience/DeadLetterQueue"

/**
 * The options that may come from `Config`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** How long a worker that is not heard of keeps a letter. Renewed three times in its length. Default 30 seconds. */
  readonly lease?: Duration.Input | undefined
  /**
   * How many redrives of a letter may fail before it is quarantined. A number is for those that the handler answered with
   * a failure; the others have budgets of their own. Default `{ delivered: 5, interrupted: 100, crashed: 3 }`.
   */
  readonly maxRedrives?: number | Partial<Attempts> | undefined
  /** Stored with each letter. */
  readonly applicationVersion?: string | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<A> extends Settings {
  /** Which letters of the store are this queue's. */
  readonly name: string
  /** How payloads become JSON. */
  readonly schema: Schema.Codec<A, unknown>
  /** The version of `schema`, stored with each letter. A positive integer. Default 1. */
  readonly version?: number | undefined
  /** Turns the JSON of an older version's payload into that of the current one. What it throws makes it undecodable. */
  readonly upcast?: ((payload: unknown, version: number) => unknown) | undefined
  readonly redact?: Redaction_.Redaction<A> | undefined
  /** See {@link encryption}. Default: stored in the clear. */
  readonly encrypt?: Encryption | undefined
  readonly retention?: Retention | undefined
}

/**
 * A queue of dead letters with payloads of type `A`.
 *
 * - `offer`: keeps a payload and says its id. Fails where it could not be stored: then do not acknowledge its source.
 * - `get`: a letter with what is in it.
 * - `list`: letters page by page, without their contents. Letters that come or go in between move no page.
 * - `count`, `report`: in numbers.
 * - `select`: the letters that match now, as a value to be redriven later, or again.
 * - `redrive`: hands letters to a handler, or to anything with `offer`, as a stream of what came of each. It runs as it is read.
 * - `autoRedrive`: a layer that redrives on a schedule, while it lives.
 * - `archive`, `discard`: closes dead and quarantined letters, with a reason in their history. Says how many.
 * - `release`: makes letters dead again with all their budgets: quarantined ones, or as the filter says.
 * - `edit`: changes the payload of a dead or quarantined letter.
 * - `export`, `import`: as lines of JSON.
 * - `deadLetterOnFailure`: runs a handler and keeps what it finally fails on.
 * - `sweep`: evicts what the retention says, and frees the letters of crashed workers. It runs by itself on
 *   `retention.schedule`.
 *
 * @category models
 * @since 0.1.0
 */
export interface DeadLetterQueue<A> {
  readonly [TypeId]: TypeId
  readonly name: string
  readonly offer: (
    payload: A,
    options: OfferOptions
  ) => Effect.Effect<string, DeadLetterStoreError | PayloadUnencodable>
  readonly get: (id: string) => Effect.Effect<Browse.OpenedLetter<A>, LetterNotFound | DeadLetterStoreError>
  readonly list: (
    filter?: Filter,
    options?: string | Browse.ListOptions
  ) => Effect.Effect<Browse.Page, CursorInvalid | DeadLetterStoreError>
  readonly count: (filter?: Filter) => Effect.Effect<number, DeadLetterStoreError>
  readonly report: Effect.Effect<Browse.Report, DeadLetterStoreError>
  readonly select: (filter?: Filter) => Effect.Effect<Selection, DeadLetterStoreError>
  readonly redrive: <E, R>(
    selected: Redrive.Selected,
    destination: Handler<A, E, R> | Redrive.Destination<A, E, R>,
    options?: Redrive.RedriveOptions
  ) => Stream.Stream<Redrive.Progress, DeadLetterStoreError, R>
  readonly autoRedrive: <E, R, R2 = never, R3 = never>(
    options: Redrive.AutoRedriveOptions<A, E, R, R2, R3>
  ) => Layer.Layer<never, never, R | R2 | R3>
  readonly archive: (selected: Redrive.Selected, reason?: string) => Effect.Effect<number, DeadLetterStoreError>
  readonly discard: (selected: Redrive.Selected, reason: string) => Effect.Effect<number, DeadLetterStoreError>
  readonly release: (selected: Redrive.Selected, reason?: string) => Effect.Effect<number, DeadLetterStoreError>
  readonly edit: (
    id: string,
    f: (payload: A) => A
  ) => Effect.Effect<
    Letter,
    LetterNotFound | LetterRefused | PayloadUnreadable | PayloadUnencodable | DeadLetterStoreError
  >
  readonly export: (filter?: Filter) => Stream.Stream<string, DeadLetterStoreError>
  readonly import: <E, R>(
    lines: Stream.Stream<string, E, R>
  ) => Effect.Effect<Transfer.ImportReport, E | DeadLetterStoreError, R>
  readonly deadLetterOnFailure: {
    <B, E, R, E2 = never, R2 = never>(
      handler: (payload: A) => Effect.Effect<B, E, R>,
      options?: OnFailureOptions<A, E, "succeed", E2, R2>
    ): (payload: A) => Effect.Effect<Kept<B>, DeadLetterStoreError | PayloadUnencodable, R | R2>
    <B, E, R, E2 = never, R2 = never>(
      handler: (payload: A) => Effect.Effect<B, E, R>,
      options: OnFailureOptions<A, E, "fail", E2, R2> & { readonly then: "fail" }
    ): (payload: A) => Effect.Effect<B, E | E2 | DeadLetterStoreError | PayloadUnencodable, R | R2>
  }
  readonly sweep: Effect.Effect<void, DeadLetterStoreError>
}

/**
 * @category guards
 * @since 0.1.0
 */
export const isDeadLetterQueue = (u: unknown): u is DeadLetterQueue<unknown> => Predicate.hasProperty(u, TypeId)

/** The engine behind a queue, for the functions of this module that are not its methods. */
const engines = new WeakMap<object, Engine<never>>()

/**
 * A queue in the program's {@link DeadLetterStore}. It sweeps in the background until the scope closes.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A>(
  options: Options<A>
): Effect.Effect<DeadLetterQueue<A>, never, DeadLetterStore | Scope.Scope> => {
  const redactor = Redaction_.make(options.redact as Redaction_.Redaction<never> | undefined)
  const version = positiveInteger("version", options.version ?? 1)
  const configured = {
    name: options.name,
    redactor,
    codec: Body.make<A>({
      name: options.name,
      schema: options.schema,
      version,
      upcast: options.upcast,
      redact: options.redact,
      redactor,
      encrypt: options.encrypt
    }),
    limits: budgets(options.maxRedrives),
    leaseMillis: positiveMillis("lease", options.lease ?? "30 seconds"),
    applicationVersion: options.applicationVersion,
    retention: options.retention,
    retentionLimits: retentionLimits(options.retention)
  }
  return Effect.gen(function*() {
    const engine: Engine<A> = {
      ...configured,
      store: yield* DeadLetterStore,
      owner: SecureRandom.ulidUnsafe()
    }
    yield* sweep(engine).pipe(
      Effect.catchCause((cause) => Effect.logError(`Sweeping dead letter queue "${engine.name}" failed`, cause)),
      Effect.schedule(options.retention?.schedule ?? Schedule.spaced("1 minute")),
      Effect.interruptible,
      Effect.forkScoped
    )
    const queue = fromEngine(engine)
    engines.set(queue, engine as unknown as Engine<never>)
    return queue
  })
}

const budgets = (maxRedrives: Settings["maxRedrives"]): Attempts => {
  const given = typeof maxRedrives === "number" ? { delivered: maxRedrives } : maxRedrives ?? {}
  return {
    delivered: positiveInteger("maxRedrives", given.delivered ?? 5),
    interrupted: positiveInteger("maxRedrives.interrupted", given.interrupted ?? 100),
    crashed: positiveInteger("maxRedrives.crashed", given.crashed ?? 3)
  }
}

const fromEngine = <A>(engine: Engine<A>): DeadLetterQueue<A> => ({
  [TypeId]: TypeId,
  name: engine.name,
  offer: (payload, options) => offer(engine, payload, options),
  get: (id) => Browse.get(engine, id),
  list: (filter, options) => Browse.list(engine, filter ?? {}, options),
  count: (filter) => Browse.count(engine, filter ?? {}),
  report: Browse.report(engine),
  select: (filter) => Redrive.select(engine, filter ?? {}),
  redrive: (selected, destination, options) => Redrive.redrive(engine, selected, destination, options),
  autoRedrive: (options) => Redrive.autoRedrive(engine, options),
  archive: (selected, reason = "archived") =>
    Operate.tellAll(engine, selected, { _tag: "Archive", reason }, ["Dead", "Quarantined"]),
  discard: (selected, reason) =>
    Operate.tellAll(engine, selected, { _tag: "Discard", reason }, ["Dead", "Quarantined"]),
  release: (selected, reason = "released") =>
    Operate.tellAll(engine, selected, { _tag: "Release", reason }, ["Quarantined"]),
  edit: (id, f) => Operate.edit(engine, id, f),
  export: (filter) => Transfer.exportLines(engine, filter ?? {}),
  import: (lines) => Transfer.importLines(engine, lines),
  // The overloads say what each value of `then` leaves of the union that the implementation has.
  deadLetterOnFailure:
    ((handler: Parameters<typeof onFailure<A, never, never, never>>[1], options = {}) =>
      onFailure(engine, handler, options)) as DeadLetterQueue<A>["deadLetterOnFailure"],
  sweep: sweep(engine)
})

/**
 * Keeps what Effect's own `PersistedQueue` would only mark failed: provides its store's tag from the store beneath, with
 * the elements of one of its queues that failed for good, or cannot be decoded, offered to `self` first. Where that fails
 * the element stays in the queue.
 *
 * `self` has the schema of the queue's elements. An element keeps its id as dedupe key.
 *
 * @category integrations
 * @since 0.1.0
 */
export const fromPersistedQueue = <A>(
  self: DeadLetterQueue<A>,
  options: {
    /** The `name` of the `PersistedQueue`. */
    readonly queue: string
  }
): Layer.Layer<PersistedQueueStore, never, PersistedQueueStore> => {
  const engine = engines.get(self)
  if (engine === undefined) throw new TypeError("fromPersistedQueue needs a queue that DeadLetterQueue.make made")
  return persistedQueue(engine, options.queue)
}

/**
 * {@link make} as a layer for a tag of your own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, A>(
  tag: Context.Key<Self, DeadLetterQueue<A>>,
  options: Options<A>
): Layer.Layer<Self, never, DeadLetterStore> => Layer.effect(tag, make(options))

/**
 * A queue as a service, made by {@link Service}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, A>
  extends Context.ServiceClass<Self, Id, DeadLetterQueue<A>>
{
  readonly layer: Layer.Layer<Self, never, DeadLetterStore>
  /** With {@link Settings} from `Config` in place of those it was declared with. */
  readonly layerConfig: (
    settings: Config.Wrap<Settings>
  ) => Layer.Layer<Self, Config.ConfigError, DeadLetterStore>
}

/**
 * Declares a queue as a service, with its payloads typed.
 *
 * Throws a `RangeError` for an option out of its range.
 *
 * **Example** (One tag for the queue, one layer to run it)
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { DeadLetterQueue } from "effect-resilience"
 *
 * class FailedMails extends DeadLetterQueue.Service<FailedMails>()("app/FailedMails", {
 *   name: "mails",
 *   schema: Schema.Struct({ to: Schema.String })
 * }) {}
 *
 * const program = Effect.gen(function*() {
 *   const mails = yield* FailedMails
 *   yield* mails.offer({ to: "ada@example.org" }, { error: new Error("mailbox full") })
 *   return yield* mails.count({ state: "Dead" })
 * })
 * const layer = Layer.provide(FailedMails.layer, DeadLetterQueue.layerStoreMemory)
 * await Effect.runPromise(Effect.provide(program, layer)) // => 1
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service =
  <Self>() => <const Id extends string, A>(id: Id, options: Options<A>): ServiceClass<Self, Id, A> => {
    const tag = Context.Service<Self, DeadLetterQueue<A>>()(id)
    return Object.assign(tag, {
      layer: layer(tag, options),
      layerConfig: (settings: Config.Wrap<Settings>) =>
        layerFromConfig(settings, (found: Settings) => layer(tag, { ...options, ...found }))
    })
  }
