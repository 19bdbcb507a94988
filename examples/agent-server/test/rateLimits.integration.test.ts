/** The limits: per address, key and tier, agent and provider, and the operator's view of them. */
import { describe, expect, it } from "@effect/vitest"
import * as RateLimitHeaders from "effect-resilience/http/RateLimitHeaders"
import * as Effect from "effect/Effect"
import { chat, events, json, type Reply, request, setFaults } from "./support/client.ts"
import { adminKey, type RunningServer, runToEnd, startFresh } from "./support/server.ts"
import { until } from "./support/until.ts"
import { completion, replyJson, upstream } from "./support/upstream.ts"

const keys = { API_KEYS: "alice:alice-key:free,bob:bob-key:standard,carol:carol-key:unlimited", LOG_LEVEL: "error" }

const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })

const agents = (server: RunningServer, init?: RequestInit) => request(server, "/v1/agents", init)

const admin = { headers: { "x-api-key": adminKey } }

const peek = (server: RunningServer, policy: string, key: string) =>
  Effect.map(
    request(server, `/admin/rate-limits?policy=${policy}&key=${encodeURIComponent(key)}`, admin),
    (reply) => json(reply).rules
  )

const expectExceeded = (reply: Reply, limit: number) => {
  expect([reply.status, reply.headers.get("content-type")]).toEqual([429, "application/problem+json"])
  const body = json(reply)
  const wait = Number(reply.headers.get("retry-after"))
  expect(body).toMatchObject({
    code: "rate_limit_exceeded",
    error: "rate_limit_exceeded",
    message: `Rate limit exceeded. Try again in ${wait} ${wait === 1 ? "second" : "seconds"}.`,
    retry_after: wait,
    limit,
    remaining: 0,
    request_id: reply.headers.get("x-request-id")
  })
  expect(wait).toBeGreaterThan(0)
  expect(wait).toBeLessThanOrEqual(60)
}

describe("who has no key", () => {
  it.live("is limited by address, and told how the limit stands", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      for (let left = 59; left >= 0; left--) {
        const reply = yield* agents(server)
        expect([reply.status, reply.headers.get("x-ratelimit-remaining")]).toEqual([200, String(left)])
      }
      const refused = yield* agents(server)
      expectExceeded(refused, 60)
      const told = RateLimitHeaders.decode(Object.fromEntries(refused.headers), { now: Date.now() })
      expect(told.quotas[0]).toMatchObject({ name: "perIp-slidingWindow", remaining: 0 })
      expectExceeded(yield* chat(server, { message: "hi" }), 60)
      // Probes and pages are for everybody.
      expect((yield* request(server, "/health/live")).status).toBe(200)
      expect((yield* request(server, "/openapi.json")).status).toBe(200)
    }).pipe(Effect.scoped))

  it.live("is not limited on the server's own machine, as long as there are no keys at all", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error", API_KEYS: "" })
      for (let i = 0; i < 70; i++) expect((yield* agents(server)).status).toBe(200)
      const proxied = yield* startFresh({ LOG_LEVEL: "error", API_KEYS: "", TRUSTED_PROXIES: "127.0.0.0/8" })
      const stranger = { headers: { "x-forwarded-for": "198.51.100.1" } }
      for (let i = 0; i < 60; i++) yield* agents(proxied, stranger)
      expectExceeded(yield* agents(proxied, stranger), 60)
    }).pipe(Effect.scoped))

  it.live("cannot claim to be somebody else, unless a trusted proxy says so", () =>
    Effect.gen(function*() {
      const forwarded = (address: string) => ({ headers: { "x-forwarded-for": address } })
      const plain = yield* startFresh({ LOG_LEVEL: "error" })
      for (let i = 0; i < 60; i++) yield* agents(plain, forwarded(`198.51.100.${i}`))
      expect((yield* agents(plain, forwarded("198.51.100.99"))).status).toBe(429)

      const proxied = yield* startFresh({ LOG_LEVEL: "error", TRUSTED_PROXIES: "127.0.0.0/8, ::1" })
      for (let i = 0; i < 60; i++) yield* agents(proxied, forwarded("198.51.100.1"))
      expect((yield* agents(proxied, forwarded("198.51.100.1"))).status).toBe(429)
      expect((yield* agents(proxied, forwarded("198.51.100.2"))).status).toBe(200)
      expect((yield* peek(proxied, "perIp", "198.51.100.2"))[0].remaining).toBe(59)
    }).pipe(Effect.scoped))
})

