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
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PersistedQueueStore } from "effect/persistence/PersistedQueue"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Body from "./internal/deadLetterQueue/body.ts"
import type { Engine } from "./internal/deadLetterQueue/engine.ts"
import * as PersistedQueue from "./internal/deadLetterQueue/persistedQueue.ts"
import {
  budgets,
  type DeadLetterQueue,
  fromEngine,
  type Options,
  type Settings,
  TypeId
} from "./internal/deadLetterQueue/queue.ts"
import * as Redaction from "./internal/deadLetterQueue/redaction.ts"
import { limits } from "./internal/deadLetterQueue/retention.ts"
import { DeadLetterStore } from "./internal/deadLetterQueue/store.ts"
import { sweep } from "./internal/deadLetterQueue/sweep.ts"
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
export {
  type DeadLetterQueue,
  type Options,
  type Settings,
  type Tuning,
  TypeId
} from "./internal/deadLetterQueue/queue.ts"
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
 * @category guards
 * @since 0.1.0
 */
export const isDeadLetterQueue = (u: unknown): u is DeadLetterQueue<unknown> => Predicate.hasProperty(u, TypeId)

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
  const redactor = Redaction.make(options.redact)
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
    retentionLimits: limits(options.retention)
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
    return fromEngine(engine)
  })
}

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
): Layer.Layer<PersistedQueueStore, never, PersistedQueueStore> => PersistedQueue.around(self, options.queue)

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
