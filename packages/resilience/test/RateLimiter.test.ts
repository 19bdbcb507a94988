import { assert, describe, it } from "@effect/vitest"
import * as Failure from "effect-resilience/Failure"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Signal from "effect-resilience/Signal"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"

const { concurrency, fixedWindow, leakyBucket, policy, slidingWindow, tokenBucket } = RateLimiter

const memory = RateLimiter.layer.pipe(Layer.provideMerge(RateLimiter.layerStoreMemory()))

const millis = (decision: RateLimiter.Decision) =>
  decision._tag === "Denied" ? Duration.toMillis(decision.retryAfter) : undefined

const remaining = ({ rules }: RateLimiter.Decision) => rules.map(({ remaining }) => remaining)

/** How often in turn a check is allowed. */
const admitted = (limiter: RateLimiter.RateLimiter["Service"], checks: RateLimiter.Checks, times: number) =>
  Effect.map(
    Effect.replicateEffect(limiter.consume(checks), times),
    (decisions) => decisions.filter(({ _tag }) => _tag === "Allowed").length
  )

describe("consume", () => {
  it.effect("says how every rule stands", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const api = policy("api", [tokenBucket({ limit: 10, window: "1 second" }), RateLimiter.perMinute(100)])
      assert.deepStrictEqual(yield* limiter.consume({ policy: api, key: "a", cost: 4 }), {
        _tag: "Allowed",
        delay: Duration.zero,
        rules: [
          {
            policy: "api",
            rule: "tokenBucket",
            unit: "requests",
            limit: 10,
            remaining: 6,
            resetAfter: Duration.millis(400)
          },
          {
            policy: "api",
            rule: "slidingWindow",
            unit: "requests",
            limit: 100,
            remaining: 96,
            resetAfter: Duration.minutes(1)
          }
        ]
      })
      const denied = yield* limiter.consume({ policy: api, key: "a", cost: 8 })
      assert.deepInclude(denied, {
        _tag: "Denied",
        policy: "api",
        rule: "tokenBucket",
        key: "a",
        never: false,
        reason: "Limit"
      })
      assert.strictEqual(millis(denied), 200)
    }).pipe(Effect.provide(memory)))

  it.effect("RL-2 a denied request changes no counter", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const rules = [
        tokenBucket({ limit: 5, window: "10 seconds" }),
        slidingWindow({ limit: 5, window: "10 seconds" }),
        fixedWindow({ limit: 5, window: "10 seconds" }),
        concurrency({ limit: 5 })
      ]
      for (const [index, rule] of rules.entries()) {
        const check = { policy: policy(`p${index}`, [rule]), key: "k" }
        yield* limiter.consume({ ...check, cost: 4 })
        const before = yield* limiter.peek(check)
        assert.strictEqual(yield* admitted(limiter, { ...check, cost: 2 }, 100), 0)
        assert.deepStrictEqual(yield* limiter.peek(check), before)
        assert.strictEqual(yield* admitted(limiter, check, 2), 1)
      }
    }).pipe(Effect.provide(memory)))

  it.effect("RL-3 if one of nine rules over three scopes denies, the others are as they were", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const rules = (limit: number) => [
        tokenBucket({ limit, window: "10 seconds" }),
        slidingWindow({ limit, window: "10 seconds" }),
        fixedWindow({ limit, window: "10 seconds" })
      ]
      const checks = [
        { policy: policy("user", rules(10)), key: "alice" },
        { policy: policy("tenant", rules(20)), key: "acme" },
        {
          policy: policy("global", [...rules(30), tokenBucket({ name: "tight", limit: 2, window: "1 hour" })]),
          key: ""
        }
      ]
      assert.strictEqual(yield* admitted(limiter, checks, 2), 2)
      const before = yield* limiter.peek(checks)
      const denied = yield* limiter.consume(checks)
      assert.deepInclude(denied, { _tag: "Denied", policy: "global", rule: "tight" })
      assert.deepStrictEqual(yield* limiter.peek(checks), before)
      assert.deepStrictEqual(remaining(before), [8, 8, 8, 18, 18, 18, 28, 28, 28, 0])
    }).pipe(Effect.provide(memory)))

  it.effect("of several rules that refuse, the one that has to be waited for longest is told", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const check = {
        policy: policy("p", [
          tokenBucket({ name: "short", limit: 1, window: "1 second" }),
          tokenBucket({ name: "long", limit: 1, window: "1 minute" }),
          tokenBucket({ name: "middle", limit: 1, window: "10 seconds" })
        ]),
        key: "k"
      }
      yield* limiter.consume(check)
      const denied = yield* limiter.consume(check)
      assert.deepInclude(denied, { _tag: "Denied", rule: "long" })
      yield* TestClock.adjust("59999 millis")
      assert.strictEqual((yield* limiter.consume(check))._tag, "Denied")
      yield* TestClock.adjust("1 milli")
      assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
    }).pipe(Effect.provide(memory)))

  it.effect("RL-6 a cost above the capacity is never, not later", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const rules = [
        tokenBucket({ limit: 5, window: "1 second", burst: 7 }),
        slidingWindow({ limit: 7, window: "1 second" }),
        fixedWindow({ limit: 7, window: "1 second" }),
        leakyBucket({ limit: 7, window: "1 second", queue: 3 }),
        concurrency({ limit: 7 })
      ]
      for (const [index, rule] of rules.entries()) {
        const check = { policy: policy(`p${index}`, [rule]), key: "k" }
        const denied = yield* limiter.consume({ ...check, cost: 7.000001 })
        assert.deepInclude(denied, { _tag: "Denied", never: true })
        assert.strictEqual(millis(denied), Infinity)
        assert.strictEqual((yield* limiter.consume({ ...check, cost: 7 }))._tag, "Allowed")
      }
    }).pipe(Effect.provide(memory)))

  it.effect("RL-12 keys and names with separators, NUL, braces, half characters and 10 kB stay apart", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const one = [tokenBucket({ limit: 1, window: "1 hour" })]
      const long = "x".repeat(10_000)
      const keys = [
        "",
        ":",
        "a:b",
        "a",
        "b",
        "{}",
        "{a}",
        "*",
        "a*",
        "\0",
        "a\0",
        "\ud800",
        "\udfff",
        "é",
        "e\u0301",
        long,
        `${long}y`,
        "1:a"
      ]
      for (const name of ["p", "p:", "1:p", "p1"]) {
        for (const key of keys) {
          const check = { policy: policy(name, one), key }
          assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed", JSON.stringify([name, key.slice(0, 20)]))
          assert.strictEqual((yield* limiter.consume(check))._tag, "Denied")
        }
      }
      yield* limiter.reset({ policy: policy("p", one), key: "*" })
      assert.strictEqual((yield* limiter.peek({ policy: policy("p", one), key: "*" }))._tag, "Allowed")
      for (const key of keys.filter((key) => key !== "*")) {
        assert.strictEqual((yield* limiter.peek({ policy: policy("p", one), key }))._tag, "Denied")
      }
    }).pipe(Effect.provide(memory)))

  it.effect("a leaky bucket gives places in its queue, evenly apart", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const check = { policy: policy("p", [leakyBucket({ limit: 10, window: "1 second", queue: 3 })]), key: "k" }
      const delays: Array<number | string> = []
      const left: Array<number> = []
      for (let i = 0; i < 5; i++) {
        const decision = yield* limiter.consume(check)
        delays.push(decision._tag === "Allowed" ? Duration.toMillis(decision.delay) : decision._tag)
        left.push(...remaining(decision))
      }
      assert.deepStrictEqual(delays, [0, 100, 200, 300, "Denied"])
      assert.deepStrictEqual(left, [3, 2, 1, 0, 0])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(remaining(yield* limiter.peek(check)), [4])
    }).pipe(Effect.provide(memory)))

  it.effect("a fixed window by the clock begins with the clock's", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 0, 1, 12, 0, 59))
      const limiter = yield* Effect.provide(RateLimiter.RateLimiter, Layer.fresh(memory), { local: true })
      const check = { policy: policy("p", [fixedWindow({ limit: 1, window: "1 minute", align: "clock" })]), key: "k" }
      yield* limiter.consume(check)
      assert.strictEqual(millis(yield* limiter.consume(check)), 1_000)
    }))
})

