/** One redrive: a letter that was claimed goes through a handler while its lease is kept alive. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Tracer from "effect/Tracer"
import * as Failure from "../../Failure.ts"
import * as Signal from "../../Signal.ts"
import { monotonicMillis } from "../monotonic.ts"
import { change, type Engine } from "./engine.ts"
import { type DeadLetterStoreError, LeaseLost } from "./errors.ts"
import type { Letter } from "./letter.ts"
import type { Event } from "./lifecycle.ts"
import { redacted } from "./offer.ts"
import { tellCrash } from "./sweep.ts"

/**
 * What a handler is told beside the payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface RedriveContext {
  readonly letter: Letter
  readonly headers: Readonly<Record<string, string>>
  /** Counts all redrives of the letter from 1, those that were interrupted or crashed among them. */
  readonly attempt: number
  /**
   * The same for every redrive until one was answered. Work that is done at most once for each key is done exactly once,
   * also when a worker is killed between doing it and saying so.
   */
  readonly idempotencyKey: string
}

export type Handler<A, E, R> = (payload: A, context: RedriveContext) => Effect.Effect<unknown, E, R>

/**
 * Wraps the handler together with the noting of its success, so that both happen or neither: `sql.withTransaction`
 * of the database that holds the letters.
 *
 * @category models
 * @since 0.1.0
 */
export type Atomically = <X, E, R>(self: Effect.Effect<X, E, R>) => Effect.Effect<X, unknown, R>

/**
 * How one letter fared in a redrive.
 *
 * - `redriven`: the handler succeeded; it is archived
 * - `failed`: the handler failed; it is dead again, or quarantined where that was its last try
 * - `quarantined`: it cannot be decoded, or its record is corrupt; no handler saw it
 * - `givenBack`: it could not be handed over (its key is missing, its success could not be stored); nothing is charged
 * - `leaseLost`: the worker took longer than its lease and could not renew it
 * - `taken`: another worker has it, or had it meanwhile
 * - `skipped`: it is in no state to be redriven, or gone
 * - `due`: what a dry run says of a letter that would be handed over
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "redriven" | "failed" | "quarantined" | "givenBack" | "leaseLost" | "taken" | "skipped" | "due"

export interface Done {
  readonly outcome: Outcome
  readonly letter: Letter
  readonly failure?: Failure.Info | undefined
  readonly error?: LeaseLost | undefined
}

/** Claims the letter and sees it through. `undefined`: it is gone. Interrupting it is written down before it ends. */
export const work = <A, E, R>(
  engine: Engine<A>,
  id: string,
  { isWanted, selection }: {
    readonly selection: string | undefined
    /** Asked of the letter as it is when it is claimed: since it was listed, another may have redriven it. */
    readonly isWanted: (letter: Letter, now: number) => boolean
  },
  handler: Handler<A, E, R>,
  atomically: Atomically | undefined
): Effect.Effect<Done | undefined, DeadLetterStoreError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*(): Effect.fn.Return<Done | undefined, DeadLetterStoreError, R> {
      const { leaseMillis, owner } = engine
      const claimedAt = yield* monotonic
      // Not to be interrupted either: a claim that nobody knows of would look like a crash when its lease ends.
      const claimed = yield* change(engine, id, { _tag: "Claim", owner, leaseMillis, selection }, { isWanted })
      if (claimed._tag === "Gone") return undefined
      if (claimed._tag === "Refused") {
        return { outcome: claimed.reason === "WrongState" ? "skipped" : "taken", letter: claimed.letter }
      }
      const { before, body, letter } = claimed
      if (before.state === "Redriving") yield* tellCrash(before)
      // Its crashes had used up what it had: claiming it only wrote that down.
      if (letter.state !== "Redriving") return yield* tell({ outcome: "quarantined", letter })

      const opened = yield* open(engine, letter, body)
      const verdict = Result.isFailure(opened)
        ? opened.failure
        : yield* run(
          engine,
          letter,
          claimedAt,
          Effect.suspend(() => handler(opened.success.payload, opened.success.context)),
          restore,
          atomically
        )
      if ("letter" in verdict) return yield* tell(verdict)
      if (verdict.error !== undefined) return yield* verdict.error
      const settled = yield* Effect.result(settle(engine, letter, verdict.event))
      if (Result.isFailure(settled)) {
        const { failure: error } = settled
        return error instanceof LeaseLost ? yield* tell({ outcome: "leaseLost", letter, error }) : yield* error
      }
      // Where the worker was interrupted, and not only something in its handler, it ends after this.
      return yield* tell({ outcome: verdict.outcome, failure: verdict.failure, letter: settled.success })
    })
  )

