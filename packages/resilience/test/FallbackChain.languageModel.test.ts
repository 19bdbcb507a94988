import { assert, describe, it } from "@effect/vitest"
import * as Deadline from "effect-resilience/Deadline"
import * as Failure from "effect-resilience/Failure"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

/** Counts words, as the scripted provider bills them. */
const tokens = (text: string) => text.split(/\s+/).filter((word) => word !== "").length

const aiError = (reason: AiError.AiErrorReason) => AiError.make({ module: "test", method: "test", reason })
const overloaded = aiError(new AiError.InternalProviderError({ description: "overloaded" }))

/** What the provider does with its next call: fails at once, after so many deltas, or not at all. */
type Script = { readonly failAt?: number | "start" | undefined; readonly error?: AiError.AiError }

interface Bill {
  input: number
  output: number
  calls: number
}

/** A provider that bills the prompt once it begins to answer, and each word as it goes out. */
const provider = (words: ReadonlyArray<string>, next: () => Script = () => ({})) => {
  const bill: Bill = { calls: 0, input: 0, output: 0 }
  const promptOf = ({ prompt }: LanguageModel.ProviderOptions) =>
    tokens(
      prompt.content.map(({ content }) =>
        typeof content === "string" ? content : content.map((part) => part.type === "text" ? part.text : "").join("\n")
      ).join("\n")
    )
  const finish = (input: number): Response.FinishPartEncoded => ({
    type: "finish",
    reason: "stop",
    usage: {
      inputTokens: { total: input, uncached: undefined, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: words.length, text: undefined, reasoning: undefined }
    }
  })
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: (options) =>
        Effect.suspend((): Effect.Effect<Array<Response.PartEncoded>, AiError.AiError> => {
          bill.calls++
          const { error = overloaded, failAt } = next()
          if (failAt !== undefined) return Effect.fail(error)
          const input = promptOf(options)
          bill.input += input
          bill.output += words.length
          const text = options.responseFormat.type === "json"
            ? JSON.stringify({ answer: words.length })
            : words.join(" ")
          return Effect.succeed([{ type: "text", text }, finish(input)])
        }),
      streamText: (options) =>
        Stream.suspend((): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> => {
          bill.calls++
          const { error = overloaded, failAt } = next()
          if (failAt === "start") return Stream.fail(error)
          const input = promptOf(options)
          const deltas = words.slice(0, failAt).map((word): Response.StreamPartEncoded => ({
            type: "text-delta",
            id: "0",
            delta: `${word} `
          }))
          const parts: ReadonlyArray<Response.StreamPartEncoded> = [
            { type: "text-start", id: "0" },
            ...deltas,
            ...(failAt === undefined ? [{ type: "text-end", id: "0" } as const, finish(input)] : [])
          ]
          return Stream.fromIterable(parts).pipe(
            Stream.rechunk(1),
            Stream.tap((part) =>
              Effect.sync(() => {
                if (part.type === "text-start") bill.input += input
                if (part.type === "text-delta") bill.output++
              })
            ),
            failAt === undefined ? (all) => all : Stream.concat(Stream.fail(error))
          )
        })
    })
  )
  return { layer, bill }
}

const textOf = <E, R>(stream: Stream.Stream<Response.AnyPart, E, R>) =>
  Effect.map(
    Stream.runCollect(stream),
    (parts) => parts.map((part) => part.type === "text-delta" ? part.delta : "").join("").trim()
  )

const chainOf = (
  ...routes: ReadonlyArray<readonly [string, ReturnType<typeof provider>, FallbackChain.RouteOptions?]>
) => {
  const [first, ...rest] = routes.map(([name, { layer }, options]) => FallbackChain.route(name, layer, options))
  return FallbackChain.make("llm", [first!, ...rest])
}

const down = () => ({ failAt: "start" as const })

