/** Talking to the agents, as a client does it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chat, events, json, request } from "./support/client.ts"
import { startFresh } from "./support/server.ts"
import { until } from "./support/until.ts"

describe("a chat", () => {
  it.live("is answered, with its session, what it took, and who answered", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const reply = yield* chat(server, { message: "Three days in Lisbon?" })
      expect(reply.status).toBe(200)
      const body = json(reply)
      expect(Object.keys(body)).toEqual(["session_id", "reply", "agent", "model", "usage", "served"])
      expect(body.reply).toContain("Three days in Lisbon?")
      expect(body.agent).toBe("travel_planner")
      expect(body.model).toBe("gpt-4o")
      expect(body.usage.total_tokens).toBe(body.usage.prompt_tokens + body.usage.completion_tokens)
      expect(body.usage.cost_usd).toBeCloseTo(
        (body.usage.prompt_tokens * 2.5 + body.usage.completion_tokens * 10) / 1e6,
        8
      )
      expect(body.served).toEqual({ route: "gpt-4o", degraded: false, attempts: 1 })
    }).pipe(Effect.scoped))

  it.live("goes on with what was said before, and the session can be read and deleted", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const first = json(yield* chat(server, { message: "Lisbon" }))
      const { session_id } = first
      const second = json(yield* chat(server, { message: "By train", session_id }))
      expect(second.session_id).toBe(session_id)
      expect(second.reply).toContain("2nd")
      expect(second.reply).toContain("Lisbon")

      const session = json(yield* request(server, `/v1/sessions/${session_id}`))
      expect(session.session_id).toBe(session_id)
      expect(session.agent).toBe("travel_planner")
      expect(session.messages.map(({ content, role }: { content: string; role: string }) => [role, content])).toEqual([
        ["user", "Lisbon"],
        ["assistant", first.reply],
        ["user", "By train"],
        ["assistant", second.reply]
      ])
      expect(session.messages[1].served).toEqual(first.served)
      expect(new Date(session.messages[0].at).toISOString()).toBe(session.messages[0].at)

      expect((yield* request(server, `/v1/sessions/${session_id}`, { method: "DELETE" })).status).toBe(204)
      expect((yield* request(server, `/v1/sessions/${session_id}`)).status).toBe(404)
      expect((yield* request(server, `/v1/sessions/${session_id}`, { method: "DELETE" })).status).toBe(404)
      expect((yield* chat(server, { message: "Still there?", session_id })).status).toBe(404)
    }).pipe(Effect.scoped))

  it.live("is streamed when the body or the Accept header asks for it, and says the same as one that is not", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const whole = json(yield* chat(server, { message: "Graphs" }, { agent: "viva_examiner" }))
      for (
        const [body, headers] of [
          [{ message: "Graphs", stream: true }, {}],
          [{ message: "Graphs" }, { accept: "text/event-stream" }],
          [{ message: "Graphs", stream: null, session_id: null }, {
            accept: "application/json;q=0.1, text/event-stream"
          }]
        ] as const
      ) {
        const reply = yield* chat(server, body, { agent: "viva_examiner", headers })
        expect(reply.status).toBe(200)
        expect(reply.headers.get("content-type")).toMatch(/^text\/event-stream/)
        expect(reply.headers.get("cache-control")).toBe("no-store")
        const all = events(reply)
        expect(all[0]).toEqual({ event: "step", data: { step: "Thinking" } })
        const deltas = all.filter(({ event }) => event === "delta").map(({ data }) => data.text)
        expect(deltas.length).toBeGreaterThan(5)
        expect(deltas.join("")).toBe(whole.reply)
        const last = all.at(-1)
        expect(last?.event).toBe("done")
        expect({ ...last?.data, session_id: whole.session_id }).toEqual(whole)
        expect(json(yield* request(server, `/v1/sessions/${last?.data.session_id}`)).messages[1].content).toBe(
          whole.reply
        )
      }
      const refused = yield* chat(server, { message: "Graphs" }, { headers: { accept: "text/event-stream;q=0" } })
      expect(refused.headers.get("content-type")).toBe("application/json")
    }).pipe(Effect.scoped))

  it.live("keeps its turns in order when they come at once", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const { session_id } = json(yield* chat(server, { message: "turn 1" }))
      const replies = yield* Effect.forEach(
        [2, 3, 4, 5, 6],
        (turn) => chat(server, { message: `turn ${turn}`, session_id }),
        { concurrency: "unbounded" }
      )
      expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
      const { messages } = json(yield* request(server, `/v1/sessions/${session_id}`))
      expect(messages.length).toBe(12)
      const ordinals = messages.filter((_: unknown, index: number) => index % 2 === 1).slice(1)
        .map(({ content }: { content: string }) => Number(/the (\d+)/.exec(content)?.[1]))
      expect(ordinals).toEqual([2, 3, 4, 5, 6])
    }).pipe(Effect.scoped))

  it.live("of a session that is too busy is told to wait", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const { session_id } = json(yield* chat(server, { message: "begin" }))
      const replies = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, turn) => turn),
        (turn) => chat(server, { message: `turn ${turn}`, session_id }),
        { concurrency: "unbounded" }
      )
      const busy = replies.filter(({ status }) => status === 409)
      expect(busy.length).toBeGreaterThan(0)
      expect(json(busy[0]!)).toMatchObject({ code: "session_busy", retry_after: 1 })
      expect(busy[0]!.headers.get("retry-after")).toBe("1")
      expect(replies.every(({ status }) => status === 200 || status === 409)).toBe(true)
    }).pipe(Effect.scoped))
})

describe("the other endpoints", () => {
  it.live("list the agents, tell that the server lives, and describe the API", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const { agents } = json(yield* request(server, "/v1/agents"))
      expect(agents.map(({ name }: { name: string }) => name)).toEqual(["travel_planner", "viva_examiner"])
      for (const path of ["/health/live", "/livez", "/healthz", "/health/live?verbose=1"]) {
        const live = yield* request(server, path)
        expect([path, live.status, live.headers.get("cache-control"), json(live)])
          .toEqual([path, 200, "no-store", {
            status: "healthy",
            checks: { "event-loop": "Healthy" },
            draining: false
          }])
      }
      expect((yield* request(server, "/health/live", { method: "HEAD" })).status).toBe(200)
      const openapi = json(yield* request(server, "/openapi.json"))
      expect(openapi.openapi).toBe("3.1.0")
      expect(Object.keys(openapi.paths)).toEqual(
        expect.arrayContaining([
          "/v1/agents/{agent}/chat",
          "/v1/agents",
          "/v1/sessions/{id}",
          "/health/live",
          "/sim/faults"
        ])
      )
      for (const path of ["/docs", "/"]) {
        const page = yield* request(server, path)
        expect(page.status).toBe(200)
        expect(page.headers.get("content-type")).toMatch(/^text\/html/)
      }
      // Nothing is loaded from elsewhere.
      expect((yield* request(server, "/docs")).text).not.toMatch(/<script[^>]+src=/)
    }).pipe(Effect.scoped))

  it.live("carry the caller's request id, or one made here, in every reply", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const sane = yield* request(server, "/v1/agents", { headers: { "x-request-id": "order-42.a_b" } })
      expect(sane.headers.get("x-request-id")).toBe("order-42.a_b")
      const seen = new Set<string | null>()
      for (const id of ["", "has space", "x".repeat(129), "a;b", "é"]) {
        const reply = yield* request(server, "/nowhere", {
          headers: { "x-request-id": encodeURIComponent(id) === id ? id : "a b" }
        })
        const made = reply.headers.get("x-request-id")
        expect(made).toMatch(/^[0-9a-f-]{36}$/)
        expect(json(reply).request_id).toBe(made)
        seen.add(made)
      }
      expect(seen.size).toBe(5)
      yield* until(Effect.sync(server.output), (text) => text.includes("\"request_id\":\"order-42.a_b\""))
    }).pipe(Effect.scoped))
})