/** What came of a redrive: either it is written down already, or `event` still has to be. */
type Verdict =
  | Done
  | {
    readonly event: Event
    readonly outcome: Outcome | "interrupted"
    readonly failure?: Failure.Info | undefined
    readonly error?: DeadLetterStoreError | undefined
  }

const monotonic = Effect.withFiber((fiber) => Effect.succeed(monotonicMillis(fiber)))

/** What the handler needs, or why it cannot be called. */
const open = <A>(
  engine: Engine<A>,
  letter: Letter,
  body: string
): Effect.Effect<Result.Result<{ readonly payload: A; readonly context: RedriveContext }, Verdict>> =>
  Effect.map(Effect.result(engine.codec.read(letter.id, body)), (read) => {
    const fence = letter.claims
    if (Result.isFailure(read) && read.failure.reason === "KeyMissing") {
      return Result.fail({ event: { _tag: "GiveBack", fence, note: read.failure.detail }, outcome: "givenBack" })
    }
    const payload = Result.isFailure(read)
      ? Result.fail(read.failure.detail)
      : engine.codec.decode(read.success.raw, letter.payloadVersion)
    return Result.mapBoth(payload, {
      onSuccess: (payload) => ({
        payload,
        context: {
          letter,
          headers: Result.getOrThrow(read).headers,
          attempt: fence,
          idempotencyKey: `${letter.id}-${letter.round}`
        }
      }),
      onFailure: (message): Verdict => ({ event: { _tag: "Undecodable", fence, message }, outcome: "quarantined" })
    })
  })

/** The work and the note of its success, which nothing can come between; a failure is a verdict still to be noted. */
const run = <A, E, R>(
  engine: Engine<A>,
  letter: Letter,
  claimedAt: number,
  handled: Effect.Effect<unknown, E, R>,
  restore: <X, XE, XR>(self: Effect.Effect<X, XE, XR>) => Effect.Effect<X, XE, XR>,
  atomically: Atomically | undefined
): Effect.Effect<Verdict, never, R> =>
  Effect.withFiber((fiber) => {
    const fence = letter.claims
    // The span is provided here, so R, whatever it is, need not lose it.
    const traced = Effect.withSpan(handled, "DeadLetterQueue.redrive", spanOf(letter)) as Effect.Effect<unknown, E, R>
    const held: Held = { until: claimedAt + engine.leaseMillis, phase: "waiting" }
    const done = Effect.uninterruptibleMask((inner) => {
      held.phase = "working"
      return Effect.andThen(
        inner(Effect.raceFirst(traced, keepLease(engine, letter, held, "working"))),
        Effect.mapError(settle(engine, letter, { _tag: "Succeed", fence }), (error) => new Unsettled(error))
      )
    })
    // A transaction may have to be waited for longer than a lease; once it has begun, only what is in it may renew.
    const whole = atomically === undefined
      ? done
      : Effect.raceFirst(atomically(done), keepLease(engine, letter, held, "waiting"))
    return Effect.matchCause(restore(whole), {
      onSuccess: (letter): Verdict => ({ outcome: "redriven", letter }),
      onFailure: (cause): Verdict => {
        const failed = cause.reasons.find(Cause.isFailReason)?.error
        const error = failed instanceof Unsettled ? failed.error : failed
        if (error instanceof LeaseLost) return { outcome: "leaseLost", letter, error }
        if (failed instanceof Unsettled) {
          return {
            event: { _tag: "GiveBack", fence, note: "its success could not be stored" },
            outcome: "givenBack",
            // Without a transaction the work is done and stays so: its next redrive has the same key.
            error: atomically === undefined ? error as DeadLetterStoreError : undefined
          }
        }
        const failure = redacted(Failure.infoUnsafe(fiber, cause), engine.redactor.text)
        if (Cause.hasInterruptsOnly(cause)) {
          return { event: { _tag: "Interrupt", fence }, outcome: "interrupted", failure }
        }
        return { event: { _tag: "Fail", fence, failure }, outcome: "failed", failure }
      }
    })
  })