describe("costs", () => {
  const tokens = policy("llm", [
    RateLimiter.perMinute(10),
    RateLimiter.perMinute(1_000, { name: "tokens", unit: "tokens" })
  ])

  it.effect("a number counts what the policy counts, and a request is one request", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      assert.deepStrictEqual(remaining(yield* limiter.consume({ policy: tokens, key: "k", cost: 400 })), [9, 600])
      const cost = { requests: 2, tokens: 100 }
      assert.deepStrictEqual(remaining(yield* limiter.consume({ policy: tokens, key: "k", cost })), [7, 500])
    }).pipe(Effect.provide(memory)))

  it.effect("RL-9 an unknown cost is allowed and flagged, charged a default, or denied: as the rule says", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const allow = yield* limiter.consume({ policy: tokens, key: "k" })
      assert.strictEqual(allow._tag, "Allowed")
      assert.deepStrictEqual(allow.rules.map(({ remaining, unknownCost }) => [remaining, unknownCost]), [
        [9, undefined],
        [1_000, true]
      ])
      const charge = policy("charge", [RateLimiter.perDay(50, { unit: "cost", onUnknownCost: 20 })])
      const charged = yield* limiter.consume({ policy: charge, key: "k" })
      assert.deepStrictEqual(charged.rules.map(({ remaining, unknownCost }) => [remaining, unknownCost]), [[30, true]])
      const deny = policy("deny", [
        RateLimiter.perMinute(5),
        RateLimiter.perDay(50, { name: "usd", unit: "cost", onUnknownCost: "deny" })
      ])
      assert.deepInclude(yield* limiter.consume({ policy: deny, key: "k", cost: { cost: undefined } }), {
        _tag: "Denied",
        rule: "usd",
        never: true,
        reason: "UnknownCost"
      })
      assert.deepStrictEqual(remaining(yield* limiter.peek({ policy: deny, key: "k", cost: 0 })), [5, 50])
    }).pipe(Effect.provide(memory)))

  it.effect("RL-9 a first request without an estimate on an unused limit succeeds, and is settled with what it cost", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      yield* Effect.scoped(Effect.gen(function*() {
        const reservation = yield* limiter.reserve({ policy: tokens, key: "k" })
        assert.strictEqual(reservation.decision.rules[1]?.unknownCost, true)
        yield* reservation.settle(250)
      }))
      assert.deepStrictEqual(remaining(yield* limiter.peek({ policy: tokens, key: "k", cost: 0 })), [9, 750])
    }).pipe(Effect.provide(memory)))

  it.effect("what is no cost throws a RangeError", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const several = policy("p", [
        RateLimiter.perDay(1, { unit: "a" }),
        RateLimiter.perDay(1, { unit: "b", name: "b" })
      ])
      assert.throws(() => limiter.consume({ policy: tokens, key: "k", cost: -1 }), /cost must be .* got -1/)
      assert.throws(() => limiter.consume({ policy: tokens, key: "k", cost: NaN }), /cost must be .* got NaN/)
      assert.throws(() => limiter.consume({ policy: several, key: "k", cost: 1 }), /must name its units/)
      const twice = { policy: tokens, key: "k" }
      assert.throws(() => limiter.consume([twice, twice]), /once/)
    }).pipe(Effect.provide(memory)))
})

