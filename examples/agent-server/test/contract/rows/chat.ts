/** `POST /v1/agents/{agent}/chat`. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { json, type Reply } from "../../support/client.ts"
import { ask, exactly, refused, replied, say, streamed } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { broken, models } from "../broken.ts"
import type { Section } from "../kit.ts"

const whoServed = ({ headers }: Reply) => [headers.get("x-degraded"), headers.get("x-served-by")]

const fields = (reply: Reply): ReadonlyArray<string> =>
  refused(reply, 400, "invalid_request").errors.map((each: { in: string; path: string }) => `${each.in} ${each.path}`)

export const chat: Section = {
  "answers with session, reply, agent, model, usage and who served, and nothing else": Effect.gen(function*() {
    const reply = yield* say({ message: "Three days in Lisbon?" })
    const body = replied(reply, 200, Bodies.ChatReply)
    expect([body.agent, body.model, body.served]).toEqual([
      "travel_planner",
      "gpt-4o",
      { route: "gpt-4o", degraded: false, attempts: 1 }
    ])
    expect(body.usage.total_tokens).toBe(body.usage.prompt_tokens + body.usage.completion_tokens)
    expect(body.usage.cost_usd).toBeGreaterThan(0)
    expect(whoServed(reply)).toEqual([null, null])
  }),

  "goes on with a session, and takes null for a member that is left out": Effect.gen(function*() {
    const first = replied(
      yield* say({ message: "Graphs", session_id: null, stream: null }, {}, "viva_examiner"),
      200,
      Bodies.ChatReply
    )
    const { session_id } = replied(
      yield* say({ message: "A tree", session_id: first.session_id }, {}, "viva_examiner"),
      200,
      Bodies.ChatReply
    )
    expect(session_id).toBe(first.session_id)
  }),

  "streams steps, the reply bit by bit, and at the end what it would have answered at once": Effect.gen(function*() {
    const asked = [
      say({ message: "Porto", stream: true }),
      say({ message: "Porto" }, { accept: "text/event-stream" })
    ]
    for (const reply of yield* Effect.all(asked)) {
      const all = streamed(reply, Bodies.chatEvents)
      expect(all.filter(({ event }) => event === "step").map(({ data }) => data.step)).toEqual([
        "Thinking",
        "Answering"
      ])
      expect(all.filter(({ event }) => event === "done").length).toBe(1)
      const said = all.filter(({ event }) => event === "delta").map(({ data }) => data.text).join("")
      expect([all[0]?.event, all.at(-1)?.event, all.at(-1)?.data.reply]).toEqual(["step", "done", said])
    }
  }),

  "says in headers who served in the first choice's place, and in a stream at its end": broken(
    { "llm-primary": { down: true } },
    Effect.gen(function*() {
      const reply = yield* say({ message: "Faro" })
      expect(whoServed(reply)).toEqual(["true", "gpt-4o-mini"])
      const body = replied(reply, 200, Bodies.ChatReply)
      expect([body.model, body.served.route, body.served.degraded]).toEqual(["gpt-4o-mini", "gpt-4o-mini", true])
      const done = streamed(yield* say({ message: "Faro", stream: true }), Bodies.chatEvents).at(-1)
      expect(done?.data.served).toMatchObject({ route: "gpt-4o-mini", degraded: true })
    })
  ),

  "apologises where no model answers, and names the letter that the turn has become": broken(
    models({ down: true }),
    Effect.gen(function*() {
      const reply = yield* say({ message: "Evora, by train" })
      const body = replied(reply, 200, Bodies.ChatReply)
      expect([whoServed(reply), body.served.route]).toEqual([["true", "static"], "static"])
      expect([body.letter_id, reply.headers.get("x-dead-letter")]).toEqual([expect.any(String), body.letter_id])
    })
  ),

  "ends a stream that broke off with one event, which is the problem": broken(
    { "llm-primary": { truncate_stream_at: 3 } },
    Effect.gen(function*() {
      const all = streamed(yield* say({ message: "Braga", stream: true }), Bodies.chatEvents)
      expect(all.filter(({ event }) => event === "error").length).toBe(1)
      expect(all.at(-1)).toMatchObject({ event: "error", data: { code: "bad_upstream", status: 502 } })
    })
  ),

  "names every member that is wrong with 400": Effect.gen(function*() {
    expect(fields(yield* say({ message: 3, session_id: "no id!", stream: "yes", idempotency_key: 1 }))).toEqual([
      "body message",
      "body session_id",
      "body stream",
      "body idempotency_key"
    ])
    expect(fields(yield* say({}))).toEqual(["body message"])
    for (const message of ["", "  \n"]) expect(fields(yield* say({ message }))).toEqual(["body message"])
    for (const body of ["", "{", "[]", "null"]) expect(fields(yield* say(body))).toEqual(["body "])
    expect(fields(yield* say({ message: "hi" }, { "idempotency-key": "x".repeat(256) }))).toEqual([
      "header idempotency-key"
    ])
  }),

  "answers 401 to a key that nobody has, also as a bearer token": Effect.gen(function*() {
    refused(yield* say({ message: "hi" }, { "x-api-key": "nobodys" }), 401, "unauthorized")
    refused(yield* say({ message: "hi" }, { "x-api-key": "", authorization: "Bearer nobodys" }), 401, "unauthorized")
  }),

  "answers 404 to agents and sessions that there are not, and 409 in the session of another agent": Effect.gen(
    function*() {
      const { message } = refused(yield* say({ message: "hi" }, {}, "poet"), 404, "agent_not_found")
      expect(message).toContain("travel_planner, viva_examiner")
      refused(yield* say({ message: "hi", session_id: "unknown" }), 404, "session_not_found")
      const { session_id } = json(yield* say({ message: "hi" }))
      refused(yield* say({ message: "hi", session_id }, {}, "viva_examiner"), 409, "wrong_agent")
    }
  ),

  "answers 413 to what is too long, and 415 to what is no JSON": Effect.gen(function*() {
    expect(refused(yield* say({ message: "x".repeat(8001) }), 413, "message_too_long").limit).toBe(8000)
    expect(refused(yield* say({ message: "x".repeat(300_000) }), 413, "body_too_large").limit).toBe(262_144)
    refused(yield* say({ message: "hi" }, { "content-type": "text/plain" }), 415, "unsupported_media_type")
  }),

  "with the same Idempotency-Key answers the same, and 422 to another request with it": Effect.gen(function*() {
    const key = { "idempotency-key": "contract-1" }
    const first = yield* say({ message: "Sintra" }, key)
    const again = yield* say({ message: "Sintra" }, key)
    expect([first.headers.get("idempotency-replayed"), again.headers.get("idempotency-replayed")]).toEqual([
      null,
      "true"
    ])
    expect(replied(again, 200, Bodies.ChatReply)).toEqual(replied(first, 200, Bodies.ChatReply))
    refused(yield* say({ message: "Tomar" }, key), 422, "idempotency_key_reused")
  })
}

export const agentsAndSessions: Section = {
  "GET /v1/agents lists the two of them": Effect.gen(function*() {
    const { agents } = replied(yield* ask("GET /v1/agents"), 200, Bodies.Agents)
    expect(agents.map(({ name }) => name)).toEqual(["travel_planner", "viva_examiner"])
  }),

  "GET /v1/sessions/{id} tells who said what and when, and of replies who served": Effect.gen(function*() {
    const { reply, served, session_id } = replied(yield* say({ message: "Lisbon" }), 200, Bodies.ChatReply)
    const session = replied(yield* ask(`GET /v1/sessions/${session_id}`), 200, Bodies.Session)
    expect([session.session_id, session.agent]).toEqual([session_id, "travel_planner"])
    expect(session.messages).toEqual([
      { role: "user", content: "Lisbon", at: expect.any(String) },
      { role: "assistant", content: reply, at: expect.any(String), served }
    ])
  }),

  "DELETE /v1/sessions/{id} answers 204, and from then on there is none": Effect.gen(function*() {
    const { session_id } = json(yield* say({ message: "Lisbon" }))
    expect((yield* ask(`DELETE /v1/sessions/${session_id}`)).status).toBe(204)
    refused(yield* ask(`GET /v1/sessions/${session_id}`), 404, "session_not_found")
    refused(yield* ask(`DELETE /v1/sessions/${session_id}`), 404, "session_not_found")
    refused(yield* say({ message: "and then?", session_id }), 404, "session_not_found")
  }),

  "a turn that failed leaves its session as it was": Effect.gen(function*() {
    const { session_id } = json(yield* say({ message: "Lisbon" }))
    const before = json(yield* ask(`GET /v1/sessions/${session_id}`))
    yield* broken(
      { "llm-primary": { truncate_stream_at: 2 } },
      Effect.map(
        say({ message: "by train", session_id, stream: true }),
        (reply) => expect(streamed(reply, Bodies.chatEvents).at(-1)?.event).toBe("error")
      )
    )
    expect(exactly(Bodies.Session, json(yield* ask(`GET /v1/sessions/${session_id}`)))).toEqual(before)
  })
}
