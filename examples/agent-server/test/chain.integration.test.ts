/** The chain of models, and what stands in for them. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import {
  admin,
  chat,
  events,
  json,
  modelProviders,
  type Reply,
  request,
  setAllFaults,
  setFaults,
  setFaultsOf,
  unlimited
} from "./support/client.ts"
import { changed } from "./support/policies.ts"
import { type RunningServer, start, startFresh, temporaryFolder } from "./support/server.ts"
import { completion, replyJson, upstream } from "./support/upstream.ts"

const quiet = { LOG_LEVEL: "error" }

const down = { down: true }

/** The reply of a chat, streamed or not. */
const bodyOf = (reply: Reply) => reply.text.startsWith("event:") ? events(reply).at(-1)?.data : json(reply)

const headersOf = ({ headers }: Reply) => [headers.get("x-degraded"), headers.get("x-served-by")]

/** How many calls each provider has had. */
const callsOf = (server: RunningServer) =>
  Effect.map(admin(server, "/sim/ledger"), (reply) => modelProviders.map((name) => json(reply)[name].calls))

const resetBreakers = (server: RunningServer) =>
  Effect.forEach(modelProviders, (name) => admin(server, `/admin/circuit-breakers/${name}/reset`, "POST"))

describe("a model that is down", () => {
  it.live("is stood in for by the next one, and the reply says so", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      const well = yield* chat(server, { message: "Lisbon" })
      expect(json(well).served).toEqual({ route: "gpt-4o", degraded: false, attempts: 1 })
      expect(headersOf(well)).toEqual([null, null])

      yield* setFaults(server, down)
      for (const stream of [false, true]) {
        const reply = yield* chat(server, { message: `Porto ${stream}`, stream })
        const body = bodyOf(reply)
        expect(body).toMatchObject({
          model: "gpt-4o-mini",
          served: { route: "gpt-4o-mini", degraded: true, attempts: 4 }
        })
        expect(body.usage.cost_usd).toBeCloseTo(
          (body.usage.prompt_tokens * 0.15 + body.usage.completion_tokens * 0.6) / 1e6,
          8
        )
        // The head of a stream is gone before it is known who answers.
        expect(headersOf(reply)).toEqual(stream ? [null, null] : ["true", "gpt-4o-mini"])
        const { messages } = json(yield* request(server, `/v1/sessions/${body.session_id}`))
        expect(messages[1].served).toEqual(body.served)
      }

      yield* setFaultsOf(server, { "llm-secondary": { error_rate: 1, status: 503, retry_after: 60 } })
      for (const stream of [false, true]) {
        const reply = yield* chat(server, { message: `Faro ${stream}`, stream })
        const body = bodyOf(reply)
        expect(body).toMatchObject({ model: "claude-haiku-4-5", served: { route: "claude-haiku", degraded: true } })
        expect(body.usage.total_tokens).toBeGreaterThan(100)
        if (!stream) expect(headersOf(reply)).toEqual(["true", "claude-haiku"])
      }
    }).pipe(Effect.scoped))

  it.live(
    "is not asked while its circuit is open, and is the first again when it is not",
    () =>
      Effect.gen(function*() {
        // It stays open for less than the half minute of the file, and for longer than what is asked meanwhile takes.
        const folder = yield* temporaryFolder
        const file = join(folder, "policies.yaml")
        writeFileSync(file, changed(["openFor: { base: 30 seconds", "openFor: { base: 8 seconds"]))
        const server = yield* start(folder, { ...quiet, POLICIES: file })
        yield* setFaults(server, down)
        for (let call = 0; call < 5; call++) {
          expect(bodyOf(yield* chat(server, { message: "hi", stream: call % 2 === 0 })).served.route).toBe(
            "gpt-4o-mini"
          )
        }
        const [asked] = yield* callsOf(server)
        const reply = json(yield* chat(server, { message: "at once" }))
        expect(reply.served).toEqual({ route: "gpt-4o-mini", degraded: true, attempts: 1 })
        expect((yield* callsOf(server))[0]).toBe(asked)

        yield* setFaults(server, { down: false })
        expect(json(yield* chat(server, { message: "still open" })).served.route).toBe("gpt-4o-mini")
        const { circuit_breakers } = json(yield* admin(server, "/admin/circuit-breakers"))
        yield* Effect.sleep(circuit_breakers[0].retry_after_ms + 50)
        expect(json(yield* chat(server, { message: "a probe" })).served).toEqual({
          route: "gpt-4o",
          degraded: false,
          attempts: 1
        })
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("that limits us is left alone as long as it asked, and not waited for", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      yield* setFaults(server, { rate_limit_rate: 1, retry_after: 2 })
      const limited = json(yield* chat(server, { message: "hi" }))
      expect(limited.served).toEqual({ route: "gpt-4o-mini", degraded: true, attempts: 2 })
      yield* setFaults(server, { rate_limit_rate: 0 })
      const resting = json(yield* chat(server, { message: "hi" }))
      expect(resting.served).toEqual({ route: "gpt-4o-mini", degraded: true, attempts: 1 })
      const { fallback_chains: [chain] } = json(yield* admin(server, "/admin/fallback-chains"))
      expect(chain.routes.map(({ route, state }: { route: string; state: string }) => [route, state])).toEqual([
        ["gpt-4o", "Limited"],
        ["gpt-4o-mini", "Ready"],
        ["claude-haiku", "Ready"]
      ])
      yield* Effect.sleep(chain.routes[0].rests_for_ms + 50)
      expect(json(yield* chat(server, { message: "hi" })).served.route).toBe("gpt-4o")
    }).pipe(Effect.scoped))

  it.live("that hangs leaves time for the others", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ ...quiet, MAX_RUN_SECONDS: "3" })
      yield* setFaultsOf(server, { "llm-primary": { hang: true }, "llm-secondary": { hang: true } })
      for (const stream of [false, true]) {
        const { served } = bodyOf(yield* chat(server, { message: "hi", stream }))
        expect(served).toEqual({ route: "claude-haiku", degraded: true, attempts: 3 })
      }
      yield* setFaultsOf(server, { "llm-anthropic": { hang: true } })
      const reply = yield* chat(server, { message: "hello" })
      expect([reply.status, json(reply).served.route]).toEqual([200, "pattern"])
    }).pipe(Effect.scoped))
})

