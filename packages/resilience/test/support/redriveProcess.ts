/**
 * A process that redrives until nothing is left: it may be killed at any moment. Told in JSON what to do, by its first
 * argument. It says each start and each end of a piece of work in a line of `journal`.
 */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { appendFileSync, closeSync, openSync } from "node:fs"
import { join } from "node:path"

export interface Task {
  readonly store:
    | { readonly kind: "sqlite" | "file"; readonly path: string }
    | { readonly kind: "redis" | "postgres"; readonly url: string }
  /** Where a file a letter is made, or with SQL and `atomically` nothing: there it is a row. */
  readonly done: string
  readonly journal: string
  readonly atomically: boolean
  /** A piece of work pauses twice for at most so many milliseconds. */
  readonly pause: number
  readonly redrives: number
}

/** A process loads the client of its own store only: many are started. */
const loaded = <Module, A, E, R>(load: () => Promise<Module>, layer: (module: Module) => Layer.Layer<A, E, R>) =>
  Layer.unwrap(Effect.map(Effect.promise(load), layer))

export const storeOf = (
  { store }: Task
): Layer.Layer<DeadLetterQueue.DeadLetterStore | SqlClient.SqlClient, unknown> => {
  const none = Layer.succeed(SqlClient.SqlClient, undefined as never)
  switch (store.kind) {
    case "sqlite":
      return DeadLetterQueue.layerStoreSql().pipe(
        Layer.provideMerge(SqliteClient.layer({ filename: store.path, busyTimeout: "1 minute" }))
      )
    case "postgres":
      return DeadLetterQueue.layerStoreSql().pipe(
        Layer.provideMerge(
          loaded(
            () => import("@effect/sql-pg/PgClient"),
            (PgClient) => PgClient.layer({ url: Redacted.make(store.url), maxConnections: 8 })
          )
        )
      )
    case "redis":
      return DeadLetterQueue.layerStoreRedis().pipe(
        Layer.provide(
          loaded(() => import("@effect/platform-node/NodeRedis"), (NodeRedis) => NodeRedis.layer({ url: store.url }))
        ),
        Layer.merge(none)
      )
    case "file":
      return DeadLetterQueue.layerStoreFile({ path: store.path, compactAt: 100_000 }).pipe(
        Layer.provide(NodeFileSystem.layer),
        Layer.merge(none)
      )
  }
}

export const queueOf = DeadLetterQueue.make({
  name: "orders",
  schema: Schema.Struct({ order: Schema.Int }),
  lease: "5 seconds",
  maxRedrives: { crashed: 1_000, interrupted: 1_000 }
})

const run = (task: Task) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const queue = yield* queueOf
    const note = (line: string) => appendFileSync(task.journal, `${line}\n`)
    const pause = Effect.flatMap(Random.nextBetween(0, task.pause), (millis) => Effect.sleep(millis))
    const handler = ({ order }: { readonly order: number }, { idempotencyKey }: DeadLetterQueue.RedriveContext) =>
      Effect.gen(function*() {
        note(`start ${process.pid} ${order}`)
        yield* pause
        if (task.atomically) {
          yield* sql`INSERT INTO placed ${sql.insert({ n: order })}`
        } else {
          // Done once for each key, by whoever comes first.
          yield* Effect.try({
            try: () => closeSync(openSync(join(task.done, `${order} ${idempotencyKey}`), "wx")),
            catch: (error) => (error as NodeJS.ErrnoException).code
          }).pipe(Effect.catchIf((code) => code === "EEXIST", () => Effect.void))
        }
        yield* pause
        note(`end ${process.pid} ${order}`)
      })
    const redrive = Stream.runDrain(
      queue.redrive({}, handler, task.atomically ? { atomically: sql.withTransaction } : {})
    )
    while ((yield* queue.count({ state: ["Dead", "Redriving"] })) > 0) {
      yield* Effect.all(Array.from({ length: task.redrives }, () => redrive), { concurrency: "unbounded" })
      yield* Effect.sleep("200 millis")
    }
    note(`finished ${process.pid}`)
  }).pipe(Effect.scoped, Effect.provide(storeOf(task)))

const [, script = "", argument] = process.argv
if (argument !== undefined && import.meta.url.endsWith(script.split("/").at(-1) ?? "-")) {
  await Effect.runPromise(run(JSON.parse(argument) as Task))
}
