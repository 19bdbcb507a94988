/** The sessions' store on both of its databases. */
import { SqliteClient } from "@effect-resilience/node"
import { PostgresServer } from "@effect-resilience/testing"
import * as PgClient from "@effect/sql-pg/PgClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { layer as sessionsLayer, Sessions, type Turn } from "../../src/sessions/Sessions.ts"

const served = { route: "gpt-4o", degraded: false, attempts: 2 }

const turn = (sessionId: string, number: number): Turn => ({
  id: `${sessionId}-${number}`,
  sessionId,
  agent: "travel_planner",
  first: number === 1,
  said: `said ${number} \u{1F600} '";--`,
  replied: `replied ${number}`,
  served
})

const contents = (messages: ReadonlyArray<{ readonly content: string }>) => messages.map(({ content }) => content)

const suite = <E>(name: string, database: Layer.Layer<SqlClient.SqlClient, E>) =>
  describe(name, () => {
    it.layer(Layer.provideMerge(sessionsLayer, database), { excludeTestServices: true })("sessions", (it) => {
      it.effect("come back as they were stored, turn by turn", () =>
        Effect.gen(function*() {
          const sessions = yield* Sessions
          const id = yield* sessions.newId
          for (const number of [1, 2, 3]) yield* sessions.append(turn(id, number))
          expect(yield* sessions.agentOf(id)).toBe("travel_planner")
          const { agent, messages } = yield* sessions.get(id)
          expect(agent).toBe("travel_planner")
          expect(contents(messages)).toEqual([1, 2, 3].flatMap((n) => [turn(id, n).said, `replied ${n}`]))
          expect(messages.map(({ served }) => served)).toEqual([
            undefined,
            served,
            undefined,
            served,
            undefined,
            served
          ])
          expect(contents((yield* sessions.recent(id, 3)).messages)).toEqual([
            "replied 2",
            turn(id, 3).said,
            "replied 3"
          ])
        }))

      it.effect("that are not there are missing, before their first turn and after they were deleted", () =>
        Effect.gen(function*() {
          const sessions = yield* Sessions
          const id = yield* sessions.newId
          const missing = (effect: Effect.Effect<unknown, { readonly _tag: string }>) =>
            Effect.map(Effect.flip(effect), (error) => expect(error._tag).toBe("SessionMissing"))
          const all = [sessions.get(id), sessions.agentOf(id), sessions.recent(id, 1), sessions.delete(id)]
          yield* Effect.forEach(all, missing)
          yield* missing(sessions.append(turn(id, 2)))
          yield* sessions.append(turn(id, 1))
          yield* sessions.delete(id)
          yield* Effect.forEach(all, missing)
        }))

      it.effect("a turn is stored whole or not at all", () =>
        Effect.gen(function*() {
          const sessions = yield* Sessions
          const sql = yield* SqlClient.SqlClient
          const id = yield* sessions.newId
          const exit = yield* Effect.exit(sql.withTransaction(
            Effect.andThen(sessions.append(turn(id, 1)), Effect.die("the process dies"))
          ))
          expect(Exit.isFailure(exit)).toBe(true)
          expect((yield* Effect.flip(sessions.get(id)))._tag).toBe("SessionMissing")
        }))

      it.effect("many of them at once do not mix", () =>
        Effect.gen(function*() {
          const sessions = yield* Sessions
          const ids = yield* Effect.forEach(Array.from({ length: 50 }), () => sessions.newId)
          expect(new Set(ids).size).toBe(50)
          yield* Effect.forEach(
            ids,
            (id) => Effect.forEach([1, 2, 3, 4], (number) => sessions.append(turn(id, number)), { discard: true }),
            { concurrency: "unbounded", discard: true }
          )
          for (const id of ids) {
            expect(contents((yield* sessions.get(id)).messages)).toEqual(
              [1, 2, 3, 4].flatMap((number) => [turn(id, number).said, `replied ${number}`])
            )
          }
        }))

      it.effect("a broken row is the store's error, and says nothing of the row", () =>
        Effect.gen(function*() {
          const sessions = yield* Sessions
          const sql = yield* SqlClient.SqlClient
          const id = yield* sessions.newId
          yield* sessions.append(turn(id, 1))
          yield* sql`UPDATE agent_messages SET served = ${"{not json"} WHERE session_id = ${id} AND role = ${"assistant"}`
          const error = yield* Effect.flip(sessions.get(id))
          expect([error._tag, "message" in error && error.message]).toEqual([
            "StorageError",
            "The sessions' store failed"
          ])
        }))

      it.effect("the tables are made once", () =>
        Effect.asVoid(Layer.build(Layer.fresh(sessionsLayer))).pipe(Effect.scoped))
    })
  })

suite("SQLite", SqliteClient.layer({ filename: ":memory:" }))

suite(
  "PostgreSQL",
  Layer.unwrap(Effect.map(PostgresServer.PostgresServer, (server) =>
    PgClient.layer({
      url: Redacted.make(server.url)
    }))).pipe(Layer.provide(PostgresServer.layer))
)
