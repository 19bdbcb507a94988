/**
 * The servers that are compared do the same: our agent server and the Fastify assembly answer the same requests alike, and
 * none of the three is left out by the load.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { load, loadKey, type Name, names, type Server, startServer, startUpstream } from "../src/wholeServer/servers.ts"

const compared = ["agent-server", "Fastify"] as const

let stopUpstream: () => Promise<void>
const servers = new Map<Name, Server>()

beforeAll(async () => {
  const upstream = await startUpstream()
  stopUpstream = upstream.stop
  for (const name of names) servers.set(name, await startServer(name, upstream.origin))
})

afterAll(async () => {
  for (const server of servers.values()) await server.stop()
  await stopUpstream()
})

interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** `any`: the tests say what must be in it. */
  readonly body: any
}

const send = async (name: Name, path: string, init: RequestInit = {}): Promise<Reply> => {
  const response = await fetch(`${servers.get(name)!.origin}${path}`, {
    ...init,
    headers: { "x-api-key": loadKey, ...init.headers }
  })
  const text = await response.text()
  const isJson = /json/.test(response.headers.get("content-type") ?? "")
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined }
}

const chat = (
  name: Name,
  body: unknown,
  { agent = "travel_planner", headers = {} }: { readonly agent?: string; readonly headers?: Record<string, string> } =
    {}
): Promise<Reply> =>
  send(name, `/v1/agents/${agent}/chat`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body)
  })

/** What a reply is, without what differs from one to the next: ids, times, the words of problems. */
const shape = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(shape)
  if (typeof value !== "object" || value === null) return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, inside]) => [key, shape(inside)]))
}

const both = async <A>(ask: (name: Name) => Promise<A>): Promise<[ours: A, theirs: A]> => [
  await ask(compared[0]),
  await ask(compared[1])
]

const mediaType = ({ headers }: Reply): string | undefined => headers.get("content-type")?.split(";")[0]

