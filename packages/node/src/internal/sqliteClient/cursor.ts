/** Reads rows a chunk at a time from a statement that stays open between pulls. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Client from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import { DatabaseSync } from "node:sqlite"
import { acquireWhileBusy } from "./busy.ts"
import { primaryCode, resultCode, toSqlError } from "./errors.ts"
import { bind } from "./parameters.ts"
import { prepare } from "./statements.ts"

// oxlint-disable-next-line typescript/no-explicit-any -- what Effect's `Connection` says a row is
export type Row = any
export type Rows = ReadonlyArray<Row>
export type TransformRows = (<A extends object>(rows: ReadonlyArray<A>) => ReadonlyArray<A>) | undefined

/** What to read: one statement with its parameters. */
export interface Query {
  readonly sql: string
  readonly params: ReadonlyArray<unknown>
  readonly transformRows: TransformRows
}

/** Rows read in one go; the event loop and other fibers get their turn in between. */
const chunkSize = 128

interface Cursor {
  readonly iterator: Iterator<unknown>
  /** The first rows are read on opening, since only the first step takes locks and checks permissions. */
  readonly first: Array<unknown>
}

const readChunk = (iterator: Iterator<unknown>): Array<unknown> => {
  const rows: Array<unknown> = []
  while (rows.length < chunkSize) {
    const next = iterator.next()
    if (next.done === true) break
    rows.push(next.value)
  }
  return rows
}

const closeIterator = (iterator: Iterator<unknown>): void => {
  try {
    iterator.return?.()
  } catch {
    // The statement is gone already: its database was closed, or its transaction rolled back.
  }
}

const openCursor = (db: DatabaseSync, { params, sql }: Query, bigInts: boolean): Cursor => {
  // A statement of its own: running a cached one again would reset the cursor under its reader.
  const statement = prepare(db, sql)
  statement.setReadBigInts(bigInts)
  const iterator = statement.iterate(...bind(params))
  try {
    return { iterator, first: readChunk(iterator) }
  } catch (cause) {
    closeIterator(iterator)
    throw cause
  }
}

/** Where a cursor is opened. `use` runs a step on the database, or throws when it may not be used now. */
export interface Source {
  readonly use: <A>(step: (db: DatabaseSync) => A) => A
  readonly file: string
  readonly busyTimeout: number
}

type Chunks = Pull.Pull<readonly [Row, ...Array<Row>], SqlError>

const pullFrom = (source: Source, query: Query): Effect.Effect<Chunks, SqlError, Scope.Scope> =>
  Effect.withFiber((fiber) => {
    const bigInts = fiber.getRef(Client.SafeIntegers)
    const onFailure = (cause: unknown) =>
      toSqlError(cause, { operation: "stream", file: source.file }, () => compiles(source, query.sql) === false)
    const emit = (rows: Rows): Chunks => {
      if (rows.length === 0) return Cause.done()
      const given = query.transformRows === undefined ? rows : query.transformRows(rows)
      return Effect.succeed(given as readonly [Row, ...Array<Row>])
    }
    return Effect.map(
      acquireWhileBusy({
        attempt: () => source.use((db) => openCursor(db, query, bigInts)),
        onFailure,
        timeout: source.busyTimeout
      }, ({ iterator }) => closeIterator(iterator)),
      ({ first, iterator }): Chunks => {
        let opening: Rows | undefined = first
        return Effect.suspend(() => {
          if (opening !== undefined) {
            const rows = opening
            opening = undefined
            return emit(rows)
          }
          try {
            return emit(source.use(() => readChunk(iterator)))
          } catch (cause) {
            return Effect.fail(onFailure(cause))
          }
        })
      }
    )
  })

/** Whether SQLite can compile a statement, asked after it failed. */
export const compiles = (source: Pick<Source, "use">, sql: string): boolean => {
  try {
    source.use((db) => db.prepare(sql))
    return true
  } catch (cause) {
    return primaryCode(cause) !== resultCode.error
  }
}

const streamOf = (chunks: Chunks): Stream.Stream<Row, SqlError> => Stream.fromPull(Effect.succeed(chunks))

/** Streams from the connection that `source` guards. */
export const streamFrom = (source: Source, query: Query): Stream.Stream<Row, SqlError> =>
  Stream.unwrap(Effect.map(pullFrom(source, query), streamOf))

/**
 * Streams from a read-only connection of its own, whose snapshot neither sees nor blocks later writes. What only the
 * main connection can run (a statement that writes, temporary tables, attached databases, extension functions) comes
 * from `readAll` instead, which reads every row at once.
 */
export const streamFromReader = (
  file: string,
  busyTimeout: number,
  query: Query,
  readAll: Effect.Effect<Rows, SqlError>
): Stream.Stream<Row, SqlError> =>
  Stream.unwrap(Effect.gen(function*() {
    const db = yield* acquireWhileBusy({
      attempt: () => new DatabaseSync(file, { readOnly: true }),
      onFailure: (cause) => toSqlError(cause, { operation: "open", file }),
      timeout: busyTimeout
    }, (db) => db.close())
    const source: Source = { use: (step) => step(db), file, busyTimeout }
    const opened = yield* Effect.result(pullFrom(source, query))
    if (opened._tag === "Success") return streamOf(opened.success)
    const code = primaryCode(opened.failure.reason.cause)
    if (code !== resultCode.error && code !== resultCode.readonly) return Stream.fail(opened.failure)
    return Stream.fromArray(yield* readAll)
  }))
