/** What the server says of itself and of what it needs, and what follows from it. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { chat, json, request, setFaults, unlimited } from "./support/client.ts"
import { samplesOf } from "./support/metrics.ts"
import { adminKey, type RunningServer, startFresh, unlimitedKey } from "./support/server.ts"
import { providers } from "./support/simulated.ts"
import { until } from "./support/until.ts"
import { completion, replyJson, type Upstream, upstream } from "./support/upstream.ts"
import { connect } from "./support/wire.ts"

/** Everything that a server without any settings asks. */
const services = [...providers, "database"]

/** One provider and no other. */
const only = (provider: Upstream) => ({ OPENAI_BASE_URL: provider.baseUrl, OPENAI_FALLBACK_MODEL: "gpt-4o" })

const checksOf = (server: RunningServer) =>
  Effect.map(request(server, "/health/ready"), (reply) => ({ code: reply.status, ...json(reply) }))

const untilState = (server: RunningServer, check: string, state: string) =>
  until(checksOf(server), ({ checks }) => checks[check] === state)

describe("the probes", () => {
  it.live("HP5 have their names, no-store, HEAD and query strings, and say nothing of why", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      yield* Effect.forEach(services, (name) => untilState(server, name, "Healthy"))
      const paths = {
        live: ["/health/live", "/livez", "/healthz"],
        ready: ["/health/ready", "/readyz", "/ready"],
        startup: ["/health/startup", "/startupz"]
      }
      const checks = {
        live: { "event-loop": "Healthy" },
        ready: Object.fromEntries(services.map((name) => [name, "Healthy"])),
        startup: {}
      }
      for (const probe of ["live", "ready", "startup"] as const) {
        for (const path of paths[probe].flatMap((path) => [path, `${path}?verbose=1`])) {
          const reply = yield* request(server, path)
          expect([path, reply.status, reply.headers.get("cache-control")]).toEqual([path, 200, "no-store"])
          expect(json(reply)).toEqual({ status: "healthy", checks: checks[probe], draining: false })
          const head = yield* request(server, path, { method: "HEAD" })
          expect([head.status, head.headers.get("cache-control"), head.text]).toEqual([200, "no-store", ""])
        }
      }
    }).pipe(Effect.scoped))

  it.live("HP2 a thousand at once cause at most one call of a dependency that hangs, and wait for none", () =>
    Effect.gen(function*() {
      const provider = yield* upstream(() => undefined)
      // It hangs.
      provider.onProbe(() => undefined)
      const server = yield* startFresh({ ...only(provider), LOG_LEVEL: "error" })
      const before = yield* checksOf(server)
      // HP3 what has not been heard of is not ready.
      expect([before.code, before.status, before.checks["llm-primary"]]).toEqual([503, "unhealthy", "Unknown"])
      const paths = ["/readyz", "/livez", "/health/ready", "/health/startup"]
      const replies = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, index) => index),
        (index) => request(server, paths[index % paths.length] ?? ""),
        { concurrency: "unbounded" }
      )
      expect(replies.length).toBe(1000)
      expect(provider.probes()).toBeLessThanOrEqual(1)
      // A provider is not critical: without it the server is ready, and degraded.
      const after = yield* untilState(server, "llm-primary", "Degraded")
      expect([after.code, after.status]).toEqual([200, "degraded"])
      expect(provider.probes()).toBe(1)
    }).pipe(Effect.scoped))

  it.live("HP1 liveness does not ask, whatever fails", () =>
    Effect.gen(function*() {
      const provider = yield* upstream(() => undefined)
      provider.onProbe((response) => replyJson(response, "{}", 500))
      const server = yield* startFresh({ ...only(provider), HEALTH_INTERVAL: "100 millis" })
      const failed = yield* untilState(server, "llm-primary", "Failed")
      expect([failed.code, failed.status]).toEqual([200, "degraded"])
      expect((yield* request(server, "/livez")).status).toBe(200)
      expect(json(yield* request(server, "/livez")).checks).toEqual({ "event-loop": "Healthy" })
    }).pipe(Effect.scoped))
})

