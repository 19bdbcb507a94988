/** How the tables of the sessions came to be, step by step. A step that has been released is never changed. */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"

const createSessions = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE agent_sessions (
    id TEXT PRIMARY KEY NOT NULL,
    agent TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
  )`
  yield* sql`CREATE TABLE agent_messages (
    session_id TEXT NOT NULL REFERENCES agent_sessions (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    at TEXT NOT NULL,
    served TEXT,
    PRIMARY KEY (session_id, seq)
  )`
})

/** Which turn a message belongs to, so that none is stored twice, and the requests that clients named. */
const nameTurns = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`ALTER TABLE agent_messages ADD COLUMN turn TEXT`
  yield* sql`CREATE UNIQUE INDEX agent_messages_turn ON agent_messages (turn, role)`
  yield* sql`CREATE TABLE agent_requests (
    caller TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    turn TEXT NOT NULL,
    session_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    held_until BIGINT NOT NULL,
    letter TEXT,
    reply TEXT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (caller, name)
  )`
  yield* sql`CREATE INDEX agent_requests_expiry ON agent_requests (expires_at)`
  yield* sql`CREATE INDEX agent_requests_caller ON agent_requests (caller, expires_at)`
  yield* sql`CREATE UNIQUE INDEX agent_requests_turn ON agent_requests (turn)`
})

/** Brings the database up to date, in one transaction. */
export const migrate = Migrator.make({})({
  loader: Migrator.fromRecord({ "0001_create_sessions": createSessions, "0002_name_turns": nameTurns }),
  table: "agent_migrations"
})
