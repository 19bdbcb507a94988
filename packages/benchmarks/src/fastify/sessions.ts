/**
 * What has been said, in SQLite: write-ahead logging, and every commit synced to the disk before its turn is answered.
 *
 * Turns that end at the same time share a commit, so that they wait for one sync and not for one each.
 */
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Metrics } from "./metrics.ts"
import { Problem } from "./problems.ts"

/** How a reply came about. */
export interface Served {
  readonly route: string
  readonly degraded: boolean
  readonly attempts: number
}

/** One thing that was said. */
export interface Message {
  readonly role: "user" | "assistant"
  readonly content: string
  readonly at: string
  readonly served?: Served
}

/** A turn that is over. */
interface Turn {
  readonly sessionId: string
  readonly agent: string
  readonly first: boolean
  readonly said: string
  readonly replied: string
  readonly served: Served
}

/** The sessions of this server. */
export interface Sessions {
  readonly newId: () => string
  readonly agentOf: (id: string) => string
  readonly recent: (id: string, limit: number) => ReadonlyArray<Message>
  /** Resolves when a crash of the process does not lose the turn any more. */
  readonly append: (turn: Turn) => Promise<void>
  readonly get: (id: string) => { readonly session_id: string; readonly agent: string; readonly messages: unknown }
  readonly delete: (id: string) => void
  readonly close: () => void
}

interface Waiting {
  readonly turn: Turn
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

const tables = `
  CREATE TABLE IF NOT EXISTS agent_sessions (
    id TEXT PRIMARY KEY NOT NULL, agent TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL
  );
  CREATE TABLE IF NOT EXISTS agent_messages (
    session_id TEXT NOT NULL REFERENCES agent_sessions (id) ON DELETE CASCADE, seq INTEGER NOT NULL,
    role TEXT NOT NULL, content TEXT NOT NULL, at TEXT NOT NULL, served TEXT, PRIMARY KEY (session_id, seq)
  );`

const missing = () => new Problem("session_not_found", "There is no session of this id. It was deleted, or never was.")

const storageFailed = () =>
  new Problem("storage_unavailable", "Sessions cannot be read or stored at the moment. Try again in 5 seconds.", {
    retry_after: 5
  })

/** Opens `agent.sqlite` in a directory. */
export const openSessions = (directory: string, metrics: Metrics): Sessions => {
  const db = new DatabaseSync(join(directory, "agent.sqlite"))
  db.exec("PRAGMA journal_mode = WAL")
  db.exec(tables)
  const begin = db.prepare("BEGIN IMMEDIATE")
  const commit = db.prepare("COMMIT")
  const rollback = db.prepare("ROLLBACK")
  const findAgent = db.prepare("SELECT agent FROM agent_sessions WHERE id = ?")
  const findRecent = db.prepare(
    "SELECT role, content, at, served FROM agent_messages WHERE session_id = ? ORDER BY seq DESC LIMIT ?"
  )
  const findAll = db.prepare("SELECT role, content, at, served FROM agent_messages WHERE session_id = ? ORDER BY seq")
  const lastSeq = db.prepare("SELECT MAX(seq) AS last FROM agent_messages WHERE session_id = ?")
  const insertSession = db.prepare(
    "INSERT INTO agent_sessions (id, agent, created_at, updated_at) VALUES (?, ?, ?, ?)"
  )
  const touchSession = db.prepare("UPDATE agent_sessions SET updated_at = ? WHERE id = ?")
  const insertMessages = db.prepare(
    "INSERT INTO agent_messages (session_id, seq, role, content, at, served) "
      + "VALUES (?, ?, 'user', ?, ?, NULL), (?, ?, 'assistant', ?, ?, ?)"
  )
  const deleteSession = db.prepare("DELETE FROM agent_sessions WHERE id = ?")

  const agentOf = (id: string): string => {
    const row = findAgent.get(id)
    if (row === undefined) throw missing()
    return String(row["agent"])
  }

  const write = ({ agent, first, replied, said, served, sessionId }: Turn): void => {
    const at = new Date().toISOString()
    let seq = 0
    if (first) {
      insertSession.run(sessionId, agent, at, at)
    } else {
      agentOf(sessionId)
      touchSession.run(at, sessionId)
      seq = Number(lastSeq.get(sessionId)?.["last"] ?? -1) + 1
    }
    insertMessages.run(sessionId, seq, said, at, sessionId, seq + 1, replied, at, JSON.stringify(served))
  }

  let waiting: Array<Waiting> = []
  const writeWaiting = (): void => {
    const turns = waiting
    waiting = []
    const started = performance.now()
    const written: Array<Waiting> = []
    try {
      begin.run()
      for (const each of turns) {
        try {
          write(each.turn)
          written.push(each)
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          each.reject(error)
        }
      }
      commit.run()
    } catch (error) {
      if (db.isTransaction) rollback.run()
      for (const { reject } of turns) reject(Object.assign(storageFailed(), { cause: error }))
      return
    }
    metrics.stored((performance.now() - started) / 1000)
    for (const { resolve } of written) resolve()
  }

  return {
    newId: () => randomBytes(16).toString("base64url"),
    agentOf,
    recent: (id, limit) => {
      const rows = findRecent.all(id, limit)
      if (rows.length === 0) throw missing()
      return rows.map(toMessage).toReversed()
    },
    append: (turn) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(writeWaiting)
        waiting.push({ turn, resolve, reject })
      }),
    get: (id) => ({ session_id: id, agent: agentOf(id), messages: findAll.all(id).map(toMessage) }),
    delete: (id) => {
      if (deleteSession.run(id).changes === 0) throw missing()
    },
    close: () => db.close()
  }
}

const toMessage = ({ at, content, role, served }: Record<string, unknown>): Message => ({
  role: role === "user" ? "user" : "assistant",
  content: String(content),
  at: String(at),
  ...(typeof served === "string" ? { served: JSON.parse(served) } : {})
})
