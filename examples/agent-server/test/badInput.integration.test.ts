/** What is wrong with a request is said in a problem; nothing crashes, and nothing of the server's inside gets out. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createConnection } from "node:net"
import { chat, json, type Reply, request, setFaults } from "./support/client.ts"
import { adminKey, type RunningServer, startFresh } from "./support/server.ts"

/** Every error has this shape, whatever it is. */
const expectProblem = (reply: Reply, status: number, code: string) => {
  expect([reply.status, reply.headers.get("content-type")]).toEqual([status, "application/problem+json"])
  const problem = json(reply)
  expect(problem).toMatchObject({ type: `/problems/${code}`, status, code })
  expect(problem.title).not.toBe("")
  expect(problem.message).toBe(problem.detail)
  expect(problem.request_id).toBe(reply.headers.get("x-request-id"))
  expect(reply.text).not.toMatch(/node_modules|\.ts:|at file:/)
  return problem
}

/** Bytes as they are, to what may be no HTTP at all. */
const sendRaw = (server: RunningServer, bytes: string): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const { hostname, port } = new URL(server.origin)
    const socket = createConnection({ host: hostname, port: Number(port) })
    let answer = ""
    socket.on("data", (chunk) => answer += chunk.toString("utf8"))
    socket.on("close", () => resume(Effect.succeed(answer)))
    socket.on("error", () => {})
    socket.write(bytes)
    return Effect.sync(() => socket.destroy())
  })

describe("a bad request", () => {
  it.live("names every field that is wrong", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const all = expectProblem(
        yield* chat(server, { message: 5, session_id: "no such id!", stream: "yes" }),
        400,
        "invalid_request"
      )
      expect(all.errors.map((error: { in: string; path: string }) => [error.in, error.path])).toEqual([
        ["body", "message"],
        ["body", "session_id"],
        ["body", "stream"]
      ])
      for (const message of ["", "   ", "\n\t", "\u00a0"]) {
        const problem = expectProblem(yield* chat(server, { message }), 400, "invalid_request")
        expect(problem.errors).toEqual([{ in: "body", path: "message", message: "must not be empty" }])
      }
      const lone = expectProblem(yield* chat(server, "{\"message\": \"\\ud800\"}"), 400, "invalid_request")
      expect(lone.errors[0].path).toBe("message")
      const missing = expectProblem(yield* chat(server, {}), 400, "invalid_request")
      expect(missing.errors[0].path).toBe("message")
    }).pipe(Effect.scoped))

  it.live("is told what is wrong with its body: no JSON, no object, the wrong type, none at all", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      for (const body of ["{\"message\": ", "nonsense", "[]", "null", "\"text\"", ""]) {
        expectProblem(yield* chat(server, body), 400, "invalid_request")
      }
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/xml"]) {
        const reply = yield* chat(server, "{\"message\":\"hello\"}", { headers: { "content-type": type } })
        expect(expectProblem(reply, 415, "unsupported_media_type").message).toContain(type)
      }
      const charset = yield* chat(server, "{\"message\":\"hello\"}", {
        headers: { "content-type": "application/json; charset=utf-8" }
      })
      expect(charset.status).toBe(200)
    }).pipe(Effect.scoped))

  it.live("is told the limit that it is over", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ MAX_MESSAGE_CHARS: "10", MAX_BODY_BYTES: "1000" })
      expect((yield* chat(server, { message: "😀".repeat(10) })).status).toBe(200)
      expect(expectProblem(yield* chat(server, { message: "x".repeat(11) }), 413, "message_too_long").limit).toBe(10)
      const large = yield* chat(server, { message: "x".repeat(2000) })
      expect(expectProblem(large, 413, "body_too_large").limit).toBe(1000)
      const endless = yield* request(server, "/v1/agents/travel_planner/chat", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: new Blob(["x".repeat(5_000_000)]).stream(),
        duplex: "half"
      } as RequestInit)
      expectProblem(endless, 413, "body_too_large")
    }).pipe(Effect.scoped))

  it.live("for something that is not there says what is", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const agent = expectProblem(yield* chat(server, { message: "hi" }, { agent: "poet" }), 404, "agent_not_found")
      expect(agent.message).toContain("travel_planner, viva_examiner")
      expectProblem(yield* chat(server, { message: "hi" }, { agent: "%00" }), 404, "agent_not_found")
      expectProblem(yield* chat(server, { message: "hi", session_id: "unknown" }), 404, "session_not_found")
      expectProblem(yield* request(server, "/v1/sessions/unknown"), 404, "session_not_found")
      expectProblem(yield* request(server, "/v1/sessions/..%2f..%2fetc"), 404, "session_not_found")
      expectProblem(yield* request(server, "/v2/agents"), 404, "route_not_found")
      const method = yield* request(server, "/v1/agents", { method: "POST" })
      expectProblem(method, 405, "method_not_allowed")
      expect(method.headers.get("allow")).toBe("GET")
      const { session_id } = json(yield* chat(server, { message: "hi" }))
      expectProblem(yield* chat(server, { message: "hi", session_id }, { agent: "viva_examiner" }), 409, "wrong_agent")
      for (const code of ["invalid_request", "agent_not_found"]) {
        expect((yield* request(server, `/problems/${code}`)).text).toContain(code)
      }
    }).pipe(Effect.scoped))

  it.live("that is not HTTP, or too much of it, gets a problem too", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      expect(yield* sendRaw(server, "hello there\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 [^]*"code":"malformed_request"/)
      const headers = `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(100_000)}\r\n\r\n`
      expect(yield* sendRaw(server, headers)).toMatch(/^HTTP\/1\.1 431 [^]*"code":"headers_too_large"/)
      expect((yield* request(server, "/health/live")).status).toBe(200)
    }).pipe(Effect.scoped))
})

