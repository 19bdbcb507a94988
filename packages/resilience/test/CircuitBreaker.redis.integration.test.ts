/** Circuits in a real Redis, shared by real processes, some of which are killed. */
import * as CircuitBreakerStoreSuite from "@effect-resilience/testing/CircuitBreakerStoreSuite"
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Queue from "effect/Queue"
import * as TestClock from "effect/testing/TestClock"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import * as RedisStore from "../src/internal/circuitBreaker/redisStore.ts"
import { failing, isLetThrough, listening, start, startMany, succeeding } from "./support/circuits.ts"
import { fault } from "./support/faults.ts"

/** A clock in Redis that stands still until it is moved. */
const handClock = `local micros = tonumber(redis.call("GET", "now") or 0) * 1000`

const subject = Layer.effect(
  CircuitBreakerStoreSuite.Subject,
  Effect.gen(function*() {
    const redis = yield* Redis.Redis
    const store = yield* CircuitBreaker.CircuitBreakerStore
    return {
      store,
      now: Effect.orDie(Effect.map(redis.send<string | null>("GET", "now"), (now) => Number(now ?? 0))),
      advance: (millis) => Effect.orDie(redis.send("INCRBY", "now", `${millis}`))
    }
  })
).pipe(
  Layer.provide(RedisStore.make({ lease: "1 day", timeout: "10 seconds" }, handClock)),
  Layer.provide(RedisServer.layerRedis),
  Layer.provide(RedisServer.layer())
)

/** A breaker over a private Redis; the timeout is one that a busy machine keeps. */
const withRedis = (options: CircuitBreaker.RedisOptions = {}) =>
  Effect.provide(
    CircuitBreaker.layerStoreRedis({ timeout: "5 seconds", ...options }).pipe(
      Layer.provideMerge(RedisServer.layerRedis),
      Layer.provideMerge(Layer.fresh(RedisServer.layer()))
    )
  )

const make = (options: Partial<CircuitBreaker.Options> = {}) =>
  CircuitBreaker.make({ name: "shared", trip: CircuitBreaker.consecutive(1), openFor: "200 millis", ...options })

const isIn = (breaker: CircuitBreaker.Breaker, expected: string) =>
  Effect.map(breaker.state(), (state) => assert.strictEqual(state, expected))

/** Another process with a breaker of the same name: say a line, get its line. */
const anotherProcess = (lease = 10_000) =>
  Effect.gen(function*() {
    const { url } = yield* RedisServer.RedisServer
    const script = fileURLToPath(new URL("./support/breakerProcess.ts", import.meta.url))
    const answers = yield* Queue.unbounded<string>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(process.execPath, [script, url, `${lease}`], { stdio: ["pipe", "pipe", "inherit"] })
        let text = ""
        child.stdout.on("data", (chunk: Buffer) => {
          const lines = (text + chunk.toString()).split("\n")
          text = lines.pop()!
          for (const line of lines) Queue.offerUnsafe(answers, line)
        })
        return child
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    assert.strictEqual(yield* Queue.take(answers), "ready")
    return {
      say: (line: string) => Effect.andThen(Effect.sync(() => child.stdin.write(`${line}\n`)), Queue.take(answers)),
      kill: Effect.callback<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGKILL")
      })
    }
  })