describe("limit", () => {
  const one = { policy: policy("p", [tokenBucket({ limit: 1, window: "10 seconds" })]), key: "k" }

  it.effect("fails with RateLimited, typed, without a stack, and known as our own refusal", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      let runs = 0
      const call = limiter.limit(one)(Effect.sync(() => ++runs))
      yield* call
      yield* TestClock.adjust("1 second")
      const error = yield* Effect.flip(call)
      assert.isTrue(RateLimiter.isRateLimited(error))
      assert.deepInclude(error, {
        _tag: "RateLimited",
        policy: "p",
        rule: "tokenBucket",
        key: "k",
        limit: 1,
        remaining: 0,
        retryAfter: Duration.seconds(9),
        reset: Duration.seconds(9)
      })
      assert.notInclude(String(error.stack), "at ")
      assert.deepInclude(yield* Failure.classify(error), { kind: "RateLimited", scope: "request" })
      assert.strictEqual(runs, 1)
      const codec = Schema.toCodecJson(RateLimiter.RateLimited)
      const back = yield* Effect.flatMap(
        Schema.encodeEffect(codec)(error as RateLimiter.RateLimited),
        (json) => Schema.decodeUnknownEffect(codec)(JSON.parse(JSON.stringify(json)))
      )
      assert.deepStrictEqual(back.retryAfter, Duration.seconds(9))
    }).pipe(Effect.provide(memory)))

  it.effect("with options it waits for room", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const starts: Array<number> = []
      const call = limiter.limit(one, { maxWait: "25 seconds" })(
        Effect.clockWith((clock) => Effect.sync(() => starts.push(clock.currentTimeMillisUnsafe())))
      )
      const fibers = yield* Effect.forEach([1, 2, 3, 4], () => Effect.forkChild(call))
      yield* TestClock.adjust("1 minute")
      const exits = yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))
      assert.deepStrictEqual(starts, [0, 10_000, 20_000])
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, true, false])
    }).pipe(Effect.provide(memory)))

  it.effect("waits for its turn in a leaky bucket, and an interruption gives the place back", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const check = { policy: policy("p", [leakyBucket({ limit: 1, window: "1 second", queue: 5 })]), key: "k" }
      const starts: Array<number> = []
      const call = limiter.limit(check)(
        Effect.clockWith((clock) => Effect.sync(() => starts.push(clock.currentTimeMillisUnsafe())))
      )
      yield* call
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.forkChild(call, { startImmediately: true }))
      const full = yield* Effect.flip(call)
      assert.deepInclude(full, { reason: "QueueFull" })
      yield* Effect.forEach(fibers.slice(0, 4), (fiber) => Fiber.interrupt(fiber))
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(starts, [0, 1_000])
    }).pipe(Effect.provide(memory)))
})