describe("/sim/faults", () => {
  it.live("is for the operator, who is told of every fault that makes no sense", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const anonymous = yield* request(server, "/sim/faults")
      expectProblem(anonymous, 401, "unauthorized")
      expect(anonymous.headers.get("www-authenticate")).toBe("Bearer")
      for (const key of ["wrong", `${adminKey}x`, adminKey.slice(1)]) {
        expectProblem(yield* request(server, "/sim/faults", { headers: { "x-api-key": key } }), 403, "forbidden")
      }
      const bearer = yield* request(server, "/sim/faults", { headers: { authorization: `Bearer ${adminKey}` } })
      expect(json(bearer)["llm-primary"]).toMatchObject({ error_rate: 0, down: false, hang: false })
      const changed = json(yield* setFaults(server, { latency_ms: 0, jitter_ms: 0, error_rate: 0.25 }))
      expect(changed["llm-primary"]).toMatchObject({ latency_ms: 0, error_rate: 0.25, status: 500 })
      const bad = expectProblem(
        yield* setFaults(server, { error_rate: 2, status: 200, latency_ms: -1, errr_rate: 1 }),
        400,
        "invalid_request"
      )
      expect(bad.errors.map(({ path }: { path: string }) => path).toSorted()).toEqual([
        "llm-primary.error_rate",
        "llm-primary.errr_rate",
        "llm-primary.latency_ms",
        "llm-primary.status"
      ])
      const kept = yield* request(server, "/sim/faults", { headers: { "x-api-key": adminKey } })
      expect(json(kept)).toEqual(changed)
    }).pipe(Effect.scoped))

  it.live("is not there when the provider is a real one", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ OPENAI_BASE_URL: "http://127.0.0.1:9/v1" })
      expectProblem(
        yield* request(server, "/sim/faults", { headers: { "x-api-key": adminKey } }),
        404,
        "not_simulated"
      )
    }).pipe(Effect.scoped))
})
