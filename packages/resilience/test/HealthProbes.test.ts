import { assert, describe, it } from "@effect/vitest"
import * as HealthProbes from "effect-resilience/HealthProbes"
import * as Signal from "effect-resilience/Signal"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

/** A dependency that does as it is told, and counts how often it is asked. */
class Dependency {
  mode: "well" | "ill" | "hung"
  calls = 0
  running = 0

  constructor(mode: "well" | "ill" | "hung") {
    this.mode = mode
  }

  readonly probe: Effect.Effect<void, string> = Effect.suspend(() => {
    this.calls++
    this.running++
    return this.mode === "well" ? Effect.void : this.mode === "ill" ? Effect.fail("connection refused") : Effect.never
  }).pipe(Effect.ensuring(Effect.sync(() => this.running--)))
}

const dependency = (mode: Dependency["mode"] = "well") => new Dependency(mode)

const every = "10 seconds"

const states = Effect.map(
  HealthProbes.report,
  ({ checks }) => Object.fromEntries(checks.map(({ name, state }) => [name, state]))
)

/** Lets the checks run that are due now. */
const now = TestClock.adjust(0)
/** Lets the next run of each check happen. */
const turn = TestClock.adjust(every)

const heard = () => {
  const signals: Array<string> = []
  const layer = Signal.layer((signal) => {
    if (signal._tag === "HealthChanged") signals.push(`${signal.check} ${signal.from}->${signal.to}`)
  })
  return { signals, layer }
}