describe("when no model answers", () => {
  it.live("there is the reply of before, a canned one, and in the end an apology", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      const before = json(yield* chat(server, { message: "Three days in Lisbon?" }))
      yield* setAllFaults(server, down)
      const nothing = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0, cost_usd: 0 }
      for (const stream of [false, true]) {
        const kept = yield* chat(server, { message: "  three days\nin LISBON?", stream })
        expect(bodyOf(kept)).toMatchObject({
          reply: before.reply,
          model: "gpt-4o",
          usage: nothing,
          served: { route: "cache", degraded: true }
        })
        if (!stream) expect(headersOf(kept)).toEqual(["true", "cache"])

        const greeting = bodyOf(yield* chat(server, { message: "Hello!", stream }))
        expect(greeting).toMatchObject({ model: "none", usage: nothing, served: { route: "pattern", degraded: true } })

        // An apology is not kept as if it were an answer.
        for (let time = 0; time < 2; time++) {
          const sorry = yield* chat(server, { message: "hello, three days in Porto?", stream })
          expect(sorry.status).toBe(200)
          expect(bodyOf(sorry)).toMatchObject({
            model: "none",
            usage: nothing,
            served: { route: "static", degraded: true }
          })
          if (stream) {
            expect(events(sorry).map(({ event }) => event)).toEqual(["step", "step", "delta", "done"])
            expect(events(sorry)[2]?.data.text).toBe(bodyOf(sorry).reply)
          }
        }
      }
      // Another agent was never asked that.
      const examiner = yield* chat(server, { message: "Three days in Lisbon?" }, { agent: "viva_examiner" })
      expect(json(examiner).served.route).toBe("static")
      // All three have failed often enough to be left alone: nobody is called any more.
      expect(json(examiner).served.attempts).toBe(0)

      yield* setAllFaults(server, { down: false })
      yield* resetBreakers(server)
      expect(json(yield* chat(server, { message: "Three days in Porto?" })).served.route).toBe("gpt-4o")
    }).pipe(Effect.scoped))

  it.live("a wrong request is still told that it is one", () =>
    Effect.gen(function*() {
      const refusing = (code: string) =>
        Effect.gen(function*() {
          const provider = yield* upstream((response) =>
            replyJson(response, JSON.stringify({ error: { message: "no", code } }), 400)
          )
          const server = yield* startFresh({ ...quiet, OPENAI_BASE_URL: provider.baseUrl })
          const reply = yield* chat(server, { message: "hello" })
          return [reply.status, json(reply).code, provider.calls.map(({ body }) => body.model)]
        }).pipe(Effect.scoped)
      // The second one takes as much as the first and would refuse the same: it is not asked.
      expect(yield* refusing("content_policy_violation")).toEqual([422, "content_refused", ["gpt-4o"]])
      expect(yield* refusing("context_length_exceeded")).toEqual([422, "context_too_long", ["gpt-4o"]])

      const server = yield* startFresh({ ...quiet, MAX_MESSAGE_CHARS: "1000000", MAX_BODY_BYTES: "2000000" })
      const long = yield* chat(server, { message: "x".repeat(600_000) })
      expect(json(long).served).toEqual({ route: "claude-haiku", degraded: false, attempts: 1 })
      const tooLong = yield* chat(server, { message: "x".repeat(900_000) })
      expect([tooLong.status, json(tooLong).code]).toEqual([422, "context_too_long"])
      expect(yield* callsOf(server)).toEqual([0, 0, 1])
    }).pipe(Effect.scoped), 60_000)
})

