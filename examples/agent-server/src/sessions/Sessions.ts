/**
 * What has been said, and by whom, kept in a database.
 *
 * A session belongs to the agent that it began with. A turn, which is what the user said and what the agent replied, is
 * stored as a whole or not at all, and two turns never mix. A session comes into being with its first turn, so one that
 * failed leaves nothing behind. Its id cannot be guessed: whoever has it may read and go on with the session.
 *
 * The store works on SQLite and on PostgreSQL alike.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import * as SqlError from "effect/sql/SqlError"
import * as SqlSchema from "effect/sql/SqlSchema"
import * as Ids from "./ids.ts"
import { migrate } from "./migrations.ts"

/** How a reply came about. */
export const Served = Schema.Struct({
  route: Schema.String,
  degraded: Schema.Boolean,
  attempts: Schema.Int
})
export type Served = typeof Served.Type

/** One thing that was said. */
export interface Message {
  readonly role: "user" | "assistant"
  readonly content: string
  /** ISO 8601, UTC. */
  readonly at: string
  readonly served?: Served
}

/** A session with all of its messages, oldest first. */
export interface Session {
  readonly id: string
  readonly agent: string
  readonly messages: ReadonlyArray<Message>
}

/** The last messages of a session, oldest first, and the place of the one that comes next. */
export interface History {
  readonly messages: ReadonlyArray<Message>
  readonly next: number
}

/** A turn that is over. */
export interface Turn {
  /** The same however often the turn is tried: it is stored at most once. */
  readonly id: string
  readonly sessionId: string
  readonly agent: string
  /** Whether this is the first turn, with which the session begins. */
  readonly first: boolean
  readonly said: string
  readonly replied: string
  readonly served: Served
  /** When it was over, where that is not now. ISO 8601, UTC. */
  readonly at?: string
}

/** There is no session of this id. */
export class SessionMissing extends Data.TaggedError("SessionMissing")<{ readonly id: string }> {
  override readonly message = "The session was deleted, or never was"
}

/** The database could not do what it was asked. Nothing was changed. */
export class StorageError extends Data.TaggedError("StorageError")<{ readonly cause: unknown }> {
  override readonly message = "The sessions' store failed"
}

/** The sessions of this server. */
export class Sessions extends Context.Service<Sessions, {
  /** A new id: 128 random bits. */
  readonly newId: Effect.Effect<string>
  /** The agent of a session. */
  readonly agentOf: (id: string) => Effect.Effect<string, SessionMissing | StorageError>
  /** The last messages of a session. With `before` only those that were there when that one was the next. */
  readonly recent: (
    id: string,
    limit: number,
    before?: number | null
  ) => Effect.Effect<History, SessionMissing | StorageError>
  /** Stores a turn. When this succeeds, a crash of the process does not lose it. */
  readonly append: (turn: Turn) => Effect.Effect<void, SessionMissing | StorageError>
  /** How the reply of this turn came about, or `undefined` where none is stored. */
  readonly servedIn: (turnId: string) => Effect.Effect<Served | undefined, StorageError>
  /** Puts another reply in the place of the one that is stored for this turn. */
  readonly replaceReply: (turn: Turn) => Effect.Effect<void, StorageError>
  /** All of it is stored or nothing, with what others write to the same database meanwhile. */
  readonly atomically: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageError, R>
  readonly get: (id: string) => Effect.Effect<Session, SessionMissing | StorageError>
  readonly delete: (id: string) => Effect.Effect<void, SessionMissing | StorageError>
}>()("agent-server/sessions/Sessions") {}

const MessageRow = Schema.Struct({
  role: Schema.Literals(["user", "assistant"]),
  content: Schema.String,
  at: Schema.String,
  served: Schema.NullOr(Schema.fromJsonString(Served))
})

/** Above the place of any message, in the database's integers. */
const maxSeq = 2 ** 31 - 1

