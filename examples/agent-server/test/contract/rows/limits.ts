/** How often somebody may ask, and what they are told of it. */
import { expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Reply } from "../../support/client.ts"
import { until } from "../../support/until.ts"
import { ask, askAnonymously, askAsOperator, refused, replied, say } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { keys, type Section } from "../kit.ts"

const names = ["limit", "remaining", "reset"].map((name) => `x-ratelimit-${name}`)

const told = ({ headers }: Reply) => names.map((name) => headers.get(name))

const isLimited = (reply: Reply) => told(reply)[0] !== null

const withKey = (key: string) => ({ headers: { "x-api-key": key } })

/** The draft's headers: structured lists of one entry for each rule. */
const policiesIn = ({ headers }: Reply): ReadonlyArray<string> => {
  const entries = (name: string, form: RegExp) =>
    (headers.get(name) ?? "").split(", ").map((entry) => form.exec(entry)?.[1] ?? entry)
  const state = entries("ratelimit", /^"(\w+)-\w+";r=\d+;t=\d+$/)
  expect(entries("ratelimit-policy", /^"(\w+)-\w+";q=\d+$/)).toEqual(state)
  return state
}

// Where Redis answers too late on a busy machine a call is counted by the instance alone, and the operator is told nothing.
const isAnswered = ({ status }: Reply) => status !== 503

const limited = (asked: string, key: string) => until(ask(asked, withKey(key)), isLimited)

export const limits: Section = {
  "the reply to a key tells how its tier stands, in both dialects": Effect.gen(function*() {
    for (const [tier, key, limit] of [["free", keys.free, "60"], ["standard", keys.standard, "600"]] as const) {
      const reply = yield* limited("GET /v1/agents", key)
      expect([reply.headers.get("x-ratelimit-limit"), policiesIn(reply)]).toEqual([limit, [tier]])
      expect(told(reply).every((value) => /^\d+$/.test(value ?? ""))).toBe(true)
      expect(Number(reply.headers.get("x-ratelimit-remaining"))).toBeLessThan(Number(limit))
      expect(reply.headers.get("retry-after")).toBe(null)
    }
  }),

  "a chat is counted for the agent too, also where it is refused for its body": Effect.gen(function*() {
    for (const body of [{ message: "hi" }, {}, { message: "hi", stream: true }]) {
      const reply = yield* until(say(body, withKey(keys.standard).headers), isLimited)
      expect(policiesIn(reply)).toEqual(["standard", "perAgent"])
    }
    const unlimited = yield* until(say({ message: "hi" }), isLimited)
    expect([policiesIn(unlimited), unlimited.headers.get("x-ratelimit-limit")]).toEqual([["perAgent"], "60000"])
  }),

  "who has no key is counted by address, as soon as there are keys": Effect.gen(function*() {
    const reply = yield* until(askAnonymously("GET /v1/agents"), isLimited)
    expect([policiesIn(reply), reply.headers.get("x-ratelimit-limit")]).toEqual([["perIp"], "60"])
  }),

  "what is not limited says nothing of limits": Effect.gen(function*() {
    for (const asked of ["GET /v1/agents", "GET /health/ready", "GET /openapi.json", "GET /metrics"] as const) {
      expect([asked, ...told(yield* ask(asked))]).toEqual([asked, null, null, null])
    }
    expect(told(yield* askAsOperator("GET /admin/circuit-breakers"))).toEqual([null, null, null])
  }),

  "one too many is 429, in these very words and members": Effect.gen(function*() {
    const reply = yield* until(ask("GET /v1/agents", withKey(keys.free)), ({ status }) => status === 429)
    const body = refused(reply, 429, "rate_limit_exceeded")
    const { code: _code, detail: _detail, request_id: _id, status: _status, title: _title, type: _type, ...beside } =
      body
    const wait = body.retry_after
    expect(beside).toEqual({
      error: "rate_limit_exceeded",
      message: `Rate limit exceeded. Try again in ${wait} ${wait === 1 ? "second" : "seconds"}.`,
      retry_after: wait,
      limit: 60,
      remaining: 0,
      reset: expect.any(Number)
    })
    expect([Number.isInteger(wait), wait >= 1, wait <= 60, body.reset >= wait]).toEqual([true, true, true, true])
    expect([reply.headers.get("retry-after"), ...told(reply)]).toEqual([String(wait), "60", "0", String(body.reset)])
    expect(policiesIn(reply)).toEqual(["free"])
  }),

  "the operator sees how a limit stands, and has it forgotten": Effect.gen(function*() {
    const path = "/admin/rate-limits?policy=free&key=free-caller"
    const asked = (method: string) => until(askAsOperator(`${method} ${path}`), isAnswered)
    const before = replied(yield* asked("GET"), 200, Bodies.Limits)
    expect(before).toMatchObject({ policy: "free", key: "free-caller", rules: [{ unit: "requests", limit: 60 }] })
    expect(before.rules[0]?.remaining).toBeLessThan(60)
    expect((yield* asked("DELETE")).status).toBe(204)
    expect(replied(yield* asked("GET"), 200, Bodies.Limits).rules[0]?.remaining).toBe(60)
    expect((yield* ask("GET /v1/agents", withKey(keys.free))).status).toBe(200)
    refused(yield* askAsOperator("GET /admin/rate-limits?policy=none&key=a"), 404, "rate_limit_policy_not_found")
    const { errors } = refused(yield* askAsOperator("GET /admin/rate-limits?polcy=free"), 400, "invalid_request")
    expect(errors.map(({ path }: { path: string }) => path).toSorted()).toEqual(["key", "polcy", "policy"])
  })
}
