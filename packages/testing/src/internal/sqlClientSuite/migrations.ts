/** `effect/sql/Migrator` works on the client: in order, once, and whole or not at all. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { count, type It, uniqueName } from "./table.ts"

type Migrations = Record<string, Effect.Effect<void, unknown, SqlClient.SqlClient>>

const run = Migrator.make({})

/** A table of migrations and one they create, both dropped at the end. */
const names: Effect.Effect<
  { readonly table: string; readonly users: string },
  never,
  SqlClient.SqlClient | Scope.Scope
> = Effect
  .gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const table = uniqueName()
    const users = uniqueName()
    yield* Effect.addFinalizer(() =>
      Effect.orDie(Effect.forEach([table, users], (name) => sql`DROP TABLE IF EXISTS ${sql(name)}`))
    )
    return { table, users }
  })

const createUsers = (users: string): Effect.Effect<void, SqlError, SqlClient.SqlClient> =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => Effect.asVoid(sql`CREATE TABLE ${sql(users)} (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`)
  )

const addUser = (users: string, id: number): Effect.Effect<void, SqlError, SqlClient.SqlClient> =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => Effect.asVoid(sql`INSERT INTO ${sql(users)} ${sql.insert({ id, name: `user ${id}` })}`)
  )

export const migrationTests = (it: It): void => {
  it.effect("migrations run in the order of their numbers, each once", () =>
    Effect.gen(function*() {
      const { table, users } = yield* names
      const first: Migrations = { "2_add_user": addUser(users, 1), "1_create_users": createUsers(users) }
      expect(yield* run({ loader: Migrator.fromRecord(first), table })).toEqual([[1, "create_users"], [2, "add_user"]])
      expect(yield* run({ loader: Migrator.fromRecord(first), table })).toEqual([])
      const more: Migrations = { ...first, "10_add_another": addUser(users, 2) }
      expect(yield* run({ loader: Migrator.fromRecord(more), table })).toEqual([[10, "add_another"]])
      expect(yield* count(users)).toBe(2)
    }))

  it.effect("a migration that fails undoes itself and those before it, and can be run again once mended", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { table, users } = yield* names
      const broken: Migrations = {
        "1_create_users": createUsers(users),
        "2_add_user": addUser(users, 1),
        "3_broken": Effect.asVoid(sql`INSERT INTO ${sql(users)} ${sql.insert({ id: 1, name: "twice" })}`)
      }
      const error = yield* Effect.flip(run({ loader: Migrator.fromRecord(broken), table }))
      expect(error._tag).toBe("MigrationError")
      expect((yield* Effect.flip(count(users))).reason._tag).toBe("SqlSyntaxError")
      const mended: Migrations = { ...broken, "3_broken": addUser(users, 2) }
      expect((yield* run({ loader: Migrator.fromRecord(mended), table })).length).toBe(3)
      expect(yield* count(users)).toBe(2)
    }))

  it.effect("migrations started by many at once run once", () =>
    Effect.gen(function*() {
      const { table, users } = yield* names
      const migrations: Migrations = { "1_create_users": createUsers(users), "2_add_user": addUser(users, 1) }
      const loader = Migrator.fromRecord(migrations)
      const ran = yield* Effect.forEach([1, 2, 3, 4], () => run({ loader, table }), { concurrency: "unbounded" })
      expect(ran.map((each) => each.length).toSorted()).toEqual([0, 0, 0, 2])
      expect(yield* count(users)).toBe(1)
    }))
}