describe("a provider whose health checks fail", () => {
  it.live("HP7 is left alone after the third, and is asked again as soon as it is well", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response) => replyJson(response, completion("Hi!")))
      const server = yield* startFresh({ ...only(provider), HEALTH_INTERVAL: "100 millis" })
      expect((yield* chat(server, { message: "one" })).status).toBe(200)

      provider.onProbe((response) => replyJson(response, "{}", 503))
      yield* untilState(server, "llm-primary", "Failed")
      const route = Effect.map(chat(server, { message: "hello" }, unlimited), (reply) => json(reply).served?.route)
      yield* until(route, (name) => name !== "gpt-4o")
      const calls = provider.calls.length
      expect(yield* route).not.toBe("gpt-4o")
      expect(provider.calls.length).toBe(calls)

      provider.onProbe((response) => replyJson(response, "{}"))
      yield* untilState(server, "llm-primary", "Healthy")
      yield* until(route, (name) => name === "gpt-4o")
    }).pipe(Effect.scoped))

  it.live("is not one that has no list of models, or says that we ask too often; a refused key is", () =>
    Effect.gen(function*() {
      const provider = yield* upstream(() => undefined)
      const keys: Array<string | undefined> = []
      provider.onProbe((response) => {
        keys.push(response.req.headers.authorization)
        replyJson(response, "{}", 404)
      })
      const server = yield* startFresh({
        ...only(provider),
        OPENAI_API_KEY: "sk-canary",
        HEALTH_INTERVAL: "100 millis"
      })
      yield* untilState(server, "llm-primary", "Healthy")
      expect(keys[0]).toBe("Bearer sk-canary")
      provider.onProbe((response) => replyJson(response, "{}", 429))
      const asked = provider.probes()
      yield* Eventually.met(() => provider.probes() > asked + 4)
      expect((yield* checksOf(server)).checks["llm-primary"]).toBe("Healthy")
      provider.onProbe((response) => replyJson(response, "{}", 401))
      yield* untilState(server, "llm-primary", "Failed")
      expect(server.output()).not.toContain("sk-canary")
    }).pipe(Effect.scoped))
})

describe("at the door", () => {
  it.live("more requests than there is room for are refused at once, and probes are not", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ MAX_IN_FLIGHT: "2" })
      // Checks are asked once at the start, and one that had met the fault would not be known for a while.
      yield* until(request(server, "/readyz"), ({ status }) => status === 200)
      yield* setFaults(server, { hang: true })
      const waiting = yield* Effect.forEach([1, 2], () =>
        Effect.forkChild(chat(server, { message: "hello?" }), { startImmediately: true }))
      const refused = yield* until(request(server, "/v1/agents"), ({ status }) =>
        status === 503)
      expect(json(refused)).toMatchObject({ code: "overloaded", retry_after: 1, type: "/problems/overloaded" })
      expect(json(refused).request_id).toBe(refused.headers.get("x-request-id"))
      expect((yield* request(server, "/livez")).status).toBe(200)
      expect((yield* request(server, "/readyz?x=1")).status).toBe(200)
      // Whoever goes away makes room.
      yield* Fiber.interruptAll(waiting)
      yield* until(request(server, "/v1/agents"), ({ status }) => status === 200)
    }).pipe(Effect.scoped))

  it.live("floods of headers are refused, many small ones as well as large ones, and the server goes on", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const many = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`x-flood-${index}`, "1"]))
      const refused = yield* request(server, "/v1/agents", { headers: many })
      expect([refused.status, json(refused).code, json(refused).limit]).toEqual([431, "headers_too_large", 100])
      const floods = yield* Effect.forEach(Array.from({ length: 200 }), () =>
        Effect.gen(function*() {
          const wire = yield* connect(server)
          wire.send(`GET /v1/agents HTTP/1.1\r\nHost: a\r\nX-Flood: ${"f".repeat(100_000)}\r\n`)
          return yield* Effect.promise(() => wire.closed)
        }), { concurrency: 50 })
      for (const text of floods) expect(text).toMatch(/^HTTP\/1\.1 431 [^]*x-request-id: [^]*headers_too_large/i)
      expect((yield* request(server, "/livez")).status).toBe(200)
    }).pipe(Effect.scoped))

  it.live("pages of other sites are told nothing, unless their origin is on the list", () =>
    Effect.gen(function*() {
      const closed = yield* startFresh()
      const allowed = (reply: { readonly headers: Headers }) => reply.headers.get("access-control-allow-origin")
      const from = (origin: string) => ({ headers: { origin } })
      expect(allowed(yield* request(closed, "/v1/agents", from("https://app.example.com")))).toBe(null)

      const server = yield* startFresh({ CORS_ORIGINS: "https://app.example.com" })
      for (const path of ["/v1/agents", "/nowhere"]) {
        const reply = yield* request(server, path, from("https://app.example.com"))
        expect([path, allowed(reply), reply.headers.get("vary")]).toEqual([path, "https://app.example.com", "Origin"])
        expect(reply.headers.get("access-control-expose-headers")).toContain("x-request-id")
        expect(reply.headers.get("access-control-allow-credentials")).toBe(null)
      }
      for (const origin of ["https://app.example.com.evil.test", "http://app.example.com", "null"]) {
        expect([origin, allowed(yield* request(server, "/v1/agents", from(origin)))]).toEqual([origin, null])
      }
      const preflight = yield* request(server, "/v1/agents/travel_planner/chat", {
        method: "OPTIONS",
        headers: {
          origin: "https://app.example.com",
          "access-control-request-method": "POST",
          "access-control-request-headers": "x-api-key,content-type"
        }
      })
      expect([preflight.status, allowed(preflight)]).toEqual([204, "https://app.example.com"])
      expect(preflight.headers.get("access-control-allow-headers")).toContain("x-api-key")
    }).pipe(Effect.scoped))
})

