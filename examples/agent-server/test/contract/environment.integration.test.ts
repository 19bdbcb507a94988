/** Every variable of the environment does something, or stops the start with a line that names it. */
import * as OtlpCollector from "@effect-resilience/testing/OtlpCollector"
import * as RealServer from "@effect-resilience/testing/RealServer"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { json } from "../support/client.ts"
import { runToEnd, start, startFresh, temporaryFolder } from "../support/server.ts"
import { providers } from "../support/simulated.ts"
import { until } from "../support/until.ts"
import { type Call, completion, replyJson, upstream } from "../support/upstream.ts"
import { recordingOf } from "../support/wav.ts"
import { askOf, replied } from "./ask.ts"
import * as Bodies from "./bodies.ts"
import { operator } from "./kit.ts"

/** A value that makes no sense, by variable. */
const nonsense = {
  PORT: "eighty",
  OPENAI_BASE_URL: "ftp://user:hunter2@models.example",
  OPENAI_API_KEY: "hunter2 with spaces",
  ANTHROPIC_BASE_URL: "hunter2",
  ANTHROPIC_API_KEY: "hunter2é",
  STT_URL: "hunter2",
  STT_API_KEY: "hunter2 with spaces",
  STT_BACKUP_URL: "hunter2",
  STT_BACKUP_API_KEY: "hunter2 with spaces",
  TTS_URL: "hunter2",
  TTS_API_KEY: "hunter2 with spaces",
  TTS_BACKUP_URL: "hunter2",
  TTS_BACKUP_API_KEY: "hunter2 with spaces",
  REDIS_URL: "hunter2@localhost",
  DATABASE_URL: "mysql://root:hunter2@localhost/agents",
  DATABASE_AWAY: "panic",
  API_KEYS: "me:hunter2-key:gold",
  ADMIN_KEY: "hunter2 with spaces",
  CORS_ORIGINS: "*",
  TRUSTED_PROXIES: "everybody",
  LOG_LEVEL: "loud",
  LOG_FORMAT: "xml",
  LOG_DEBUG_SHARE: "2",
  LOG_FILE_BYTES: "1",
  MAX_MESSAGE_CHARS: "0",
  MAX_BODY_BYTES: "0",
  MAX_AUDIO_BYTES: "-1",
  MAX_RUN_SECONDS: "0",
  MAX_IN_FLIGHT: "0",
  PRE_STOP_DELAY: "soon",
  DRAIN_TIMEOUT: "-1",
  TERMINATION_GRACE_PERIOD_SECONDS: "1",
  HEALTH_INTERVAL: "0",
  SIM_SEED: "x",
  DLQ_AUTO_REDRIVE_SECONDS: "0",
  DLQ_ENCRYPTION_KEYS: "hunter2",
  PROVIDER_REQUESTS_PER_MINUTE: "0",
  PROVIDER_TOKENS_PER_MINUTE: "many",
  PROVIDER_USD_PER_DAY: "-1",
  PROVIDER_CONCURRENCY: "0",
  AGENT_REQUESTS_PER_MINUTE: "few"
}

/** The lines of a start that was refused. */
const refusal = (environment: Readonly<Record<string, string>>) =>
  Effect.map(runToEnd(environment), ({ code, stderr, stdout }) => {
    expect([code, stdout.includes("is up")]).toEqual([1, false])
    expect(stdout + stderr).not.toContain("hunter2")
    return stderr.trimEnd().split("\n").map((line) => {
      expect(line).toMatch(/^agent-server cannot start: [A-Z]/)
      return line.replace("agent-server cannot start: ", "")
    })
  })

/** A model, a transcriber and a speaker, who fail where their path begins with `/v1/first`. */
const services = upstream((response, { url }) => {
  if (url.startsWith("/v1/first")) return replyJson(response, JSON.stringify({ error: { message: "no" } }), 500)
  if (url.endsWith("/audio/transcriptions")) return replyJson(response, "{\"text\":\"How late is it?\"}")
  if (url.endsWith("/audio/speech")) {
    return void response.writeHead(200, { "content-type": "audio/wav" }).end(recordingOf("tick"))
  }
  if (!url.endsWith("/messages")) return replyJson(response, completion("Half past nine."))
  replyJson(
    response,
    JSON.stringify({
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "haiku-x",
      content: [{ type: "text", text: "Half past nine." }],
      stop_reason: "end_turn",
      usage: { input_tokens: 9, output_tokens: 3 }
    })
  )
})

