/** The store in PostgreSQL: each operation is one call of a function, and the server's clock decides. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as SqlClient from "effect/sql/SqlClient"
import type * as SqlError from "effect/sql/SqlError"
import { RateLimiterStoreError } from "./errors.ts"
import { encode } from "./keys.ts"
import * as PlPgSql from "./plpgsql.ts"
import type { Place, RateLimiterStore, Reply, Subject } from "./store.ts"

/** Creating the same function from two processes at once is an error: they take turns. */
const schemaLock = 7_227_551_012

export const make = (
  client: SqlClient.SqlClient,
  table: string,
  now?: () => number
): Effect.Effect<RateLimiterStore["Service"], SqlError.SqlError> => {
  const sql = client.withoutTransforms()
  const idOf = ({ key, table }: Place): string => encode(`${table}${key}`)
  const blockId = ({ key, policy }: Subject): string => encode(`block ${policy.length}:${policy}${key}`)
  const given = () => now === undefined ? undefined : now()

  /** Not part of a transaction of the caller: it would hold the locks, and undo the decision with itself. */
  const run = <A>(operation: RateLimiterStoreError["operation"], self: Effect.Effect<A, SqlError.SqlError>) =>
    Effect.mapError(
      Effect.updateContext(self, (context: Context.Context<never>) => Context.omit(client.transactionService)(context)),
      (cause) => new RateLimiterStoreError({ operation, cause })
    )

  const create = client.withTransaction(
    Effect.andThen(
      sql.unsafe("SELECT pg_advisory_xact_lock($1)", [schemaLock]),
      Effect.forEach(PlPgSql.schema(table), (statement) => sql.unsafe(statement), { discard: true })
    )
  )

  return Effect.as(create, {
    decide: ({ entries, hold, peek, subjects }) =>
      Effect.suspend(() =>
        Effect.map(
          run(
            "decide",
            sql.unsafe<{ readonly reply: WireReply }>(`SELECT ${table}_decide($1::text::jsonb) AS reply`, [
              JSON.stringify({
                now: given(),
                peek,
                hold,
                subjects: subjects.map(blockId),
                entries: entries.map((entry) => ({
                  id: idOf(entry),
                  shape: entry.shape,
                  cost: entry.cost,
                  shadow: entry.shadow,
                  lease: entry.lease
                }))
              })
            ])
          ),
          (rows): Reply => {
            const { allowed, blocked, outcomes } = rows[0]!.reply
            return {
              allowed,
              blocked,
              outcomes: outcomes.map(([wait, delay, remaining, reset, held]) => ({
                wait: wait ?? Infinity,
                delay,
                remaining,
                reset,
                held
              }))
            }
          }
        )
      ),
    settle: ({ entries, force, hold, renew }) =>
      Effect.suspend(() =>
        Effect.map(
          run(
            "settle",
            sql.unsafe<{ readonly held: boolean }>(`SELECT ${table}_settle($1::text::jsonb) AS held`, [
              JSON.stringify({
                now: given(),
                hold,
                renew,
                force,
                entries: entries.map((entry) => ({ id: idOf(entry), shape: entry.shape, charge: entry.charge }))
              })
            ])
          ),
          (rows) => rows[0]!.held
        )
      ),
    command: (command) => {
      const block = blockId(command.subject)
      switch (command._tag) {
        case "Reset":
          return Effect.asVoid(run(
            "command",
            sql.unsafe(
              `WITH ids AS (SELECT sha256(convert_to(id, 'UTF8')) AS id FROM json_array_elements_text($1::text::json) AS id),
states AS (DELETE FROM ${table}_states WHERE id IN (SELECT id FROM ids)),
holds AS (DELETE FROM ${table}_holds WHERE id IN (SELECT id FROM ids))
DELETE FROM ${table}_blocks WHERE id = sha256(convert_to($2::text, 'UTF8'))`,
              [JSON.stringify(command.places.map(idOf)), block]
            )
          ))
        case "Block":
          return Effect.asVoid(run(
            "command",
            sql.unsafe(
              `INSERT INTO ${table}_blocks (id, until) VALUES (sha256(convert_to($1::text, 'UTF8')), ${table}_clock($2::text::jsonb) + $3::text::numeric)
ON CONFLICT (id) DO UPDATE SET until = excluded.until`,
              [block, JSON.stringify({ now: given() }), String(command.millis)]
            )
          ))
      }
    }
  })
}

interface WireReply {
  readonly allowed: boolean
  readonly blocked: ReadonlyArray<number>
  readonly outcomes: ReadonlyArray<
    readonly [wait: number | null, delay: number, remaining: number, reset: number, held: number]
  >
}