describe("who has a key", () => {
  it.live("is limited by its tier, or not at all; an unknown key is refused", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(keys)
      const alice = yield* agents(server, as("alice-key"))
      expect(alice.headers.get("x-ratelimit-limit")).toBe("60")
      const bob = yield* agents(server, { headers: { "x-api-key": "bob-key" } })
      expect(bob.headers.get("x-ratelimit-limit")).toBe("600")
      for (let i = 1; i < 60; i++) yield* agents(server, as("alice-key"))
      expectExceeded(yield* agents(server, as("alice-key")), 60)
      expect((yield* agents(server, as("bob-key"))).status).toBe(200)
      for (let i = 0; i < 70; i++) expect((yield* agents(server, as("carol-key"))).status).toBe(200)
      for (let i = 0; i < 70; i++) expect((yield* agents(server, as(adminKey))).status).toBe(200)
      const unknown = yield* agents(server, as("mallory-key"))
      expect([unknown.status, json(unknown).code]).toEqual([401, "unauthorized"])
      expect(unknown.text).not.toContain("mallory-key")
    }).pipe(Effect.scoped))

  it.live("takes nothing of its own limit, nor of the agent's, when one of them refuses", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(keys)
      for (let i = 0; i < 60; i++) yield* agents(server, as("alice-key"))
      expect((yield* chat(server, { message: "hi" }, as("alice-key"))).status).toBe(429)
      expect((yield* peek(server, "perAgent", "travel_planner"))[0].remaining).toBe(60_000)
      expect((yield* chat(server, { message: "hi" }, as("bob-key"))).status).toBe(200)
      expect((yield* peek(server, "perAgent", "travel_planner"))[0].remaining).toBe(59_999)
    }).pipe(Effect.scoped))
})

describe("an agent", () => {
  it.live("takes as many requests as the environment says, whoever asks", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ ...keys, AGENT_REQUESTS_PER_MINUTE: "2" })
      for (const key of ["bob-key", "carol-key"]) {
        expect((yield* chat(server, { message: "hi" }, as(key))).status).toBe(200)
      }
      expectExceeded(yield* chat(server, { message: "hi" }, as("carol-key")), 2)
      expect((yield* chat(server, { message: "hi" }, { ...as("carol-key"), agent: "viva_examiner" })).status).toBe(200)
    }).pipe(Effect.scoped))
})