const chatOf = (server: Parameters<typeof askOf>[0], headers = {}, message = "How late is it?") =>
  askOf(server, "POST /v1/agents/travel_planner/chat", { body: { message }, headers: { ...operator, ...headers } })

interface Effects {
  readonly [sentence: string]: {
    readonly variables: ReadonlyArray<string>
    readonly row: Effect.Effect<void, unknown, Scope.Scope>
  }
}

const effects: Effects = {
  "where the server listens": {
    variables: ["HOST", "PORT"],
    row: Effect.gen(function*() {
      const port = String(yield* RealServer.freePort)
      const { origin } = yield* startFresh({ HOST: "127.0.0.2", PORT: port })
      expect(origin).toBe(`http://127.0.0.2:${port}`)
      expect(yield* refusal({ PORT: "0", HOST: "192.0.2.1", DATA_DIR: yield* temporaryFolder })).toEqual([
        "HOST: this machine has no address \"192.0.2.1\""
      ])
    })
  },

  "which models are asked, where, and with which keys": {
    variables: [
      "OPENAI_BASE_URL",
      "OPENAI_API_KEY",
      "OPENAI_MODEL",
      "OPENAI_FALLBACK_MODEL",
      "ANTHROPIC_BASE_URL",
      "ANTHROPIC_API_KEY",
      "ANTHROPIC_MODEL"
    ],
    row: Effect.gen(function*() {
      const { baseUrl, calls } = yield* services
      const server = yield* startFresh({
        OPENAI_BASE_URL: `${baseUrl}/first`,
        OPENAI_API_KEY: "openai-key",
        OPENAI_MODEL: "large-x",
        OPENAI_FALLBACK_MODEL: "small-x",
        ANTHROPIC_BASE_URL: baseUrl.replace(/\/v1$/, ""),
        ANTHROPIC_API_KEY: "anthropic-key",
        ANTHROPIC_MODEL: "haiku-x"
      })
      expect(replied(yield* chatOf(server), 200, Bodies.ChatReply).model).toBe("haiku-x")
      const models = calls.map(({ body }): string => body.model)
      expect([...new Set(models)]).toEqual(["large-x", "small-x", "haiku-x"])
      expect(calls.at(0)?.headers["authorization"]).toBe("Bearer openai-key")
      expect(calls.at(-1)?.headers["x-api-key"]).toBe("anthropic-key")
    })
  },

  "who transcribes and speaks, in whose place, with which keys, models and voice": {
    variables: ["STT", "TTS"].flatMap((kind) =>
      ["URL", "API_KEY", "MODEL"].flatMap((name) => [`${kind}_${name}`, `${kind}_BACKUP_${name}`])
    ).concat("TTS_VOICE"),
    row: Effect.gen(function*() {
      const { baseUrl, calls } = yield* services
      const server = yield* startFresh({
        STT_URL: `${baseUrl}/first`,
        STT_API_KEY: "stt-key",
        STT_MODEL: "ears-1",
        STT_BACKUP_URL: baseUrl,
        STT_BACKUP_API_KEY: "stt-backup-key",
        STT_BACKUP_MODEL: "ears-2",
        TTS_URL: `${baseUrl}/first`,
        TTS_API_KEY: "tts-key",
        TTS_MODEL: "mouth-1",
        TTS_BACKUP_URL: baseUrl,
        TTS_BACKUP_API_KEY: "tts-backup-key",
        TTS_BACKUP_MODEL: "mouth-2",
        TTS_VOICE: "echo"
      })
      const reply = yield* askOf(server, "POST /v1/speech_to_speech", { body: recordingOf("x"), headers: operator })
      expect(replied(reply, 200, Bodies.VoiceReply)).toMatchObject({
        transcript: "How late is it?",
        speech_error: null
      })
      const asked = (path: string, key: string) =>
        calls.filter(({ headers, url }) => url.endsWith(path) && headers["authorization"] === `Bearer ${key}`)
      const saying = (found: ReadonlyArray<Call>) =>
        found.map(({ body }) => Buffer.isBuffer(body) ? String(body) : JSON.stringify(body)).at(-1)
      expect(saying(asked("/first/audio/transcriptions", "stt-key"))).toContain("ears-1")
      expect(saying(asked("/v1/audio/transcriptions", "stt-backup-key"))).toContain("ears-2")
      expect(saying(asked("/first/audio/speech", "tts-key"))).toContain("mouth-1")
      expect(saying(asked("/v1/audio/speech", "tts-backup-key"))).toMatch(/mouth-2.*echo|echo.*mouth-2/)
    })
  },

  "how much a provider is asked for": {
    variables: ["PROVIDER_REQUESTS_PER_MINUTE", "PROVIDER_TOKENS_PER_MINUTE", "PROVIDER_USD_PER_DAY"],
    row: Effect.gen(function*() {
      const server = yield* startFresh({
        PROVIDER_REQUESTS_PER_MINUTE: "11",
        PROVIDER_TOKENS_PER_MINUTE: "2222",
        PROVIDER_USD_PER_DAY: "3.5"
      })
      const reply = yield* askOf(server, "GET /admin/rate-limits?policy=llm-primary&key=llm-primary", {
        headers: operator
      })
      expect(replied(reply, 200, Bodies.Limits).rules.map(({ limit, unit }) => [unit, limit])).toEqual([
        ["requests", 11],
        ["tokens", 2222],
        ["cost", 3.5]
      ])
    })
  },

  "who may ask, from where, and how much": {
    variables: [
      "API_KEYS",
      "ADMIN_KEY",
      "CORS_ORIGINS",
      "TRUSTED_PROXIES",
      "MAX_MESSAGE_CHARS",
      "MAX_BODY_BYTES",
      "MAX_AUDIO_BYTES"
    ],
    row: Effect.gen(function*() {
      const server = yield* startFresh({
        API_KEYS: "me:contract-key-me:free",
        ADMIN_KEY: "contract-admin",
        CORS_ORIGINS: "https://app.example.com",
        TRUSTED_PROXIES: "127.0.0.1/32",
        MAX_MESSAGE_CHARS: "5",
        MAX_BODY_BYTES: "100",
        MAX_AUDIO_BYTES: "1000"
      })
      const mine = { "x-api-key": "contract-key-me", origin: "https://app.example.com" }
      const agents = yield* askOf(server, "GET /v1/agents", { headers: mine })
      expect([agents.headers.get("x-ratelimit-limit"), agents.headers.get("access-control-allow-origin")]).toEqual([
        "60",
        "https://app.example.com"
      ])
      const stranger = yield* askOf(server, "GET /v1/agents", {
        headers: { ...mine, origin: "https://evil.example.com" }
      })
      expect(stranger.headers.get("access-control-allow-origin")).not.toBe("https://evil.example.com")
      const remaining = (address: string) =>
        Effect.map(
          askOf(server, "GET /v1/agents", { headers: { "x-api-key": "", "x-forwarded-for": address } }),
          ({ headers }) => headers.get("x-ratelimit-remaining")
        )
      expect(yield* Effect.all([remaining("198.51.100.1"), remaining("198.51.100.2")])).toEqual(["59", "59"])
      expect((yield* askOf(server, "GET /sim/faults", { headers: { "x-api-key": "contract-admin" } })).status).toBe(200)
      expect((yield* askOf(server, "GET /sim/faults", { headers: mine })).status).toBe(403)
      const limit = Effect.map((reply: { readonly text: string }) => JSON.parse(reply.text).limit)
      expect(yield* limit(chatOf(server, mine, "123456"))).toBe(5)
      expect(yield* limit(chatOf(server, mine, "x".repeat(200)))).toBe(100)
      const recording = { body: recordingOf("hi"), headers: mine }
      expect(yield* limit(askOf(server, "POST /v1/speech_to_speech", recording))).toBe(1000)
    })
  },

  "which policies are in force": {
    variables: ["POLICIES"],
    row: Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const file = join(folder, "mine.yaml")
      const text = readFileSync(new URL("../../policies.yaml", import.meta.url), "utf8")
      writeFileSync(file, text.replace("perIp: 60", "perIp: 61"))
      const server = yield* start(folder, { POLICIES: file })
      const reply = yield* askOf(server, "GET /v1/agents", { headers: { "x-api-key": "" } })
      expect(reply.headers.get("x-ratelimit-limit")).toBe("61")
      writeFileSync(file, text.replace("perIp: 60", "perIp: -1"))
      const [line] = yield* refusal({ PORT: "0", DATA_DIR: folder, POLICIES: file })
      expect(line).toContain("POLICIES: ")
    })
  },

  "where data is": {
    variables: ["DATA_DIR", "METRICS_SAVE_PATH", "LOG_FILE", "LOG_LEVEL", "LOG_FORMAT", "DLQ_ENCRYPTION_KEYS"],
    row: Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const server = yield* start(join(folder, "data"), {
        METRICS_SAVE_PATH: "measures/turns.jsonl",
        LOG_FILE: join(folder, "server.log"),
        LOG_LEVEL: "debug",
        LOG_FORMAT: "text",
        LOG_DEBUG_SHARE: "1",
        DLQ_ENCRYPTION_KEYS: `one:${"ab".repeat(32)}`
      })
      yield* chatOf(server)
      yield* askOf(server, "GET /livez", { headers: { "x-request-id": "contract-probe" } })
      yield* askOf(server, "PUT /sim/faults", {
        body: Object.fromEntries(providers.map((name) => [name, { down: true }])),
        headers: operator
      })
      const { letter_id } = json(yield* chatOf(server, {}, "sealed words"))
      const exported = yield* askOf(server, "GET /admin/dlq/export", { headers: operator })
      expect([typeof letter_id, exported.text.includes("sealed words")]).toEqual(["string", false])
      yield* Effect.promise(() => server.stop("SIGTERM"))
      const read = (...path: ReadonlyArray<string>) => readFileSync(join(folder, ...path), "utf8")
      expect(read("data", "agent.sqlite").startsWith("SQLite format 3")).toBe(true)
      expect(read("data", "measures", "turns.jsonl").trimEnd().split("\n").length).toBeGreaterThan(0)
      expect(read("server.log")).toMatch(/^\S+ DEBUG request .*contract-probe/m)
    })
  },

  "DLQ_AUTO_REDRIVE_SECONDS completes failed turns by itself, HEALTH_INTERVAL asks again, MAX_RUN_SECONDS cuts": {
    variables: ["DLQ_AUTO_REDRIVE_SECONDS", "HEALTH_INTERVAL", "MAX_RUN_SECONDS"],
    row: Effect.gen(function*() {
      const server = yield* startFresh({
        DLQ_AUTO_REDRIVE_SECONDS: "0.2",
        HEALTH_INTERVAL: "0.2",
        MAX_RUN_SECONDS: "1"
      })
      const hang = (hang: boolean) =>
        askOf(server, "PUT /sim/faults", {
          body: { "llm-primary": { hang }, "llm-secondary": { hang }, "llm-anthropic": { hang } },
          headers: operator
        })
      yield* hang(true)
      const { letter_id } = json(yield* chatOf(server))
      yield* hang(false)
      yield* until(
        askOf(server, `GET /admin/dlq/${letter_id}`, { headers: operator }),
        (reply) => json(reply).state === "Archived"
      )
      const lastCheck = Effect.map(
        askOf(server, "GET /api/v1/monitoring/health/services"),
        (reply): string => json(reply).services[0].last_check
      )
      const first = yield* lastCheck
      yield* until(lastCheck, (now) => now !== first)
    })
  },

  "the same seed makes the same calls fail, and another one others": {
    variables: ["SIM_SEED"],
    row: Effect.gen(function*() {
      const attempts = (seed: string) =>
        Effect.gen(function*() {
          const server = yield* startFresh({ SIM_SEED: seed })
          yield* askOf(server, "PUT /sim/faults", { body: { "llm-primary": { error_rate: 0.5 } }, headers: operator })
          return yield* Effect.forEach(
            Array.from({ length: 8 }, (_, index) => `trip ${index}`),
            (message) => Effect.map(chatOf(server, {}, message), (reply) => json(reply).served)
          )
        })
      const seven = yield* attempts("7")
      expect(yield* attempts("7")).toEqual(seven)
      expect(yield* attempts("8")).not.toEqual(seven)
    })
  },

  "which traces are kept, and where they go": {
    variables: [
      "OTEL_TRACES_SAMPLER",
      "OTEL_TRACES_SAMPLER_ARG",
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "OTEL_EXPORTER_OTLP_HEADERS",
      "OTEL_EXPORTER_OTLP_PROTOCOL",
      "OTEL_EXPORTER_OTLP_COMPRESSION",
      "OTEL_EXPORTER_OTLP_TIMEOUT",
      "OTEL_SERVICE_NAME",
      "OTEL_RESOURCE_ATTRIBUTES",
      "OTEL_BSP_SCHEDULE_DELAY"
    ],
    row: Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const server = yield* startFresh({
        OTEL_TRACES_SAMPLER: "traceidratio",
        OTEL_TRACES_SAMPLER_ARG: "1",
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=contract",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_COMPRESSION: "gzip",
        OTEL_EXPORTER_OTLP_TIMEOUT: "30000",
        OTEL_SERVICE_NAME: "contract-agents",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
        OTEL_BSP_SCHEDULE_DELAY: "100"
      })
      expect(server.output()).toContain("TraceIdRatioBased{1}")
      yield* chatOf(server)
      yield* until(
        Effect.sync(() => collector.spans),
        (spans) => spans.some(({ name }) => name === "POST /v1/agents/:agent/chat")
      )
      expect(collector.spans[0]?.resource).toMatchObject({
        "service.name": "contract-agents",
        "deployment.environment.name": "test"
      })
      expect(collector.requests[0]?.headers).toMatchObject({
        "x-tenant": "contract",
        "content-type": "application/json",
        "content-encoding": "gzip"
      })
    })
  },

  "what cannot be used is refused by its name": {
    variables: ["DATA_DIR", "DATABASE_URL", "TERMINATION_GRACE_PERIOD_SECONDS", "STT_BACKUP_URL", "TTS_BACKUP_URL"],
    row: Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const nobody = yield* RealServer.freePort
      const lines = (environment: Readonly<Record<string, string>>) =>
        Effect.map(
          refusal({ PORT: "0", DATA_DIR: folder, ...environment }),
          (lines) => lines.map((line) => line.split(/[ :]/)[0])
        )
      expect(yield* lines({ DATA_DIR: "/proc/agent-server" })).toEqual(["DATA_DIR"])
      expect(yield* lines({ DATABASE_URL: `postgres://a:hunter2@127.0.0.1:${nobody}/a` })).toEqual(["DATABASE_URL"])
      expect(yield* lines({ TERMINATION_GRACE_PERIOD_SECONDS: "10" })).toEqual(["PRE_STOP_DELAY"])
      expect(yield* lines({ STT_BACKUP_URL: "http://127.0.0.1:9", TTS_BACKUP_URL: "http://127.0.0.1:9" })).toEqual([
        "STT_BACKUP_URL",
        "TTS_BACKUP_URL"
      ])
    })
  }
}

