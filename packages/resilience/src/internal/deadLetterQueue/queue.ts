/** A queue as its users see it, from the functions that do the work. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { positiveInteger } from "../options.ts"
import * as Browse from "./browse.ts"
import type { Encryption } from "./encryption.ts"
import type { Engine } from "./engine.ts"
import type {
  CursorInvalid,
  DeadLetterStoreError,
  LetterNotFound,
  LetterRefused,
  PayloadUnencodable,
  PayloadUnreadable
} from "./errors.ts"
import type { Attempts, Letter } from "./letter.ts"
import { offer, offerJson, type OfferOptions } from "./offer.ts"
import { type Kept, onFailure, type OnFailureOptions } from "./onFailure.ts"
import * as Operate from "./operate.ts"
import type { Redaction } from "./redaction.ts"
import * as Redrive from "./redrive.ts"
import { limits as limitsOf, type Retention } from "./retention.ts"
import type { Filter, Selection } from "./selection.ts"
import { sweep } from "./sweep.ts"
import * as Transfer from "./transfer.ts"
import type { Handler } from "./work.ts"

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
  readonly redact?: Redaction<A> | undefined
  /** See {@link encryption}. Default: stored in the clear. */
  readonly encrypt?: Encryption | undefined
  readonly retention?: Retention | undefined
}

/**
 * What a running queue can be given anew. What is left out stays.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tuning {
  readonly maxRedrives?: Settings["maxRedrives"]
  /** Its `schedule` stays as it was. */
  readonly retention?: Retention | undefined
}

/**
 * A queue of dead letters with payloads of type `A`.
 *
 * - `offer`: keeps a payload and says its id. Fails where it could not be stored: then do not acknowledge its source.
 * - `offerJson`: the same for a payload that is JSON already. What does not fit the schema is kept, in quarantine.
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
 * - `reconfigure`: other options from now on. Letters that are kept already are kept and redriven by these as well.
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
  readonly offerJson: (
    payload: unknown,
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
      options: OnFailureOptions<A, E, "fail", E2, R2> & { readonly afterwards: "fail" }
    ): (payload: A) => Effect.Effect<B, E | E2 | DeadLetterStoreError | PayloadUnencodable, R | R2>
  }
  readonly sweep: Effect.Effect<void, DeadLetterStoreError>
  /** Throws a `RangeError` for an option out of its range. */
  readonly reconfigure: (changes: Tuning) => Effect.Effect<void>
}

export const fromEngine = <A>(engine: Engine<A>): DeadLetterQueue<A> => ({
  [TypeId]: TypeId,
  name: engine.name,
  offer: (payload, options) => offer(engine, payload, options),
  offerJson: (payload, options) => offerJson(engine, payload, options),
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
  // The overloads say what each value of `afterwards` leaves of the union that the implementation has.
  deadLetterOnFailure:
    ((handler: Parameters<typeof onFailure<A, never, never, never>>[1], options = {}) =>
      onFailure(engine, handler, options)) as DeadLetterQueue<A>["deadLetterOnFailure"],
  sweep: sweep(engine),
  reconfigure: ({ maxRedrives, retention }) => {
    const limits = maxRedrives === undefined ? engine.limits : budgets(maxRedrives)
    const kept = retention ?? engine.retention
    const retentionLimits = limitsOf(kept)
    return Effect.sync(() => {
      engine.limits = limits
      engine.retention = kept
      engine.retentionLimits = retentionLimits
    })
  }
})

/** How often a letter may be redriven; throws a `RangeError`. */
export const budgets = (maxRedrives: Settings["maxRedrives"]): Attempts => {
  const given = typeof maxRedrives === "number" ? { delivered: maxRedrives } : maxRedrives ?? {}
  return {
    delivered: positiveInteger("maxRedrives", given.delivered ?? 5),
    interrupted: positiveInteger("maxRedrives.interrupted", given.interrupted ?? 100),
    crashed: positiveInteger("maxRedrives.crashed", given.crashed ?? 3)
  }
}
