/** The file of ended sessions, on a real disk, written by processes that are killed. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as SessionMetrics from "effect-resilience/SessionMetrics"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Tracer from "effect/Tracer"
import { spawn } from "node:child_process"
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** A line as JSON. Its fields are `any`: the tests say what must be in them. */
type Line = { readonly [field: string]: any }

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "sessions-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

/** Runs with a start of its own, as a new process would have. */
const started = <A, E>(
  options: SessionMetrics.FileOptions,
  self: Effect.Effect<A, E, SessionMetrics.SessionMetrics>
) =>
  self.pipe(
    Effect.provide(Layer.fresh(Layer.provide(SessionMetrics.layer(options), NodeFileSystem.layer))),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

const session = (id: string, asr: number) =>
  Effect.scoped(Effect.flatMap(SessionMetrics.start(id), ({ record }) => record("asr", asr)))

const asr = Effect.map(SessionMetrics.report, ({ sessions, stages }) => ({
  sessions,
  average: stages[0]!.average && Duration.toMillis(stages[0]!.average)
}))

const linesOf = (path: string): ReadonlyArray<Line> =>
  readFileSync(path, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))

/** Starts the writer, kills it after so many sessions, and returns the ids of those that it said had ended. */
const killedAfter = (path: string, name: string, sessions: number) =>
  Effect.callback<ReadonlyArray<string>>((resume) => {
    const program = fileURLToPath(new URL("support/sessionWriter.ts", import.meta.url))
    const child = spawn(process.execPath, [program, path, name], { stdio: ["ignore", "pipe", "inherit"] })
    let said = ""
    child.stdout.on("data", (data: Buffer) => {
      said += data.toString()
      if (said.split("\n").length > sessions) child.kill("SIGKILL")
    })
    child.on("close", () => resume(Effect.succeed(said.split("\n").slice(0, -1))))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

describe("the file of sessions", () => {
  it.live("has a line a session, as documented", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.jsonl")
      const span = Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" })
      const talk = Effect.scoped(Effect.gen(function*() {
        const { bargeIn, count, record, stage } = yield* SessionMetrics.start("call-1")
        yield* record("asr", 100)
        yield* record("asr", 300)
        yield* record("e2e", 800)
        yield* count("asr", 2)
        yield* count("llm", 40)
        yield* count("llm", 2)
        yield* bargeIn
        yield* Effect.ignore(stage("tts")(Effect.fail("no")))
      }))
      yield* started({ path }, Effect.withParentSpan(talk, span))
      const [line, ...others] = linesOf(path)
      assert.strictEqual(others.length, 0)
      const { duration_s, ts, ...rest } = line!
      assert.match(ts, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
      assert.isAtLeast(duration_s, 0)
      const empty = { measurements: 0, total_latency_ms: 0, avg_latency_ms: 0, min_latency_ms: 0, max_latency_ms: 0 }
      assert.deepStrictEqual(rest, {
        v: 1,
        session_id: "call-1",
        trace_id: span.traceId,
        asr: {
          chunks: 2,
          measurements: 2,
          total_latency_ms: 400,
          avg_latency_ms: 200,
          min_latency_ms: 100,
          max_latency_ms: 300
        },
        llm: { tokens: 42, ...empty },
        llm_ttft: empty,
        tts: { frames: 0, ...empty },
        tts_ttfb: empty,
        e2e: {
          measurements: 1,
          total_latency_ms: 800,
          avg_latency_ms: 800,
          min_latency_ms: 800,
          max_latency_ms: 800
        },
        errors: 1,
        barge_ins: 1,
        outcome: "completed"
      })
    }))

  it.live("says how a session ended", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.jsonl")
      const ended = (how: Effect.Effect<unknown, string>) =>
        Effect.exit(Effect.scoped(Effect.andThen(SessionMetrics.start("s"), how)))
      yield* started({ path }, Effect.all([ended(Effect.void), ended(Effect.fail("no")), ended(Effect.interrupt)]))
      assert.deepStrictEqual(linesOf(path).map(({ outcome }) => outcome), ["completed", "failed", "interrupted"])
    }))

  it.live("is read back at the start: the last sessions, of this file and of older ones", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.jsonl")
      const options = { path, window: 4, rotate: { bytes: 1_500, keep: 3 } }
      const values = [900, 100, 200, 300, 400]
      yield* started(options, Effect.forEach(values, (millis, index) => session(`s-${index}`, millis)))
      assert.isAbove(readdirSync(join(path, "..")).length, 1)
      assert.deepStrictEqual(yield* started(options, asr), { sessions: 4, average: 250 })
    }))

  it.live("has the same averages after a restart, to the last digit", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.jsonl")
      const values = [0.12345, 0.98765, 1.11117, 2.00049]
      const before = yield* started(
        { path },
        Effect.andThen(Effect.forEach(values, (millis, index) => session(`s-${index}`, millis)), asr)
      )
      assert.deepStrictEqual(yield* started({ path }, asr), before)
    }))

  it.live("is put aside when it has grown, and the oldest are let go", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.jsonl")
      const rotate = { bytes: 2_000, keep: 2 }
      yield* started(
        { path, rotate },
        Effect.forEach(Array.from({ length: 60 }), (_, index) => session(`s-${index}`, 5))
      )
      assert.deepStrictEqual(readdirSync(join(path, "..")).toSorted(), [
        "sessions.jsonl",
        "sessions.jsonl.1",
        "sessions.jsonl.2"
      ])
      const kept = [`${path}.2`, `${path}.1`, path].flatMap(linesOf).map(({ session_id }) => session_id)
      const indexes = kept.map((id: string) => Number(id.slice(2)))
      assert.strictEqual(indexes.at(-1), 59)
      assert.deepStrictEqual(indexes, indexes.map((_, place) => indexes[0]! + place))
    }))

  it.live("has all lines of sessions that end at once, each whole and once, in few writes", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.jsonl")
      let writes = 0
      const counting = Layer.effect(
        FileSystem.FileSystem,
        Effect.map(FileSystem.FileSystem, (files) => ({
          ...files,
          writeFileString: (...args: Parameters<typeof files.writeFileString>) =>
            Effect.suspend(() => {
              writes++
              return files.writeFileString(...args)
            })
        }))
      ).pipe(Layer.provide(NodeFileSystem.layer))
      const all = Array.from({ length: 100 }, (_, index) => `s-${index}`)
      const many = Effect.forEach(all, (id) => session(id, 5), { concurrency: "unbounded" })
      yield* Effect.provide(many, SessionMetrics.layer({ path }).pipe(Layer.provide(counting)))
      assert.sameMembers(linesOf(path).map(({ session_id }) => session_id), all)
      assert.isBelow(writes, 10)
    }))

  it.live("a torn last line is skipped and closed off; foreign lines are skipped", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.jsonl")
      yield* started({ path }, session("whole", 100))
      appendFileSync(path, "null\n[]\n{\"v\":2}\nnot json\n")
      const torn = readFileSync(path, "utf8").split("\n")[0]!.slice(0, 60)
      appendFileSync(path, torn)
      assert.deepStrictEqual(yield* started({ path }, asr), { sessions: 1, average: 100 })
      yield* started({ path }, session("next", 300))
      const lines = readFileSync(path, "utf8").split("\n")
      assert.strictEqual(lines.at(-3), torn)
      assert.strictEqual(JSON.parse(lines.at(-2)!).session_id, "next")
      assert.deepStrictEqual(yield* started({ path }, asr), { sessions: 2, average: 200 })
    }))

  it.live("a file of one huge torn line does not keep the program from starting", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.jsonl")
      writeFileSync(path, "x".repeat(3_000_000))
      assert.deepStrictEqual(yield* started({ path }, asr), { sessions: 0, average: undefined })
      yield* started({ path }, session("next", 300))
      assert.deepStrictEqual(yield* started({ path }, asr), { sessions: 1, average: 300 })
    }))

  it.live("SD6: kill -9 loses no session that had ended, and the averages go on", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.jsonl")
      const said: Array<string> = []
      for (let round = 0; round < 4; round++) said.push(...(yield* killedAfter(path, `r${round}`, 50 + round * 37)))
      assert.isAbove(said.length, 400)
      const written = new Map<string, number>()
      for (const file of readdirSync(join(path, ".."))) {
        for (const text of readFileSync(join(path, "..", file), "utf8").split("\n")) {
          // What a kill tore is no line, and was not said to have ended.
          const id = /^\{.*"session_id":"([^"]+)".*\}$/.exec(text)?.[1]
          if (id !== undefined) written.set(id, (written.get(id) ?? 0) + 1)
        }
      }
      for (const id of said) assert.strictEqual(written.get(id), 1, id)
      assert.deepStrictEqual(yield* started({ path }, asr), { sessions: 100, average: 100 })
    }), 60_000)

  it.live("that cannot be written costs the line, not the session", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "missing", "sessions.jsonl")
      const errors: Array<unknown> = []
      const logger = Logger.make(({ message }) => {
        errors.push(message)
      })
      const program = Effect.andThen(session("lost", 100), asr).pipe(Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(yield* started({ path }, program), { sessions: 1, average: 100 })
      assert.strictEqual(errors.length, 1)
      assert.match(String(errors[0]), /^a session could not be written/)
    }))
})