describe("a provider", () => {
  it.live("is asked for as many replies at once as the environment says", () =>
    Effect.gen(function*() {
      let underWay = 0
      let most = 0
      const provider = yield* upstream((response) => {
        most = Math.max(most, ++underWay)
        setTimeout(() => {
          underWay--
          replyJson(response, completion("Here it is."))
        }, 100)
      })
      const server = yield* startFresh({
        ...keys,
        OPENAI_BASE_URL: provider.baseUrl,
        OPENAI_FALLBACK_MODEL: "gpt-4o",
        PROVIDER_CONCURRENCY: "3"
      })
      const chats = Array.from({ length: 9 }, (_, turn) => chat(server, { message: `${turn}` }, as("carol-key")))
      const replies = yield* Effect.all(chats, { concurrency: "unbounded" })
      expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 9 }, () => 200))
      expect(most).toBe(3)
    }).pipe(Effect.scoped))

  it.live("is charged with the tokens and the money that a reply took, whole or streamed, and not for failures", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response, call) => {
        if (call.body.messages.at(-1).content === "fail") return replyJson(response, "{}", 400)
        if (call.body.stream !== true) return replyJson(response, completion("Hi"))
        response.writeHead(200, { "content-type": "text/event-stream" })
        const chunk = (more: object) =>
          response.write(`data: ${JSON.stringify({ id: "1", model: "gpt-4o", choices: [], ...more })}\n\n`)
        chunk({ choices: [{ index: 0, delta: { content: "Hi" } }] })
        chunk({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })
        chunk({ usage: { prompt_tokens: 20, completion_tokens: 5, total_tokens: 25 } })
        response.end("data: [DONE]\n\n")
      })
      const server = yield* startFresh({ LOG_LEVEL: "error", OPENAI_BASE_URL: provider.baseUrl })
      const spent = Effect.map(
        peek(server, "llm-primary", "llm-primary"),
        (rules) =>
          Object.fromEntries(rules.map((rule: { rule: string; limit: number; remaining: number }) => [
            rule.rule,
            rule.limit - rule.remaining
          ]))
      )
      expect((yield* chat(server, { message: "hello" })).status).toBe(200)
      const first = yield* spent
      // Twelve and three tokens of gpt-4o; the bucket refills 1,500 tokens a second, so what is left to see is at most that.
      expect(first["tokens"]).toBeLessThanOrEqual(15)
      expect(first["cost"]).toBeCloseTo((12 * 2.5 + 3 * 10) / 1e6, 6)
      expect((yield* chat(server, { message: "hello", stream: true })).status).toBe(200)
      expect((yield* spent)["cost"]).toBeCloseTo((12 * 2.5 + 3 * 10 + 20 * 2.5 + 5 * 10) / 1e6, 6)
      const before = yield* spent
      expect((yield* chat(server, { message: "fail" })).status).toBe(502)
      expect((yield* spent)["cost"]).toBeCloseTo(before["cost"], 9)
    }).pipe(Effect.scoped))

  it.live("is not asked for more than its limits allow; the next one is", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error", PROVIDER_REQUESTS_PER_MINUTE: "2", MAX_RUN_SECONDS: "20" })
      const servedBy = (stream: boolean) =>
        Effect.map(chat(server, { message: "hi", stream }), (reply) =>
          stream ? events(reply).at(-1)?.data.served.route : json(reply).served.route)
      const routes = yield* Effect.forEach([false, true, false, true, false, true, false], servedBy)
      // Two of each, and then what was replied before.
      expect(routes).toEqual([
        "gpt-4o",
        "gpt-4o",
        "gpt-4o-mini",
        "gpt-4o-mini",
        "claude-haiku",
        "claude-haiku",
        "cache"
      ])
      expect(
        (yield* request(server, "/admin/rate-limits?policy=llm-primary&key=llm-primary", {
          method: "DELETE",
          ...admin
        })).status
      )
        .toBe(204)
      expect(yield* servedBy(false)).toBe("gpt-4o")
    }).pipe(Effect.scoped))

  it.live("charges what came of a stream that its client left", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error", PROVIDER_TOKENS_PER_MINUTE: "1000000" })
      yield* setFaults(server, { chunk_ms: 100 })
      const leave = new AbortController()
      yield* Effect.promise(async () => {
        const reply = await fetch(`${server.origin}/v1/agents/travel_planner/chat`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ message: "hi", stream: true }),
          signal: leave.signal
        })
        for await (const bytes of reply.body ?? []) if (Buffer.from(bytes).includes("event: delta")) break
        leave.abort()
      })
      const cost = Effect.map(
        peek(server, "llm-primary", "llm-primary"),
        (rules) => rules[2].limit - rules[2].remaining
      )
      const charged = yield* until(cost, (spent) => spent > 0 && spent < 0.003)
      expect(charged).toBeGreaterThan(0)
    }).pipe(Effect.scoped))
})

describe("/admin/rate-limits", () => {
  it.live("shows and resets a key's limits, and says what is wrong with a question", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(keys)
      for (let i = 0; i < 60; i++) yield* agents(server, as("alice-key"))
      expect((yield* peek(server, "free", "alice"))[0]).toMatchObject({ unit: "requests", limit: 60, remaining: 0 })
      expect(
        (yield* request(server, "/admin/rate-limits?policy=free&key=alice", { method: "DELETE", ...admin })).status
      ).toBe(204)
      expect((yield* peek(server, "free", "alice"))[0].remaining).toBe(60)
      expect((yield* agents(server, as("alice-key"))).status).toBe(200)
      const problem = (path: string, init: RequestInit) =>
        Effect.map(request(server, path, init), (reply) => [reply.status, json(reply).code])
      expect(yield* problem("/admin/rate-limits?policy=free&key=alice", {})).toEqual([401, "unauthorized"])
      expect(yield* problem("/admin/rate-limits?policy=gold&key=a", admin)).toEqual([
        404,
        "rate_limit_policy_not_found"
      ])
      expect(yield* problem("/admin/rate-limits", admin)).toEqual([400, "invalid_request"])
    }).pipe(Effect.scoped))

  it.live("starts with keys that make sense only", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runToEnd({
        API_KEYS: "alice:s3cret:gold,nonsense",
        TRUSTED_PROXIES: "10.0.0.0/99",
        PORT: "0"
      })
      expect(code).toBe(1)
      expect(stderr).toMatch(/API_KEYS: entry 1 .*tiers/)
      expect(stderr).toMatch(/API_KEYS: entry 2/)
      expect(stderr).toMatch(/TRUSTED_PROXIES: /)
      expect(stderr).not.toMatch(/s3cret|nonsense/)
    }))
})