describe("operators", () => {
  const one = policy("p", [tokenBucket({ limit: 1, window: "1 hour" }), concurrency({ limit: 1 })])

  it.effect("peek takes nothing, reset forgets", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const check = { policy: one, key: "k" }
      yield* limiter.peek(check)
      assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
      assert.strictEqual((yield* limiter.peek(check))._tag, "Denied")
      yield* limiter.reset({ policy: one, key: "other" })
      assert.strictEqual((yield* limiter.peek(check))._tag, "Denied")
      yield* limiter.reset(check)
      assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
    }).pipe(Effect.provide(memory)))

  it.effect("block refuses a key whatever its limits say, for as long as told", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const check = { policy: one, key: "k" }
      yield* limiter.block(check, "10 minutes")
      yield* TestClock.adjust("4 minutes")
      const denied = yield* limiter.consume(check)
      assert.deepInclude(denied, { _tag: "Denied", rule: "block", key: "k", reason: "Blocked", never: false })
      assert.strictEqual(millis(denied), 360_000)
      assert.strictEqual((yield* limiter.consume({ policy: one, key: "other" }))._tag, "Allowed")
      yield* limiter.block(check, 0)
      assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
      yield* limiter.block(check, "1 second")
      yield* limiter.reset(check)
      assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
    }).pipe(Effect.provide(memory)))

  it.effect("limits change while running, and what was taken stays taken", () =>
    Effect.gen(function*() {
      const limiter = yield* RateLimiter.RateLimiter
      const of = (limit: number) => policy("p", [slidingWindow({ limit, window: "1 minute" })])
      const check = { policy: of(10), key: "k" }
      assert.strictEqual(yield* admitted(limiter, check, 20), 10)
      yield* limiter.reconfigure(of(15))
      assert.strictEqual(yield* admitted(limiter, check, 20), 5)
      yield* limiter.reconfigure(of(3))
      assert.deepStrictEqual(remaining(yield* limiter.peek(check)), [0])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* admitted(limiter, check, 20), 3)
    }).pipe(Effect.provide(memory)))
})

describe("RL-18 shadow rules", () => {
  it.effect("leave enforcement identical and count what they would have denied", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const limiter = yield* RateLimiter.RateLimiter
      const enforced = tokenBucket({ name: "real", limit: 5, window: "1 second" })
      const shadow = tokenBucket({ name: "next", limit: 2, window: "1 hour", shadow: true })
      const plain = { policy: policy("plain", [enforced]), key: "k" }
      const shadowed = { policy: policy("shadowed", [shadow, enforced]), key: "k" }
      yield* Effect.gen(function*() {
        for (let i = 0; i < 40; i++) {
          const [a, b] = [yield* limiter.consume(plain), yield* limiter.consume(shadowed)]
          assert.strictEqual(a._tag, b._tag)
          assert.strictEqual(millis(a), millis(b))
          yield* TestClock.adjust("90 millis")
        }
      }).pipe(Effect.provide(Signal.layer((signal) => heard.push(signal))))
      const said = heard.filter((signal) => signal._tag === "LimitDecided" && signal.rule === "next")
      assert.strictEqual(said.filter((s) => s._tag === "LimitDecided" && s.decision === "shadow_denied").length, 38)
      assert.strictEqual(said.filter((s) => s._tag === "LimitDecided" && s.decision === "allowed").length, 2)
      const last = yield* limiter.peek(shadowed)
      assert.strictEqual(last.rules[0]?.shadowDenied, true)
    }).pipe(Effect.provide(memory)))
})

