import { assert, describe, it } from "@effect/vitest"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { dependencyFault, type Fault, requestFault } from "./support/routes.ts"

class Talk extends Context.Service<Talk, { readonly say: Stream.Stream<string, Fault> }>()("test/Talk") {}

const say = Stream.unwrap(Effect.map(Talk, (talk) => talk.say))

/** A route that says so many words and then ends, or fails with an error. `live` counts what is open. */
const talker = (name: string, words: number, error?: Fault, options?: FallbackChain.RouteOptions) => {
  const stats = { opened: 0, live: 0 }
  const talk = Stream.range(1, words).pipe(
    Stream.rechunk(1),
    Stream.map((n) => `${name}${n}`),
    (all) => words === 0 ? Stream.empty : all,
    (all) => error === undefined ? all : Stream.concat(all, Stream.fail(error))
  )
  const counted = Stream.scoped(Stream.unwrap(Effect.as(
    Effect.acquireRelease(
      Effect.sync(() => {
        stats.opened++
        stats.live++
      }),
      () => Effect.sync(() => stats.live--)
    ),
    talk
  )))
  return { stats, route: FallbackChain.route(name, Context.make(Talk, { say: counted }), options) }
}

/** What a stream said, and how it ended. */
const heard = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.gen(function*() {
    const elements: Array<A> = []
    const exit = yield* Effect.exit(Stream.runForEach(stream, (element) => Effect.sync(() => elements.push(element))))
    return [elements, exit] as const
  })

const broken = dependencyFault("Transient")

