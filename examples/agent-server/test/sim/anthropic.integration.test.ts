/** The simulated provider of Anthropic's models, as the official client of the real one sees it, and as it bills. */
import Anthropic from "@anthropic-ai/sdk"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Faults from "../../src/sim/faults.ts"
import * as Simulator from "../../src/sim/Simulator.ts"
import { quick, simulated } from "../support/simulated.ts"

const setUp = (faults: Faults.FaultsPatch = {}) =>
  Effect.gen(function*() {
    const simulator = yield* Simulator.Simulator
    yield* simulator.change({ "llm-anthropic": { ...quick, ...faults } })
    const client = new Anthropic({
      baseURL: simulator.baseUrl("llm-anthropic"),
      apiKey: "any",
      maxRetries: 0,
      timeout: 1000
    })
    return { simulator, client }
  })

const request = {
  model: "claude-haiku-4-5",
  max_tokens: 1000,
  system: "You are a travel planner.",
  messages: [{ role: "user" as const, content: "Lisbon" }]
}

describe("the official client", () => {
  it.live("reads a reply, whole and streamed, and the usage of both is the ledger's", () =>
    simulated(Effect.gen(function*() {
      const { client, simulator } = yield* setUp()
      const whole = yield* Effect.promise(() => client.messages.create(request))
      expect(whole).toMatchObject({ type: "message", role: "assistant", stop_reason: "end_turn" })
      const [block] = whole.content
      const text = block?.type === "text" ? block.text : ""
      expect(text).toContain("Lisbon")

      const streamed = client.messages.stream(request)
      const types: Array<string> = []
      yield* Effect.promise(async () => {
        for await (const event of streamed) types.push(event.type)
      })
      const message = yield* Effect.promise(() => streamed.finalMessage())
      expect(message.content).toMatchObject([{ type: "text", text }])
      expect(message.stop_reason).toBe("end_turn")
      expect(message.usage).toMatchObject({
        input_tokens: whole.usage.input_tokens,
        output_tokens: whole.usage.output_tokens
      })
      expect([types[0], types[1], ...types.slice(-3)]).toEqual([
        "message_start",
        "content_block_start",
        "content_block_stop",
        "message_delta",
        "message_stop"
      ])
      expect(yield* simulator.ledger("llm-anthropic")).toMatchObject({
        calls: 2,
        answered: 2,
        promptTokens: 2 * whole.usage.input_tokens,
        completionTokens: 2 * whole.usage.output_tokens
      })
    })))

  it.live("is told the account's limits, and gets pings in a stream", () =>
    simulated(Effect.gen(function*() {
      const { client } = yield* setUp()
      const { response } = yield* Effect.promise(() => client.messages.create(request).withResponse())
      expect(response.headers.get("anthropic-ratelimit-requests-limit")).toBe("4000")
      expect(response.headers.get("anthropic-ratelimit-tokens-remaining")).toBe("400000")
      expect(response.headers.get("anthropic-ratelimit-requests-reset")).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+Z$/)
      const raw = yield* Effect.promise(async () => {
        const streamed = await client.messages.create({ ...request, stream: true }).asResponse()
        return streamed.text()
      })
      expect(raw).toContain("event: ping\ndata: {\"type\":\"ping\"}\n\n")
    })))

  it.live("gets its typed errors for the faults", () =>
    simulated(Effect.gen(function*() {
      const { client, simulator } = yield* setUp()
      const failure = (faults: Faults.FaultsPatch) =>
        Effect.gen(function*() {
          yield* simulator.change({ "llm-anthropic": { ...quick, ...faults } })
          return yield* Effect.promise(() => client.messages.create(request).then(() => undefined, (e: unknown) => e))
        })
      const typeOf = (error: unknown) => error instanceof Anthropic.APIError ? error.type : undefined
      for (
        const [status, type] of [
          [400, "invalid_request_error"],
          [401, "authentication_error"],
          [403, "permission_error"],
          [404, "not_found_error"],
          [500, "api_error"],
          [529, "overloaded_error"]
        ] as const
      ) {
        const error = yield* failure({ error_rate: 1, status })
        expect([error instanceof Anthropic.APIError && error.status, typeOf(error)]).toEqual([status, type])
      }
      const limited = yield* failure({ rate_limit_rate: 1, retry_after: 1.5 })
      expect(limited).toBeInstanceOf(Anthropic.RateLimitError)
      expect(limited instanceof Anthropic.RateLimitError && limited.headers.get("retry-after")).toBe("2")
      expect(
        limited instanceof Anthropic.RateLimitError && limited.headers.get("anthropic-ratelimit-requests-remaining")
      ).toBe("0")
      expect(yield* failure({ down: true })).toBeInstanceOf(Anthropic.APIConnectionError)
      expect(yield* failure({ hang: true })).toBeInstanceOf(Anthropic.APIConnectionTimeoutError)
      expect(yield* failure({ truncate_stream_at: 2 })).toBeDefined()
      expect(yield* failure({})).toBeUndefined()
      expect(yield* simulator.ledger("llm-anthropic")).toMatchObject({
        calls: 11,
        answered: 1,
        refused: 7,
        brokenOff: 3
      })
    })))

  it.live("is refused what the real one refuses", () =>
    simulated(Effect.gen(function*() {
      const { client } = yield* setUp()
      const failure = (body: object) =>
        Effect.promise(() =>
          client.messages.create(body as typeof request).then(() => undefined, (error: unknown) => error)
        )
      const { max_tokens: _, ...withoutLimit } = request
      for (
        const body of [
          withoutLimit,
          { ...request, max_tokens: 0 },
          { ...request, messages: [] },
          { ...request, messages: [{ role: "system", content: "no such role here" }] },
          { ...request, messages: [{ role: "user", content: "" }] },
          { ...request, messages: [{ role: "user", content: "word ".repeat(170_000) }] }
        ]
      ) {
        expect(yield* failure(body)).toBeInstanceOf(Anthropic.BadRequestError)
      }
      const cut = yield* Effect.promise(() => client.messages.create({ ...request, max_tokens: 4 }))
      expect([cut.stop_reason, cut.usage.output_tokens]).toEqual(["max_tokens", 4])
      const blocks = yield* Effect.promise(() =>
        client.messages.create({
          ...request,
          messages: [{ role: "user", content: [{ type: "text", text: "Porto" }] }]
        })
      )
      expect(JSON.stringify(blocks.content)).toContain("Porto")
    })))

  it.live("without a key or the API's version is turned away", () =>
    simulated(Effect.gen(function*() {
      const { simulator } = yield* setUp()
      const send = (headers: Readonly<Record<string, string>>) =>
        Effect.promise(async () => {
          const response = await fetch(`${simulator.baseUrl("llm-anthropic")}/v1/messages`, {
            method: "POST",
            headers: { "content-type": "application/json", ...headers },
            body: JSON.stringify(request)
          })
          return [response.status, ((await response.json()) as { error?: { type: string } }).error?.type]
        })
      expect(yield* send({ "anthropic-version": "2023-06-01" })).toEqual([401, "authentication_error"])
      expect(yield* send({ "x-api-key": "any" })).toEqual([400, "invalid_request_error"])
      const version = { "anthropic-version": "2023-06-01" }
      expect(yield* send({ ...version, "x-api-key": "any" })).toEqual([200, undefined])
      expect(yield* send({ ...version, authorization: "Bearer any" })).toEqual([200, undefined])
    })))
})
