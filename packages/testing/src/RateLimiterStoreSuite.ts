/**
 * What every store of rate limits must do, as a suite of tests: all of a decision or nothing, denied requests change nothing, exact
 * times, keys that stay apart whatever they hold, reservations that settle once, leases that run out, and limits that hold under
 * contention.
 *
 * The tests run by the store's own clock, which must be near the machine's. Each uses policies of its own, so the store may hold
 * anything else beside.
 *
 * **Example** (Testing a store)
 *
 * ```ts no-run
 * import * as RateLimiterStoreSuite from "@effect-resilience/testing/RateLimiterStoreSuite"
 * import * as RateLimiter from "effect-resilience/RateLimiter"
 *
 * RateLimiterStoreSuite.suite("in memory", RateLimiter.layerStoreMemory())
 * ```
 *
 * @since 0.1.0
 */
import { assert, layer as provide } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"

const { concurrency, fixedWindow, leakyBucket, policy, slidingWindow, tokenBucket } = RateLimiter

type Limiter = RateLimiter.RateLimiter["Service"]

let policies = 0

/** A policy that no other test has. */
const fresh = (...rules: ReadonlyArray<RateLimiter.Rule>): RateLimiter.Policy =>
  policy(`suite-${Date.now().toString(36)}-${policies++}`, rules)

const tags = (decisions: ReadonlyArray<RateLimiter.Decision>) => decisions.map(({ _tag }) => _tag)

const admitted = (limiter: Limiter, checks: RateLimiter.Checks, times: number, concurrency: number) =>
  Effect.map(
    Effect.all(Array.from({ length: times }, () => limiter.consume(checks)), { concurrency }),
    (decisions) => tags(decisions).filter((tag) => tag === "Allowed").length
  )

const remaining = (limiter: Limiter, check: RateLimiter.Check) =>
  Effect.map(limiter.peek({ ...check, cost: 0 }), ({ rules }) => rules.map(({ remaining }) => remaining))

const awkwardKeys: ReadonlyArray<string> = [
  "",
  " ",
  ":",
  "a:b",
  "a",
  "{",
  "}",
  "{}",
  "{a}",
  "*",
  "a*",
  "%",
  "_",
  "'",
  "\"",
  "\\",
  "\0",
  "a\0",
  "a\0b",
  "\n",
  "\u007f",
  "\ud800",
  "\udfff",
  "\ufffd",
  "é",
  "e\u0301",
  "🙂",
  "=a",
  "~a",
  "x".repeat(10_000),
  `${"x".repeat(10_000)}y`
]

/** Long enough not to pass while a test runs. */
const long = "1 hour"