RealServer.describe("redis-server", "CircuitBreaker in Redis", () => {
  CircuitBreakerStoreSuite.suite("CircuitBreaker.layerStoreRedis", subject, { histories: 1_500, timeout: 120_000 })

  describe("processes", () => {
    it.live("CB-19 agree on what is open, and share the probes of a round", () =>
      Effect.gen(function*() {
        const [a, b, c] = yield* Effect.all([anotherProcess(), anotherProcess(), anotherProcess()], { concurrency: 3 })
        assert.deepStrictEqual([yield* a.say("fail"), yield* b.say("fail")], ["failed", "failed"])
        assert.strictEqual(yield* c.say("state"), "Closed")
        assert.strictEqual(yield* c.say("fail"), "failed")
        for (const process of [a, b, c]) assert.strictEqual(yield* process.say("state"), "Open")
        const answers: Array<string> = []
        yield* Eventually.answers(a.say("hold"), (answer) => answer === "holding")
        answers.push(yield* b.say("hold"), yield* c.say("hold"), yield* a.say("succeed"))
        assert.deepStrictEqual(answers, ["holding", "rejected HalfOpen", "rejected HalfOpen"])
      }).pipe(Effect.scoped, withRedis()), 60_000)

    it.live(
      "CB-19 that are killed while they probe give the place back when the lease is over",
      () =>
        Effect.gen(function*() {
          const [a, b] = yield* Effect.all([anotherProcess(400), anotherProcess(400)], { concurrency: 2 })
          for (let i = 0; i < 3; i++) yield* a.say("fail")
          yield* Eventually.answers(a.say("hold"), (answer) => answer === "holding")
          assert.strictEqual(yield* a.say("hold"), "holding")
          // Longer than the lease: whoever lives keeps its places.
          yield* Effect.sleep("1200 millis")
          assert.strictEqual(yield* b.say("succeed"), "rejected HalfOpen")
          yield* a.kill
          yield* Eventually.answers(b.say("succeed"), (answer) => answer === "succeeded")
          assert.strictEqual(yield* b.say("succeed"), "succeeded")
          assert.strictEqual(yield* b.say("state"), "Closed")
        }).pipe(Effect.scoped, withRedis()),
      60_000
    )
  })

  describe("a Redis that does not answer", () => {
    for (const onStoreError of ["open", "closed"] as const) {
      it.live(
        `CB-19 has calls decided ${onStoreError} after 50 ms, and at once when it goes on`,
        () =>
          Effect.gen(function*() {
            const server = yield* RedisServer.RedisServer
            const breaker = yield* make()
            yield* succeeding(breaker, 1)
            yield* server.pause
            // The server is really paused; only the wait for it is in virtual time.
            yield* Effect.gen(function*() {
              for (let call = 1; call <= 4; call++) {
                const fiber = yield* Effect.forkChild(
                  Effect.exit(breaker.protect(Effect.succeed("done"))),
                  { startImmediately: true }
                )
                if (call <= 3) {
                  yield* TestClock.adjust("49 millis")
                  assert.isUndefined(fiber.pollUnsafe(), `call ${call} waits`)
                  yield* TestClock.adjust("1 millis")
                }
                const exit = yield* Fiber.join(fiber)
                assert.strictEqual(Exit.isSuccess(exit), onStoreError === "closed", `call ${call}`)
                if (Exit.isFailure(exit)) {
                  const error = exit.cause.reasons.find(Cause.isFailReason)?.error
                  assert.isTrue(CircuitBreaker.isCircuitOpen(error))
                }
              }
              const failed = yield* Effect.forkChild(Effect.flip(breaker.state()), { startImmediately: true })
              yield* TestClock.adjust("50 millis")
              assert.strictEqual((yield* Fiber.join(failed))._tag, "CircuitStoreError")
            }).pipe(Effect.provide(TestClock.layer()))
            yield* server.resume
            yield* Eventually.holds(isIn(breaker, "Closed"))
            yield* Eventually.holds(Effect.andThen(failing(breaker, 1), isIn(breaker, "Open")))
          }).pipe(Effect.scoped, withRedis({ onStoreError, timeout: "50 millis" })),
        60_000
      )
    }

    it.live("CB-19 loses what a call found out, not the call", () =>
      Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const breaker = yield* make()
        const call = yield* start(breaker)
        yield* Eventually.met(() => call.ran)
        yield* server.kill
        assert.deepStrictEqual(yield* call.succeed, Exit.succeed("done"))
        assert.isTrue(yield* isLetThrough(breaker))
        // A client that is connecting does not close.
        yield* server.restart
        yield* Eventually.holds(isIn(breaker, "Closed"))
      }).pipe(Effect.scoped, withRedis({ timeout: "200 millis" })), 60_000)

    it.live(
      "CB-19 and comes back empty has closed circuits, where old permits count for nothing",
      () =>
        Effect.gen(function*() {
          const server = yield* RedisServer.RedisServer
          const breaker = yield* make({ openFor: "1 hour" })
          const old = yield* start(breaker)
          yield* failing(breaker, 1)
          assert.strictEqual(yield* breaker.state(), "Open")
          yield* server.restart
          yield* Eventually.holds(isIn(breaker, "Closed"))
          yield* succeeding(breaker, 1)
          yield* old.fail()
          assert.strictEqual(yield* breaker.state(), "Closed")
        }).pipe(Effect.scoped, withRedis()),
      60_000
    )
  })

  describe("a Redis that holds nonsense where a circuit should be", () => {
    const broken: ReadonlyArray<readonly [what: string, ...command: [string, ...ReadonlyArray<string>]]> = [
      ["of another type", "SET", "nonsense"],
      [
        "that no circuit can be",
        "HSET",
        "state",
        "asleep",
        "trip",
        "{",
        "gen",
        "-1",
        "window",
        "\u0000",
        "c",
        "nonsense"
      ]
    ]
    for (const [what, command, ...values] of broken) {
      for (const onStoreError of ["open", "closed"] as const) {
        it.live(`CB-19 ${what}: calls are decided, ${onStoreError} where need be, and the circuit works again when it is gone`, () =>
          Effect.gen(function*() {
            const redis = yield* Redis.Redis
            const breaker = yield* make()
            yield* breaker.protect(Effect.void)
            const keys = yield* redis.send<ReadonlyArray<string>>("KEYS", "*")
            assert.isAbove(keys.length, 0)
            for (const key of keys) {
              yield* redis.send("DEL", key)
              yield* redis.send(command, key, ...values)
            }
            const exit = yield* Effect.exit(breaker.protect(Effect.succeed("done")))
            assert.isFalse(Exit.hasDies(exit))
            if (Exit.isFailure(exit)) assert.isTrue(CircuitBreaker.isCircuitOpen(Cause.squash(exit.cause)))
            if (onStoreError === "closed") assert.deepStrictEqual(exit, Exit.succeed("done"))
            yield* redis.send("FLUSHALL")
            assert.strictEqual(
              yield* Eventually.answers(
                Effect.orElseSucceed(breaker.protect(Effect.succeed("done")), () => "no"),
                (said) => said === "done"
              ),
              "done"
            )
          }).pipe(Effect.scoped, withRedis({ onStoreError })))
      }
    }
  })

  it.live("CB-8 a process whose clock is wrong decides as the others do", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ openFor: "1 hour" })
      yield* failing(breaker, 1)
      for (const wrong of [-3_600_000, 3_600_000, 31_536_000_000]) {
        const real = yield* Clock.Clock
        const clock = {
          ...real,
          currentTimeMillisUnsafe: () => real.currentTimeMillisUnsafe() + wrong,
          monotonicTimeNanosUnsafe: () => real.monotonicTimeNanosUnsafe() + BigInt(wrong) * 1_000_000n,
          sleep: real.sleep.bind(real)
        }
        const { retryAfter, state } = yield* Effect.provideService(breaker.metrics(), Clock.Clock, clock)
        assert.strictEqual(state, "Open")
        assert.isTrue(retryAfter > 1_800_000 && retryAfter <= 3_600_000, `${retryAfter}`)
        assert.isFalse(yield* Effect.provideService(isLetThrough(breaker), Clock.Clock, clock))
      }
    }).pipe(Effect.scoped, withRedis()))

  it.live("calls that are interrupted, ignored or misjudged give back what they had", () =>
    Effect.gen(function*() {
      const breaker = yield* make({ openFor: "10 millis" })
      const isIdle = Effect.map(breaker.metrics(), ({ inFlight, probing }) => inFlight === 0 && probing === 0)
      yield* failing(breaker, 1)
      yield* Effect.sleep("50 millis")
      const probe = yield* start(breaker)
      yield* Eventually.answers(breaker.metrics(), ({ probing }) => probing === 1)
      yield* probe.interrupt
      assert.isTrue(yield* isIdle)
      yield* failing(breaker, 1, { error: fault("RateLimited") })
      assert.isTrue(yield* isIdle)
      const thrown = yield* Effect.exit(breaker.protect(Effect.void, {
        classify: () => {
          throw new Error("classifier")
        }
      }))
      assert.isTrue(Exit.hasDies(thrown))
      assert.isTrue(yield* isIdle)
      assert.strictEqual(yield* breaker.state(), "HalfOpen")
      for (let i = 0; i < 50; i++) {
        const fiber = yield* Effect.forkDetach(breaker.protect(Effect.sleep("1 second")), { startImmediately: true })
        for (let yields = 0; yields < i % 10; yields++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
      assert.isTrue(yield* isIdle)
      yield* succeeding(breaker, 1)
      assert.strictEqual(yield* breaker.state(), "Closed")
    }).pipe(Effect.scoped, withRedis()))

  it.live("tells, limits and commands as in memory", () =>
    Effect.gen(function*() {
      const { count, layer, moves } = listening()
      yield* Effect.gen(function*() {
        const breaker = yield* make({
          openFor: "1 hour",
          trip: CircuitBreaker.consecutive(3),
          inFlight: { maxWhileUnhealthy: 5 }
        })
        yield* failing(breaker, 1)
        const burst = yield* startMany(breaker, 20)
        yield* Eventually.answers(breaker.metrics(), ({ inFlight }) => inFlight === 5)
        yield* Eventually.met(() => count("CallRejected") === 15)
        for (const call of burst) if (call.ran) yield* call.interrupt
        yield* breaker.forceOpen("other")
        yield* failing(breaker, 2)
        assert.deepStrictEqual(
          [...yield* breaker.states].toSorted(),
          [["default", "Open"], ["other", "ForcedOpen"]]
        )
        yield* breaker.reset()
        assert.isTrue(yield* isLetThrough(breaker))
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(moves(), ["Closed > ForcedOpen: forced", "Closed > Open: tripped", "Open > Closed: reset"])
    }).pipe(Effect.scoped, withRedis()))
})
