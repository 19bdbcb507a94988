/** Names are renamed on the way in and on the way out, unless a statement asks for neither. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { type It, makeTable } from "./table.ts"

export const transformTests = (it: It): void => {
  const camelCased = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const table = yield* makeTable("id INTEGER PRIMARY KEY, first_name TEXT NOT NULL")
    yield* sql`INSERT INTO ${sql(table)} ${sql.insert({ id: 1, firstName: "ada" })}`
    return { sql, query: sql`SELECT * FROM ${sql(table)} WHERE ${sql("firstName")} = ${"ada"}`, table }
  })

  it.effect("rows and identifiers are renamed", () =>
    Effect.gen(function*() {
      const { query, sql, table } = yield* camelCased
      expect(yield* query).toEqual([{ id: 1, firstName: "ada" }])
      expect(yield* query.unprepared).toEqual([{ id: 1, firstName: "ada" }])
      expect(yield* Stream.runCollect(query.stream)).toEqual([{ id: 1, firstName: "ada" }])
      expect(yield* sql.withTransaction(query)).toEqual([{ id: 1, firstName: "ada" }])
      expect(yield* sql.withTransaction(Stream.runCollect(query.stream))).toEqual([{ id: 1, firstName: "ada" }])
      const updated = yield* sql`UPDATE ${sql(table)} SET ${sql.update({ firstName: "grace" })} RETURNING *`
      expect(updated).toEqual([{ id: 1, firstName: "grace" }])
    }))

  it.effect("a statement without transforms renames nothing", () =>
    Effect.gen(function*() {
      const { sql, table } = yield* camelCased
      expect(yield* sql`SELECT * FROM ${sql(table)} WHERE ${sql("first_name")} = ${"ada"}`.withoutTransform)
        .toEqual([{ id: 1, first_name: "ada" }])
    }))

  it.effect("a client without transforms renames nothing and shares the transactions of the one it came from", () =>
    Effect.gen(function*() {
      const { sql, table } = yield* camelCased
      const plain = sql.withoutTransforms()
      const query = plain`SELECT * FROM ${plain(table)} WHERE ${plain("first_name")} = ${"ada"}`
      expect(yield* query).toEqual([{ id: 1, first_name: "ada" }])
      const undone = sql.withTransaction(Effect.gen(function*() {
        yield* plain`INSERT INTO ${plain(table)} ${plain.insert({ id: 2, first_name: "grace" })}`
        expect((yield* sql`SELECT * FROM ${sql(table)}`).length).toBe(2)
        return yield* Effect.fail("undo" as const)
      }))
      expect(yield* Effect.flip(undone)).toBe("undo")
      expect((yield* sql`SELECT * FROM ${sql(table)}`).length).toBe(1)
    }))
}