describe("a stream that breaks off", () => {
  it.live("FB-2 after any word ends with a typed error, and nobody else goes on with it", () =>
    Effect.gen(function*() {
      const server = yield* startFresh(quiet)
      yield* setAllFaults(server, { latency_ms: 0, jitter_ms: 0, chunk_ms: 10 })
      const whole = events(yield* chat(server, { message: "Lisbon", stream: true }, unlimited))
      const words = whole.filter(({ event }) => event === "delta").map(({ data }) => data.text)
      for (let at = 1; at < words.length; at++) {
        yield* setFaults(server, { truncate_stream_at: at })
        const all = events(yield* chat(server, { message: "Lisbon", stream: true }, unlimited))
        const said = all.filter(({ event }) => event === "delta").map(({ data }) => data.text)
        expect(said.join("")).toBe(words.slice(0, at).join(""))
        expect(all.at(-1)).toMatchObject({ event: "error", data: { code: "bad_upstream", status: 502 } })
        yield* resetBreakers(server)
      }
      expect((yield* callsOf(server)).slice(1)).toEqual([0, 0])

      // Before its first word another model may say it all.
      yield* setFaults(server, { truncate_stream_at: 0 })
      const other = events(yield* chat(server, { message: "Lisbon", stream: true }, unlimited))
      expect(other.at(-1)?.data.served).toEqual({ route: "gpt-4o-mini", degraded: true, attempts: 4 })
      expect(other.filter(({ event }) => event === "delta").map(({ data }) => data.text).join("")).toBe(words.join(""))
    }).pipe(Effect.scoped), 60_000)
})

describe("a storm", () => {
  it.live(
    "FB-9 of 500s, 429s, hangs and an outage of the first model is nothing that clients see",
    () =>
      Effect.gen(function*() {
        const server = yield* startFresh({ ...quiet, MAX_RUN_SECONDS: "10", SIM_SEED: "5" })
        const flaky = { error_rate: 0.2, rate_limit_rate: 0.05, retry_after: 0.2, hang: 0.02 }
        yield* setFaults(server, flaky)
        let begun = 0
        const answers = yield* Effect.forEach(
          Array.from({ length: 1000 }, (_, call) => call),
          (call) =>
            Effect.gen(function*() {
              begun++
              if (begun === 400) yield* setFaults(server, down)
              if (begun === 700) yield* setFaults(server, { down: false })
              const reply = yield* chat(server, { message: `trip ${call}`, stream: call % 2 === 0 }, unlimited)
              const body = call % 2 === 0 ? events(reply).at(-1)?.data : json(reply)
              return {
                status: reply.status,
                route: body?.served?.route,
                isRight: body?.reply?.includes(`trip ${call}`)
              }
            }),
          { concurrency: 50 }
        )
        const errors = answers.filter(({ route, status }) => status !== 200 || route === undefined)
        expect(errors.length).toBeLessThan(10)
        // And they are answers of models, not apologies. How many the first one gives is up to the machine as well: what comes
        // too late counts as a failure.
        expect(answers.filter(({ isRight }) => isRight).length).toBeGreaterThanOrEqual(990)
        expect(answers.filter(({ route }) => route === "gpt-4o").length).toBeGreaterThan(20)
        expect(answers.filter(({ route }) => route === "gpt-4o-mini").length).toBeGreaterThan(100)
      }).pipe(Effect.scoped),
    120_000
  )
})

