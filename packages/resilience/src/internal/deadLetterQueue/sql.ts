/** The statements of the SQL store, for PostgreSQL and SQLite. */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type * as Statement from "effect/sql/Statement"
import type { Query, Row } from "./store.ts"

/** As drivers give it: 64-bit numbers may be texts. */
export interface SqlRow {
  readonly queue: string
  readonly id: string
  readonly seq: number | string | bigint
  readonly version: number | string | bigint
  readonly state: Row["state"]
  readonly kind: Row["kind"]
  readonly fingerprint: string
  readonly failed_at: number | string | bigint
  readonly dedupe_key: string | null
  readonly meta: string
}

export interface Tables {
  readonly letters: string
  readonly queues: string
  readonly migrations: string
}

export const tables = (prefix: string): Tables => ({
  letters: `${prefix}letters`,
  queues: `${prefix}queues`,
  migrations: `${prefix}migrations`
})

/** Brings the tables up to date. A step that has been released is never changed. */
export const migrate = ({ letters, migrations, queues }: Tables) =>
  Migrator.make({})({
    table: migrations,
    loader: Migrator.fromRecord({
      "0001_create_letters": Effect.gen(function*() {
        const sql = (yield* SqlClient.SqlClient).withoutTransforms()
        // Each insert takes the next number here and holds the row until it commits: numbers become visible in order.
        yield* sql`CREATE TABLE ${sql(queues)} (name TEXT PRIMARY KEY NOT NULL, last BIGINT NOT NULL)`
        yield* sql`CREATE TABLE ${sql(letters)} (
          queue TEXT NOT NULL,
          id TEXT NOT NULL,
          seq BIGINT NOT NULL,
          version BIGINT NOT NULL,
          state TEXT NOT NULL,
          kind TEXT NOT NULL,
          fingerprint TEXT NOT NULL,
          failed_at BIGINT NOT NULL,
          dedupe_key TEXT,
          meta TEXT NOT NULL,
          body TEXT NOT NULL,
          PRIMARY KEY (queue, id)
        )`
        const index = (name: string) => sql(`${letters}_${name}`)
        yield* sql`CREATE UNIQUE INDEX ${index("dedupe")} ON ${sql(letters)} (queue, dedupe_key)
          WHERE dedupe_key IS NOT NULL`
        yield* sql`CREATE INDEX ${index("seq")} ON ${sql(letters)} (queue, seq)`
        yield* sql`CREATE INDEX ${index("state")} ON ${sql(letters)} (queue, state, seq)`
        yield* sql`CREATE INDEX ${index("alike")} ON ${sql(letters)} (queue, fingerprint, state, seq)`
        yield* sql`CREATE INDEX ${index("age")} ON ${sql(letters)} (queue, state, failed_at)`
        yield* sql`CREATE INDEX ${index("report")} ON ${sql(letters)} (queue, state, kind, fingerprint, failed_at)`
      })
    })
  })

const columns = "queue, id, seq, version, state, kind, fingerprint, failed_at, dedupe_key, meta"

/** A row that has no place yet. */
type NewRow = Omit<Row, "version" | "seq">