/** The names that README.md's tables of variables have, each in full. */
const documented = (): ReadonlyArray<string> => {
  const text = readFileSync(new URL("../../README.md", import.meta.url), "utf8")
  const tables = [...text.matchAll(/\| variable[^\n]*\n\|[^\n]*\n((?:\|[^\n]*\n)+)/g)].map(([, rows = ""]) => rows)
  return tables.join("").trimEnd().split("\n").flatMap((row) => {
    // Of a name that begins with `_` the beginning is that of the first one: `OTEL_EXPORTER_OTLP_ENDPOINT`, `_HEADERS`.
    const names = [...(row.split(" | ")[0] ?? "").matchAll(/`([A-Z_*]+)`/g)].map(([, name = ""]) => name)
    const stem = (names[0] ?? "").replace(/_[A-Z]+$/, "")
    return names.map((name) => name.startsWith("_") ? stem + name : name)
  })
}

describe("the environment", () => {
  it.live(
    "stops the start with a line for each variable that makes no sense, all at once, and no secret in them",
    () =>
      Effect.gen(function*() {
        const lines = yield* refusal({ ...nonsense, DATA_DIR: yield* temporaryFolder })
        const named = lines.map((line) => line.split(/[ :]/)[0])
        // The times of leaving are looked at together as well, with their defaults where they make no sense.
        expect([...new Set(named)].toSorted()).toEqual(Object.keys(nonsense).toSorted())
      }).pipe(Effect.scoped),
    120_000
  )

  for (const [sentence, { row }] of Object.entries(effects)) {
    it.live(sentence, () => Effect.scoped(row), 120_000)
  }

  it("is the one that README.md tells of: each variable is refused or has an effect here", () => {
    const tried = new Set([...Object.keys(nonsense), ...Object.values(effects).flatMap(({ variables }) => variables)])
    const untried = documented().flatMap((name) => {
      if (!name.includes("*")) return tried.has(name) ? [] : [name]
      const form = new RegExp(`^${name.replaceAll("*", "[A-Z_]+")}$`)
      return [...tried].some((each) => form.test(each)) ? [] : [name]
    })
    expect(documented().length).toBeGreaterThan(40)
    expect(untried).toEqual([])
  })
})