describe("real providers", () => {
  it.live("are those of the environment: what there is no key for is left out", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response, call) =>
        call.body.model === "gpt-4o"
          ? replyJson(response, "{}", 500)
          : replyJson(response, completion("Hi", { model: call.body.model }))
      )
      const server = yield* startFresh({ ...quiet, OPENAI_BASE_URL: provider.baseUrl, OPENAI_API_KEY: "sk-1" })
      expect(json(yield* chat(server, { message: "hi" })).served).toEqual({
        route: "gpt-4o-mini",
        degraded: true,
        attempts: 4
      })
      const routes = Effect.map(admin(server, "/admin/fallback-chains"), (reply) =>
        json(reply).fallback_chains[0].routes.map(({ route }: { route: string }) => route))
      expect(yield* routes).toEqual(["gpt-4o", "gpt-4o-mini"])
      expect((yield* admin(server, "/sim/ledger")).status).toBe(404)
    }).pipe(Effect.scoped))

  it.live("may be Anthropic's alone, and an OpenAI-compatible server may have models of other names", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response, call) => {
        if (call.url === "/v1/messages") {
          return replyJson(
            response,
            JSON.stringify({
              id: "msg_1",
              type: "message",
              role: "assistant",
              model: call.body.model,
              content: [{ type: "text", text: "Hi" }],
              stop_reason: "end_turn",
              stop_sequence: null,
              usage: { input_tokens: 12, output_tokens: 3 }
            })
          )
        }
        response.destroy()
      })
      const root = provider.baseUrl.replace(/\/v1$/, "")
      const server = yield* startFresh({
        ...quiet,
        ANTHROPIC_BASE_URL: root,
        ANTHROPIC_API_KEY: "sk-ant-1",
        ANTHROPIC_MODEL: "claude-haiku-4-5-20251001"
      })
      const reply = json(yield* chat(server, { message: "hi" }))
      expect(reply.served).toEqual({ route: "claude-haiku-4-5-20251001", degraded: false, attempts: 1 })
      expect(reply.usage.cost_usd).toBeCloseTo((12 * 1 + 3 * 5) / 1e6, 9)
      expect(provider.calls[0]?.headers["x-api-key"]).toBe("sk-ant-1")

      const both = yield* startFresh({
        ...quiet,
        OPENAI_BASE_URL: provider.baseUrl,
        OPENAI_MODEL: "llama-99",
        ANTHROPIC_BASE_URL: root
      })
      expect(json(yield* chat(both, { message: "hi" })).served.route).toBe("claude-haiku")
      const { fallback_chains: [chain] } = json(yield* admin(both, "/admin/fallback-chains"))
      expect(chain.routes.map(({ route }: { route: string }) => route)).toEqual(["llama-99", "claude-haiku"])
    }).pipe(Effect.scoped))

  it.live("whose key is refused are not asked again until the operator says so", () =>
    Effect.gen(function*() {
      let isRefused = true
      const provider = yield* upstream((response) =>
        isRefused ? replyJson(response, "{}", 401) : replyJson(response, completion("Hi"))
      )
      const server = yield* startFresh({ ...quiet, OPENAI_BASE_URL: provider.baseUrl, OPENAI_MODEL: "org/model-1" })
      expect(json(yield* chat(server, { message: "why?" })).served).toEqual({
        route: "static",
        degraded: true,
        attempts: 1
      })
      expect(json(yield* chat(server, { message: "why?" })).served.attempts).toBe(0)
      isRefused = false
      expect((yield* admin(server, "/admin/fallback-chains/llm/routes/nobody/reset", "POST")).status).toBe(404)
      const reset = yield* admin(
        server,
        `/admin/fallback-chains/llm/routes/${encodeURIComponent("org/model-1")}/reset`,
        "POST"
      )
      expect(reset.status).toBe(204)
      expect(json(yield* chat(server, { message: "why?" })).served.route).toBe("org/model-1")
    }).pipe(Effect.scoped))
})

describe("the budget", () => {
  it.live("FB-7 warns, then asks the cheapest model only, then none, and there is a reply all the same", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "warn", PROVIDER_USD_PER_DAY: "0.03" })
      const prompt = "word ".repeat(1400)
      const seen: Array<string> = []
      for (let call = 0; call < 100; call++) {
        const { served } = json(yield* chat(server, { message: `${prompt}${call}` }, unlimited))
        seen.push(served.route)
        if (served.route === "static") break
      }
      const inOrder = seen.filter((route, index) => route !== seen[index - 1])
      expect(inOrder).toEqual(["gpt-4o", "gpt-4o-mini", "static"])
      const { fallback_chains: [chain] } = json(yield* admin(server, "/admin/fallback-chains"))
      expect(chain.level).toBe("Denied")
      expect(chain.spent_usd).toBeGreaterThanOrEqual(0.036)
      expect(server.output()).toMatch(/The budget of .{1,6}llm.{1,6} is at .*Warned/)
    }).pipe(Effect.scoped))
})
