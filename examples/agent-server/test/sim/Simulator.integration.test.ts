/** The simulated provider, as the official client of the real one sees it, and as it bills. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import OpenAI from "openai"
import * as Faults from "../../src/sim/faults.ts"
import * as Simulator from "../../src/sim/Simulator.ts"
import { quick, simulated } from "../support/simulated.ts"

const setUp = (faults: Faults.FaultsPatch = {}) =>
  Effect.gen(function*() {
    const simulator = yield* Simulator.Simulator
    yield* simulator.change({ "llm-primary": { ...quick, ...faults } })
    const client = new OpenAI({
      baseURL: simulator.baseUrl("llm-primary"),
      apiKey: "any",
      maxRetries: 0,
      timeout: 1000
    })
    return { simulator, client }
  })

const messages = [
  { role: "system" as const, content: "You are a travel planner." },
  { role: "user" as const, content: "Lisbon" }
]

const request = { model: "gpt-4o", messages }

describe("the official client", () => {
  it.live("reads a reply, whole and streamed, and the usage of both is the ledger's", () =>
    simulated(Effect.gen(function*() {
      const { client, simulator } = yield* setUp()
      const whole = yield* Effect.promise(() => client.chat.completions.create(request))
      expect(whole.object).toBe("chat.completion")
      expect(whole.choices[0]?.finish_reason).toBe("stop")
      expect(whole.choices[0]?.message.content).toContain("Lisbon")

      const streamed = yield* Effect.promise(async () => {
        const chunks = await client.chat.completions.create({
          ...request,
          stream: true,
          stream_options: { include_usage: true }
        })
        const collected = []
        for await (const chunk of chunks) collected.push(chunk)
        return collected
      })
      expect(streamed.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("")).toBe(
        whole.choices[0]?.message.content
      )
      expect(streamed.at(-1)?.usage).toEqual(whole.usage)
      expect(streamed.at(-2)?.choices[0]?.finish_reason).toBe("stop")

      const ledger = yield* simulator.ledger("llm-primary")
      expect(ledger).toEqual({
        calls: 2,
        answered: 2,
        refused: 0,
        brokenOff: 0,
        promptTokens: 2 * (whole.usage?.prompt_tokens ?? 0),
        completionTokens: 2 * (whole.usage?.completion_tokens ?? 0),
        audioMillis: 0,
        characters: 0
      })
      const models = yield* Effect.promise(() => client.models.list())
      expect(models.data.map(({ id }) => id)).toContain("gpt-4o")
    })))

  it.live("gets its typed errors for the faults", () =>
    simulated(Effect.gen(function*() {
      const { client, simulator } = yield* setUp()
      const failure = (faults: Faults.FaultsPatch) =>
        Effect.gen(function*() {
          yield* simulator.change({ "llm-primary": { ...Faults.none, latency_ms: 0, jitter_ms: 0, ...faults } })
          return yield* Effect.promise(() =>
            client.chat.completions.create(request).then(() => undefined, (e: unknown) => e)
          )
        })
      expect(yield* failure({ error_rate: 1 })).toBeInstanceOf(OpenAI.InternalServerError)
      expect(yield* failure({ error_rate: 1, status: 401 })).toBeInstanceOf(OpenAI.AuthenticationError)
      const limited = yield* failure({ rate_limit_rate: 1, retry_after: 1.5 })
      expect(limited).toBeInstanceOf(OpenAI.RateLimitError)
      expect(limited instanceof OpenAI.RateLimitError && limited.headers.get("retry-after")).toBe("2")
      expect(limited instanceof OpenAI.RateLimitError && limited.headers.get("retry-after-ms")).toBe("1500")
      expect(yield* failure({ down: true })).toBeInstanceOf(OpenAI.APIConnectionError)
      expect(yield* failure({ hang: true })).toBeInstanceOf(OpenAI.APIConnectionTimeoutError)
      expect(yield* failure({ truncate_stream_at: 2 })).toBeDefined()
      expect(yield* failure({})).toBeUndefined()
      const ledger = yield* simulator.ledger("llm-primary")
      expect(ledger).toMatchObject({ calls: 7, answered: 1, refused: 3, brokenOff: 3 })
    })))

  it.live("is refused what the real one refuses: a conversation that is too long, a request that makes no sense", () =>
    simulated(Effect.gen(function*() {
      const { client } = yield* setUp()
      const failure = (body: object) =>
        Effect.promise(() =>
          client.chat.completions.create(body as typeof request).then(() => undefined, (error: unknown) => error)
        )
      const long = yield* failure({ model: "gpt-4o", messages: [{ role: "user", content: "word ".repeat(110_000) }] })
      expect(long instanceof OpenAI.BadRequestError && long.code).toBe("context_length_exceeded")
      for (
        const body of [{ model: "gpt-4o", messages: [] }, { messages }, { model: "m", messages: [{ role: "cat" }] }]
      ) {
        expect(yield* failure(body)).toBeInstanceOf(OpenAI.BadRequestError)
      }
      const cut = yield* Effect.promise(() => client.chat.completions.create({ ...request, max_completion_tokens: 4 }))
      expect([cut.choices[0]?.finish_reason, cut.usage?.completion_tokens]).toEqual(["length", 4])
      const parts = yield* Effect.promise(() =>
        client.chat.completions.create({
          model: "gpt-4o",
          messages: [{ role: "user", content: [{ type: "text", text: "Porto" }] }]
        })
      )
      expect(parts.choices[0]?.message.content).toContain("Porto")
    })))

  it.live("that leaves in the middle of a stream is billed for what it got", () =>
    simulated(Effect.gen(function*() {
      const { client, simulator } = yield* setUp({ chunk_ms: 10 })
      yield* Effect.promise(async () => {
        const chunks = await client.chat.completions.create({ ...request, stream: true })
        let count = 0
        for await (const _ of chunks) if (++count === 5) break
      })
      const ended = yield* Eventually.answers(
        simulator.ledger("llm-primary"),
        ({ brokenOff }) => brokenOff === 1
      )
      expect(ended.answered).toBe(0)
      expect(ended.promptTokens).toBeGreaterThan(0)
      expect(ended.completionTokens).toBeGreaterThan(0)
      expect(ended.completionTokens).toBeLessThan(20)
    })))
})

describe("faults at random", () => {
  it.live("are the same for the same seed, and another's for another", () =>
    Effect.gen(function*() {
      const statuses = (seed: number) =>
        Effect.gen(function*() {
          const { client } = yield* setUp({ error_rate: 0.5 })
          return yield* Effect.forEach(
            Array.from({ length: 40 }),
            () => Effect.promise(() => client.chat.completions.create(request).then(() => 200, () => 500))
          )
        }).pipe(Effect.provide(Simulator.layer({ seed })))
      const first = yield* statuses(1)
      expect(first).toContain(200)
      expect(first).toContain(500)
      expect(yield* statuses(1)).toEqual(first)
      expect(yield* statuses(2)).not.toEqual(first)
    }))
})
