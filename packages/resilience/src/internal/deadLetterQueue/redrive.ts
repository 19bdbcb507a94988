/** Handing letters over again, many of them, as a stream of what came of each. */
import * as Cause from "effect/Cause"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Failure from "../../Failure.ts"
import { positiveInteger } from "../options.ts"
import { type Engine, setAside } from "./engine.ts"
import type { DeadLetterStoreError, LeaseLost } from "./errors.ts"
import type { Letter } from "./letter.ts"
import { step } from "./lifecycle.ts"
import * as Pacer from "./pacer.ts"
import { fromRow, isStale } from "./record.ts"
import { defaultStates, type Filter, forRedrive, isDue, type Selection, toQuery } from "./selection.ts"
import type { RowHead } from "./store.ts"
import { type Atomically, type Done, type Handler, type Outcome, work } from "./work.ts"

/**
 * Which letters an operation is for: ids, all that match a filter now, or a selection that was made earlier.
 *
 * @category models
 * @since 0.1.0
 */
export type Selected = ReadonlyArray<string> | Filter | Selection

/**
 * Where redriven payloads go, when that is no function: anything with `offer`, such as a `PersistedQueue`. It gets the
 * idempotency key as the id of the element.
 *
 * @category models
 * @since 0.1.0
 */
export interface Destination<A, E, R> {
  readonly offer: (payload: A, options: { readonly id: string }) => Effect.Effect<unknown, E, R>
}

/**
 * Options of a redrive.
 *
 * @category models
 * @since 0.1.0
 */
export interface RedriveOptions {
  /** A number is for each second. Default: as fast as the handler goes. */
  readonly rate?: number | Pacer.Rate | undefined
  /** How many at once. Default 1, the oldest first. */
  readonly concurrency?: number | undefined
  /** Looks what would be handed over, and changes nothing. Default `false`. */
  readonly dryRun?: boolean | undefined
  /**
   * Makes the handler and the noting of its success one, as `sql.withTransaction` of the database that holds the
   * letters: then each letter is handed over exactly once, whatever is killed when.
   */
  readonly atomically?: Atomically | undefined
}

/**
 * What came of one letter, and how far the redrive is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  readonly id: string
  readonly outcome: Outcome
  /** As it is now; `undefined` when it is gone. */
  readonly letter: Letter | undefined
  /** Why the handler failed. */
  readonly failure?: Failure.Info | undefined
  readonly error?: LeaseLost | undefined
  readonly dryRun: boolean
  /** How many letters have this outcome so far. */
  readonly counts: { readonly [O in Outcome]: number }
  /** How many letters were looked at so far. */
  readonly done: number
  /** How many there were when the redrive started. */
  readonly total: number
  /** Redrive this to go on, should the redrive be interrupted. `undefined` for a redrive of ids. */
  readonly selection: Selection | undefined
}

const pageSize = 100

const isSelection = (selected: Selected): selected is Selection => "_tag" in selected && selected._tag === "Selection"

const isIds = (selected: Selected): selected is ReadonlyArray<string> => Array.isArray(selected)

/** All that match now, and none that come later. */
export const select = <A>(engine: Engine<A>, filter: Filter): Effect.Effect<Selection, DeadLetterStoreError> =>
  Effect.gen(function*() {
    const { name, store } = engine
    const at = yield* store.now
    const query = toQuery(filter, at)
    const seqUntil = yield* store.last(name)
    return { _tag: "Selection", id: SecureRandom.ulidUnsafe(), queue: name, at, query: { ...query, seqUntil } }
  })

export const frozen = <A>(
  engine: Engine<A>,
  selected: Selected
): Effect.Effect<ReadonlyArray<string> | Selection, DeadLetterStoreError> =>
  isIds(selected)
    ? Effect.succeed([...new Set(selected)])
    : isSelection(selected)
    ? selected.queue === engine.name
      ? Effect.succeed(selected)
      : Effect.die(new RangeError(`selection must be of queue "${engine.name}", got one of "${selected.queue}"`))
    : select(engine, selected)

/** What a redrive asks before each letter, beside what everybody may ask of it. */
interface Pacing<R> {
  readonly pace?: Effect.Effect<void> | undefined
  /** `false` ends the redrive. */
  readonly when?: Effect.Effect<boolean, never, R> | undefined
}