describe("HealthProbes", () => {
  it.effect("HP1 liveness never asks a dependency, and stays up whatever becomes of them", () => {
    const database = dependency("ill")
    return Effect.gen(function*() {
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(yield* states, { database: "Failed" })
      const live = yield* HealthProbes.live
      assert.deepStrictEqual(live, { ok: true, status: "healthy", down: [], draining: false, checks: [] })
      assert.isFalse((yield* HealthProbes.ready).ok)
      assert.throws(
        () => HealthProbes.check({ name: "database", probe: database.probe, groups: ["live"] }),
        RangeError,
        "groups must not contain live"
      )
      assert.throws(() => HealthProbes.condition("plugins", { groups: ["live"] }), RangeError)
    }).pipe(
      Effect.provide(HealthProbes.layer([
        HealthProbes.check({ name: "database", probe: database.probe, critical: true, interval: every })
      ]))
    )
  })

  it.effect("HP1 a dependency that fails makes readiness degraded, unless it is critical", () => {
    const shared = dependency("ill")
    const critical = dependency("well")
    return Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* states, { shared: "Failed", critical: "Healthy" })
      const degraded = yield* HealthProbes.ready
      assert.deepStrictEqual([degraded.ok, degraded.status, degraded.down], [true, "degraded", []])
      critical.mode = "ill"
      yield* turn
      yield* turn
      assert.deepStrictEqual(yield* states, { shared: "Failed", critical: "Degraded" })
      assert.isTrue((yield* HealthProbes.ready).ok)
      yield* turn
      const down = yield* HealthProbes.ready
      assert.deepStrictEqual([down.ok, down.status, down.down], [false, "unhealthy", ["critical"]])
      assert.strictEqual((yield* HealthProbes.report).status, "unhealthy")
    }).pipe(
      Effect.provide(HealthProbes.layer([
        HealthProbes.check({ name: "shared", probe: shared.probe, interval: every }),
        HealthProbes.check({ name: "critical", probe: critical.probe, critical: true, interval: every })
      ]))
    )
  })

  it.effect("HP1 a heart that stops beating takes liveness down, one that rests does not", () => {
    const worker = HealthProbes.heartbeat("worker", { within: "30 seconds" })
    const { layer, signals } = heard()
    return Effect.gen(function*() {
      const alive = Effect.map(HealthProbes.live, ({ down, ok }) => [ok, down])
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(yield* alive, [true, []], "the time counts from the start")
      yield* worker.beat
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(yield* alive, [true, []])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(signals, ["worker Healthy->Failed"], "those who listen need not ask")
      assert.deepStrictEqual(yield* alive, [false, ["worker"]])
      assert.isTrue((yield* HealthProbes.ready).ok, "readiness is another matter")
      yield* worker.beat
      assert.deepStrictEqual(yield* alive, [true, []])
      yield* worker.rest
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* alive, [true, []])
      yield* worker.beat
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* alive, [false, ["worker"]])
      assert.deepStrictEqual(signals, [
        "worker Healthy->Failed",
        "worker Failed->Healthy",
        "worker Healthy->Failed"
      ])
    }).pipe(Effect.provide(Layer.provideMerge(HealthProbes.layer([worker]), layer)))
  })

  it.effect("HP2 a thousand concurrent probes cause no call: there is one an interval", () => {
    const database = dependency()
    return Effect.gen(function*() {
      yield* now
      for (let interval = 1; interval <= 5; interval++) {
        const verdicts = yield* Effect.all(Array.from({ length: 1_000 }, () => HealthProbes.ready), {
          concurrency: "unbounded"
        })
        assert.isTrue(verdicts.every(({ ok }) => ok))
        assert.strictEqual(database.calls, interval)
        yield* turn
      }
    }).pipe(
      Effect.provide(
        HealthProbes.layer([HealthProbes.check({ name: "database", probe: database.probe, interval: every })])
      )
    )
  })

  it.effect("HP2 a check that hangs delays no probe, and counts as failed at its timeout", () => {
    const database = dependency("hung")
    return Effect.gen(function*() {
      yield* now
      // In virtual time a probe that waited for anything would never come back.
      assert.deepStrictEqual((yield* HealthProbes.ready).down, ["database"])
      assert.deepStrictEqual(yield* states, { database: "Unknown" })
      yield* TestClock.adjust("2999 millis")
      assert.deepStrictEqual(yield* states, { database: "Unknown" })
      yield* TestClock.adjust("1 millis")
      const [check] = (yield* HealthProbes.report).checks
      assert.strictEqual(check?.state, "Degraded")
      assert.strictEqual(check?.lastError?.kind, "Timeout")
      assert.strictEqual(check?.lastError?.message, "The check database gave no answer within 3s")
      assert.strictEqual(database.running, 0, "it was interrupted")
    }).pipe(
      Effect.provide(
        HealthProbes.layer([HealthProbes.check({ name: "database", probe: database.probe, interval: every })])
      )
    )
  })

  it.effect("HP2 a check that cannot be stopped is never run beside itself, and goes on counting as failed", () => {
    let calls = 0
    const answer = Deferred.makeUnsafe<void>()
    const probe = Effect.suspend(() => {
      calls++
      return Effect.uninterruptible(Deferred.await(answer))
    })
    return Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      const [check] = (yield* HealthProbes.report).checks
      assert.strictEqual(calls, 1)
      assert.strictEqual(check?.state, "Failed")
      assert.strictEqual(
        check?.lastError?.message,
        "The check stubborn timed out before and still has not stopped"
      )
      yield* Deferred.succeed(answer, undefined)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(calls, 4)
      assert.deepStrictEqual(yield* states, { stubborn: "Healthy" })
    }).pipe(
      Effect.provide(HealthProbes.layer([HealthProbes.check({ name: "stubborn", probe, interval: every })]))
    )
  })

  it.effect("HP2 closing the layer stops a check, and waits for one that cannot be stopped no longer than its timeout", () =>
    Effect.gen(function*() {
      const database = dependency("hung")
      const scope = yield* Scope.make()
      yield* HealthProbes.make([
        HealthProbes.check({ name: "database", probe: database.probe }),
        HealthProbes.check({ name: "stubborn", probe: Effect.uninterruptible(Effect.never) })
      ]).pipe(Scope.provide(scope))
      yield* now
      assert.strictEqual(database.running, 1)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* now
      assert.strictEqual(database.running, 0)
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(closing.pollUnsafe(), Exit.void)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(database.calls, 1)
    }))

  it.effect("HP3 what has never run is Unknown and not ready, critical or not", () => {
    const answer = Deferred.makeUnsafe<void>()
    return Effect.gen(function*() {
      assert.deepStrictEqual(yield* states, { a: "Unknown", b: "Unknown" })
      const before = yield* HealthProbes.ready
      assert.deepStrictEqual([before.ok, before.status, before.down], [false, "unhealthy", ["a", "b"]])
      yield* Deferred.succeed(answer, undefined)
      yield* now
      const after = yield* HealthProbes.ready
      assert.deepStrictEqual([after.ok, after.status, after.down], [true, "healthy", []])
    }).pipe(
      Effect.provide(HealthProbes.layer([
        HealthProbes.check({ name: "a", probe: Deferred.await(answer), critical: true }),
        HealthProbes.check({ name: "b", probe: Deferred.await(answer) })
      ]))
    )
  })

  it.effect("HP3 a critical dependency that has never worked is not ready, however few its failures", () => {
    const database = dependency("ill")
    return Effect.gen(function*() {
      yield* now
      assert.deepStrictEqual(yield* states, { database: "Degraded" })
      assert.deepStrictEqual((yield* HealthProbes.ready).down, ["database"])
    }).pipe(
      Effect.provide(HealthProbes.layer([
        HealthProbes.check({ name: "database", probe: database.probe, critical: true, interval: every })
      ]))
    )
  })

  it.effect("HP4 it takes three failures to fail and three successes in a row to recover", () => {
    const database = dependency()
    const { layer, signals } = heard()
    return Effect.gen(function*() {
      const seen: Array<string | undefined> = []
      for (
        const mode of ["well", "ill", "well", "ill", "ill", "well", "well", "ill", "well", "well", "well"] as const
      ) {
        database.mode = mode
        yield* seen.length === 0 ? now : turn
        seen.push((yield* states)["database"])
      }
      assert.deepStrictEqual(seen, [
        "Healthy",
        "Degraded",
        "Degraded",
        "Degraded",
        "Failed",
        "Failed",
        "Failed",
        "Failed",
        "Failed",
        "Failed",
        "Healthy"
      ])
      assert.deepStrictEqual(signals, [
        "database Unknown->Healthy",
        "database Healthy->Degraded",
        "database Degraded->Failed",
        "database Failed->Healthy"
      ])
    }).pipe(
      Effect.provide(Layer.provideMerge(
        HealthProbes.layer([HealthProbes.check({ name: "database", probe: database.probe, interval: every })]),
        layer
      ))
    )
  })

  it.effect("HP4 after a reset it is Unknown and asked at once, and the first result decides", () => {
    const database = dependency("ill")
    return Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* states, { database: "Failed" })
      database.mode = "well"
      const before = database.calls
      const { failures, lastError, name, state } = yield* HealthProbes.reset("database")
      assert.deepStrictEqual([name, state, failures, lastError?.message], [
        "database",
        "Unknown",
        0,
        "connection refused"
      ])
      assert.isFalse((yield* HealthProbes.ready).ok)
      yield* now
      assert.deepStrictEqual(yield* states, { database: "Healthy" })
      assert.strictEqual(database.calls, before + 1)
      assert.deepStrictEqual(
        yield* Effect.exit(HealthProbes.reset("databse")),
        Exit.fail(new HealthProbes.CheckNotFound({ name: "databse", known: ["database"] }))
      )
    }).pipe(
      Effect.provide(
        HealthProbes.layer([HealthProbes.check({ name: "database", probe: database.probe, interval: every })])
      )
    )
  })

  it.effect("HP4 a result that was on its way when the check was reset counts no more", () => {
    const old = Deferred.makeUnsafe<void, string>()
    let calls = 0
    const probe = Effect.suspend(() => ++calls === 1 ? Deferred.await(old) : Effect.void)
    return Effect.gen(function*() {
      yield* now
      yield* HealthProbes.reset("database")
      yield* Deferred.fail(old, "the old address")
      yield* now
      assert.deepStrictEqual([calls, yield* states], [2, { database: "Healthy" }])
      const [check] = (yield* HealthProbes.report).checks
      assert.isUndefined(check?.lastError)
    }).pipe(
      Effect.provide(HealthProbes.layer([HealthProbes.check({ name: "database", probe })]))
    )
  })

  it.effect("HP6 startup stays down until all it needs was there once, and is up from then on", () => {
    const plugins = HealthProbes.condition("plugins", { groups: ["startup"] })
    const sockets = HealthProbes.condition("sockets")
    const migrations = dependency("ill")
    return Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      const startup = Effect.map(HealthProbes.startup, ({ down, ok }) => [ok, down])
      const ready = Effect.map(HealthProbes.ready, ({ down, ok }) => [ok, down])
      assert.deepStrictEqual(yield* startup, [false, ["plugins", "migrations"]])
      assert.deepStrictEqual(yield* ready, [false, ["plugins", "sockets", "migrations"]])
      const waiting = yield* Effect.forkChild(HealthProbes.waitUntilReady)
      yield* plugins.meet
      migrations.mode = "well"
      yield* turn
      yield* turn
      yield* turn
      assert.deepStrictEqual(yield* startup, [true, []])
      assert.isTrue((yield* HealthProbes.report).started)
      assert.deepStrictEqual(yield* ready, [false, ["sockets"]])
      yield* now
      assert.isUndefined(waiting.pollUnsafe())
      yield* sockets.meet
      yield* now
      assert.deepStrictEqual(waiting.pollUnsafe(), Exit.void)
      assert.deepStrictEqual(yield* ready, [true, []])
      migrations.mode = "ill"
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* startup, [true, []])
      assert.deepStrictEqual(yield* ready, [true, []], "what was needed to start is not needed to be ready")
      yield* sockets.unmeet
      assert.deepStrictEqual(yield* ready, [false, ["sockets"]])
    }).pipe(
      Effect.provide(HealthProbes.layer([
        plugins,
        sockets,
        HealthProbes.check({
          name: "migrations",
          probe: migrations.probe,
          critical: true,
          groups: ["startup"],
          interval: every
        })
      ]))
    )
  })

  it.effect("HP7 the failover hook is called once for each time the check fails, and once when it is well again", () => {
    const database = dependency()
    const calls: Array<string> = []
    return Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(calls, [])
      database.mode = "ill"
      yield* turn
      yield* turn
      assert.deepStrictEqual(calls, [])
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(calls, ["Degraded->Failed"])
      yield* HealthProbes.reset("database")
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(calls, ["Degraded->Failed"], "the traffic is on the backup already")
      database.mode = "well"
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(calls, ["Degraded->Failed", "Failed->Healthy"])
    }).pipe(
      Effect.provide(HealthProbes.layer([
        HealthProbes.check({
          name: "database",
          probe: database.probe,
          interval: every,
          failover: ({ check, from, to }) =>
            Effect.suspend(() => {
              assert.strictEqual(check, "database")
              calls.push(`${from}->${to}`)
              return Effect.fail("a hook that fails is called no second time")
            })
        })
      ]))
    )
  })

  it.effect("HP7 a failover hook that hangs holds up no check", () => {
    const database = dependency("ill")
    return Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* states, { database: "Failed" })
      database.mode = "well"
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* states, { database: "Healthy" })
    }).pipe(
      Effect.provide(HealthProbes.layer([
        HealthProbes.check({
          name: "database",
          probe: database.probe,
          interval: every,
          failover: () => Effect.never
        })
      ]))
    )
  })

  it.effect("draining takes readiness down at once and for good, and leaves liveness and startup up", () =>
    Effect.gen(function*() {
      yield* now
      assert.isTrue((yield* HealthProbes.ready).ok)
      assert.isFalse(yield* HealthProbes.draining)
      yield* HealthProbes.drain
      assert.isTrue(yield* HealthProbes.draining)
      const { draining, ok, status } = yield* HealthProbes.ready
      assert.deepStrictEqual([ok, status, draining], [false, "unhealthy", true])
      assert.isTrue((yield* HealthProbes.live).ok)
      assert.isTrue((yield* HealthProbes.startup).ok)
      assert.isTrue((yield* HealthProbes.report).draining)
      yield* HealthProbes.reset("a")
      yield* now
      assert.isFalse((yield* HealthProbes.ready).ok)
    }).pipe(Effect.provide(HealthProbes.layer([HealthProbes.check({ name: "a", probe: Effect.void })]))))

  it.effect("tells of each run, and when the program begins and ceases to want traffic", () => {
    const database = dependency()
    const signals: Array<Signal.Signal> = []
    return Effect.gen(function*() {
      yield* now
      database.mode = "ill"
      yield* turn
      yield* HealthProbes.drain
      yield* HealthProbes.drain
      const check = "database"
      const duration = Duration.zero
      assert.deepStrictEqual(signals, [
        { _tag: "ReadinessChanged", ready: false, draining: false },
        { _tag: "HealthChanged", check, from: "Unknown", to: "Healthy" },
        { _tag: "ReadinessChanged", ready: true, draining: false },
        { _tag: "HealthChecked", check, outcome: "success", state: "Healthy", duration },
        { _tag: "HealthChanged", check, from: "Healthy", to: "Degraded" },
        { _tag: "HealthChecked", check, outcome: "failure", state: "Degraded", duration },
        { _tag: "ReadinessChanged", ready: false, draining: true }
      ])
    }).pipe(
      Effect.provide(Layer.provideMerge(
        HealthProbes.layer([HealthProbes.check({ name: "database", probe: database.probe, interval: every })]),
        Signal.layer((signal) => signals.push(signal))
      ))
    )
  })

  it.effect("a program that declares nothing is ready", () =>
    Effect.gen(function*() {
      yield* HealthProbes.waitUntilReady
      assert.isTrue((yield* HealthProbes.ready).ok)
      assert.isTrue((yield* HealthProbes.startup).ok)
      assert.isTrue((yield* HealthProbes.live).ok)
    }).pipe(Effect.provide(HealthProbes.layer([]))))

  it.effect("a group of one's own has a verdict of its own", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("5 minutes")
      assert.isTrue((yield* HealthProbes.ready).ok)
      const payments = yield* HealthProbes.group("payments")
      assert.deepStrictEqual([payments.ok, payments.down], [false, ["bank"]])
      assert.deepStrictEqual(payments.checks.map(({ name }) => name), ["bank", "both"])
    }).pipe(Effect.provide(HealthProbes.layer([
      HealthProbes.check({ name: "bank", probe: Effect.fail("no"), critical: true, groups: ["payments"] }),
      HealthProbes.check({ name: "both", probe: Effect.void, groups: ["ready", "payments"] })
    ]))))

  it.effect("the report says when, how long, why and what else", () => {
    let healthy = true
    const probe = Effect.suspend(() =>
      healthy ? Effect.succeed({ version: "18.1" }) : Effect.die(new Error("out of disk"))
    )
    return Effect.gen(function*() {
      yield* TestClock.adjust("500 millis")
      healthy = false
      yield* TestClock.adjust("10 seconds")
      const [check] = (yield* HealthProbes.report).checks
      assert.strictEqual(check?.lastSuccess?.epochMilliseconds, 250)
      assert.strictEqual(check?.lastFailure?.epochMilliseconds, 10_500)
      assert.strictEqual(check?.lastCheck?.epochMilliseconds, 10_500)
      assert.strictEqual(check?.lastError?.message, "out of disk")
      assert.deepStrictEqual(check?.detail, { version: "18.1" })
      assert.strictEqual(check?.failures, 1)
    }).pipe(
      Effect.provide(HealthProbes.layer([
        HealthProbes.check({ name: "database", probe: Effect.delay(probe, "250 millis"), interval: every })
      ]))
    )
  })

  it.effect("the changes are told in order, to each who listens", () => {
    const database = dependency()
    const listening = Deferred.makeUnsafe<void>()
    return Effect.gen(function*() {
      const listen = Stream.runCollect(Stream.take(HealthProbes.changes, 3))
      const fibers = yield* Effect.forEach([listen, listen], (one) => Effect.forkChild(one))
      yield* now
      yield* Deferred.succeed(listening, undefined)
      yield* now
      database.mode = "ill"
      yield* TestClock.adjust("1 minute")
      const expected = [["Unknown", "Healthy"], ["Healthy", "Degraded"], ["Degraded", "Failed"]] as const
      for (const fiber of fibers) {
        assert.deepStrictEqual(
          yield* Fiber.join(fiber),
          expected.map(([from, to]) => ({ check: "database", from, to }))
        )
      }
    }).pipe(
      Effect.provide(HealthProbes.layer([
        HealthProbes.check({
          name: "database",
          probe: Effect.andThen(Deferred.await(listening), database.probe),
          interval: every
        })
      ]))
    )
  })

  it.effect("the Schedule is told the state, and when it ends the check runs no more until it is reset", () => {
    const database = dependency()
    const inputs: Array<HealthProbes.State> = []
    const interval = Schedule.spaced(every).pipe(
      Schedule.setInputType<HealthProbes.State>(),
      Schedule.tap(({ input }) => Effect.sync(() => inputs.push(input))),
      Schedule.upTo({ times: 2 })
    )
    return Effect.gen(function*() {
      yield* now
      database.mode = "ill"
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(database.calls, 3)
      assert.deepStrictEqual(inputs.slice(0, 2), ["Healthy", "Degraded"])
      yield* HealthProbes.reset("database")
      yield* now
      assert.strictEqual(database.calls, 4)
      assert.deepStrictEqual(yield* states, { database: "Degraded" })
    }).pipe(
      Effect.provide(HealthProbes.layer([HealthProbes.check({ name: "database", probe: database.probe, interval })]))
    )
  })

  it.effect("options out of their range are refused by name, from Config as a ConfigError", () =>
    Effect.gen(function*() {
      const probe = Effect.void
      const refuses = (options: Partial<HealthProbes.CheckOptions<never>>, message: string) =>
        assert.throws(() => HealthProbes.check({ name: "a", probe, ...options }), RangeError, message)
      refuses({ timeout: 0 }, "a.timeout must be a finite duration above zero, got 0")
      refuses({ interval: "0 seconds" }, "a.interval must be")
      refuses({ thresholds: { failed: 0 } }, "a.thresholds.failed must be a positive integer, got 0")
      refuses({ thresholds: { healthy: 1.5 } }, "a.thresholds.healthy must be a positive integer, got 1.5")
      assert.throws(() => HealthProbes.heartbeat("a", { within: Infinity }), RangeError, "within must be")
      const check = HealthProbes.check({ name: "a", probe })
      assert.throws(() => HealthProbes.layer([check, HealthProbes.condition("a")]), RangeError, "name must be unique")
      assert.throws(() => HealthProbes.layer([check], { timeout: -1 }), RangeError, "a.timeout")

      const layer = HealthProbes.layerConfig([check], {
        timeout: Config.Duration("TIMEOUT"),
        thresholds: { failed: Config.Int("FAILED") }
      })
      const built = (env: Record<string, string>) =>
        Effect.exit(Layer.build(layer).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env)))))
      assert.isTrue(Exit.isSuccess(yield* built({ TIMEOUT: "1 second", FAILED: "1" })))
      const wrong = yield* built({ TIMEOUT: "1 second", FAILED: "0" })
      assert.include(String(Exit.isFailure(wrong) && wrong.cause), "a.thresholds.failed must be a positive integer")
    }))

  it.effect("a condition of another layer is refused", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(HealthProbes.condition("plugins").meet)
      assert.include(String(exit), "items must contain plugins")
    }).pipe(Effect.provide(HealthProbes.layer([]))))
})