/** The store may be away for a moment just when the work is done: it is asked again for as long as the lease was. */
const settle = <A>(
  engine: Engine<A>,
  letter: Letter,
  event: Event
): Effect.Effect<Letter, DeadLetterStoreError | LeaseLost> =>
  change(engine, letter.id, event).pipe(
    Effect.retry(Schedule.exponential("50 millis").pipe(Schedule.upTo({ duration: engine.leaseMillis }))),
    Effect.flatMap((result) =>
      result._tag === "Changed"
        ? Effect.succeed(result.letter)
        : Effect.fail(new LeaseLost({ queue: engine.name, id: letter.id, fence: letter.claims }))
    )
  )

const tell = (
  { error, failure, letter, outcome }: Omit<Done, "outcome"> & { readonly outcome: Outcome | "interrupted" }
): Effect.Effect<Done> =>
  Effect.withFiber((fiber) => {
    if (outcome !== "taken" && outcome !== "skipped" && outcome !== "due") {
      Signal.emitUnsafe(fiber, {
        _tag: "LetterRedriven",
        queue: letter.queue,
        id: letter.id,
        attempt: letter.claims,
        outcome
      })
    }
    return Effect.succeed({ outcome: outcome === "interrupted" ? "failed" : outcome, letter, failure, error })
  })

/** The work is done and its success could not be noted. */
class Unsettled {
  readonly error: DeadLetterStoreError | LeaseLost
  constructor(error: DeadLetterStoreError | LeaseLost) {
    this.error = error
  }
}

const spanOf = (letter: Letter): Tracer.SpanOptions => ({
  attributes: {
    "dead_letter.queue": letter.queue,
    "dead_letter.id": letter.id,
    "dead_letter.attempt": letter.claims
  },
  links: letter.trace === undefined ? [] : [{ span: Tracer.externalSpan(letter.trace), attributes: {} }]
})

/** How long a worker may rely on its lease, in milliseconds of the monotonic clock, and whether its work has begun. */
interface Held {
  until: number
  phase: "waiting" | "working"
}

/**
 * Renews the lease three times in its length while the worker is in this phase, and fails when it is lost. The end of
 * the lease is measured here from before each request, so the handler has been interrupted before the store would give
 * the letter to another.
 */
const keepLease = <A>(
  engine: Engine<A>,
  letter: Letter,
  held: Held,
  phase: Held["phase"]
): Effect.Effect<never, LeaseLost> =>
  Effect.withFiber((fiber) =>
    Effect.gen(function*() {
      const { leaseMillis, name } = engine
      const fence = letter.claims
      const lost = Effect.suspend(() => Effect.fail(new LeaseLost({ queue: name, id: letter.id, fence })))
      while (true) {
        const left = held.until - monotonicMillis(fiber)
        if (left <= 0) return yield* lost
        yield* Effect.sleep(Math.min(left, leaseMillis / 3))
        if (held.phase !== phase) return yield* Effect.never
        const asked = monotonicMillis(fiber)
        const renewed = yield* change(engine, letter.id, { _tag: "Renew", fence, leaseMillis }).pipe(
          Effect.timeout(Math.max(0, held.until - asked)),
          Effect.result
        )
        if (held.phase !== phase) return yield* Effect.never
        if (Result.isFailure(renewed)) continue
        if (renewed.success._tag !== "Changed") return yield* lost
        held.until = asked + leaseMillis
      }
    })
  )
