/** What is answered when models fail, by what they fail with. The models are scripted; the policies are the server's own. */
import { describe, expect, it } from "@effect/vitest"
import * as FallbackChain from "effect-resilience/FallbackChain"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { ask } from "../../src/agents/ask.ts"
import * as Replies from "../../src/agents/replies.ts"
import * as Spending from "../../src/limits/Spending.ts"
import * as policies from "../../src/policies.ts"
import { ModelRoute, Models } from "../../src/providers/Models.ts"
import * as Policies from "../support/policies.ts"

/** What a model does with a call: says some words, and then ends well or fails. */
interface Script {
  readonly words?: ReadonlyArray<string>
  readonly fails?: AiError.AiErrorReason
  readonly contextWindow?: number
}

const finish: Response.FinishPartEncoded = {
  type: "finish",
  reason: "stop",
  usage: {
    inputTokens: { total: 10, uncached: undefined, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: 2, text: undefined, reasoning: undefined }
  }
}

const scripted = ({ fails, words = [] }: Script) => {
  const failing = fails === undefined
    ? undefined
    : AiError.make({ module: "Scripted", method: "any", reason: fails })
  return LanguageModel.make({
    generateText: () =>
      failing === undefined ? Effect.succeed([{ type: "text", text: words.join("") }, finish]) : Effect.fail(failing),
    streamText: () =>
      Stream.fromIterable<Response.StreamPartEncoded>([
        { type: "text-start", id: "0" },
        ...words.map((delta) => ({ type: "text-delta" as const, id: "0", delta }))
      ]).pipe(
        Stream.concat(
          failing === undefined
            ? Stream.fromIterable<Response.StreamPartEncoded>([{ type: "text-end", id: "0" }, finish])
            : Stream.fail(failing)
        )
      )
  })
}

const dependencies = ["llm-primary", "llm-secondary", "llm-anthropic"] as const

/** The chain of these models, and all that asking needs. */
const models = (...scripts: ReadonlyArray<Script>) => {
  const chain = Effect.gen(function*() {
    const routes = yield* Effect.forEach(
      scripts,
      (script, index) =>
        Effect.map(scripted(script), (languageModel) =>
          FallbackChain.route(
            `model-${index}`,
            Context.make(ModelRoute, { languageModel, model: "gpt-4o", dependency: dependencies[index]! }),
            { cost: 1, ...(script.contextWindow === undefined ? {} : { contextWindow: script.contextWindow }) }
          ))
    )
    const [first, ...rest] = routes
    return Models.of({
      chain: yield* FallbackChain.make(
        "llm",
        [first!, ...rest],
        policies.chainOptions(yield* policies.Policies.use(({ now }) => now))
      ),
      preferred: "gpt-4o"
    })
  })
  return Layer.mergeAll(
    Layer.effect(Models, chain),
    Spending.layer,
    Replies.layer
  ).pipe(Layer.provideMerge(Policies.layer))
}

const asking = (message: string, onDelta?: (text: string) => Effect.Effect<void>) =>
  ask(
    { agent: "travel_planner", message, prompt: [{ role: "user", content: message }] },
    { maxRun: Duration.seconds(60), onDelta }
  )

/** Asks while time goes on. */
const answerTo = (...args: Parameters<typeof asking>) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.result(asking(...args)))
    yield* TestClock.adjust("1 minute")
    const result = yield* Fiber.join(fiber)
    return result._tag === "Success" ? result.success : result.failure
  })

const down = new AiError.InternalProviderError({ description: "down" })
const refused = new AiError.ContentPolicyError({ description: "no" })
const tooLong = new AiError.InvalidRequestError({ description: "long", constraint: "context_length" })
const limited = new AiError.RateLimitError({ retryAfter: Duration.minutes(5) })
const wrong = new AiError.InvalidRequestError({ description: "wrong" })