describe("a registry", () => {
  class Limits extends RateLimiter.Service<Limits>()("test/Limits", {
    perUser: [RateLimiter.perSecond(1)],
    provider: policy("openai", [RateLimiter.perSecond(2)])
  }) {}

  it.effect("knows its policies by name", () =>
    Effect.gen(function*() {
      const both = [{ policy: "perUser", key: "a" }, { policy: "provider", key: "" }] as const
      assert.strictEqual(yield* Effect.succeed("ran").pipe(Limits.limit(both)), "ran")
      assert.deepInclude(yield* Limits.consume(both), { _tag: "Denied", policy: "perUser" })
      yield* Limits.wait({ policy: "provider", key: "" })
      assert.deepInclude(yield* Limits.peek({ policy: "provider", key: "" }), { _tag: "Denied", policy: "openai" })
    }).pipe(Effect.provide(Limits.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory())))))
})

describe("options", () => {
  it("out of range throw a RangeError that names them", () => {
    const window = "1 second"
    assert.throws(() => tokenBucket({ limit: 0, window }), RangeError, /limit .* got 0/)
    assert.throws(() => tokenBucket({ limit: NaN, window }), RangeError, /limit .* got NaN/)
    assert.throws(() => tokenBucket({ limit: 3e15, window }), RangeError, /limit must be at most/)
    assert.throws(() => tokenBucket({ limit: 1, window: 0 }), RangeError, /window/)
    assert.throws(() => tokenBucket({ limit: 1, window: "infinity" as Duration.Input }), RangeError, /window/)
    assert.throws(() => tokenBucket({ limit: 1, window: 1.5 }), RangeError, /window .* 1.5/)
    assert.throws(() => tokenBucket({ limit: 1, window, burst: 0 }), RangeError, /burst/)
    assert.throws(() => tokenBucket({ limit: 1, window: 2 ** 53 - 1, burst: 2 }), RangeError, /burst/)
    assert.throws(() => leakyBucket({ limit: 1, window, queue: -1 }), RangeError, /queue/)
    assert.throws(() => slidingWindow({ limit: 1, window, slices: 0 }), RangeError, /slices/)
    assert.throws(() => slidingWindow({ limit: 1, window, slices: 1_001 }), RangeError, /slices/)
    assert.throws(() => fixedWindow({ limit: 1, window, align: "x" as "clock" }), RangeError, /align/)
    assert.throws(() => concurrency({ limit: 1, lease: 2 }), RangeError, /lease/)
    assert.throws(() => RateLimiter.local({ share: 0 }), RangeError, /share/)
    assert.throws(() => tokenBucket({ limit: 1, window, onStoreError: "x" as "open" }), RangeError, /onStoreError/)
    assert.throws(() => tokenBucket({ limit: 1, window, name: "" }), RangeError, /name/)
    assert.throws(() => policy("p", []), RangeError, /rules/)
    assert.throws(
      () => policy("p", [RateLimiter.perDay(1, { name: "a" }), RateLimiter.perDay(2, { name: "a" })]),
      RangeError,
      /"a" twice/
    )
    assert.throws(() => RateLimiter.layerStoreMemory({ capacity: 0 }), RangeError, /capacity/)
    assert.throws(() => RateLimiter.layerStoreSql({ table: "a; DROP TABLE b" }), RangeError, /table/)
    assert.throws(() => RateLimiter.layerWith({ storeTimeout: 0 }), RangeError, /storeTimeout/)
    assert.deepStrictEqual(
      policy("p", [RateLimiter.perSecond(1), RateLimiter.perDay(2)]).rules.map(({ name }) => name),
      [
        "slidingWindow",
        "slidingWindow-2"
      ]
    )
  })

  it.effect("from Config, out of range they are a ConfigError", () =>
    Effect.gen(function*() {
      const layer = RateLimiter.layerConfig({ storeTimeout: Config.Duration("TIMEOUT") })
      const exit = yield* Effect.exit(Effect.provide(
        Effect.provide(RateLimiter.RateLimiter, layer),
        [RateLimiter.layerStoreMemory(), ConfigProvider.layer(ConfigProvider.fromUnknown({ TIMEOUT: "0 millis" }))]
      ))
      assert.match(String(exit), /storeTimeout/)
    }))
})
