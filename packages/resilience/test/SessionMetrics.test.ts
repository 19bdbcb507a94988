import { assert, describe, it } from "@effect/vitest"
import * as Metrics from "effect-resilience/Metrics"
import * as SessionMetrics from "effect-resilience/SessionMetrics"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { parse } from "./support/exposition.ts"

const apart = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

const samples = Effect.map(Metrics.format(), (text) => parse(text).samples)

const stageOf = (stage: SessionMetrics.Stage) =>
  Effect.map(SessionMetrics.report, ({ stages }) => {
    const found = stages.find((each) => each.stage === stage)!
    return { average: found.average && Duration.toMillis(found.average), met: found.met }
  })

/** A session with one measurement. */
const session = (stage: SessionMetrics.Stage, millis: number) =>
  Effect.scoped(Effect.flatMap(SessionMetrics.start("s"), ({ record }) => record(stage, millis)))

describe("a session", () => {
  it.effect("measures its stages, and the answer from the end of speech to the first audio", () =>
    Effect.gen(function*() {
      const running = yield* Effect.forkChild(Effect.scoped(Effect.gen(function*() {
        const { audioStarted, speechEnded, stage } = yield* SessionMetrics.start("s")
        yield* stage("asr")(Effect.sleep(200))
        yield* speechEnded
        yield* stage("llm")(Effect.sleep(300))
        yield* stage("tts")(Effect.sleep(100))
        // The stages overlap in life, so the answer is no sum of them.
        yield* Effect.sleep(50)
        yield* audioStarted
      })))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(running)
      assert.deepStrictEqual(yield* stageOf("asr"), { average: 200, met: true })
      assert.deepStrictEqual(yield* stageOf("llm"), { average: 300, met: true })
      assert.deepStrictEqual(yield* stageOf("tts"), { average: 100, met: true })
      assert.deepStrictEqual(yield* stageOf("e2e"), { average: 450, met: true })
      const all = yield* samples
      assert.strictEqual(all.get("session_stage_duration_seconds_sum{stage=e2e}"), 0.45)
      assert.strictEqual(all.get("session_stage_duration_seconds_bucket{le=0.3,stage=e2e}"), 0)
      assert.strictEqual(all.get("session_stage_duration_seconds_bucket{le=0.5,stage=e2e}"), 1)
    }).pipe(Effect.provide(SessionMetrics.layer()), apart))

  it.effect("returns what its stages return; a failure is an error, an interruption is not", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const { stage } = yield* SessionMetrics.start("s")
        assert.strictEqual(yield* stage("llm")(Effect.succeed("hello")), "hello")
        assert.strictEqual(yield* Effect.flip(stage("llm")(Effect.fail("no"))), "no")
        const hanging = yield* Effect.forkChild(stage("llm")(Effect.never), { startImmediately: true })
        yield* Fiber.interrupt(hanging)
      }))
      const all = yield* samples
      assert.strictEqual(all.get("session_errors_total{}"), 1)
      assert.strictEqual(all.get("session_stage_duration_seconds_count{stage=llm}"), 1)
    }).pipe(Effect.provide(SessionMetrics.layer()), apart))

  it.effect("that was spoken over waits for its answer no longer", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Effect.gen(function*() {
        const { audioStarted, bargeIn, speechEnded } = yield* SessionMetrics.start("s")
        yield* audioStarted
        yield* speechEnded
        yield* bargeIn
        yield* audioStarted
      }))
      const all = yield* samples
      assert.strictEqual(all.get("session_stage_duration_seconds_count{stage=e2e}"), 0)
      assert.strictEqual(all.get("session_barge_ins_total{}"), 1)
    }).pipe(Effect.provide(SessionMetrics.layer()), apart))

  it.effect("is active until it ends, which it does once", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { bargeIn, end, record } = yield* Scope.provide(SessionMetrics.start("s"), scope)
      assert.strictEqual((yield* samples).get("sessions_active{}"), 1)
      yield* end("hung up")
      yield* Effect.all([end(), bargeIn, record("asr", 5), Scope.close(scope, Exit.void)])
      const all = yield* samples
      assert.strictEqual(all.get("sessions_active{}"), 0)
      assert.strictEqual(all.get("sessions_total{}"), 1)
      assert.strictEqual(all.get("session_barge_ins_total{}"), 0)
      assert.strictEqual((yield* SessionMetrics.report).sessions, 1)
      assert.strictEqual((yield* stageOf("asr")).average, undefined)
    }).pipe(Effect.provide(SessionMetrics.layer()), apart))

  it.effect("takes no measurement that is none", () =>
    Effect.gen(function*() {
      yield* session("asr", -5)
      yield* session("asr", Infinity)
      assert.strictEqual((yield* stageOf("asr")).average, undefined)
    }).pipe(Effect.provide(SessionMetrics.layer()), apart))
})

