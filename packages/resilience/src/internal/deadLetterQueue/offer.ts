/** How a letter comes into a queue. */
import * as Cause from "effect/Cause"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import * as Failure from "../../Failure.ts"
import * as Signal from "../../Signal.ts"
import { finiteNumber } from "../options.ts"
import { change, type Engine } from "./engine.ts"
import { DeadLetterStoreError, type PayloadUnencodable } from "./errors.ts"
import { fingerprint } from "./fingerprint.ts"
import type { Letter, Reason, SourceAttempt, TraceLink } from "./letter.ts"
import { isOpen } from "./lifecycle.ts"
import { toRow } from "./record.ts"
import { sweepSize } from "./sweep.ts"

/**
 * What is known of the failure that makes a dead letter. One of `error` and `cause` says what it was.
 *
 * @category models
 * @since 0.1.0
 */
export interface OfferOptions {
  readonly error?: unknown
  readonly cause?: Cause.Cause<unknown> | undefined
  /** The attempts that were made before, oldest first. `at` in milliseconds since the epoch. */
  readonly attempts?:
    | ReadonlyArray<
      {
        readonly error: unknown
        readonly at?: number | undefined
        readonly duration?: Duration.Input | undefined
      }
    >
    | undefined
  /** Names the work: while a letter with this key is not archived or discarded, another offer is merged into it. */
  readonly dedupeKey?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** When the original failure was, in milliseconds since the epoch. Default: now. */
  readonly failedAt?: number | undefined
}

export const offer = <A>(
  engine: Engine<A>,
  payload: A,
  options: OfferOptions
): Effect.Effect<string, DeadLetterStoreError | PayloadUnencodable> =>
  Effect.flatMap(engine.codec.encode(payload), (raw) => offerRaw(engine, raw, undefined, options))

/** A payload that was encoded elsewhere, by the current version of the schema or not. */
export const offerJson = <A>(
  engine: Engine<A>,
  payload: unknown,
  options: OfferOptions
): Effect.Effect<string, DeadLetterStoreError | PayloadUnencodable> =>
  Effect.suspend(() => {
    const raw = JSON.stringify(engine.redactor.payload(payload)) ?? "null"
    const decoded = engine.codec.decode(raw, engine.codec.version)
    const reason: Reason | undefined = Result.isSuccess(decoded)
      ? undefined
      : { _tag: "Undecodable", message: decoded.failure }
    return offerRaw(engine, raw, reason, options)
  })

/** With a reason it goes to quarantine. */
const offerRaw = <A>(
  engine: Engine<A>,
  raw: string,
  reason: Reason | undefined,
  options: OfferOptions,
  triesLeft = 10
): Effect.Effect<string, DeadLetterStoreError | PayloadUnencodable> =>
  Effect.withFiber((fiber) =>
    Effect.gen(function*() {
      const { codec, name, redactor, store } = engine
      const now = yield* store.now
      const letter = compose(engine, fiber, options, reason, now)
      const { causes, stack } = whatWentWrong(options, redactor.text)
      const body = yield* codec.write(letter.id, {
        raw,
        headers: redactor.headers(options.headers ?? {}),
        causes,
        stack
      })
      const inserted = yield* store.insert({ ...toRow(letter), body })
      if (inserted._tag === "Duplicate") {
        const merged = yield* change(engine, inserted.id, { _tag: "OfferAgain", failure: letter.failure })
        if (merged._tag === "Changed") return inserted.id
        if (merged._tag === "Refused" && isOpen(merged.letter)) return inserted.id
        // It was closed or evicted in between: then nobody holds the key any more.
        if (triesLeft > 0) return yield* offerRaw(engine, raw, reason, options, triesLeft - 1)
        const cause = new Error(`letter ${inserted.id} is closed and keeps its dedupe key`)
        return yield* new DeadLetterStoreError({ operation: "insert a letter", cause })
      }
      Signal.emitUnsafe(
        fiber,
        () => ({ _tag: "DeadLettered", queue: name, id: letter.id, kind: letter.failure.kind })
      )
      // The letter is kept, whatever becomes of others.
      yield* Effect.catch(sweepSize(engine), (error) =>
        Effect.logError(`Letters of "${name}" could not be evicted`, error))
      return letter.id
    })
  )