describe("FallbackChain.languageModel", () => {
  it.effect("every caller of LanguageModel gets the chain: text, objects and streams", () =>
    Effect.gen(function*() {
      const chain = yield* chainOf(["a", provider(["no"], down)], ["b", provider(["one", "two"])])
      const [results, served] = yield* Effect.gen(function*() {
        const text = (yield* LanguageModel.generateText({ prompt: "why so?" })).text
        const object = (yield* LanguageModel.generateObject({
          prompt: "why?",
          schema: Schema.Struct({ answer: Schema.Finite })
        })).value
        return [text, object, yield* textOf(LanguageModel.streamText({ prompt: "why?" }))]
      }).pipe(Effect.provide(FallbackChain.languageModel(chain, { tokens })), FallbackChain.withServed)
      assert.deepStrictEqual(results, ["one two", { answer: 2 }, "one two"])
      assert.deepStrictEqual(served.map(({ degraded, route }) => [route, degraded]), [
        ["b", true],
        ["b", true],
        ["b", true]
      ])
      const { routes } = yield* chain.ledger
      assert.deepStrictEqual([routes["b"]!.input, routes["b"]!.output], [4, 6])
    }))

  it.effect("FB-1 goes by the reasons of AiError", () =>
    Effect.gen(function*() {
      const reasons: ReadonlyArray<readonly [AiError.AiErrorReason, string]> = [
        [new AiError.RateLimitError({ retryAfter: Duration.seconds(9) }), "short"],
        [new AiError.QuotaExhaustedError({}), "short"],
        [new AiError.AuthenticationError({ kind: "InvalidKey" }), "short"],
        [new AiError.InternalProviderError({ description: "oops" }), "short"],
        [new AiError.ContentPolicyError({ description: "no" }), "bold"],
        [new AiError.InvalidRequestError({ description: "maximum context length is 10 tokens" }), "long"],
        [new AiError.InvalidRequestError({ description: "bad role" }), "stops"]
      ]
      for (const [reason, expected] of reasons) {
        const error = aiError(reason)
        const chain = yield* chainOf(
          ["first", provider([], () => ({ failAt: "start", error })), { contextWindow: 10 }],
          ["short", provider(["short"]), { contextWindow: 10 }],
          ["bold", provider(["bold"]), { contextWindow: 10, takesRefused: true }],
          ["long", provider(["long"]), { contextWindow: 1_000 }]
        )
        const layer = FallbackChain.languageModel(chain, { tokens })
        const answer = Effect.map(LanguageModel.generateText({ prompt: "why?" }), ({ text }) => text)
        const exit = yield* Effect.exit(Effect.provide(answer, layer))
        const expectedExit: Exit.Exit<string, AiError.AiError> = expected === "stops"
          ? Exit.fail(error)
          : Exit.succeed(expected)
        assert.deepStrictEqual(exit, expectedExit, reason._tag)
      }
    }))

  it.effect("a prompt that no route can take is said before anybody is asked", () =>
    Effect.gen(function*() {
      const a = provider(["a"])
      const b = provider(["b"])
      const chain = yield* chainOf(["a", a, { contextWindow: 2 }], ["b", b, { contextWindow: 4 }])
      const layer = FallbackChain.languageModel(chain, { tokens })
      const ask = (prompt: string) => Effect.provide(LanguageModel.generateText({ prompt }), layer)
      assert.strictEqual((yield* ask("one two three")).text, "b")
      const error = yield* Effect.flip(ask("one two three four five"))
      assert.isTrue(AiError.isAiError(error))
      assert.include(error.message, "a: not asked (ContextWindow); b: not asked (ContextWindow)")
      assert.deepStrictEqual([a.bill.calls, b.bill.calls], [0, 1])
    }))

  it.effect("when no route answered it is an AiError of the same kind, with all attempts in its cause", () =>
    Effect.gen(function*() {
      const limited = aiError(new AiError.RateLimitError({ retryAfter: Duration.seconds(9) }))
      const chain = yield* chainOf(["a", provider([], () => ({ failAt: "start", error: limited }))])
      const layer = FallbackChain.languageModel(chain)
      const error = yield* Effect.flip(Effect.provide(LanguageModel.generateText({ prompt: "why?" }), layer))
      assert.strictEqual(error.reason._tag, "RateLimitError")
      const { code, kind, retryAfter } = yield* Failure.classify(error)
      assert.deepStrictEqual([kind, code, Duration.toSeconds(retryAfter!)], ["RateLimited", "FallbackExhausted", 9])
      assert.isTrue(FallbackChain.isFallbackExhausted(error.cause))
    }))

  it.effect("an error of the caller's own tool is no failure of a route", () =>
    Effect.gen(function*() {
      class ToolBroke extends Schema.TaggedError<ToolBroke>()("ToolBroke", {}) {}
      const tools = Toolkit.make(
        Tool.make("lookup", { success: Schema.String, failure: ToolBroke, parameters: Schema.Struct({}) })
      )
      const calling = (name: string) => {
        let calls = 0
        const layer = Layer.effect(
          LanguageModel.LanguageModel,
          LanguageModel.make({
            generateText: () =>
              Effect.sync((): Array<Response.PartEncoded> => {
                calls++
                return [{ type: "tool-call", id: name, name: "lookup", params: {} }]
              }),
            streamText: () => Stream.empty
          })
        )
        return { route: FallbackChain.route(name, layer), calls: () => calls }
      }
      const [a, b] = [calling("a"), calling("b")]
      const chain = yield* FallbackChain.make("llm", [a.route, b.route])
      const error = yield* LanguageModel.generateText({ prompt: "why?", toolkit: tools }).pipe(
        Effect.flip,
        Effect.provide([
          tools.toLayer({ lookup: () => Effect.fail(new ToolBroke()) }),
          FallbackChain.languageModel(chain)
        ])
      )
      assert.strictEqual(error._tag, "ToolBroke")
      assert.deepStrictEqual([a.calls(), b.calls()], [1, 0])
    }))

  it.effect("FB-2 a stream that fails at any delta says nothing twice and mixes nothing", () =>
    Effect.gen(function*() {
      const words = ["one", "two", "three"]
      for (const failAt of ["start", 0, 1, 2, 3] as const) {
        const chain = yield* chainOf(["a", provider(words, () => ({ failAt }))], ["b", provider(["other"])])
        const layer = FallbackChain.languageModel(chain, { tokens })
        const heard: Array<string> = []
        const exit = yield* Effect.exit(
          Stream.runForEach(Stream.provide(LanguageModel.streamText({ prompt: "why?" }), layer), (part) =>
            Effect.sync(() => {
              if (part.type === "text-delta") {
                heard.push(part.delta.trim())
              }
            }))
        )
        // Before the first word there is only an opening, which is held back.
        if (failAt === "start" || failAt === 0) {
          assert.deepStrictEqual([heard, exit], [["other"], Exit.void])
        } else {
          assert.deepStrictEqual(heard, words.slice(0, failAt))
          assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === overloaded)
        }
      }
    }))

  it.effect(
    "FB-7 the ledger is the provider's bill over 10,000 mixed, aborted and retried streams",
    () =>
      Effect.gen(function*() {
        const random = yield* Random.Random
        const integer = (below: number) => Math.floor(random.nextDoubleUnsafe() * below)
        const script = (rate: number) => (): Script => {
          if (random.nextDoubleUnsafe() >= rate) return {}
          return { failAt: random.nextDoubleUnsafe() < 0.3 ? "start" : integer(6) }
        }
        const words = ["a", "b", "c", "d", "e"]
        const a = provider(words, script(0.5))
        const b = provider(words, script(0.1))
        const free = FallbackChain.make("llm", [
          FallbackChain.route("a", a.layer, { cost: { input: 1, output: 2 }, retry: Schedule.recurs(1) }),
          FallbackChain.route("b", b.layer, { cost: { input: 3, output: 4 } })
        ], { cooldown: Schedule.spaced(0) })
        const chain = yield* free
        const layer = FallbackChain.languageModel(chain, { tokens })
        yield* Effect.gen(function*() {
          for (let call = 0; call < 10_000; call++) {
            const prompt = Array.from({ length: 1 + integer(5) }, (_, n) => `word${n}`).join(" ")
            const kind = integer(10)
            const once = kind === 0
              ? LanguageModel.generateText({ prompt })
              : kind < 4
              ? Stream.runDrain(Stream.take(LanguageModel.streamText({ prompt }), integer(7)))
              : Stream.runDrain(LanguageModel.streamText({ prompt: [{ role: "user", content: prompt }] }))
            yield* Effect.exit(once)
          }
        }).pipe(Effect.provide(layer))
        const { routes } = yield* chain.ledger
        const figures = (name: "a" | "b") => [routes[name]!.input, routes[name]!.output]
        assert.deepStrictEqual(figures("a"), [a.bill.input, a.bill.output])
        assert.deepStrictEqual(figures("b"), [b.bill.input, b.bill.output])
        assert.isAbove(b.bill.calls, 500)
        const { cost } = routes["a"]!
        assert.approximately(cost, (a.bill.input + 2 * a.bill.output) / 1_000_000, 1e-9)
      }).pipe(Random.withSeed("ledger"), Effect.provide(TestClock.layer())),
    60_000
  )

  it.effect("the deadline of the call counts, not one that the layer was built under", () =>
    Effect.gen(function*() {
      const limited = aiError(new AiError.RateLimitError({ retryAfter: Duration.seconds(5) }))
      const a = provider(["a"], () => a.bill.calls === 1 ? { failAt: "start", error: limited } : {})
      const chain = yield* chainOf(["a", a])
      const context = yield* Deadline.within(Layer.build(FallbackChain.languageModel(chain)), "1 second")
      const fiber = yield* Effect.forkChild(
        LanguageModel.generateText({ prompt: "why?" }).pipe(
          Effect.provideService(LanguageModel.LanguageModel, Context.get(context, LanguageModel.LanguageModel)),
          Deadline.within("10 seconds")
        )
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).text, "a")
    }))

  it.effect("a prompt that can be read once only reaches every route", () =>
    Effect.gen(function*() {
      const b = provider(["b"])
      const chain = yield* chainOf(["a", provider([], down)], ["b", b])
      const once = function*(): Generator<Prompt.MessageEncoded> {
        yield { role: "user", content: "three words here" }
      }
      const layer = FallbackChain.languageModel(chain, { tokens })
      yield* Effect.provide(LanguageModel.generateText({ prompt: once() }), layer)
      assert.strictEqual(b.bill.input, 3)
    }))
})
