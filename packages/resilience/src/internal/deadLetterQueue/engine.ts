/** What every operation of a queue needs, and the one way to change a letter: read, decide, replace if nobody else did. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Codec } from "./body.ts"
import type { DeadLetterStoreError } from "./errors.ts"
import type { Letter } from "./letter.ts"
import { type Event, type Limits, type Refusal, step } from "./lifecycle.ts"
import { fromRow, toRow } from "./record.ts"
import type { Redactor } from "./redaction.ts"
import type { Limits as RetentionLimits, Retention } from "./retention.ts"
import type { DeadLetterStore, Row, RowHead } from "./store.ts"

export interface Engine<A> {
  readonly name: string
  readonly store: DeadLetterStore["Service"]
  readonly codec: Codec<A>
  readonly redactor: Redactor
  limits: Limits
  readonly leaseMillis: number
  /** Told in the history of the letters it claims. */
  readonly owner: string
  readonly applicationVersion: string | undefined
  retention: Retention | undefined
  retentionLimits: RetentionLimits
}

export type Change =
  | { readonly _tag: "Changed"; readonly before: Letter; readonly letter: Letter; readonly body: string }
  | { readonly _tag: "Refused"; readonly letter: Letter; readonly reason: Refusal | "NotWanted" }
  | { readonly _tag: "Gone" }

/** Does it to the letter as it is then, or says why not. */
export const change = <A, E = never, R = never>(
  engine: Engine<A>,
  id: string,
  event: Event,
  options?: {
    readonly isWanted?: ((letter: Letter, now: number) => boolean) | undefined
    /** A new body, from the old one. */
    readonly rewrite?: ((letter: Letter, body: string) => Effect.Effect<string, E, R>) | undefined
  }
): Effect.Effect<Change, DeadLetterStoreError | E, R> => {
  const { limits, name, store } = engine
  const attempt: Effect.Effect<Change, DeadLetterStoreError | E, R> = Effect.gen(function*() {
    const row = yield* store.get(name, id)
    if (row === undefined) return { _tag: "Gone" }
    const before = fromRow(row)
    const now = yield* store.now
    const next = options?.isWanted?.(before, now) === false
      ? Result.fail("NotWanted" as const)
      : step(before, event, now, limits)
    if (Result.isFailure(next)) return { _tag: "Refused", letter: before, reason: next.failure }
    const letter = next.success
    const body = options?.rewrite === undefined ? row.body : yield* options.rewrite(before, row.body)
    const written = yield* store.replace({ ...toRow(letter), version: row.version, body }, row.version)
    return written ? { _tag: "Changed", before, letter, body } : yield* attempt
  })
  return attempt
}

/** Puts a row whose record cannot be read where its letter is: in quarantine, every byte as it was. */
export const setAside = <A>(engine: Engine<A>, head: RowHead): Effect.Effect<boolean, DeadLetterStoreError> =>
  Effect.flatMap(
    engine.store.get(engine.name, head.id),
    (row: Row | undefined) =>
      row === undefined || row.version !== head.version
        ? Effect.succeed(false)
        : engine.store.replace({ ...row, state: "Quarantined" }, row.version)
  )