const toMessage = ({ served, ...row }: typeof MessageRow.Type): Message => served === null ? row : { ...row, served }

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* migrate

  const findAgent = SqlSchema.findAll({
    Request: Schema.String,
    Result: Schema.Struct({ agent: Schema.String }),
    execute: (id) => sql`SELECT agent FROM agent_sessions WHERE id = ${id}`
  })

  const findRecent = SqlSchema.findAll({
    Request: Schema.Struct({ id: Schema.String, limit: Schema.Int, before: Schema.Int }),
    Result: Schema.Struct({ seq: Schema.Int, ...MessageRow.fields }),
    execute: ({ before, id, limit }) =>
      sql`SELECT seq, role, content, at, served FROM agent_messages
        WHERE session_id = ${id} AND seq < ${before} ORDER BY seq DESC LIMIT ${limit}`
  })

  const findServed = SqlSchema.findAll({
    Request: Schema.String,
    Result: Schema.Struct({ served: Schema.fromJsonString(Served) }),
    execute: (turn) => sql`SELECT served FROM agent_messages WHERE turn = ${turn} AND role = 'assistant'`
  })

  const findMessages = SqlSchema.findAll({
    Request: Schema.String,
    Result: MessageRow,
    execute: (id) => sql`SELECT role, content, at, served FROM agent_messages WHERE session_id = ${id} ORDER BY seq`
  })

  const nextSeq = Effect.fnUntraced(function*(id: string) {
    const rows = yield* sql<
      { last: number | null }
    >`SELECT MAX(seq) AS last FROM agent_messages WHERE session_id = ${id}`
    return (rows[0]?.last ?? -1) + 1
  })

  const agentOf = Effect.fnUntraced(function*(id: string) {
    const [row] = yield* findAgent(id)
    if (row === undefined) return yield* new SessionMissing({ id })
    return row.agent
  })

  /** In the transaction under way, which then fails as a whole; else in one of its own. */
  const within = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | SqlError.SqlError, R> =>
    Effect.flatMap(
      Effect.serviceOption(sql.transactionService),
      (under) => Option.isSome(under) ? self : sql.withTransaction(self)
    )

  const now = Effect.map(Clock.currentTimeMillis, (millis) => DateTime.formatIso(DateTime.makeUnsafe(millis)))

  return Sessions.of({
    newId: Effect.sync(Ids.makeUnsafe),

    agentOf: (id) => failing(agentOf(id)),

    recent: (id, limit, before) =>
      failing(Effect.gen(function*() {
        const rows = yield* findRecent({ id, limit, before: before ?? maxSeq })
        // A session has messages from its beginning on.
        if (rows.length === 0) return yield* new SessionMissing({ id })
        return {
          messages: rows.map(({ seq: _, ...row }) => toMessage(row)).toReversed(),
          next: rows.reduce((last, { seq }) => Math.max(last, seq), -1) + 1
        }
      })),

    append: (turn) =>
      failing(within(Effect.gen(function*() {
        const at = turn.at ?? (yield* now)
        if (turn.first) {
          yield* sql`INSERT INTO agent_sessions ${
            sql.insert({ id: turn.sessionId, agent: turn.agent, created_at: at, updated_at: at })
          }`
        } else {
          // Someone may have deleted the session while the agent was thinking.
          yield* agentOf(turn.sessionId)
          yield* sql`UPDATE agent_sessions SET updated_at = ${at} WHERE id = ${turn.sessionId}`
        }
        const seq = turn.first ? 0 : yield* nextSeq(turn.sessionId)
        yield* sql`INSERT INTO agent_messages ${
          sql.insert([
            { session_id: turn.sessionId, turn: turn.id, seq, role: "user", content: turn.said, at, served: null },
            {
              session_id: turn.sessionId,
              turn: turn.id,
              seq: seq + 1,
              role: "assistant",
              content: turn.replied,
              at,
              served: JSON.stringify(turn.served)
            }
          ])
        }`
      }))),

    servedIn: (turnId) => failing(Effect.map(findServed(turnId), ([row]) => row?.served)),

    replaceReply: (turn) =>
      failing(Effect.gen(function*() {
        yield* sql`UPDATE agent_messages SET content = ${turn.replied}, served = ${JSON.stringify(turn.served)},
          at = ${yield* now} WHERE turn = ${turn.id} AND role = 'assistant'`
      })),

    // The error of beginning or committing is the database's; one of `self` that is its own passes as it is.
    atomically: (self) => failing(sql.withTransaction(self)),

    get: (id) =>
      failing(Effect.gen(function*() {
        const agent = yield* agentOf(id)
        const rows = yield* findMessages(id)
        return { id, agent, messages: rows.map(toMessage) }
      })),

    delete: (id) =>
      failing(sql.withTransaction(Effect.gen(function*() {
        yield* agentOf(id)
        yield* sql`DELETE FROM agent_requests WHERE session_id = ${id}`
        yield* sql`DELETE FROM agent_messages WHERE session_id = ${id}`
        yield* sql`DELETE FROM agent_sessions WHERE id = ${id}`
      })))
  })
})

type DatabaseError = SqlError.SqlError | Schema.SchemaError

/** What the database or a row in it did wrong is told in the log, and to the caller only that it did. */
export const failing = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, DatabaseError> | StorageError, R> =>
  Effect.catch(self, (error): Effect.Effect<never, Exclude<E, DatabaseError> | StorageError> =>
    isDatabaseError(error)
      ? Effect.andThen(
        Effect.logError("The sessions' store failed", Cause.fail(error)),
        Effect.fail(new StorageError({ cause: error }))
      )
      // The guard has just said that it is none of the database's.
      : Effect.fail(error as Exclude<E, DatabaseError>))

const isDatabaseError = (error: unknown): error is DatabaseError =>
  SqlError.isSqlError(error) || Schema.isSchemaError(error)

/** Keeps the sessions in the program's database, which it brings up to date first. */
export const layer: Layer.Layer<Sessions, Migrator.MigrationError | SqlError.SqlError, SqlClient.SqlClient> = Layer
  .effect(Sessions, make)
