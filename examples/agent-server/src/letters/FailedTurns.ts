/**
 * The turns that failed for good, kept until somebody or something completes them.
 *
 * They are in the same database as the sessions, so a turn and the note that it is done are one transaction.
 */
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Migrator from "effect/sql/Migrator"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { Policies } from "../policies.ts"
import { StorageError } from "../sessions/Sessions.ts"
import { encryptionWith } from "./encryption.ts"

/** A turn that failed: all that it takes to do it again. */
export const FailedTurn = Schema.Struct({
  turn: Schema.String.annotate({ description: "The turn's own id: it is stored at most once" }),
  agent: Schema.String,
  session_id: Schema.String,
  /** The session begins with this turn. */
  first: Schema.Boolean,
  /** The session has the turn already, with an apology as its reply. */
  apologised: Schema.Boolean,
  /** How many messages the session had by then; `null` where the turn failed before it was looked. */
  after: Schema.NullOr(Schema.Int),
  message: Schema.String,
  request_id: Schema.NullOr(Schema.String),
  idempotency_key: Schema.NullOr(Schema.String),
  /** When the client asked. ISO 8601, UTC. */
  asked_at: Schema.String
}).annotate({ identifier: "FailedTurn" })
export type FailedTurn = typeof FailedTurn.Type

/** The queue of this server. */
export class FailedTurns extends Context.Service<FailedTurns, DeadLetterQueue.DeadLetterQueue<FailedTurn>>()(
  "agent-server/letters/FailedTurns"
) {}

/** Where the queue is in its store, and in metrics. */
export const queueName = "turns"

/** What is known of a failure: its cause, and each attempt. */
export type Failed = Pick<DeadLetterQueue.OfferOptions, "attempts" | "cause" | "error">

/**
 * Keeps a turn, and says the letter's id. Another try of the same turn that fails is the same letter. Inside of a
 * transaction it is kept if that commits.
 */
export const keep = (
  letters: FailedTurns["Service"],
  turn: FailedTurn,
  failed: Failed
): Effect.Effect<string, StorageError> =>
  Effect.catch(
    letters.offer(turn, { ...failed, dedupeKey: turn.turn }),
    (error) =>
      Effect.andThen(
        Effect.logError("A turn that failed could not be kept", Cause.fail(error)),
        Effect.fail(new StorageError({ cause: error }))
      )
  )

/** The queue, in the program's database, sealed where there are keys for it. */
export const layer = (
  options: Parameters<typeof encryptionWith>[0]
): Layer.Layer<FailedTurns, Migrator.MigrationError | SqlError, SqlClient.SqlClient | Policies> =>
  Layer.effect(
    FailedTurns,
    Effect.gen(function*() {
      const encrypt = yield* encryptionWith(options)
      const { now, whenever } = yield* Policies
      const queue = yield* DeadLetterQueue.make({
        name: queueName,
        lease: "10 seconds",
        schema: FailedTurn,
        version: 1,
        ...(yield* now).letters,
        encrypt
      })
      yield* whenever(({ letters }) => queue.reconfigure(letters))
      return queue
    })
  ).pipe(Layer.provide(DeadLetterQueue.layerStoreSql()))
