import { assert, describe, it } from "@effect/vitest"
import * as CircuitBreaker from "effect-resilience/CircuitBreaker"
import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import * as Deadline from "effect-resilience/Deadline"
import * as Failure from "effect-resilience/Failure"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Policy from "effect-resilience/Policy"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Signal from "effect-resilience/Signal"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const services = Layer.merge(
  CircuitBreaker.layerStoreMemory,
  Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory())
)

const forkNow = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

const failureOf = <A, E>(exit: Exit.Exit<A, E>): E => {
  const error = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : undefined
  if (error?._tag !== "Some") throw new Error(`no failure: ${String(exit)}`)
  return error.value
}

/** The problems of a text, as lines. */
const problems = (text: string) =>
  Effect.map(
    Effect.flip(Policy.parse(text)),
    (error) => error.problems.map(({ message, path }) => `${path}: ${message}`).toSorted()
  )

const everything = `
# Everything that there is.
policies:
  chat:
    deadline: 30 seconds
    fallback:
      routes: [openai, { policy: local, cost: 1, quality: 3, priority: 9 }]
      order: priority
      cooldown: { base: 5 seconds, factor: 2, cap: 5 minutes }
      haltFor: 1 hour
      maxWait: 2 seconds
      budget: { limit: 100, window: 1 day, warnAt: 0.8, denyAt: 1.2 }
  openai:
    deadline: { total: 20 seconds, call: 9 seconds, attempt: 3 seconds }
    retry:
      times: 2
      kinds:
        Transient: { base: 100 millis, cap: 5 seconds, factor: 2, jitter: full }
        RateLimited: { base: 1 second }
      retryAfterCap: 20 seconds
      budget: { rule: ratio, ratio: 0.2, floor: 10, window: 10 seconds }
    breaker:
      trip:
        kind: anyOf
        rules:
          - { kind: consecutive, failures: 5 }
          - { kind: failureRate, threshold: 0.5, window: 30 seconds, minimumCalls: 10 }
          - { kind: slowCallRate, threshold: 0.9, slowerThan: 5 seconds, window: { calls: 100 } }
      openFor: { base: 30 seconds, cap: 5 minutes }
      maxOpenFor: 5 minutes
      halfOpen: { probes: 2, required: 0.5, deadline: 10 seconds, onDeadline: Open }
      recovery: { fractions: [0.1, 0.5], every: 5 seconds }
      inFlight: { maxWhileUnhealthy: 20 }
      shadow: false
      capacity: 100
      idleTimeToLive: 1 hour
    bulkhead: { limit: 50, queue: 100, maxWait: 2 seconds, order: fifo }
    limit:
      rules:
        - { algorithm: slidingWindow, limit: 500, window: 1 minute }
        - { algorithm: tokenBucket, name: tokens, unit: tokens, limit: 90000, window: 1 minute, burst: 9000 }
        - { algorithm: fixedWindow, name: day, limit: 10000, window: 1 day, align: clock, shadow: true }
        - { algorithm: leakyBucket, name: smooth, limit: 100, window: 1 second, queue: 5, onStoreError: closed }
        - { algorithm: concurrency, limit: 60, lease: 30 seconds, onStoreError: { share: 0.25 }, onUnknownCost: 1 }
      maxWait: 1 second
      maxQueue: 10
    hedge: { delay: { quantile: 0.95, window: 1000, minimumCalls: 20, initial: 2 seconds }, max: 1, maxExtraLoad: 0.1 }
    idempotent: true
  local:
    hedge: { delay: 50 millis }
    retry: { budget: { rule: tokens, capacity: 100, retryCost: 5 } }
  other:
    retry: { budget: { rule: inFlight, ratio: 0.1, minimum: 2 } }
  last:
    retry: { budget: { rule: unlimited } }
`