describe("the agent server and the Fastify assembly", () => {
  it("give the same reply to a chat, and know of it afterwards", async () => {
    const [ours, theirs] = await both((name) => chat(name, { message: "Three days in Lisbon?" }))
    for (const reply of [ours, theirs]) {
      expect([reply.status, mediaType(reply)]).toEqual([200, "application/json"])
      expect(reply.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/)
    }
    expect(theirs.body).toEqual({ ...ours.body, session_id: theirs.body.session_id })

    const [our, their] = await both(async (name) => {
      const { session_id } = (name === compared[0] ? ours : theirs).body
      const second = await chat(name, { message: "By train", session_id })
      const read = await send(name, `/v1/sessions/${session_id}`)
      const wrong = await chat(name, { message: "hi", session_id }, { agent: "viva_examiner" })
      const deleted = await send(name, `/v1/sessions/${session_id}`, { method: "DELETE" })
      const gone = await send(name, `/v1/sessions/${session_id}`)
      return { second, read, wrong, statuses: [wrong, deleted, gone].map(({ status }) => status), gone }
    })
    expect(their.second.body).toEqual({ ...our.second.body, session_id: theirs.body.session_id })
    expect(shape(their.read.body)).toEqual(shape(our.read.body))
    expect(their.read.body.messages).toHaveLength(4)
    expect(their.statuses).toEqual(our.statuses)
    expect(their.statuses).toEqual([409, 204, 404])
    expect([their.wrong.body.code, their.gone.body.code]).toEqual([our.wrong.body.code, our.gone.body.code])
  })

  it("stream the same events", async () => {
    const eventsOf = ({ text }: Reply) =>
      text.split("\n\n").filter((block) => block.trim() !== "").map((block) => {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1] ?? ""
        const data = JSON.parse(field("data"))
        return [field("event"), field("event") === "done" ? { ...data, session_id: "" } : data]
      })
    for (
      const [body, headers] of [
        [{ message: "Lisbon", stream: true }, {}],
        [{ message: "Lisbon" }, { accept: "text/event-stream" }]
      ] as const
    ) {
      const [ours, theirs] = await both((name) => chat(name, body, { headers }))
      expect(eventsOf(theirs)).toEqual(eventsOf(ours))
      expect(eventsOf(theirs).length).toBeGreaterThan(10)
      for (const reply of [ours, theirs]) {
        expect([reply.status, mediaType(reply)]).toEqual([200, "text/event-stream"])
        expect(reply.headers.get("cache-control")).toBe("no-store")
        expect(reply.headers.get("x-accel-buffering")).toBe("no")
      }
    }
  })

  it("refuse the same requests, with problems of the same kind", async () => {
    const requests: ReadonlyArray<(name: Name) => Promise<Reply>> = [
      (name) => chat(name, { message: 5, session_id: "no such id!", stream: "yes" }),
      (name) => chat(name, {}),
      (name) => chat(name, { message: "  " }),
      (name) => chat(name, "{\"message\": "),
      (name) => chat(name, { message: "hi" }, { agent: "poet" }),
      (name) => chat(name, { message: "hi", session_id: "unknown" }),
      (name) => chat(name, { message: "x".repeat(8001) }),
      (name) => chat(name, { message: "x".repeat(300_000) }),
      (name) => chat(name, "hello", { headers: { "content-type": "text/plain" } }),
      (name) => chat(name, { message: "hi" }, { headers: { "x-api-key": "nobody's" } }),
      (name) => send(name, "/v1/sessions/unknown"),
      (name) => send(name, "/nowhere")
    ]
    for (const request of requests) {
      const [ours, theirs] = await both(request)
      const facts = (reply: Reply) => {
        const { code, errors, limit, request_id, status, type } = reply.body
        return {
          status: reply.status,
          type: mediaType(reply),
          problem: { code, limit, status, type },
          fields: errors?.map((error: { in: string; path: string }) => [error.in, error.path]).toSorted(),
          hasRequestId: request_id === reply.headers.get("x-request-id")
        }
      }
      expect(facts(theirs)).toEqual(facts(ours))
      expect(theirs.status).toBeGreaterThanOrEqual(400)
    }
  })

  it("list the same agents, and tell that they live", async () => {
    for (const path of ["/v1/agents", "/health/live", "/livez", "/healthz"]) {
      const [ours, theirs] = await both((name) => send(name, path))
      expect([path, theirs.status, theirs.headers.get("cache-control"), theirs.body])
        .toEqual([path, ours.status, ours.headers.get("cache-control"), ours.body])
    }
  })

  it("count what they do in the same families", async () => {
    const [ours, theirs] = await both((name) => send(name, "/metrics"))
    const families = ({ text }: Reply) => new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, family]) => family))
    for (
      const family of [
        "http_server_request_duration_seconds",
        "http_requests_total",
        "http_server_active_requests",
        "http_client_request_duration_seconds",
        "gen_ai_client_operation_duration_seconds",
        "gen_ai_client_token_usage",
        "llm_requests_total",
        "llm_tokens_total",
        "llm_cost_usd_total",
        "resilience_pipeline_duration_seconds",
        "resilience_retry_calls_total",
        "resilience_circuit_breaker_calls_total",
        "resilience_rate_limiter_decisions_total",
        "db_client_operation_duration_seconds",
        "nodejs_eventloop_lag_p99_seconds",
        "process_resident_memory_bytes"
      ]
    ) {
      expect([family, families(theirs).has(family), families(ours).has(family)]).toEqual([family, true, true])
    }
  })

  it("limit callers without a key by their address", async () => {
    const [ours, theirs] = await both(async (name) => {
      let last = await send(name, "/v1/agents", { headers: { "x-api-key": "" } })
      const first = last
      for (let asked = 1; asked < 70 && last.status === 200; asked++) {
        last = await send(name, "/v1/agents", { headers: { "x-api-key": "" } })
      }
      return { first, last }
    })
    for (const { first, last } of [ours, theirs]) {
      expect([first.headers.get("x-ratelimit-limit"), first.headers.get("x-ratelimit-remaining")]).toEqual(["60", "59"])
      expect(last.status).toBe(429)
      expect(last.body).toMatchObject({ code: "rate_limit_exceeded", error: "rate_limit_exceeded", limit: 60 })
      expect(last.body.message).toMatch(/^Rate limit exceeded\. Try again in \d+ seconds?\.$/)
      expect(last.headers.get("retry-after")).toBe(String(last.body.retry_after))
    }
  })
})

describe("the load", () => {
  for (const name of names) {
    for (const stream of [false, true]) {
      it(`is answered by the ${name} server, ${stream ? "bit by bit" : "at once"}`, async () => {
        const { origin } = servers.get(name)!
        const report = await load({ kind: "closed", origin, key: loadKey, stream, connections: 4, seconds: 0.5 })
        expect(report.failures).toEqual([])
        expect(report.answered).toBeGreaterThan(0)
        expect(report.p50).toBeLessThanOrEqual(report.p99)
      })
    }
  }

  it("at a pace sends as many as it says", async () => {
    const { origin } = servers.get("Fastify")!
    const what = { kind: "paced", stream: false, connections: 4, seconds: 1, rate: 50, key: loadKey } as const
    expect(await load({ ...what, origin })).toMatchObject({ answered: 50, failed: 0 })
  })

  it("keeps streams open until it is told", async () => {
    const { origin } = servers.get("agent-server")!
    let wasOpen = false
    const report = await load(
      { kind: "held", stream: true, origin, key: loadKey, connections: 20, seconds: 20 },
      async () => {
        wasOpen = true
      }
    )
    expect(report).toMatchObject({ answered: 20, failed: 0 })
    expect(wasOpen).toBe(true)
  })
})