export const redrive = <A, E, R, R2 = never>(
  engine: Engine<A>,
  selected: Selected,
  destination: Handler<A, E, R> | Destination<A, E, R>,
  options: RedriveOptions & Pacing<R2> = {}
): Stream.Stream<Progress, DeadLetterStoreError, R | R2> => {
  const concurrency = positiveInteger("concurrency", options.concurrency ?? 1)
  const pace = options.pace ?? Pacer.make(options.rate)
  const handler: Handler<A, E, R> = typeof destination === "function"
    ? destination
    : (payload, { idempotencyKey }) => destination.offer(payload, { id: idempotencyKey })
  const dryRun = options.dryRun === true
  const may = options.when ?? Effect.succeed(true)

  return Stream.unwrap(Effect.gen(function*() {
    const target = yield* frozen(engine, selected)
    const [selection, rows, total] = "query" in target
      ? [target, pages(engine, target), yield* howMany(engine, target)] as const
      : [undefined, Stream.mapEffect(Stream.fromIterable(target), (id) => rowOf(engine, id)), target.length] as const
    const isWanted = (letter: Letter, now: number) => selection === undefined || isDue(letter, selection, now)

    const one = Effect.fnUntraced(
      function*(row: RowHead | string): Effect.fn.Return<Came, DeadLetterStoreError, R | R2> {
        if (typeof row === "string") return { id: row, outcome: "skipped", letter: undefined }
        const { id } = row
        const letter = fromRow(row)
        if (isStale(row, letter)) {
          if (!dryRun) yield* setAside(engine, row)
          return { id, outcome: "quarantined", letter }
        }
        const now = yield* engine.store.now
        if (!isWanted(letter, now)) return { id, outcome: "notWanted" }
        if (dryRun) return { id, outcome: yield* forecast(engine, letter, now), letter }
        yield* pace
        if (!(yield* may)) return { id, outcome: "paused" }
        const done = yield* work(engine, id, { selection: selection?.id, isWanted }, handler, options.atomically)
        return done === undefined ? { id, outcome: "skipped", letter: undefined } : { ...done, id }
      }
    )

    const counts = { ...noCounts }
    let done = 0
    return rows.pipe(
      Stream.mapEffect(one, { concurrency, unordered: true }),
      Stream.takeWhile((came) => came.outcome !== "paused"),
      Stream.filter(isTold),
      Stream.map((came): Progress => {
        counts[came.outcome]++
        done++
        return { ...came, dryRun, counts: { ...counts }, done, total: Math.max(total, done), selection }
      })
    )
  }))
}

type Told = Omit<Done, "letter"> & { readonly id: string; readonly letter: Letter | undefined }
type Came = Told | { readonly id: string; readonly outcome: "paused" | "notWanted" }

const isTold = (came: Came): came is Told => came.outcome !== "paused" && came.outcome !== "notWanted"

/** The row, or the id of one that is not there. */
const rowOf = <A>(engine: Engine<A>, id: string): Effect.Effect<RowHead | string, DeadLetterStoreError> =>
  Effect.map(engine.store.get(engine.name, id), (row) => row ?? id)

const howMany = <A>(engine: Engine<A>, { query }: Selection): Effect.Effect<number, DeadLetterStoreError> =>
  engine.store.count(engine.name, { ...query, states: query.states ?? defaultStates })

const noCounts: { [O in Outcome]: number } = {
  redriven: 0,
  failed: 0,
  quarantined: 0,
  givenBack: 0,
  leaseLost: 0,
  taken: 0,
  skipped: 0,
  due: 0
}

const pages = <A>(engine: Engine<A>, selection: Selection): Stream.Stream<RowHead | string, DeadLetterStoreError> =>
  Stream.paginate(0, (after) =>
    Effect.map(
      engine.store.page(engine.name, forRedrive(selection.query), { order: "oldest", after, limit: pageSize }),
      (rows) => [rows, rows.length < pageSize ? Option.none() : Option.some(rows.at(-1)!.seq)] as const
    ))

/** What a redrive would do before it calls the handler, by the same functions. */
const forecast = <A>(
  engine: Engine<A>,
  letter: Letter,
  now: number
): Effect.Effect<Outcome, DeadLetterStoreError> =>
  Effect.gen(function*() {
    const claimed = step(letter, { _tag: "Claim", owner: engine.owner, leaseMillis: 1 }, now, engine.limits)
    if (Result.isFailure(claimed)) return claimed.failure === "Leased" ? "taken" : "skipped"
    if (claimed.success.state !== "Redriving") return "quarantined"
    const row = yield* engine.store.get(engine.name, letter.id)
    if (row === undefined) return "skipped"
    const read = yield* Effect.result(engine.codec.read(letter.id, row.body))
    if (Result.isFailure(read)) return read.failure.reason === "KeyMissing" ? "givenBack" : "quarantined"
    return Result.isSuccess(engine.codec.decode(read.success.raw, letter.payloadVersion)) ? "due" : "quarantined"
  })

/**
 * Options of an automatic redrive.
 *
 * @category models
 * @since 0.1.0
 */
export interface AutoRedriveOptions<A, E, R, R2 = never, R3 = never>
  extends Pick<RedriveOptions, "rate" | "concurrency" | "atomically">
{
  /** When a round starts. The first one is after the schedule's first wait. */
  readonly schedule: Schedule.Schedule<unknown, unknown, never, R2>
  readonly handler: Handler<A, E, R> | Destination<A, E, R>
  /** Asked before each letter. `false` ends the round; the next one is when the schedule says. */
  readonly when?: Effect.Effect<boolean, never, R3> | undefined
  /** Default: every dead letter. */
  readonly filter?: Filter | undefined
}

export const autoRedrive = <A, E, R, R2, R3>(
  engine: Engine<A>,
  options: AutoRedriveOptions<A, E, R, R2, R3>
): Layer.Layer<never, never, R | R2 | R3> => {
  // One pace for all rounds: the rate holds across their borders, too.
  const pace = Pacer.make(options.rate)
  const round = Stream.runDrain(
    redrive(engine, options.filter ?? {}, options.handler, {
      concurrency: options.concurrency,
      atomically: options.atomically,
      when: options.when,
      pace
    })
  ).pipe(
    Effect.catchCause((cause) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.failCause(cause as Cause.Cause<never>)
        : Effect.logError(`A round of redriving "${engine.name}" failed`, cause)
    )
  )
  return Layer.effectDiscard(
    Effect.schedule(round, options.schedule).pipe(Effect.interruptible, Effect.forkScoped)
  )
}