describe("the window", () => {
  it.effect("takes the mean of the last sessions' averages, and compares it with the targets", () =>
    Effect.gen(function*() {
      for (let index = 0; index < 100; index++) yield* session("asr", 400)
      assert.deepStrictEqual(yield* stageOf("asr"), { average: 400, met: true })
      for (let index = 0; index < 50; index++) yield* session("asr", 700)
      assert.deepStrictEqual(yield* stageOf("asr"), { average: 550, met: false })
      const all = yield* samples
      assert.strictEqual(all.get("session_stage_average_seconds{stage=asr}"), 0.55)
      assert.strictEqual(all.get("session_stage_target_seconds{stage=asr}"), 0.5)
      assert.strictEqual(all.get("session_stage_target_met{stage=asr}"), 0)
      for (let index = 0; index < 50; index++) yield* session("asr", 300)
      assert.deepStrictEqual(yield* stageOf("asr"), { average: 500, met: true })
      assert.strictEqual((yield* SessionMetrics.report).sessions, 100)
      assert.strictEqual((yield* samples).get("sessions_total{}"), 200)
    }).pipe(Effect.provide(SessionMetrics.layer()), apart))

  it.effect("gives each session one voice, however much it measured", () =>
    Effect.gen(function*() {
      yield* session("llm", 100)
      yield* Effect.scoped(Effect.gen(function*() {
        const { record } = yield* SessionMetrics.start("long")
        for (let index = 0; index < 99; index++) yield* record("llm", 300)
      }))
      assert.strictEqual((yield* stageOf("llm")).average, 200)
    }).pipe(Effect.provide(SessionMetrics.layer()), apart))

  it.effect("is of the size that was asked for", () =>
    Effect.gen(function*() {
      for (const millis of [100, 200, 300]) yield* session("tts", millis)
      assert.deepStrictEqual(yield* stageOf("tts"), { average: 250, met: false })
    }).pipe(Effect.provide(SessionMetrics.layer({ window: 2 })), apart))
})

describe("the metrics", () => {
  it.effect("MT5: exist at 0 before the first session, as the catalogue has them", () =>
    Effect.gen(function*() {
      const text = yield* Metrics.format()
      const { samples, types } = parse(text)
      for (const [name, entry] of Object.entries(Metrics.catalogue)) {
        if (entry.from !== "SessionMetrics") continue
        assert.strictEqual(types.get(name), entry.type, name)
        assert.include(text, `# HELP ${name} ${entry.help}\n`)
        const values: ReadonlyArray<string> = "values" in entry ? entry.values.stage : [""]
        for (const value of values) {
          const labels = value === "" ? "{}" : `{stage=${value}}`
          const series = entry.type === "histogram" ? `${name}_count${labels}` : `${name}${labels}`
          assert.isTrue(samples.has(series), series)
        }
        if (entry.type !== "histogram") continue
        for (const bound of [...entry.buckets, "+Inf"]) {
          assert.isTrue(samples.has(`${name}_bucket{le=${bound},stage=asr}`), `${bound}`)
        }
      }
      assert.strictEqual(samples.get("session_stage_target_met{stage=asr}"), 1)
    }).pipe(Effect.provide(SessionMetrics.layer()), apart))

  it.effect("are those of the stages that sessions have", () =>
    Effect.gen(function*() {
      yield* session("tts", 5)
      const all = yield* samples
      assert.isFalse([...all.keys()].some((series) => series.includes("stage=tts")))
      assert.deepStrictEqual((yield* SessionMetrics.report).stages.map(({ stage }) => stage), ["asr", "llm"])
    }).pipe(Effect.provide(SessionMetrics.layer({ stages: ["asr", "llm"], targets: { llm: "2 seconds" } })), apart))
})

describe("the options", () => {
  it("refuse what is out of range", () => {
    const wrong = (options: object, message: RegExp) =>
      assert.throws(() => SessionMetrics.layer(options as SessionMetrics.Options), RangeError, message)
    wrong({ window: 0 }, /^window must be a positive integer, got 0$/)
    wrong({ stages: ["asr", "nlu"] }, /^stages must be one of asr, .*got nlu$/)
    wrong({ targets: { nlu: 5 } }, /^targets must be one of asr/)
    wrong({ targets: { asr: 0 } }, /^targets\.asr must be a finite duration above zero/)
    wrong({ path: "a", rotate: { bytes: 0 } }, /^rotate\.bytes must be a positive integer/)
    wrong({ path: "a", rotate: { keep: -1 } }, /^rotate\.keep must be an integer of at least 0/)
  })
})