const compose = <A>(
  engine: Engine<A>,
  fiber: Fiber.Fiber<unknown, unknown>,
  options: OfferOptions,
  reason: Reason | undefined,
  now: number
): Letter => {
  const { redactor } = engine
  const infoOf = (failure: unknown): Failure.Info => redacted(Failure.infoUnsafe(fiber, failure), redactor.text)
  const failure = infoOf(options.cause ?? options.error)
  const failedAt = options.failedAt === undefined ? now : Math.round(finiteNumber("failedAt", options.failedAt))
  const sourceAttempts = (options.attempts ?? []).map(({ at, duration, error }): SourceAttempt => ({
    at: at === undefined ? failedAt : finiteNumber("attempts.at", at),
    failure: infoOf(error),
    duration: duration === undefined ? undefined : Duration.fromInputUnsafe(duration)
  }))
  return {
    id: SecureRandom.ulidUnsafe(),
    queue: engine.name,
    seq: 0,
    state: reason === undefined ? "Dead" : "Quarantined",
    reason,
    failure,
    fingerprint: fingerprint(failure),
    failedAt,
    offeredAt: now,
    changedAt: now,
    occurrences: 1,
    attempts: { delivered: 0, interrupted: 0, crashed: 0 },
    claims: 0,
    round: 0,
    payloadVersion: engine.codec.version,
    applicationVersion: engine.applicationVersion,
    trace: traceOf(fiber),
    dedupeKey: options.dedupeKey === undefined ? undefined : redactor.text(options.dedupeKey),
    sourceAttempts,
    history: [{ at: now, event: "Offered", failure }],
    forgotten: 0
  }
}

export const redacted = (info: Failure.Info, text: (text: string) => string): Failure.Info => ({
  kind: info.kind,
  scope: info.scope,
  message: text(info.message),
  ...(info.code === undefined ? undefined : { code: text(info.code) }),
  ...(info.retryAfter === undefined || !Duration.isFinite(info.retryAfter) ? undefined : {
    retryAfter: info.retryAfter
  })
})

const traceOf = (fiber: Fiber.Fiber<unknown, unknown>): TraceLink | undefined => {
  const span = fiber.context.mapUnsafe.get(Tracer.ParentSpanKey) as Tracer.AnySpan | undefined
  return span === undefined ? undefined : { traceId: span.traceId, spanId: span.spanId, sampled: span.sampled }
}

const maxCauses = 8
const maxStack = 4_000

/** Every error of the cause with what caused it in turn, and the stack of the first one. */
const whatWentWrong = (
  options: OfferOptions,
  text: (text: string) => string
): { readonly causes: ReadonlyArray<string>; readonly stack: string | undefined } => {
  const roots: ReadonlyArray<unknown> = options.cause === undefined
    ? [options.error]
    : options.cause.reasons.map((reason) =>
      Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : "interrupted"
    )
  const causes: Array<string> = []
  let stack: string | undefined
  for (const root of roots) {
    let error = root
    while (error !== undefined && error !== null && causes.length < maxCauses) {
      causes.push(text(describe(error)))
      try {
        const trace: unknown = error instanceof Error ? error.stack : undefined
        if (stack === undefined && typeof trace === "string") stack = text(trace.slice(0, maxStack))
        error = error instanceof Error ? error.cause : undefined
      } catch {
        error = undefined
      }
    }
  }
  return { causes, stack }
}

const describe = (error: unknown): string => {
  try {
    if (error instanceof Error) return `${error.name}: ${error.message}`
    return typeof error === "string" ? error : JSON.stringify(error) ?? String(error)
  } catch {
    return "an error that cannot be shown"
  }
}
