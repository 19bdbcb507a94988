/** Real processes, killed by SIGKILL at random moments while they redrive, on every store that survives a process. */
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import { assert, describe, it } from "@effect/vitest"
import type * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { offerMany } from "./support/deadLetters.ts"
import { queueOf, storeOf, type Task } from "./support/redriveProcess.ts"

const script = fileURLToPath(new URL("support/redriveProcess.ts", import.meta.url))
const letters = 1_000
const kills = 6

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "dead-letters-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** A child that does not outlive the test. */
const start = (task: Task) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [script, JSON.stringify(task)], { stdio: ["ignore", "ignore", "pipe"] })
      let said = ""
      child.stderr.on("data", (data) => {
        said += String(data)
      })
      return { child, said: () => said, ended: ended(child) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const ended = (child: ChildProcess): Promise<number | NodeJS.Signals> =>
  new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal ?? "SIGKILL")))

/** The processes that began more pieces of work than they ended. */
const busyIn = (journal: ReadonlyArray<string>): ReadonlySet<number> => {
  const inHand = new Map<number, number>()
  for (const line of journal) {
    const [what, pid] = line.split(" ")
    if (what === "start" || what === "end") {
      inHand.set(Number(pid), (inHand.get(Number(pid)) ?? 0) + (what === "start" ? 1 : -1))
    }
  }
  return new Set([...inHand].flatMap(([pid, pieces]) => pieces > 0 ? [pid] : []))
}

const killing = (
  makeStore: (folder: string) => Task["store"],
  options: { readonly processes: number; readonly atomically?: boolean; readonly pause?: number }
) =>
  Effect.gen(function*() {
    const place = yield* folder
    const task: Task = {
      store: makeStore(place),
      done: join(place, "done"),
      journal: join(place, "journal"),
      atomically: options.atomically === true,
      pause: options.pause ?? 15,
      redrives: 16 / options.processes
    }
    mkdirSync(task.done)
    writeFileSync(task.journal, "")
    const withStore = <A, E>(self: Effect.Effect<A, E, DeadLetterQueue.DeadLetterStore | SqlClient.SqlClient>) =>
      Effect.provide(self, storeOf(task))
    yield* withStore(Effect.scoped(Effect.gen(function*() {
      if (task.atomically) {
        yield* Effect.flatMap(SqlClient.SqlClient, (sql) => sql`CREATE TABLE placed (n BIGINT NOT NULL)`)
      }
      yield* offerMany(yield* queueOf, letters)
    })))

    const killed = new Set<number>()
    const journal = () => readFileSync(task.journal, "utf8").split("\n").filter((line) => line !== "")
    const running = yield* Effect.forEach(Array.from({ length: options.processes }), () => start(task))
    for (let kill = 1; kill <= kills; kill++) {
      // Kills are spread over the work, whatever the machine's pace.
      const due = Math.floor((kill / (kills + 2)) * letters)
      while (journal().filter((line) => line.startsWith("end")).length < due) yield* Effect.sleep("5 millis")
      yield* Effect.sleep(Math.random() * 40)
      // One that has something in hand: a process which has just been started has nothing to lose.
      const busy = busyIn(journal())
      const candidates = running.filter(({ child }) => busy.has(child.pid!))
      const { child, ended } = candidates[Math.floor(Math.random() * candidates.length)] ?? running[0]!
      const victim = running.findIndex((process) => process.child === child)
      killed.add(child.pid!)
      child.kill("SIGKILL")
      yield* Effect.promise(() => ended)
      running[victim] = yield* start(task)
    }
    for (const { ended, said } of running) assert.strictEqual(yield* Effect.promise(() => ended), 0, said())

    // None is lost, and each was handed over once.
    const all = yield* withStore(Effect.scoped(Effect.gen(function*() {
      const queue = yield* queueOf
      assert.strictEqual(yield* queue.count({ state: "Archived" }), letters)
      return (yield* queue.list({}, { limit: letters, order: "oldest" })).letters
    })))
    assert.strictEqual(all.length, letters)
    const done = task.atomically
      ? yield* withStore(Effect.flatMap(SqlClient.SqlClient, (sql) =>
        Effect.map(sql<{ n: number | string }>`SELECT n FROM placed`, (rows) =>
          rows.map(({ n }) => Number(n)))))
      : readdirSync(task.done).map((name) =>
        Number(name.split(" ")[0])
      )
    assert.deepStrictEqual(done.toSorted((a, b) => a - b), Array.from({ length: letters }, (_, i) => i + 1))

    // Nobody was handed a letter that another, who was not killed, had.
    const starts = new Map<string, Array<number>>()
    for (const line of journal()) {
      const [what, pid, order = ""] = line.split(" ")
      if (what === "start") starts.set(order, [...starts.get(order) ?? [], Number(pid)])
    }
    for (const pids of starts.values()) assert.isTrue(pids.slice(0, -1).every((pid) => killed.has(pid)), pids.join(" "))
    // A kill costs at most what the process had in hand; where none cost anything, this showed nothing.
    const crashes = all.reduce((sum, { attempts }) => sum + attempts.crashed, 0)
    assert.isAbove(crashes, 0)
    assert.isAtMost(crashes, kills * task.redrives)
  }).pipe(Effect.scoped)

describe("DL-1 16 redrives at once of 1,000 letters, processes killed at random: none lost, each handed over once", () => {
  it.live(
    "on SQLite, with a destination that does each key once",
    () => killing((folder) => ({ kind: "sqlite", path: join(folder, "letters.sqlite") }), { processes: 4 }),
    300_000
  )

  it.live(
    "on SQLite, atomically",
    () =>
      killing((folder) => ({ kind: "sqlite", path: join(folder, "letters.sqlite") }), {
        processes: 4,
        atomically: true,
        // A transaction waits for the one before it.
        pause: 5
      }),
    300_000
  )

  it.live(
    "on PostgreSQL, atomically",
    () =>
      Effect.flatMap(
        PostgresServer.PostgresServer,
        ({ url }) => killing(() => ({ kind: "postgres", url }), { processes: 4, atomically: true })
      ).pipe(
        Effect.provide(PostgresServer.layer)
      ),
    300_000
  )

  it.live(
    "in a file, one process after the other",
    () => killing((folder) => ({ kind: "file", path: join(folder, "letters.log") }), { processes: 1 }),
    300_000
  )
})

RealServer.describe("redis-server", "DL-1 the same", () => {
  it.live(
    "on Redis",
    () =>
      Effect.flatMap(RedisServer.RedisServer, ({ url }) => killing(() => ({ kind: "redis", url }), { processes: 4 }))
        .pipe(
          Effect.provide(RedisServer.layer({ args: ["--appendonly", "yes"] }))
        ),
    300_000
  )
})