export const statements = (client: SqlClient.SqlClient, { letters, queues }: Tables) => {
  const sql = client.withoutTransforms()
  const table = sql(letters)
  const head = sql.literal(columns)
  const newColumns = sql.literal(`${columns}, body`)

  const next = (queue: string) =>
    sql<{ last: number | string | bigint }>`INSERT INTO ${sql(queues)} (name, last) VALUES (${queue}, 1)
      ON CONFLICT (name) DO UPDATE SET last = ${sql(queues)}.last + 1 RETURNING last`

  const where = (queue: string, query: Query, more: ReadonlyArray<Statement.Fragment> = []): Statement.Fragment => {
    const clauses: Array<Statement.Fragment> = [sql`queue = ${queue}`, ...more]
    const among = (column: string, values: ReadonlyArray<string> | undefined) => {
      if (values !== undefined) clauses.push(values.length === 0 ? sql`1 = 0` : sql.in(column, values))
    }
    among("state", query.states)
    among("kind", query.kinds)
    among("fingerprint", query.fingerprints)
    if (query.failedFrom !== undefined) clauses.push(sql`failed_at >= ${query.failedFrom}`)
    if (query.failedBefore !== undefined) clauses.push(sql`failed_at < ${query.failedBefore}`)
    if (query.seqUntil !== undefined) clauses.push(sql`seq <= ${query.seqUntil}`)
    return sql.and(clauses)
  }

  return {
    /** Takes the next number of the queue and inserts the letter with it. Answers with the number, or with nothing where it is there. */
    insert: client.onDialectOrElse({
      // One statement, which is one transaction and one round trip.
      pg: () => (row: NewRow) =>
        Effect.map(
          sql<{ seq: number | string | bigint }>`WITH place AS (${next(row.queue)})
            INSERT INTO ${table} (${newColumns}) SELECT ${row.queue}, ${row.id}, place.last, 1, ${row.state}, ${row.kind},
              ${row.fingerprint}, CAST(${row.failedAt} AS BIGINT), ${row.dedupeKey ?? null}, ${row.meta}, ${row.body}
            FROM place ON CONFLICT DO NOTHING RETURNING seq`,
          ([inserted]) => inserted?.seq
        ),
      orElse: () => (row: NewRow) =>
        client.withTransaction(Effect.gen(function*() {
          const [place] = yield* next(row.queue)
          const [inserted] = yield* sql<{ seq: number | string | bigint }>`INSERT INTO ${table} (${newColumns}) VALUES (
            ${row.queue}, ${row.id}, ${place!.last}, 1, ${row.state}, ${row.kind}, ${row.fingerprint}, ${row.failedAt},
            ${row.dedupeKey ?? null}, ${row.meta}, ${row.body}) ON CONFLICT DO NOTHING RETURNING seq`
          return inserted?.seq
        }))
    }),

    duplicate: (row: Pick<Row, "queue" | "id" | "dedupeKey">) =>
      sql<{ id: string }>`SELECT id FROM ${table} WHERE queue = ${row.queue}
        AND (id = ${row.id} OR dedupe_key = ${row.dedupeKey ?? null}) LIMIT 1`,

    replace: (row: Row, expected: number) =>
      sql<{ id: string }>`UPDATE ${table} SET version = version + 1, state = ${row.state}, kind = ${row.kind},
        fingerprint = ${row.fingerprint}, failed_at = ${row.failedAt}, dedupe_key = ${row.dedupeKey ?? null},
        meta = ${row.meta}, body = ${row.body}
        WHERE queue = ${row.queue} AND id = ${row.id} AND version = ${expected} RETURNING id`,

    remove: (queue: string, id: string, expected: number) =>
      sql<{ id: string }>`DELETE FROM ${table} WHERE queue = ${queue} AND id = ${id} AND version = ${expected}
        RETURNING id`,

    get: (queue: string, id: string) =>
      sql<SqlRow & { readonly body: string }>`SELECT ${head}, body FROM ${table}
        WHERE queue = ${queue} AND id = ${id}`,

    /** A part for each state, each read in order from its index: a million archived letters are not looked at. */
    page: (queue: string, query: Query, order: "oldest" | "newest", after: number | undefined, limit: number) => {
      const direction = sql.literal(order === "oldest" ? "ASC" : "DESC")
      const beyond = after === undefined ? [] : [order === "oldest" ? sql`seq > ${after}` : sql`seq < ${after}`]
      const part = (states: Query["states"]) =>
        sql`SELECT * FROM (SELECT ${head} FROM ${table} WHERE ${where(queue, { ...query, states }, beyond)}
          ORDER BY seq ${direction} LIMIT ${limit}) AS part`
      const parts = query.states === undefined || query.states.length === 0
        ? [part(query.states)]
        : [...new Set(query.states)].map((state) => part([state]))
      const union = parts.slice(1).reduce((all, next) => sql`${all} UNION ALL ${next}`, parts[0]!)
      return sql<SqlRow>`SELECT * FROM (${union}) AS parts ORDER BY seq ${direction} LIMIT ${limit}`
    },

    count: (queue: string, query: Query) =>
      sql<{ n: number | string | bigint }>`SELECT COUNT(*) AS n FROM ${table} WHERE ${where(queue, query)}`,

    groups: (queue: string, query: Query) =>
      sql<{
        state: Row["state"]
        kind: Row["kind"]
        fingerprint: string
        n: number | string | bigint
        oldest: number | string | bigint
        newest: number | string | bigint
      }>`SELECT state, kind, fingerprint, COUNT(*) AS n, MIN(failed_at) AS oldest, MAX(failed_at) AS newest
        FROM ${table} WHERE ${where(queue, query)} GROUP BY state, kind, fingerprint ORDER BY n DESC`,

    last: (queue: string) =>
      sql<{ last: number | string | bigint }>`SELECT last FROM ${sql(queues)} WHERE name = ${queue}`,

    now: sql<{ now: number | string | bigint }>`SELECT
      CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now`
  }
}
