/** Dead letters: kept, listed and done again, on real servers of their own, against the failed jobs of queues. */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import { Queue, Worker } from "bullmq"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgBoss } from "pg-boss"
import type { Comparison } from "../harness/compare.ts"
import { type Contender, type Work, working } from "../harness/contender.ts"

/** How many letters are there before the first is looked at. */
const standing = 5_000

/** How many are offered or redriven at the same time. */
const hands = 16

const mail = (n: number) => ({ to: "somebody@example.org", subject: "Your order", n })

const Mail = Schema.Struct({ to: Schema.String, subject: Schema.String, n: Schema.Int })

/** What the mail server said. */
const refusal = new Error("450 mailbox busy")

type What = "offer" | "list" | "redrive"

const times = <E, R>(count: number, effect: (n: number) => Effect.Effect<unknown, E, R>, concurrency = hands) =>
  Effect.forEach(Array.from({ length: count }, (_, n) => n), effect, { concurrency, discard: true })

/** The same work for every side: `offer` one, `page` a hundred, `redrive` all that there are. */
interface Side<R> {
  readonly offer: (n: number) => Effect.Effect<unknown, unknown, R>
  readonly page: Effect.Effect<unknown, unknown, R>
  readonly redrive: (count: number) => Effect.Effect<unknown, unknown, R>
}

const side = <R, E>(
  name: string,
  what: What,
  layer: Layer.Layer<R, E>,
  make: Effect.Effect<Side<R>, unknown, R | Scope.Scope>
): Contender =>
  working(
    name,
    layer,
    Effect.flatMap(make, ({ offer, page, redrive }): Effect.Effect<Work<R>, unknown, R> => {
      switch (what) {
        case "offer":
          return Effect.succeed({ prepare: () => Effect.void, do: (count) => times(count, offer) })
        case "list":
          return Effect.as(times(standing, offer), {
            prepare: () => Effect.void,
            do: (count) => times(count, () => page, 1)
          })
        case "redrive":
          return Effect.succeed({ prepare: (count) => times(count, offer), do: redrive })
      }
    })
  )

const ours = <E>(name: string, store: Layer.Layer<DeadLetterQueue.DeadLetterStore, E>) => (what: What): Contender =>
  side(
    name,
    what,
    store,
    Effect.map(DeadLetterQueue.make({ name: "mails", schema: Mail }), (queue) => ({
      offer: (n) => queue.offer(mail(n), { error: refusal }),
      page: queue.list({ state: "Dead" }, { limit: 100 }),
      redrive: (count) =>
        Effect.filterOrFail(
          Stream.runCount(queue.redrive({ state: "Dead" }, () => Effect.void, { concurrency: hands })),
          (answered) => answered === count
        )
    }))
  )

const postgres = Layer.unwrap(
  Effect.map(PostgresServer.PostgresServer, ({ url }) => PgClient.layer({ url: Redacted.make(url) }))
).pipe(Layer.provide(PostgresServer.layer))

const onPostgres = ours("PostgreSQL", Layer.provide(DeadLetterQueue.layerStoreSql(), postgres))

const onRedis = ours(
  "Redis",
  DeadLetterQueue.layerStoreRedis().pipe(Layer.provide(RedisServer.layerRedis), Layer.provide(RedisServer.layer()))
)

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "dead-letters-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const onSqlite = ours(
  "SQLite",
  DeadLetterQueue.layerStoreSql().pipe(
    Layer.provide(
      Layer.unwrap(
        Effect.map(temporaryFolder, (folder) => SqliteClient.layer({ filename: join(folder, "letters.sqlite") }))
      )
    )
  )
)

/** A queue of jobs whose work failed for good. Each job is fetched and completed by itself, as each of our letters has its own lease. */
const pgBoss = (what: What): Contender =>
  side(
    "pg-boss",
    what,
    PostgresServer.layer,
    Effect.gen(function*() {
      const { url } = yield* PostgresServer.PostgresServer
      const boss = yield* Effect.acquireRelease(
        Effect.promise(() => new PgBoss({ connectionString: url, max: hands }).on("error", () => {}).start()),
        (boss) => Effect.promise(() => boss.stop({ graceful: false }))
      )
      yield* Effect.promise(() => boss.createQueue("dead"))
      yield* Effect.promise(() => boss.createQueue("mails", { deadLetter: "dead" }))
      const workOff = Effect.promise(async () => {
        const [job] = await boss.fetch("mails")
        if (job !== undefined) await boss.complete("mails", job.id)
        return job !== undefined
      })
      return {
        offer: (n) => Effect.promise(() => boss.send("dead", { ...mail(n), error: refusal.message })),
        page: Effect.promise(() => boss.findJobs("dead", { queued: true })),
        redrive: (count) =>
          Effect.andThen(
            Effect.promise(() => boss.redrive("dead", { destination: "mails", limit: count })),
            times(hands, () => Effect.repeat(workOff, { while: (more) => more }))
          )
      }
    })
  )

/** Jobs that wait in a queue for failed work, and a worker that takes them from there. */
const bullMq = (what: What): Contender =>
  side(
    "BullMQ",
    what,
    RedisServer.layer(),
    Effect.gen(function*() {
      const { host, port } = yield* RedisServer.RedisServer
      const connection = { host, port }
      const queue = yield* Effect.acquireRelease(
        Effect.sync(() => new Queue("mails", { connection })),
        (queue) => Effect.promise(() => queue.close())
      )
      return {
        offer: (n) => Effect.promise(() => queue.add("mail", { ...mail(n), error: refusal.message })),
        page: Effect.promise(() => queue.getJobs("waiting", 0, 99)),
        redrive: (count) =>
          Effect.promise(async () => {
            const worker = new Worker("mails", async () => {}, { connection, concurrency: hands })
            let left = count
            await new Promise<void>((resolve) =>
              worker.on("completed", () => {
                if (--left === 0) resolve()
              })
            )
            await worker.close()
          })
      }
    })
  )

/** What a reader must know about the figures. */
export const notes =
  `A letter is more than a job: it keeps what failed, why, all attempts and its history, redacted, with a fingerprint to find others like it.
The peers keep the same payload and the text of the error. Redriving does nothing with a letter but say that it is done; each letter and
each job is taken and answered by itself, ${hands} at a time, so that a crash costs what is in hand. pg-boss lists all jobs of a queue or
none: its figure is for ${standing} of them.`

const titles: { readonly [W in What]: { readonly title: string; readonly call: string } } = {
  offer: { title: "keep one", call: `A small payload and its failure; ${hands} callers.` },
  list: { title: "list a hundred", call: `The newest hundred of ${standing}; one caller.` },
  redrive: { title: "do one again", call: `A letter of all that there are, ${hands} at a time.` }
}

const comparing = (
  what: What,
  one: (what: What) => Contender,
  peer: (what: What) => Contender,
  store: string
): Comparison => {
  const contenders = [one(what), peer(what)] as const
  return {
    title: `${store}: ${titles[what].title}`,
    call: titles[what].call,
    contenders,
    targets: [{ against: contenders[1].name, atMost: 1 }]
  }
}

/** Every operation on every store that has a peer. SQLite has none, and is compared with PostgreSQL. */
export const comparisons: ReadonlyArray<Comparison> = (["offer", "list", "redrive"] as const).flatMap((what) => [
  comparing(what, onPostgres, pgBoss, "PostgreSQL"),
  comparing(what, onRedis, bullMq, "Redis"),
  comparing(what, onSqlite, pgBoss, "SQLite")
])
