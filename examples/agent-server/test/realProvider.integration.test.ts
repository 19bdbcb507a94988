/** With `OPENAI_BASE_URL` the server speaks to a provider that is not its own. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chat, events, json, request } from "./support/client.ts"
import { startFresh } from "./support/server.ts"
import { completion, replyJson, upstream } from "./support/upstream.ts"

const key = "sk-real-9d2c"

const against = (baseUrl: string, more: Readonly<Record<string, string>> = {}) =>
  startFresh({ OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: key, OPENAI_MODEL: "gpt-4o-mini", ...more })

describe("a provider of the environment", () => {
  it.live("gets the key, the model, the conversation and the request's id", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response) =>
        replyJson(response, completion("Take the tram.", { model: "gpt-4o-mini-2024-07-18" }))
      )
      const server = yield* against(provider.baseUrl)
      const reply = yield* chat(server, { message: "Lisbon?" }, { headers: { "x-request-id": "trace-me" } })
      expect(json(reply)).toMatchObject({
        reply: "Take the tram.",
        model: "gpt-4o-mini-2024-07-18",
        usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15, cost_usd: (12 * 0.15 + 3 * 0.6) / 1e6 },
        served: { route: "gpt-4o-mini", degraded: false, attempts: 1 }
      })
      const [call] = provider.calls
      expect(call?.headers).toMatchObject({ authorization: `Bearer ${key}`, "x-request-id": "trace-me" })
      expect(call?.body.model).toBe("gpt-4o-mini")
      expect(call?.body.messages.map(({ role }: { role: string }) => role)).toEqual(["system", "user"])
      expect(server.output()).not.toContain(key)
    }).pipe(Effect.scoped))

  it.live("whose price is not known has an unknown cost, which is not zero", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response) => replyJson(response, completion("Hi", { model: "llama-99" })))
      const server = yield* against(provider.baseUrl)
      expect(json(yield* chat(server, { message: "hi" })).usage.cost_usd).toBe(null)
    }).pipe(Effect.scoped))

  it.live("that refuses is not asked again, and its words are nobody else's", () =>
    Effect.gen(function*() {
      const refusal = (status: number, code: string) =>
        Effect.gen(function*() {
          const provider = yield* upstream((response) =>
            replyJson(response, JSON.stringify({ error: { message: `secret words, ${key}`, code } }), status)
          )
          const server = yield* against(provider.baseUrl)
          const reply = yield* chat(server, { message: "why?" })
          const streamed = yield* chat(server, { message: "why?", stream: true })
          const told = json(reply)
          const streamedTold = events(streamed).at(-1)?.data
          expect([streamedTold.code, streamedTold.served?.route]).toEqual([told.code, told.served?.route])
          expect(reply.text + streamed.text).not.toMatch(/secret words|sk-real/)
          expect(server.output()).not.toContain(key)
          return [reply.status, told.code ?? told.served.route, provider.calls.length]
        }).pipe(Effect.scoped)
      // A key or an account that is refused is for the operator to mend, and not tried with each chat.
      expect(yield* refusal(401, "invalid_api_key")).toEqual([200, "static", 1])
      expect(yield* refusal(429, "insufficient_quota")).toEqual([200, "static", 1])
      expect(yield* refusal(400, "content_policy_violation")).toEqual([422, "content_refused", 2])
      expect(yield* refusal(400, "context_length_exceeded")).toEqual([422, "context_too_long", 2])
      expect(yield* refusal(404, "model_not_found")).toEqual([502, "bad_upstream", 2])
    }))

  it.live("that filters its own reply refuses too", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response) =>
        replyJson(
          response,
          JSON.stringify({
            id: "1",
            model: "m",
            choices: [{ message: { content: null }, finish_reason: "content_filter" }]
          })
        )
      )
      const server = yield* against(provider.baseUrl)
      expect(json(yield* chat(server, { message: "hi" })).code).toBe("content_refused")
    }).pipe(Effect.scoped))

  it.live("is left when the client leaves, and the turn leaves nothing behind", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response, call) => {
        if (call.body.stream !== true) return
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write(
          "data: {\"id\":\"1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Well, \"}}]}\n\n"
        )
      })
      const server = yield* against(provider.baseUrl)
      for (const stream of [false, true]) {
        const seen = provider.calls.length
        const leave = new AbortController()
        const talking = fetch(`${server.origin}/v1/agents/travel_planner/chat`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ message: "hi", stream }),
          signal: leave.signal
        }).then((response) => response.text()).catch(() => "left")
        yield* Eventually.met(() => provider.calls.length > seen)
        leave.abort()
        expect(yield* Effect.promise(() => talking)).toBe("left")
        yield* Eventually.met(() => provider.calls[seen]?.aborted() === true)
      }
      yield* Eventually.met(() => (server.output().match(/"status":499/g) ?? []).length === 2)
    }).pipe(Effect.scoped))

  it.live("that nobody listens at is an apology, not a crash", () =>
    Effect.gen(function*() {
      const server = yield* against("http://127.0.0.1:1/v1", { MAX_RUN_SECONDS: "2" })
      const reply = yield* chat(server, { message: "why?" })
      expect([reply.status, json(reply).served.route]).toEqual([200, "static"])
      expect((yield* request(server, "/health/live")).status).toBe(200)
    }).pipe(Effect.scoped))
})
