/** Letters in PostgreSQL or SQLite. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { DeadLetterStoreError } from "./errors.ts"
import { migrate, type SqlRow, statements, tables } from "./sql.ts"
import { DeadLetterStore, type Inserted, type RowHead } from "./store.ts"

/**
 * Options of {@link layerStoreSql}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SqlStoreOptions {
  /** What the names of the tables start with. Default `"dead_letter_"`. */
  readonly prefix?: string | undefined
}

/**
 * Keeps letters in the program's `SqlClient`: PostgreSQL or SQLite. It makes its tables, and brings them up to date, when
 * it is built.
 *
 * - Any number of processes may share the database. The clock that leases are measured with is PostgreSQL's; with
 *   SQLite, which has none of its own, that of the machine.
 * - Run inside `sql.withTransaction`, `offer` becomes part of the transaction: the letter is kept if it commits. Until
 *   then other offers to the same queue wait, as they take their place in it one after another.
 * - With `atomically: sql.withTransaction` a redrive's handler and the note of its success are one transaction.
 *
 * **Example** (Letters in a SQLite file)
 *
 * ```ts
 * import { SqliteClient } from "@effect-resilience/node"
 * import { Effect, Layer, Schema } from "effect"
 * import { DeadLetterQueue } from "effect-resilience"
 *
 * const program = Effect.gen(function*() {
 *   const queue = yield* DeadLetterQueue.make({ name: "mails", schema: Schema.String })
 *   yield* queue.offer("dear reader", { error: new Error("mailbox full") })
 *   return yield* queue.count()
 * })
 * const store = Layer.provide(DeadLetterQueue.layerStoreSql(), SqliteClient.layer({ filename: ":memory:" }))
 * await Effect.runPromise(Effect.provide(Effect.scoped(program), store)) // => 1
 * ```
 *
 * Throws a `RangeError` when `prefix` is not letters, digits and underscores.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStoreSql = (
  options: SqlStoreOptions = {}
): Layer.Layer<DeadLetterStore, Migrator.MigrationError | SqlError, SqlClient.SqlClient> => {
  const prefix = options.prefix ?? "dead_letter_"
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,30}$/.test(prefix)) {
    throw new RangeError(`prefix must be letters, digits and underscores, at most 31, got ${JSON.stringify(prefix)}`)
  }
  return Layer.effect(
    DeadLetterStore,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const names = tables(prefix)
      yield* migrate(names)
      const say = statements(sql, names)
      const processClock = yield* Clock.Clock
      const isPostgres = sql.onDialectOrElse({ pg: () => true, orElse: () => false })

      const insert: DeadLetterStore["Service"]["insert"] = (row) =>
        Effect.gen(function*(): Effect.fn.Return<Inserted | undefined, SqlError> {
          const seq = yield* say.insert(row)
          if (seq !== undefined) return { _tag: "Inserted", seq: Number(seq) }
          const [duplicate] = yield* say.duplicate(row)
          return duplicate === undefined ? undefined : { _tag: "Duplicate", id: duplicate.id }
        }).pipe(
          failsTo("insert a letter"),
          // The other one was removed just in between.
          Effect.filterOrElse((inserted) => inserted !== undefined, () => insert(row))
        )

      return DeadLetterStore.of({
        insert,
        replace: (row, expected) => wrote(say.replace(row, expected)).pipe(failsTo("replace a letter")),
        remove: (queue, id, expected) => wrote(say.remove(queue, id, expected)).pipe(failsTo("remove a letter")),
        get: (queue, id) =>
          Effect.map(say.get(queue, id), ([row]) => row === undefined ? undefined : { ...toHead(row), body: row.body })
            .pipe(failsTo("get a letter")),
        page: (queue, query, { after, limit, order }) =>
          Effect.map(say.page(queue, query, order, after, limit), (rows) => rows.map(toHead)).pipe(
            failsTo("list letters")
          ),
        count: (queue, query) =>
          Effect.map(say.count(queue, query), ([row]) => Number(row!.n)).pipe(failsTo("count letters")),
        groups: (queue, query) =>
          Effect.map(
            say.groups(queue, query),
            (rows) =>
              rows.map(({ fingerprint, kind, n, newest, oldest, state }) => ({
                state,
                kind,
                fingerprint,
                count: Number(n),
                oldest: Number(oldest),
                newest: Number(newest)
              }))
          ).pipe(failsTo("group letters")),
        last: (queue) =>
          Effect.map(say.last(queue), ([row]) => row === undefined ? 0 : Number(row.last)).pipe(
            failsTo("find the last letter")
          ),
        now: isPostgres
          ? Effect.map(say.now, ([row]) => Number(row!.now)).pipe(failsTo("tell the time"))
          : Effect.sync(() => processClock.currentTimeMillisUnsafe())
      })
    })
  )
}

const wrote = <E>(self: Effect.Effect<ReadonlyArray<unknown>, E>): Effect.Effect<boolean, E> =>
  Effect.map(self, (rows) => rows.length > 0)

const failsTo = (operation: string) => <A>(self: Effect.Effect<A, SqlError>): Effect.Effect<A, DeadLetterStoreError> =>
  Effect.mapError(self, (cause) => new DeadLetterStoreError({ operation, cause }))

const toHead = (row: SqlRow): RowHead => ({
  queue: row.queue,
  id: row.id,
  seq: Number(row.seq),
  version: Number(row.version),
  state: row.state,
  kind: row.kind,
  fingerprint: row.fingerprint,
  failedAt: Number(row.failed_at),
  dedupeKey: row.dedupe_key ?? undefined,
  meta: row.meta
})