describe("Policy.parse", () => {
  it.effect("reads all there is, and the same from JSON", () =>
    Effect.gen(function*() {
      const fromYaml = yield* Policy.parse(everything)
      assert.deepStrictEqual(Object.keys(fromYaml.policies), ["chat", "openai", "local", "other", "last"])
      assert.deepStrictEqual(fromYaml.policies["chat"]!.deadline, Duration.seconds(30))
      const json = JSON.stringify(Schema.encodeSync(Policy.Document)(fromYaml), undefined, "\t")
      assert.deepStrictEqual(yield* Policy.parse(json), fromYaml)
      const policies = yield* Policy.fromText(json)
      assert.deepStrictEqual(yield* policies.run("openai", Effect.succeed(1), { cost: { tokens: 10 } }), 1)
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("tells every problem with its path, at once", () =>
    Effect.gen(function*() {
      const found = yield* problems(`
policies:
  one:
    deadline: { total: -1 second, call: .nan, attempt: 5 }
    bulkhed: {}
    retry: { times: -1, kinds: { Permanent: { base: 1 second }, Timeout: { base: 0 millis } } }
    breaker:
      trip: { kind: failureRate, threshold: .nan, window: 30 seconds }
      openFor: Infinity
      maxOpenFor: soon
  two:
    limit: { rules: [{ algorithm: slidingWindow, limit: .inf, window: 1 minute }, { algorithm: guess }] }
    hedge: { delay: 1 second, max: 1.5 }
    cache: { binding: x, capacity: 10 }
    idempotent: yes
`)
      const paths = [...new Set(found.map((line) => line.slice(0, line.indexOf(": "))))]
      assert.deepStrictEqual(paths, [
        "policies.one.breaker.maxOpenFor",
        "policies.one.breaker.openFor",
        "policies.one.breaker.trip.threshold",
        "policies.one.bulkhed",
        "policies.one.deadline.attempt",
        "policies.one.deadline.call",
        "policies.one.deadline.total",
        "policies.one.retry.kinds.Permanent",
        "policies.one.retry.kinds.Timeout.base",
        "policies.one.retry.times",
        "policies.two.cache.ttl",
        "policies.two.hedge.max",
        "policies.two.idempotent",
        "policies.two.limit.rules[0].limit",
        "policies.two.limit.rules[1]"
      ])
    }))

  it.effect("refuses what cannot be read, is empty, too large, too deep or a bomb", () =>
    Effect.gen(function*() {
      assert.match((yield* problems("policies: {"))[0]!, /^: The document cannot be read: /)
      assert.match((yield* problems("{\"policies\": {"))[0]!, /^: The document cannot be read: /)
      assert.deepStrictEqual(yield* problems("  \n"), [": The document is empty"])
      assert.match((yield* problems("x".repeat(300_000)))[0]!, /^: The document is too large/)
      assert.match((yield* problems("[".repeat(200_000)))[0]!, /^: The document cannot be read: /)
      const bomb = ["a0: &a0 [x, x]", ...Array.from({ length: 60 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}]`)]
      const found = yield* problems([...bomb, "policies: *a60"].join("\n"))
      assert.isAbove(found.length, 60)
      assert.deepStrictEqual(yield* problems("just a word"), [": A document is an object with policies"])
      assert.deepStrictEqual(yield* problems("policies: [1]"), ["policies: A document has policies by name"])
      assert.deepStrictEqual(yield* problems("{ policies: { a: 1, b: }, more: 1 }"), [
        "more: There is no such option",
        "policies.a: A policy is an object",
        "policies.b: A policy is an object"
      ])
    }))

  it.effect("refuses a name that is there twice, in YAML and in JSON", () =>
    Effect.gen(function*() {
      assert.match((yield* problems("policies:\n  a: {}\n  a: {}"))[0]!, /Duplicate key 'a'/)
      assert.match((yield* problems("{\n  \"policies\": { \"a\": {}, \"a\": {} }\n}"))[0]!, /Duplicate key 'a'/)
      assert.match((yield* problems("policies:\n  \"\": {}"))[0]!, /A policy must have a name/)
    }))

  it.effect("refuses routes that are not there, twice there, or lead back", () =>
    Effect.gen(function*() {
      const found = yield* problems(`
policies:
  a: { fallback: { routes: [b, missing, b] } }
  b: { fallback: { routes: [{ policy: c }] } }
  c: { fallback: { routes: [a] } }
  d: { fallback: { routes: [d] } }
  e: { fallback: { routes: [a] } }
`)
      assert.deepStrictEqual(found, [
        "policies.a.fallback.routes[0]: It comes back to itself: a -> b -> c -> a",
        "policies.a.fallback.routes[1]: There is no policy \"missing\"",
        "policies.a.fallback.routes[2]: \"b\" is a route already",
        "policies.b.fallback.routes[0]: It comes back to itself: b -> c -> a -> b",
        "policies.c.fallback.routes[0]: It comes back to itself: c -> a -> b -> c",
        "policies.d.fallback.routes[0]: It comes back to itself: d -> d"
      ])
    }))

  it.effect("hostile names are names", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.fromText(
        "policies:\n  __proto__: { bulkhead: { limit: 1 } }\n  \"a.b c\": { deadline: 1 second }\n"
      )
      assert.deepStrictEqual(yield* policies.run("__proto__", Effect.succeed(1)), 1)
      assert.deepStrictEqual(yield* policies.run("a.b c", Effect.succeed(2)), 2)
      assert.strictEqual((yield* Effect.flip(policies.get("constructor")))._tag, "PolicyNotFound")
      assert.deepStrictEqual(
        (yield* problems("policies: { \"a.b c\": { no: 1 } }")).map((line) => line.split(": ")[0]),
        [
          "policies[\"a.b c\"].no"
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(services)))
})

describe("Policy.fromText", () => {
  it.effect("refuses options that do not go together and names that nothing is bound to", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Policy.fromText(`
policies:
  a:
    breaker:
      trip: { kind: failureRate, window: { calls: 5 }, minimumCalls: 6 }
    limit: { rules: [{ algorithm: slidingWindow, limit: 1, window: 1500 micros }] }
  b: { breaker: { trip: { kind: consecutive, failures: 1 }, openFor: 2 hours, maxOpenFor: 1 hour } }
  c:
    hedge: { delay: { quantile: 0.9, window: 10, minimumCalls: 11 } }
    cache: { binding: replies, ttl: 1 minute, capacity: 10 }
    deadLetter: lost
`))
      assert.deepStrictEqual(error.problems.map(({ path }) => path), [
        "policies.a.breaker",
        "policies.a.limit",
        "policies.b.breaker",
        "policies.c.cache.binding",
        "policies.c.deadLetter",
        "policies.c.hedge"
      ])
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("tells what is wrong with one option beside what is wrong with another", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Policy.fromText(`
policies:
  a:
    deadline: soon
    breaker: { trip: { kind: failureRate, window: { calls: 5 }, minimumCalls: 6 } }
    fallback: { routes: [b] }
    deadLetter: lost
`))
      assert.deepStrictEqual(error.problems.map(({ path }) => path).toSorted(), [
        "policies.a.breaker",
        "policies.a.deadLetter",
        "policies.a.deadline",
        "policies.a.fallback.routes[0]"
      ])
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("what is said is what is done: times, retries, circuits, limits", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.fromText(`
policies:
  slow: { deadline: { attempt: 2 seconds, total: 30 seconds }, retry: { times: 1, kinds: { Timeout: { base: 1 second } } } }
  broken: { breaker: { trip: { kind: consecutive, failures: 2 }, openFor: 10 seconds } }
  narrow: { bulkhead: { limit: 1 } }
  few: { limit: { rules: [{ algorithm: fixedWindow, limit: 1, window: 1 minute }] } }
`)
      let attempts = 0
      const hang = yield* forkNow(policies.run("slow", Effect.suspend(() => (attempts++, Effect.never))))
      yield* TestClock.adjust("10 seconds")
      const late = failureOf(yield* Fiber.await(hang))
      assert.isTrue(Deadline.isDeadlineExceeded(late) && late.scope === "attempt")
      assert.strictEqual(attempts, 2)

      for (let i = 0; i < 2; i++) yield* Effect.exit(policies.run("broken", Effect.fail("no")))
      assert.isTrue(CircuitBreaker.isCircuitOpen(yield* Effect.flip(policies.run("broken", Effect.void))))
      yield* TestClock.adjust("10 seconds")
      yield* policies.run("broken", Effect.void)

      yield* forkNow(policies.run("narrow", Effect.never))
      assert.strictEqual((yield* Effect.flip(policies.run("narrow", Effect.void)))._tag, "BulkheadRejected")
      yield* policies.run("few", Effect.void)
      assert.isTrue(RateLimiter.isRateLimited(yield* Effect.flip(policies.run("few", Effect.void))))
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("a fallback goes along other policies, and the call knows on which it is", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.fromText(`
policies:
  chat: { deadline: 30 seconds, fallback: { routes: [openai, local] } }
  openai: { breaker: { trip: { kind: consecutive, failures: 1 } }, retry: { times: 1, kinds: { Transient: { base: 1 millis } } } }
  local: { bulkhead: { limit: 1 } }
`)
      const asked: Array<string> = []
      const down = { [Failure.symbol]: () => Failure.fromHttpStatus(500) }
      const ask = Effect.flatMap(
        Effect.map(FallbackChain.currentRoute, (route) => route._tag === "Some" ? route.value : "?"),
        (
          route
        ) => {
          asked.push(route)
          return route === "openai" ? Effect.fail(down) : Effect.succeed(`from ${route}`)
        }
      )
      const fiber = yield* forkNow(policies.run("chat", ask))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.succeed("from local"))
      assert.deepStrictEqual(asked, ["openai", "openai", "local"])
      const openai = yield* policies.get("openai")
      assert.strictEqual(yield* Effect.orDie(openai.breaker!.state()), "Open")
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("caches and queues are bound by name", () =>
    Effect.gen(function*() {
      const queue = yield* DeadLetterQueue.make({ name: "lost", schema: Schema.String })
      const policies = yield* Policy.fromText(
        `
policies:
  chat: { cache: { binding: replies, ttl: 1 minute, capacity: 10 }, deadLetter: lost }
`,
        {
          bindings: {
            caches: { replies: { key: (question: string) => Effect.succeed(question), schema: Schema.String } },
            deadLetters: { lost: queue }
          }
        }
      )
      yield* policies.run("chat", Effect.succeed("an answer"), { request: "why?" })
      assert.strictEqual(yield* policies.run("chat", Effect.succeed("another"), { request: "why?" }), "an answer")
      yield* Effect.exit(policies.run("chat", Effect.fail("no"), { letter: "why not?" }))
      yield* Effect.exit(policies.run("chat", Effect.fail("no")))
      assert.strictEqual(yield* queue.count(), 1)
    }).pipe(Effect.scoped, Effect.provide([services, DeadLetterQueue.layerStoreMemory])))

  it.effect("comes from Config as well", () =>
    Effect.gen(function*() {
      const provider = ConfigProvider.fromUnknown({
        app: { policies: { payments: { deadline: { total: "2 seconds" }, bulkhead: { limit: 3 } } } }
      })
      const layer = Policy.layerConfig("app").pipe(
        Layer.provide(ConfigProvider.layer(provider))
      )
      const policy = yield* Effect.provide(Policy.Policies.use((policies) => policies.get("payments")), layer)
      assert.strictEqual((yield* policy.bulkhead()!.state).limit, 3)
    }).pipe(Effect.provide(services)))

  it.effect("explains and lints the document in force", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.fromText(`
policies:
  a: { deadline: 1 second, bulkhead: { limit: 1, queue: 5 } }
  b: { deadline: { total: 9 seconds, attempt: 2 seconds }, retry: {} }
  c: {}
`)
      assert.deepStrictEqual((yield* policies.lint).map(({ at, code }) => [at, code]), [
        ["policies.a.bulkhead.maxWait", "QueueOutlivesDeadline"],
        ["policies.c.c", "Empty"]
      ])
      assert.match(yield* policies.explain, /Policy "a"[\s\S]*Policy "b"[\s\S]*Policy "c"/)
    }).pipe(Effect.scoped, Effect.provide(services)))
})

describe("Policies.replace", () => {
  const document = (limit: number, failures: number) => `
policies:
  api:
    limit: { rules: [{ algorithm: fixedWindow, limit: 100000, window: 1 hour }] }
    breaker: { trip: { kind: consecutive, failures: ${failures} }, openFor: 1 hour }
    bulkhead: { limit: ${limit}, queue: 2000 }
`

  it.effect("keeps circuits, places and what was taken of a limit", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.fromText(document(2, 2))
      const policy = yield* policies.get("api")
      yield* Effect.exit(policy.run(Effect.fail("no"), { key: "ill" }))
      const running = yield* forkNow(policy.run(Effect.never))
      const second = yield* forkNow(policy.run(Effect.never))
      const third = yield* forkNow(policy.run(Effect.succeed("third")))
      assert.deepStrictEqual(yield* policy.bulkhead()!.state, { limit: 2, inFlight: 2, queue: 2000, queued: 1 })

      // Fewer places: nobody is thrown out, and nobody comes in before there is room.
      yield* policies.replace(document(1, 2))
      assert.deepStrictEqual(yield* policy.bulkhead()!.state, { limit: 1, inFlight: 2, queue: 2000, queued: 1 })
      yield* Fiber.interrupt(running)
      assert.isUndefined(third.pollUnsafe())
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(yield* Fiber.await(third), Exit.succeed("third"))

      // The failure of before counts: it is the first of two.
      yield* Effect.exit(policy.run(Effect.fail("no"), { key: "ill" }))
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state("ill")), "Open")
      yield* policies.replace(document(1, 3))
      assert.strictEqual(yield* Effect.orDie(policy.breaker!.state("ill")), "Open")
      const limiter = yield* RateLimiter.RateLimiter
      const { rules } = yield* limiter.peek({
        policy: RateLimiter.policy("api", [RateLimiter.fixedWindow({ limit: 100_000, window: "1 hour" })]),
        key: "default",
        cost: 0
      })
      assert.deepStrictEqual(rules.map(({ remaining }) => remaining), [99_997])
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("more places are given to who waits, at once", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.fromText(document(1, 2))
      yield* forkNow(policies.run("api", Effect.never))
      const waiting = yield* forkNow(policies.run("api", Effect.succeed("served")))
      assert.isUndefined(waiting.pollUnsafe())
      yield* policies.replace(document(2, 2))
      assert.deepStrictEqual(yield* Fiber.await(waiting), Exit.succeed("served"))
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("loses none of 1,000 calls that run and wait meanwhile", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.fromText(document(100, 5))
      const fibers = yield* Effect.forEach(
        Array.from({ length: 1_000 }, (_, n) => n),
        (n) =>
          forkNow(
            policies.run("api", Effect.delay(Effect.succeed(n), 1 + n % 7), { key: n % 2 === 0 ? "even" : "odd" })
          )
      )
      for (let round = 0; round < 60; round++) {
        yield* policies.replace(document(1 + (round * 37) % 150, 2 + round % 3))
        yield* TestClock.adjust("1 millis")
      }
      yield* policies.replace(document(100, 5))
      yield* TestClock.adjust("10 seconds")
      const ends = yield* Effect.forEach(fibers, (fiber) => Fiber.await(fiber))
      assert.deepStrictEqual(ends, Array.from({ length: 1_000 }, (_, n) => Exit.succeed(n)))
      const policy = yield* policies.get("api")
      for (const key of ["even", "odd"]) {
        assert.deepStrictEqual(yield* policy.bulkhead(key)!.state, { limit: 100, inFlight: 0, queue: 2000, queued: 0 })
      }
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("does not interrupt who looks something up in a cache that is made anew", () =>
    Effect.gen(function*() {
      const text = (ttl: string) =>
        `policies: { a: { cache: { binding: replies, ttl: ${ttl}, capacity: 10 }, hedge: { delay: ${ttl} } } }`
      const policies = yield* Policy.fromText(text("1 minute"), {
        bindings: { caches: { replies: { key: (key: string) => Effect.succeed(key), schema: Schema.String } } }
      })
      const running = yield* forkNow(
        policies.run("a", Effect.delay(Effect.succeed("found"), "1 second"), { request: "x" })
      )
      yield* policies.replace(text("2 minutes"))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.await(running), Exit.succeed("found"))
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("refuses a bad document as a whole, and tells", () =>
    Effect.gen(function*() {
      const heard: Array<Signal.Signal> = []
      const policies = yield* Policy.fromText(document(3, 2))
      const listening = Signal.layer((signal) => heard.push(signal))
      const bad = document(9, 2) + "  broken: { deadline: never }\n  worse: { what: 1 }\n"
      const error = yield* Effect.flip(Effect.provide(policies.replace(bad, { source: "PUT /policies" }), listening))
      assert.strictEqual(error.source, "PUT /policies")
      assert.deepStrictEqual(error.problems.map(({ path }) => path), [
        "policies.broken.deadline",
        "policies.worse.what"
      ])
      assert.strictEqual((yield* policies.current).version, 1)
      assert.strictEqual((yield* (yield* policies.get("api")).bulkhead()!.state).limit, 3)
      assert.deepStrictEqual(heard.map((signal) => signal._tag === "PoliciesReloaded" && signal.outcome), ["refused"])
      assert.strictEqual((yield* Effect.flip(policies.check(bad))).problems.length, 2)
      assert.deepStrictEqual(yield* policies.check(document(9, 2)), ["api"])
      assert.strictEqual((yield* policies.current).version, 1)
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("says what changed, and a policy that went and came back has its state", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.fromText(document(3, 1))
      const changes = yield* forkNow(Stream.runCollect(Stream.take(policies.changes, 3)))
      yield* Effect.yieldNow
      const api = yield* policies.get("api")
      yield* Effect.exit(api.run(Effect.fail("no")))
      yield* policies.replace("policies: { other: {} }")
      assert.strictEqual((yield* Effect.flip(policies.get("api")))._tag, "PolicyNotFound")
      yield* policies.replace(document(3, 1))
      yield* policies.replace(document(4, 1))
      assert.isTrue(CircuitBreaker.isCircuitOpen(yield* Effect.flip(api.run(Effect.void))))
      assert.deepStrictEqual(yield* Fiber.join(changes), [
        { version: 2, source: "replace", added: ["other"], changed: [], removed: ["api"] },
        { version: 3, source: "replace", added: ["api"], changed: [], removed: ["other"] },
        { version: 4, source: "replace", added: [], changed: ["api"], removed: [] }
      ])
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("a breaker that has to be made anew finds its circuits", () =>
    Effect.gen(function*() {
      const withBreaker = (more: string) =>
        `policies: { a: { breaker: { trip: { kind: consecutive, failures: 1 }, openFor: 1 hour${more} } } }`
      const policies = yield* Policy.fromText(withBreaker(""))
      yield* Effect.exit(policies.run("a", Effect.fail("no")))
      yield* policies.replace(withBreaker(", shadow: true"))
      yield* policies.run("a", Effect.void)
      yield* policies.replace(withBreaker(", shadow: false"))
      assert.isTrue(CircuitBreaker.isCircuitOpen(yield* Effect.flip(policies.run("a", Effect.void))))
    }).pipe(Effect.scoped, Effect.provide(services)))

  it.effect("does not change the order of a line while calls may wait in it", () =>
    Effect.gen(function*() {
      const policies = yield* Policy.fromText("policies: { a: { bulkhead: { limit: 1 } } }")
      const error = yield* Effect.flip(policies.replace("policies: { a: { bulkhead: { limit: 1, order: lifo } } }"))
      assert.deepStrictEqual(error.problems.map(({ path }) => path), ["policies.a.bulkhead.order"])
    }).pipe(Effect.scoped, Effect.provide(services)))
})
