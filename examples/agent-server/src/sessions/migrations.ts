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

/** Brings the database up to date, in one transaction. */
export const migrate = Migrator.make({})({
  loader: Migrator.fromRecord({ "0001_create_sessions": createSessions }),
  table: "agent_migrations"
})