describe("the dashboards' endpoints", () => {
  const monitoring = (server: RunningServer, path: string, init?: RequestInit) =>
    request(server, `/api/v1/monitoring/${path}`, init)
  const withKey = (key: string) => ({ headers: { "x-api-key": key } })

  it.live("say how each service is, and where it is and why it failed to the operator only", () =>
    Effect.gen(function*() {
      const provider = yield* upstream(() => undefined)
      provider.onProbe((response) => replyJson(response, "{}", 502))
      const server = yield* startFresh({
        ...only(provider),
        OPENAI_BASE_URL: provider.baseUrl.replace("://", "://user:hunter2@"),
        HEALTH_INTERVAL: "100 millis"
      })
      yield* untilState(server, "llm-primary", "Failed")
      const health = yield* monitoring(server, "health")
      expect([health.status, health.headers.get("cache-control")]).toEqual([200, "no-store"])
      expect(json(health)).toEqual({
        status: "degraded",
        services: expect.objectContaining({ database: "Healthy", "llm-primary": "Failed" }),
        critical_down: []
      })
      const serviceFor = (key: string) =>
        Effect.map(
          monitoring(server, "health/services", withKey(key)),
          (reply) => json(reply).services.find(({ name }: { readonly name: string }) => name === "llm-primary")
        )
      expect(yield* serviceFor(unlimitedKey)).toMatchObject({ state: "Failed", url: null, last_error: null })
      const service = yield* serviceFor(adminKey)
      expect(service).toMatchObject({
        state: "Failed",
        url: provider.baseUrl,
        last_error: "GET /models was answered with status 502",
        last_success: null
      })
      expect(service.failure_count).toBeGreaterThanOrEqual(3)
      expect(service.latency_ms).toBeGreaterThan(0)
      const { health: again, metrics } = json(yield* monitoring(server, "status"))
      expect(again.status).toBe("degraded")
      expect(metrics).toEqual(json(yield* monitoring(server, "metrics")))
      expect(metrics).toMatchObject({ active_sessions: 0, total_sessions: 0, total_errors: 0 })
    }).pipe(Effect.scoped))

  it.live("show what text chats took as well: the stage llm, and no stage of a voice turn", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      yield* setFaults(server, { latency_ms: 200 })
      for (const stream of [false, true]) {
        expect((yield* chat(server, { message: "Three days in Lisbon?", stream }, unlimited)).status).toBe(200)
      }
      const metrics = json(yield* monitoring(server, "metrics"))
      const { asr, e2e, llm, pipeline, tts } = metrics.avg_latencies_ms
      // A provider takes its latency at least; a measurement may round it.
      expect(llm).toBeGreaterThan(199)
      expect([asr, tts, e2e, pipeline]).toEqual([null, null, null, null])
      expect(metrics).toMatchObject({ active_sessions: 0, total_sessions: 2, total_errors: 0, total_barge_ins: 0 })
      const samples = yield* samplesOf(server)
      // A reply that comes as a whole has no first bit.
      const count = (stage: string) => samples.get(`session_stage_duration_seconds_count{stage=${stage}}`)
      expect(["llm", "llm_ttft", "asr"].map(count)).toEqual([2, 1, 0])
    }).pipe(Effect.scoped))

  it.live("HP4 a check that is reset is decided by its next result, and only the operator may", () =>
    Effect.gen(function*() {
      const provider = yield* upstream(() => undefined)
      provider.onProbe((response) => replyJson(response, "{}", 500))
      const server = yield* startFresh({ ...only(provider), HEALTH_INTERVAL: "200 millis" })
      yield* untilState(server, "llm-primary", "Failed")
      provider.onProbe((response) => replyJson(response, "{}"))
      const reset = (service: string, headers: Readonly<Record<string, string>>) =>
        monitoring(server, `health/reset/${service}`, { method: "POST", headers })
      expect((yield* reset("llm-primary", {})).status).toBe(401)
      for (const key of [unlimitedKey, "wrong", `${adminKey}x`, adminKey.slice(0, -1)]) {
        const refused = yield* reset("llm-primary", { "x-api-key": key })
        expect([refused.status, json(refused).code]).toEqual([403, "forbidden"])
      }
      const missing = yield* reset("nobody", { "x-api-key": adminKey })
      expect([missing.status, json(missing).code]).toEqual([404, "service_not_found"])
      expect((yield* request(server, new URL(json(missing).type, server.origin).pathname)).status).toBe(200)

      const done = yield* reset("llm-primary", { authorization: `Bearer ${adminKey}` })
      expect(json(done)).toMatchObject({ service_id: "llm-primary", status: "reset" })
      yield* untilState(server, "llm-primary", "Healthy")
    }).pipe(Effect.scoped))
})