describe("an apology", () => {
  it.effect("says why the turn failed for good; other replies in place of a model's do not", () =>
    Effect.gen(function*() {
      const apology = yield* answerTo("why?")
      expect(apology).toMatchObject({ model: "none", costUsd: 0, served: { route: "static", degraded: true } })
      expect(apology).toMatchObject({ exhausted: { _tag: "FallbackExhausted", chain: "llm" } })
      expect(yield* answerTo("Thank you very much!")).toMatchObject({
        exhausted: undefined,
        served: { route: "pattern", degraded: true }
      })
      const replies = yield* Replies.Replies
      const prompt = [{ role: "user", content: "Why?" }] as const
      yield* replies.set({ agent: "travel_planner", prompt, model: "gpt-4o" }, { text: "Because.", model: "gpt-4o" })
      expect(yield* answerTo("why? ")).toMatchObject({
        text: "Because.",
        exhausted: undefined,
        served: { route: "cache", degraded: true }
      })
    }).pipe(Effect.provide(models({ fails: down }, { fails: down }))))

  it.effect("is passed on as a stream's only bit", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const answer = yield* answerTo("why?", (text) => Effect.sync(() => void heard.push(text)))
      expect(heard).toEqual(["text" in answer ? answer.text : undefined])
    }).pipe(Effect.provide(models({ fails: down }))))

  it.effect("is not for a request that is wrong", () =>
    Effect.gen(function*() {
      const outcome = (...scripts: ReadonlyArray<Script>) => Effect.provide(answerTo("why?"), models(...scripts))
      expect(yield* outcome({ fails: refused }, { words: ["Well"] })).toMatchObject({ _tag: "ReplyRefused" })
      expect(yield* outcome({ fails: down }, { fails: refused })).toMatchObject({ _tag: "ReplyRefused" })
      expect(yield* outcome({ fails: tooLong }, { words: ["Well"] })).toMatchObject({ _tag: "ConversationTooLong" })
      expect(yield* outcome({ contextWindow: 100 })).toMatchObject({ _tag: "ConversationTooLong" })
      expect(yield* outcome({ fails: wrong }, { words: ["Well"] })).toMatchObject({ _tag: "AiError" })
    }))

  it.effect("is for one that another model could have answered, had it been there", () =>
    Effect.gen(function*() {
      const short = { fails: tooLong, contextWindow: 1_000 }
      expect(yield* Effect.provide(answerTo("why?"), models(short, { fails: down, contextWindow: 9_000 })))
        .toMatchObject({
          served: { route: "static" }
        })
      // The longer one rests.
      expect(
        yield* Effect.provide(
          Effect.andThen(answerTo("first"), answerTo("why?")),
          models(short, { fails: limited, contextWindow: 9_000 })
        )
      ).toMatchObject({ served: { route: "static" }, exhausted: { skipped: [{ reason: "Limited" }] } })
      expect(
        yield* Effect.provide(answerTo("why?"), models(short, { words: ["Well"], contextWindow: 9_000 }))
      ).toMatchObject({ text: "Well", served: { route: "model-1", degraded: true } })
    }))
})

describe("FB-2 a stream", () => {
  it.effect("that broke off after its first word is a failure, and nobody else is asked", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const answer = yield* answerTo("why?", (text) => Effect.sync(() => void heard.push(text)))
      expect(answer).toMatchObject({ _tag: "ReplyCutShort" })
      expect(heard).toEqual(["Well", ", "])
      const { chain } = yield* Models
      const { routes } = yield* chain.ledger
      // A prompt of one message is its text and six tokens of frame, and what was heard is a token and a half.
      expect(routes["model-0"]).toMatchObject({ charges: 1, input: 7, output: 2 })
      expect(routes["model-1"]).toMatchObject({ charges: 0 })
    }).pipe(Effect.provide(models({ words: ["Well", ", "], fails: down }, { words: ["Quite so"] }))))

  it.effect("that fails before it goes on with the next model, and both are accounted", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const answer = yield* answerTo("why?", (text) => Effect.sync(() => void heard.push(text)))
      expect(answer).toMatchObject({
        text: "Quite so",
        promptTokens: 10,
        completionTokens: 2,
        served: { route: "model-1", degraded: true, attempts: 4 }
      })
      expect(heard).toEqual(["Quite so"])
      const { routes } = yield* Effect.flatMap(Models, ({ chain }) => chain.ledger)
      expect(routes["model-0"]).toMatchObject({ charges: 3, input: 21, output: 0 })
      expect(routes["model-1"]).toMatchObject({ charges: 1, input: 10, output: 2 })
    }).pipe(Effect.provide(models({ fails: down }, { words: ["Quite so"] }))))

  it.effect("that its reader leaves is charged with what was heard", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(asking("why?", () => Effect.never))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      const { routes } = yield* Effect.flatMap(Models, ({ chain }) => chain.ledger)
      expect(routes["model-0"]).toMatchObject({ charges: 1, input: 7, output: 2 })
    }).pipe(Effect.provide(models({ words: ["Quite so"] }))))
})
