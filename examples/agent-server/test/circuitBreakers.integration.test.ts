/** The breaker and the bulkhead in front of the provider, and the operator's word against the breaker's. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chat, events, json, request, setFaults } from "./support/client.ts"
import { adminKey, type RunningServer, startFresh } from "./support/server.ts"

const admin = { "x-api-key": adminKey }

const circuit = (server: RunningServer) =>
  Effect.map(
    request(server, "/admin/circuit-breakers", { headers: admin }),
    (reply) => json(reply).circuit_breakers[0]
  )

const command = (server: RunningServer, path: string) =>
  request(server, `/admin/circuit-breakers/${path}`, { method: "POST", headers: admin })

describe("a provider that is down", () => {
  it.live("is left alone after five calls in a row have failed for good, until it is reset", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      expect(yield* circuit(server)).toMatchObject({
        name: "llm-primary",
        key: "default",
        state: "Closed",
        in_flight: 0
      })
      yield* setFaults(server, { down: true })
      const answered = yield* Effect.forEach(
        Array.from({ length: 5 }, (_, call) => call),
        (call) => chat(server, { message: "anybody there?", stream: call % 2 === 0 }),
        { concurrency: "unbounded" }
      )
      const replies = answered.map((reply, call) => call % 2 === 0 ? events(reply).at(-1)?.data : json(reply))
      expect(replies.map(({ served }) => served.route)).toEqual(Array.from({ length: 5 }, () => "gpt-4o-mini"))
      const open = yield* circuit(server)
      expect(open).toMatchObject({ state: "Open", openings: 1, admitted: 0 })
      expect(open.retry_after_ms).toBeGreaterThan(20_000)

      // The provider is well again, and is not asked.
      yield* setFaults(server, { down: false })
      for (const stream of [false, true]) {
        const reply = yield* chat(server, { message: "and now?", stream })
        const answer = stream ? events(reply).at(-1)?.data : json(reply)
        expect(answer.served).toEqual({ route: "gpt-4o-mini", degraded: true, attempts: 1 })
      }

      expect(json(yield* command(server, "llm-primary/reset"))).toMatchObject({ state: "Closed", retry_after_ms: 0 })
      expect(json(yield* chat(server, { message: "and now?" })).served.route).toBe("gpt-4o")
    }).pipe(Effect.scoped))

  it.live("that hangs counts, and one that refuses a message or limits us does not", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error", MAX_RUN_SECONDS: "1" })
      const six = Effect.forEach(
        Array.from({ length: 6 }, (_, call) => call),
        (call) => chat(server, { message: "hello", stream: call % 2 === 0 }),
        { concurrency: "unbounded" }
      )
      yield* setFaults(server, { error_rate: 1, status: 422 })
      yield* six
      yield* setFaults(server, { error_rate: 0, rate_limit_rate: 1, retry_after: 0.1 })
      yield* six
      expect((yield* circuit(server)).state).toBe("Closed")
      yield* Effect.sleep("100 millis")
      yield* setFaults(server, { rate_limit_rate: 0, hang: true })
      yield* six
      expect((yield* circuit(server)).state).toBe("Open")
    }).pipe(Effect.scoped))
})

describe("/admin/circuit-breakers", () => {
  it.live("opens, closes, releases and resets", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      const route = Effect.map(chat(server, { message: "hello" }), (reply) => json(reply).served.route)
      expect(json(yield* command(server, "llm-primary/open"))).toMatchObject({ state: "ForcedOpen", admitted: 0 })
      expect(yield* route).toBe("gpt-4o-mini")
      expect(json(yield* command(server, "llm-secondary/open")).state).toBe("ForcedOpen")
      expect(yield* route).toBe("claude-haiku")
      expect(json(yield* command(server, "llm-primary/close")).state).toBe("ForcedClosed")
      expect(yield* route).toBe("gpt-4o")
      yield* command(server, "llm-secondary/reset")
      expect(json(yield* command(server, "llm-primary/release")).state).toBe("Closed")
      expect(json(yield* command(server, "llm-primary/open?key=default")).state).toBe("ForcedOpen")
      expect(json(yield* command(server, "llm-primary/reset")).state).toBe("Closed")
      const other = json(yield* command(server, "llm-primary/open?key=other%20key"))
      expect([other.key, other.state]).toEqual(["other key", "ForcedOpen"])
      expect(yield* route).toBe("gpt-4o")
      const { circuit_breakers } = json(yield* request(server, "/admin/circuit-breakers", { headers: admin }))
      const circuits = circuit_breakers.map(({ key, name }: { key: string; name: string }) => `${name}: ${key}`)
      expect(circuits.filter((name: string) => name.startsWith("llm-"))).toEqual([
        "llm-primary: default",
        "llm-primary: other key",
        "llm-secondary: default",
        "llm-anthropic: default"
      ])
    }).pipe(Effect.scoped))

  it.live("is for the operator, and says what is wrong with a command", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "error" })
      const problem = (path: string, init: RequestInit) =>
        Effect.map(request(server, path, init), (reply) => [reply.status, json(reply).code])
      expect(yield* problem("/admin/circuit-breakers", {})).toEqual([401, "unauthorized"])
      expect(yield* problem("/admin/circuit-breakers/llm-primary/open", { method: "POST" })).toEqual([
        401,
        "unauthorized"
      ])
      const wrong = { "x-api-key": "wrong" }
      expect(yield* problem("/admin/circuit-breakers", { headers: wrong })).toEqual([403, "forbidden"])
      const post = { method: "POST", headers: admin }
      expect(yield* problem("/admin/circuit-breakers/nobody/open", post)).toEqual([404, "circuit_breaker_not_found"])
      expect(yield* problem("/admin/circuit-breakers/llm-primary/explode", post)).toEqual([404, "route_not_found"])
      for (const key of ["", "%00", "%0a", "x".repeat(257)]) {
        expect(yield* problem(`/admin/circuit-breakers/llm-primary/open?key=${key}`, post)).toEqual([
          400,
          "invalid_request"
        ])
      }
      expect((yield* chat(server, { message: "hello" })).status).toBe(200)
    }).pipe(Effect.scoped))
})