describe("FallbackChain.stream", () => {
  it.effect("FB-2 changes its route before the first element only, and fails with its own error after it", () =>
    Effect.gen(function*() {
      for (let words = 0; words <= 4; words++) {
        const a = talker("a", words, broken)
        const b = talker("b", 2)
        const chain = yield* FallbackChain.make("chain", [a.route, b.route])
        const [elements, exit] = yield* heard(chain.stream(say))
        if (words === 0) {
          assert.deepStrictEqual([elements, exit], [["b1", "b2"], Exit.void])
        } else {
          assert.deepStrictEqual(elements, ["a1", "a2", "a3", "a4"].slice(0, words))
          assert.deepStrictEqual(exit, Exit.fail(broken))
        }
        assert.deepStrictEqual([a.stats.live, b.stats.live], [0, 0])
        assert.strictEqual((yield* chain.states)[0]!.state, "Cooling", "the outage counts wherever it was")
      }
    }))

  it.effect("FB-2 what is no content is held back, and dropped with its route", () =>
    Effect.gen(function*() {
      const a = talker("a", 2, broken)
      const b = talker("b", 3)
      const chain = yield* FallbackChain.make("chain", [a.route, b.route])
      const isContent = (word: string) => !/[12]$/.test(word)
      assert.deepStrictEqual(yield* heard(chain.stream(say, { isContent })), [["b1", "b2", "b3"], Exit.void])
      const all = yield* FallbackChain.make("chain", [talker("c", 2).route])
      assert.deepStrictEqual(yield* heard(all.stream(say, { isContent })), [["c1", "c2"], Exit.void])
    }))

  it.effect("FB-2 restart tells the reader to forget, and begins anew", () =>
    Effect.gen(function*() {
      const chain = yield* FallbackChain.make("chain", [
        talker("a", 2, broken).route,
        talker("b", 1, broken).route,
        talker("c", 3).route
      ])
      const [elements, exit] = yield* heard(
        chain.stream(say, { midStream: "restart", restarted: ({ kind, route }) => `<${route} ${kind}>` })
      )
      assert.deepStrictEqual(elements, ["a1", "a2", "<a Transient>", "b1", "<b Transient>", "c1", "c2", "c3"])
      assert.deepStrictEqual(exit, Exit.void)
    }))

  it.effect("FB-2 continue goes on where the last one was", () =>
    Effect.gen(function*() {
      const chain = yield* FallbackChain.make("chain", [talker("a", 2, broken).route, talker("b", 4).route])
      const resume = (emitted: ReadonlyArray<string>) => Stream.drop(say, emitted.length)
      assert.deepStrictEqual(
        yield* heard(chain.stream(say, { midStream: "continue", resume })),
        [["a1", "a2", "b3", "b4"], Exit.void]
      )
    }))

  it.effect("a wrong request restarts nowhere", () =>
    Effect.gen(function*() {
      const wrong = requestFault("Permanent", { code: "400" })
      const b = talker("b", 2)
      const chain = yield* FallbackChain.make("chain", [talker("a", 1, wrong).route, b.route])
      assert.deepStrictEqual(
        yield* heard(chain.stream(say, { midStream: "restart", restarted: () => "again" })),
        [["a1"], Exit.fail(wrong)]
      )
      assert.strictEqual(b.stats.opened, 0)
    }))

  it.effect("FB-3 an empty stream is an answer", () =>
    Effect.gen(function*() {
      const b = talker("b", 2)
      const chain = yield* FallbackChain.make("chain", [talker("a", 0).route, b.route])
      const [result, served] = yield* FallbackChain.withServed(heard(chain.stream(say)))
      assert.deepStrictEqual(result, [[], Exit.void])
      assert.deepStrictEqual(served.map(({ degraded, route }) => [route, degraded]), [["a", false]])
      assert.strictEqual(b.stats.opened, 0)
    }))

  it.effect("exhausted, it fails with every attempt", () =>
    Effect.gen(function*() {
      const chain = yield* FallbackChain.make("chain", [talker("a", 0, broken).route, talker("b", 0, broken).route])
      const [elements, exit] = yield* heard(chain.stream(say))
      assert.deepStrictEqual(elements, [])
      const error = yield* Effect.flip(exit)
      assert.isTrue(FallbackChain.isFallbackExhausted(error))
      assert.deepStrictEqual((error as FallbackChain.FallbackExhausted).attempts.map(({ route }) => route), ["a", "b"])
    }))

  it.effect("a route's schedule tries it again until its first element, each time closed before", () =>
    Effect.gen(function*() {
      const a = talker("a", 0, broken, { retry: Schedule.recurs(2) })
      const b = talker("b", 1)
      const chain = yield* FallbackChain.make("chain", [a.route, b.route])
      const fiber = yield* Effect.forkChild(heard(chain.stream(say)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [["b1"], Exit.void])
      assert.deepStrictEqual(a.stats, { opened: 3, live: 0 })
    }))

  it.effect("a reader who goes away closes what is open", () =>
    Effect.gen(function*() {
      const a = talker("a", 1_000)
      const chain = yield* FallbackChain.make("chain", [a.route])
      assert.deepStrictEqual(yield* Stream.runCollect(Stream.take(chain.stream(say), 3)), ["a1", "a2", "a3"])
      const fiber = yield* Effect.forkChild(
        Stream.runDrain(Stream.concat(chain.stream(Stream.take(say, 1)), Stream.never))
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(a.stats, { opened: 2, live: 0 })
    }))

  it.effect("runs as often as it is run", () =>
    Effect.gen(function*() {
      const chain = yield* FallbackChain.make("chain", [talker("a", 2).route])
      const stream = chain.stream(say)
      assert.deepStrictEqual(yield* Stream.runCollect(stream), ["a1", "a2"])
      assert.deepStrictEqual(yield* Stream.runCollect(stream), ["a1", "a2"])
    }))
})

const Route = Schema.Struct({
  words: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
  fails: Schema.Boolean
})

describe("FallbackChain.stream over random routes", () => {
  it.effect.prop(
    "FB-2 never says anything twice and never mixes two routes, in any mode",
    { routes: Schema.NonEmptyArray(Route).check(Schema.isMaxLength(5)) },
    ({ routes }) =>
      Effect.gen(function*() {
        const talkers = routes.map(({ fails, words }, index) => talker(`r${index}-`, words, fails ? broken : undefined))
        const [first, ...rest] = talkers.map(({ route }) => route)
        const whole = (index: number, from = 1) =>
          Array.from({ length: Math.max(0, routes[index]!.words - from + 1) }, (_, n) => `r${index}-${n + from}`)
        const make = FallbackChain.make("chain", [first!, ...rest], { cooldown: Schedule.spaced(0) })

        // By default: one route only, from its first word on, and all of it unless it fails.
        const [plain, plainExit] = yield* heard((yield* make).stream(say))
        const answering = routes.findIndex(({ fails, words }) => words > 0 || !fails)
        assert.deepStrictEqual(plain, answering === -1 ? [] : whole(answering))
        assert.strictEqual(Exit.isSuccess(plainExit), answering !== -1 && !routes[answering]!.fails)

        // Restarted: what follows the last mark is one whole answer.
        const [marked, markedExit] = yield* heard(
          (yield* make).stream(say, { midStream: "restart", restarted: () => "mark" })
        )
        const good = routes.findIndex(({ fails }) => !fails)
        assert.strictEqual(Exit.isSuccess(markedExit), good !== -1)
        if (good !== -1) assert.deepStrictEqual(marked.slice(marked.lastIndexOf("mark") + 1), whole(good))

        // Continued: the words are numbered through, whoever says them.
        const resume = (emitted: ReadonlyArray<string>) => Stream.drop(say, emitted.length)
        const [continued] = yield* heard((yield* make).stream(say, { midStream: "continue", resume }))
        assert.deepStrictEqual(
          continued.map((word) => Number(word.split("-")[1])),
          continued.map((_, index) => index + 1)
        )
        for (const { stats } of talkers) assert.strictEqual(stats.live, 0)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 200 } }
  )
})
