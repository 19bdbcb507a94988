import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import { OtlpCollector } from "@effect-resilience/testing"
import * as Eventually from "@effect-resilience/testing/Eventually"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { databaseFile } from "./support/files.ts"
import { startProgram } from "./support/program.ts"

const started = Effect.fnUntraced(function*(environment?: Readonly<Record<string, string>>) {
  const program = yield* startProgram(environment)
  const origin = yield* Effect.promise(() => program.says("up at "))
  return { ...program, origin }
})

describe("a program that is told to stop", () => {
  it.live("SD5 ends with 0, after its last reply", () =>
    Effect.gen(function*() {
      const program = yield* started()
      const reply = fetch(`${program.origin}/slow`).then(async (reply) => [reply.status, await reply.text()])
      yield* Effect.promise(() => program.says("started"))
      program.kill("SIGTERM")
      assert.deepStrictEqual(yield* Effect.promise(() => reply), [200, "done"])
      const { code, output, signal } = yield* Effect.promise(() => program.ended)
      assert.deepStrictEqual([code, signal], [0, null], output)
      assert.include(output, "draining")
      // SD7 what was under way is in what is flushed.
      assert.include(output, "flushed 1")
    }).pipe(Effect.scoped))

  it.live("SD5 by SIGINT without the delay that nobody at a terminal needs", () =>
    Effect.gen(function*() {
      const program = yield* started({ PRE_STOP_DELAY: "50 seconds", GRACE: "2 minutes" })
      program.kill("SIGINT")
      const { code, output } = yield* Effect.promise(() => program.ended)
      assert.strictEqual(code, 0, output)
      assert.include(output, "flushed 0")
    }).pipe(Effect.scoped))

  it.live("SD5 a second signal ends it at once, and the code says which", () =>
    Effect.gen(function*() {
      for (const [second, expected] of [["SIGTERM", 143], ["SIGINT", 130]] as const) {
        const program = yield* started()
        const reply = fetch(`${program.origin}/hang`).then(() => "answered", () => "cut")
        yield* Effect.promise(() => program.says("started"))
        program.kill("SIGTERM")
        yield* Effect.promise(() => program.says("draining"))
        program.kill(second)
        const { code, output } = yield* Effect.promise(() => program.ended)
        assert.strictEqual(code, expected, output)
        assert.notInclude(output, "flushed")
        assert.strictEqual(yield* Effect.promise(() => reply), "cut")
      }
    }).pipe(Effect.scoped))

  it.live("SD5 what failed by itself ends with 1", () =>
    Effect.gen(function*() {
      const first = yield* started()
      const second = yield* startProgram({ PORT: new URL(first.origin).port })
      const { code, output } = yield* Effect.promise(() => second.ended)
      assert.strictEqual(code, 1)
      assert.include(output, "EADDRINUSE")
      assert.include(output, "flushed 0")
    }).pipe(Effect.scoped))

  it.live("SD7 what cannot be flushed has a deadline, and is said to be lost", () =>
    Effect.gen(function*() {
      const program = yield* started({ STUCK: "true", DRAIN_TIMEOUT: "100 millis", GRACE: "3200 millis" })
      program.kill("SIGTERM")
      const { code, output } = yield* Effect.promise(() => program.ended)
      assert.strictEqual(code, 1, output)
      assert.include(output, "The shutdown was not done within 3s 200ms: what is left is abandoned")
    }).pipe(Effect.scoped))

  it.live("SD7 the spans of what was under way are exported before it ends", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const program = yield* started({
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_TRACES_SAMPLER: "always_on"
      })
      const reply = fetch(`${program.origin}/slow`).then(({ status }) => status)
      yield* Effect.promise(() => program.says("started"))
      program.kill("SIGTERM")
      assert.strictEqual(yield* Effect.promise(() => reply), 200)
      const { code, output } = yield* Effect.promise(() => program.ended)
      assert.strictEqual(code, 0, output)
      assert.include(collector.spans.map(({ attributes }) => attributes["url.path"]), "/slow")
      assert.notInclude(output, "not exported")
    }).pipe(Effect.scoped))

  it.live("SD7 a collector that hangs keeps it no longer than its deadline, and what was lost is said", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      collector.behave("hang")
      const program = yield* started({
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_TRACES_SAMPLER: "always_on",
        DRAIN_TIMEOUT: "100 millis"
      })
      yield* Effect.promise(() => fetch(`${program.origin}/slow`))
      program.kill("SIGTERM")
      const { code, output } = yield* Effect.promise(() => program.ended)
      assert.strictEqual(code, 0, output)
      assert.match(output, /[1-9]\d* spans were not exported before the end/)
    }).pipe(Effect.scoped))

  it.live("SD6 killed while it drains it has lost nothing that it had said was kept", () =>
    Effect.gen(function*() {
      const file = yield* databaseFile
      const program = yield* started({ DATABASE: file, PRE_STOP_DELAY: "5 seconds" })
      const kept: Array<number> = []
      const writers = Array.from({ length: 4 }, async (_, writer) => {
        for (let id = writer;; id += 4) {
          try {
            const reply = await fetch(`${program.origin}/letters/${id}`, { method: "POST" })
            if (reply.status === 200) kept.push(id)
          } catch {
            // It is gone.
            return
          }
        }
      })
      yield* Eventually.met(() => kept.length >= 20)
      program.kill("SIGTERM")
      yield* Effect.promise(() => program.says("draining"))
      const before = kept.length
      yield* Eventually.met(() => kept.length >= before + 20)
      program.kill("SIGKILL")
      const { signal } = yield* Effect.promise(() => program.ended)
      yield* Effect.promise(() => Promise.all(writers))
      assert.strictEqual(signal, "SIGKILL")

      const stored = yield* Effect.flatMap(
        SqlClient.SqlClient,
        (sql) => sql<{ readonly id: number }>`SELECT id FROM letters`
      ).pipe(Effect.provide(SqliteClient.layer({ filename: file })))
      const ids = new Set(stored.map(({ id }) => id))
      assert.deepStrictEqual(kept.filter((id) => !ids.has(id)), [])
      assert.isAtLeast(kept.length, 40)
    }).pipe(Effect.scoped))
})
