/** The store in SQLite: one transaction an operation, computed in this process, by the machine's clock. */
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as SqlError from "effect/sql/SqlError"
import * as Algorithms from "./algorithms.ts"
import { type Cell, decide } from "./decide.ts"
import { RateLimiterStoreError } from "./errors.ts"
import { encode } from "./keys.ts"
import type { Shape } from "./shape.ts"
import type { State } from "./state.ts"
import type { Place, RateLimiterStore, Reply, Subject } from "./store.ts"

export const make = (
  client: SqlClient.SqlClient,
  table: string
): Effect.Effect<RateLimiterStore["Service"], SqlError.SqlError> => {
  const sql = client.withoutTransforms()
  const idOf = ({ key, table }: Place): string => encode(`${table}${key}`)
  const blockId = ({ key, policy }: Subject): string => encode(`block ${policy.length}:${policy}${key}`)

  const run = <A>(
    operation: RateLimiterStoreError["operation"],
    body: (now: number) => Effect.Effect<A, SqlError.SqlError>
  ) =>
    Effect.mapError(
      client.withTransaction(Effect.flatMap(
        // Inside the transaction: whoever waited for it decides by the time at which it got it.
        sql.unsafe<{ readonly now: number }>("SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS now"),
        (rows) => body(Number(rows[0]!.now))
      )),
      (cause) => new RateLimiterStoreError({ operation, cause })
    )

  const stateOf = (id: string, now: number) =>
    Effect.map(
      sql.unsafe<{ readonly state: string }>(`SELECT state FROM ${table}_states WHERE id = ? AND expires > ?`, [
        id,
        now
      ]),
      (rows): State | undefined => rows.length === 0 ? undefined : JSON.parse(rows[0]!.state) as State
    )

  const cellOf = (id: string, now: number) =>
    Effect.zipWith(
      stateOf(id, now),
      sql.unsafe<{ readonly amount: number; readonly expires: number }>(
        `SELECT amount, expires FROM ${table}_holds WHERE id = ? AND expires > ? ORDER BY expires`,
        [id, now]
      ),
      (state, holds): Cell => ({
        state,
        held: holds.reduce((sum, { amount }) => sum + amount, 0),
        expiries: () => holds.map(({ amount, expires }) => [expires, amount] as const)
      })
    )

  const write = (id: string, shape: Shape, state: State, now: number) =>
    sql.unsafe(
      `INSERT INTO ${table}_states (id, state, expires) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, expires = excluded.expires`,
      [id, JSON.stringify(state), now + Algorithms.reset(shape, state, now)]
    )

  const create = client.withTransaction(Effect.forEach(
    [
      `CREATE TABLE IF NOT EXISTS ${table}_states (id TEXT PRIMARY KEY, state TEXT NOT NULL, expires REAL NOT NULL) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS ${table}_states_expires ON ${table}_states (expires)`,
      `CREATE TABLE IF NOT EXISTS ${table}_holds (
id TEXT NOT NULL, hold TEXT NOT NULL, amount REAL NOT NULL, expires REAL NOT NULL, PRIMARY KEY (id, hold)) WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS ${table}_holds_expires ON ${table}_holds (expires)`,
      `CREATE TABLE IF NOT EXISTS ${table}_blocks (id TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID`
    ],
    (statement) => sql.unsafe(statement),
    { discard: true }
  ))

  /** A few of what is over go with each write, more than a write adds. */
  const clean = (now: number) =>
    Effect.andThen(
      sql.unsafe(
        `DELETE FROM ${table}_states WHERE id IN (SELECT id FROM ${table}_states WHERE expires <= ? LIMIT 20)`,
        [now]
      ),
      sql.unsafe(`DELETE FROM ${table}_holds WHERE expires <= ?`, [now])
    )

  return Effect.as(create, {
    decide: ({ entries, hold, peek, subjects }) =>
      run("decide", (now) =>
        Effect.gen(function*() {
          const cells = yield* Effect.forEach(entries, (entry) => cellOf(idOf(entry), now))
          const blocked = yield* Effect.forEach(subjects, (subject) =>
            Effect.map(
              sql.unsafe<{ readonly until: number }>(`SELECT until FROM ${table}_blocks WHERE id = ?`, [
                blockId(subject)
              ]),
              (rows) => Math.max(0, (rows[0]?.until ?? now) - now)
            ))
          const isBlocked = blocked.some((millis) => millis > 0)
          const only = peek || isBlocked
          const { allowed, outcomes, writes } = decide(
            entries,
            cells,
            now,
            only ? "peek" : (index) => entries[index]!.lease === undefined ? "charge" : "hold"
          )
          if (allowed && !only) {
            for (const [index, entry] of entries.entries()) {
              const id = idOf(entry)
              const state = writes[index]
              if (state !== undefined) yield* write(id, entry.shape, state, now)
              else if (entry.lease !== undefined && outcomes[index]!.wait === 0 && entry.cost > 0) {
                yield* sql.unsafe(
                  `INSERT INTO ${table}_holds (id, hold, amount, expires) VALUES (?, ?, ?, ?)`,
                  [id, hold, entry.cost, now + entry.lease]
                )
              }
            }
            yield* clean(now)
          }
          const reply: Reply = { allowed: allowed && !isBlocked, outcomes, blocked }
          return reply
        })),
    settle: ({ entries, force, hold, renew }) =>
      run("settle", (now) =>
        Effect.gen(function*() {
          let all = true
          for (const entry of entries) {
            const id = idOf(entry)
            const found = yield* sql.unsafe(
              `SELECT 1 FROM ${table}_holds WHERE id = ? AND hold = ? AND expires > ?`,
              [id, hold, now]
            )
            const held = found.length > 0
            if (!held) all = false
            if (renew !== undefined) {
              yield* sql.unsafe(
                `UPDATE ${table}_holds SET expires = max(expires, ?) WHERE id = ? AND hold = ? AND expires > ?`,
                [now + renew, id, hold, now]
              )
              continue
            }
            yield* sql.unsafe(`DELETE FROM ${table}_holds WHERE id = ? AND hold = ?`, [id, hold])
            if (entry.charge === 0 || entry.shape.kind === "leases" || !held && !force) continue
            const state = Algorithms.advance(entry.shape, yield* stateOf(id, now), now)
            yield* write(id, entry.shape, Algorithms.charge(entry.shape, state, entry.charge, now), now)
          }
          return all
        })),
    command: (command) =>
      run("command", (now) => {
        const block = blockId(command.subject)
        switch (command._tag) {
          case "Reset":
            return Effect.andThen(
              Effect.forEach(command.places, (place) =>
                Effect.andThen(
                  sql.unsafe(`DELETE FROM ${table}_states WHERE id = ?`, [idOf(place)]),
                  sql.unsafe(`DELETE FROM ${table}_holds WHERE id = ?`, [idOf(place)])
                ), { discard: true }),
              Effect.asVoid(sql.unsafe(`DELETE FROM ${table}_blocks WHERE id = ?`, [block]))
            )
          case "Block":
            return Effect.asVoid(sql.unsafe(
              `INSERT INTO ${table}_blocks (id, until) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET until = excluded.until`,
              [block, now + command.millis]
            ))
        }
      })
  })
}