/**
 * The tests, over the store of a layer.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = <E>(
  name: string,
  store: Layer.Layer<RateLimiter.RateLimiterStore, E>,
  options?: {
    /** Milliseconds that a test may take. Default 60,000. */
    readonly timeout?: number | undefined
  }
): void => {
  const timeout = options?.timeout ?? 60_000
  // A busy machine is no store that is down.
  const limiters = RateLimiter.layerWith({ storeTimeout: "20 seconds" }).pipe(Layer.provideMerge(store))
  provide(limiters, { excludeTestServices: true })(name, (it) => {
    const test = (
      title: string,
      body: (limiter: Limiter) => Effect.Effect<void, unknown, RateLimiter.RateLimiterStore>
    ) => it.effect(title, () => Effect.flatMap(RateLimiter.RateLimiter, body), timeout)

    test("RL-2 a denied request changes no counter", (limiter) =>
      Effect.gen(function*() {
        const rules = [
          tokenBucket({ limit: 5, window: long }),
          slidingWindow({ limit: 5, window: long }),
          fixedWindow({ limit: 5, window: long }),
          concurrency({ limit: 5, lease: long })
        ]
        for (const rule of rules) {
          const check = { policy: fresh(rule), key: "k" }
          yield* limiter.consume({ ...check, cost: 3 })
          const denied = yield* Effect.replicateEffect(limiter.consume({ ...check, cost: 3 }), 10)
          assert.deepStrictEqual(new Set(tags(denied)), new Set(["Denied"]))
          assert.deepStrictEqual(yield* remaining(limiter, check), [2])
          assert.strictEqual((yield* limiter.consume({ ...check, cost: 2 }))._tag, "Allowed")
        }
      }))

    test("RL-3 nine rules over three scopes are taken together or not at all", (limiter) =>
      Effect.gen(function*() {
        const rules = (limit: number) => [
          tokenBucket({ limit, window: long }),
          slidingWindow({ limit, window: long }),
          fixedWindow({ limit, window: long })
        ]
        const checks = [
          { policy: fresh(...rules(10)), key: "alice" },
          { policy: fresh(...rules(20)), key: "acme" },
          { policy: fresh(...rules(3)), key: "all" }
        ]
        assert.deepStrictEqual(tags(yield* Effect.replicateEffect(limiter.consume(checks), 5)), [
          "Allowed",
          "Allowed",
          "Allowed",
          "Denied",
          "Denied"
        ])
        for (const [index, expected] of [7, 17, 0].entries()) {
          assert.deepStrictEqual(yield* remaining(limiter, checks[index]!), [expected, expected, expected])
        }
      }))

    test("RL-6 waiting as long as told succeeds, and a cost above the capacity never will", (limiter) =>
      Effect.gen(function*() {
        const rules = [
          tokenBucket({ limit: 10, window: "2 seconds", burst: 1 }),
          slidingWindow({ limit: 1, window: "200 millis" }),
          fixedWindow({ limit: 1, window: "200 millis" }),
          leakyBucket({ limit: 10, window: "2 seconds" }),
          concurrency({ limit: 1, lease: "200 millis" })
        ]
        for (const rule of rules) {
          const check = { policy: fresh(rule), key: "k" }
          assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
          // On a busy machine the second may come so late that there is room for it, too.
          const denied = yield* Effect.repeat(limiter.consume(check), {
            until: (decision) => decision._tag === "Denied",
            times: 20
          })
          if (denied._tag !== "Denied") return assert.fail(`${rule.algorithm}: ${denied._tag}`)
          const millis = Duration.toMillis(denied.retryAfter)
          assert.isTrue(millis > 0 && millis <= 200, `${rule.algorithm}: ${millis}`)
          // A millisecond more: this process's timer and the store's clock do not tick together.
          yield* Effect.sleep(millis + 1)
          assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed", rule.algorithm)
          assert.deepInclude(yield* limiter.consume({ ...check, cost: 11 }), { _tag: "Denied", never: true })
        }
      }))

    test("RL-5 windows up to 2^53 milliseconds and fractions of a cost lose nothing", (limiter) =>
      Effect.gen(function*() {
        for (const window of [25 * 86_400_000, 365.25 * 86_400_000, 2 ** 53 - 1]) {
          for (const make of [tokenBucket, slidingWindow, fixedWindow]) {
            const check = { policy: fresh(make({ limit: 1, window, unit: "cost" })), key: "k", cost: 0.1 }
            assert.strictEqual(yield* admitted(limiter, check, 12, 1), 10, `${make.name} ${window}`)
            const { rules } = yield* limiter.peek(check)
            assert.closeTo(rules[0]!.remaining, 0, 0.001)
          }
        }
      }))

    test("a leaky bucket gives places in its queue, evenly apart", (limiter) =>
      Effect.gen(function*() {
        const check = { policy: fresh(leakyBucket({ limit: 1, window: long, queue: 3 })), key: "k" }
        const decisions = yield* Effect.replicateEffect(limiter.consume(check), 5)
        const hours = decisions.map((decision) =>
          decision._tag === "Allowed" ? Math.round(Duration.toHours(decision.delay)) : decision._tag
        )
        assert.deepStrictEqual(hours, [0, 1, 2, 3, "Denied"])
      }))

    test("RL-12 keys stay apart whatever they hold, and one can be reset alone", (limiter) =>
      Effect.gen(function*() {
        const one = fresh(tokenBucket({ limit: 1, window: long }), concurrency({ limit: 1, lease: long }))
        for (const key of awkwardKeys) {
          const label = JSON.stringify(key.slice(0, 20))
          assert.strictEqual((yield* limiter.consume({ policy: one, key }))._tag, "Allowed", label)
          assert.strictEqual((yield* limiter.consume({ policy: one, key }))._tag, "Denied", label)
        }
        for (const reset of ["*", "{a}", "\0"]) {
          yield* limiter.reset({ policy: one, key: reset })
          for (const key of awkwardKeys) {
            const { _tag } = yield* limiter.peek({ policy: one, key })
            assert.strictEqual(_tag, key === reset ? "Allowed" : "Denied", JSON.stringify(key.slice(0, 20)))
          }
          yield* limiter.consume({ policy: one, key: reset })
        }
      }))

    test("block refuses a key until it is over or lifted, and no other", (limiter) =>
      Effect.gen(function*() {
        const check = { policy: fresh(tokenBucket({ limit: 9, window: long })), key: "k" }
        yield* limiter.block(check, long)
        const denied = yield* limiter.consume(check)
        assert.deepInclude(denied, { _tag: "Denied", rule: "block", reason: "Blocked" })
        assert.isTrue(denied._tag === "Denied" && Duration.toMinutes(denied.retryAfter) > 58)
        assert.strictEqual((yield* limiter.consume({ ...check, key: "other" }))._tag, "Allowed")
        yield* limiter.block(check, 0)
        assert.deepStrictEqual(yield* remaining(limiter, check), [9])
        yield* limiter.block(check, "50 millis")
        yield* Effect.sleep("60 millis")
        assert.strictEqual((yield* limiter.consume(check))._tag, "Allowed")
      }))

    test("RL-8 a reservation holds its estimate, settles once, and comes back after a failure", (limiter) =>
      Effect.gen(function*() {
        for (const make of [tokenBucket, slidingWindow, fixedWindow]) {
          const check = { policy: fresh(make({ limit: 100, window: "1000 days", unit: "tokens" })), key: "k" }
          const left = Effect.map(remaining(limiter, check), ([left]) => Math.round(left!))
          yield* Effect.scoped(Effect.gen(function*() {
            const first = yield* limiter.reserve(check, { estimate: 60 })
            const second = yield* limiter.reserve(check, { estimate: 30 })
            assert.strictEqual(yield* left, 10)
            assert.strictEqual((yield* limiter.consume({ ...check, cost: 11 }))._tag, "Denied")
            yield* first.settle(25)
            assert.strictEqual(yield* left, 45)
            yield* first.settle(60)
            yield* second.settle(35)
          }))
          assert.strictEqual(yield* left, 40)
          yield* Effect.exit(Effect.scoped(Effect.andThen(limiter.reserve(check, { estimate: 40 }), Effect.fail("no"))))
          assert.strictEqual(yield* left, 40)
        }
      }))

    test("RL-8 what nobody renews comes back when its lease is over, and settling it late still charges", (limiter) =>
      Effect.gen(function*() {
        const check = { policy: fresh(fixedWindow({ limit: 10, window: long, unit: "tokens" })), key: "k" }
        const store = yield* RateLimiter.RateLimiterStore
        const rule = check.policy.rules[0]!
        const place = { table: rule.table, key: "k", policy: check.policy.name, shape: rule.shape }
        const entry = { ...place, cost: 8 * rule.shape.scale, shadow: false, lease: 100 }
        const reply = yield* store.decide({ entries: [entry], subjects: [], peek: false, hold: "h" })
        assert.isTrue(reply.allowed)
        assert.deepStrictEqual(yield* remaining(limiter, check), [2])
        yield* Effect.sleep("110 millis")
        assert.deepStrictEqual(yield* remaining(limiter, check), [10])
        const settlement = { hold: "h", entries: [{ ...place, charge: 5 * rule.shape.scale }], renew: undefined }
        assert.isFalse(yield* store.settle({ ...settlement, force: false }))
        assert.deepStrictEqual(yield* remaining(limiter, check), [10])
        assert.isFalse(yield* store.settle({ ...settlement, force: true }))
        assert.deepStrictEqual(yield* remaining(limiter, check), [5])
      }))

    test("RL-10 leases are held while the work runs, longer than they last, and end with it", (limiter) =>
      Effect.gen(function*() {
        const check = { policy: fresh(concurrency({ limit: 2, lease: "300 millis" })), key: "k" }
        let running = 0
        let most = 0
        const work = limiter.limit(check, { maxWait: "30 seconds" })(Effect.acquireUseRelease(
          Effect.sync(() => most = Math.max(most, ++running)),
          () => Effect.sleep("20 millis"),
          () => Effect.sync(() => running--)
        ))
        yield* Effect.all(Array.from({ length: 12 }, () => work), { concurrency: "unbounded" })
        assert.strictEqual(most, 2)
        assert.deepStrictEqual(yield* remaining(limiter, check), [2])
        const fiber = yield* Effect.forkChild(limiter.limit(check)(Effect.sleep("900 millis")))
        yield* Effect.sleep("700 millis")
        assert.deepStrictEqual(yield* remaining(limiter, check), [1])
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(yield* remaining(limiter, check), [2])
      }))

    test("RL-10 interruptions at any time leave nothing held", (limiter) =>
      Effect.gen(function*() {
        const check = { policy: fresh(concurrency({ limit: 5, lease: long })), key: "k" }
        for (let round = 0; round < 20; round++) {
          const fibers = yield* Effect.forEach(
            Array.from({ length: 10 }),
            () => Effect.forkChild(limiter.limit(check, { maxWait: "10 seconds" })(Effect.sleep("5 millis")))
          )
          for (const fiber of fibers) {
            yield* Effect.sleep(Math.floor(Math.random() * 3))
            yield* Fiber.interrupt(fiber)
          }
        }
        assert.deepStrictEqual(yield* remaining(limiter, check), [5])
      }))

    test("RL-16 under contention a limit is reached exactly and never exceeded", (limiter) =>
      Effect.gen(function*() {
        const one = fresh(
          fixedWindow({ limit: 100, window: long }),
          slidingWindow({ limit: 150, window: long }),
          tokenBucket({ limit: 200, window: "1000 days" })
        )
        const other = fresh(tokenBucket({ limit: 300, window: "1000 days" }))
        const both = [{ policy: one, key: "k" }, { policy: other, key: "k" }]
        // Two orders of the same keys: a store that locks them in the order they come in would lock up.
        const counts = yield* Effect.all([
          admitted(limiter, both, 150, 32),
          admitted(limiter, both.toReversed(), 150, 32)
        ], { concurrency: "unbounded" })
        assert.strictEqual(counts[0] + counts[1], 100)
        assert.deepStrictEqual(yield* remaining(limiter, both[0]!), [0, 50, 100])
        assert.deepStrictEqual(yield* remaining(limiter, both[1]!), [200])
      }))

    it.effect.prop(
      "decides any history of requests as the store in memory does",
      {
        kind: integerBetween(0, 3),
        limit: integerBetween(1, 20),
        events: Schema.Array(Schema.Struct({
          what: Schema.Literals(["consume", "reserve", "settle", "release", "peek", "reset"]),
          cost: integerBetween(0, 8),
          key: integerBetween(0, 1)
        })).check(Schema.isMaxLength(25))
      },
      ({ events, kind, limit }) =>
        Effect.gen(function*() {
          // Windows so long that time makes no difference.
          const window = "10000 days"
          const make = [
            () => tokenBucket({ limit, window }),
            () => slidingWindow({ limit, window }),
            () => fixedWindow({ limit, window }),
            () => leakyBucket({ limit, window })
          ][kind]!
          const both = fresh(make(), concurrency({ limit: 12, lease: long }))
          const replay = Effect.scoped(Effect.gen(function*() {
            const limiter = yield* RateLimiter.RateLimiter
            const reservations: Array<RateLimiter.Reservation> = []
            const said: Array<string> = []
            for (const { cost, key, what } of events) {
              const check = { policy: both, key: `${key}`, cost }
              const tell = (tag: string, { rules }: RateLimiter.Decision) =>
                said.push(`${tag} ${rules.map(({ remaining }) => remaining).join(" ")}`)
              switch (what) {
                case "consume":
                case "peek": {
                  const decision = yield* limiter[what](check)
                  tell(decision._tag, decision)
                  break
                }
                case "reserve": {
                  const exit = yield* Effect.exit(limiter.reserve(check))
                  if (Exit.isSuccess(exit)) reservations.push(exit.value)
                  said.push(exit._tag)
                  break
                }
                case "settle":
                case "release": {
                  const reservation = reservations.shift()
                  if (reservation !== undefined) yield* reservation.settle(what === "settle" ? cost : 0)
                  break
                }
                case "reset":
                  yield* limiter.reset(check)
              }
            }
            return said
          }))
          const here = yield* replay
          const memory = yield* Effect.provide(
            replay,
            RateLimiter.layer.pipe(Layer.provide(Layer.fresh(RateLimiter.layerStoreMemory()))),
            { local: true }
          )
          assert.deepStrictEqual(here, memory)
        }),
      { arbitrary: { runs: 40 }, timeout }
    )
  })
}

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
