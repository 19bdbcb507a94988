/** What the server tells of itself, as those read it who want to know: Prometheus, a collector of traces, whoever reads the log. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as OtlpCollector from "@effect-resilience/testing/OtlpCollector"
import * as PrometheusServer from "@effect-resilience/testing/PrometheusServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import { describe, expect, it } from "@effect/vitest"
import * as Metrics from "effect-resilience/Metrics"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { get } from "node:http"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { chat, json, request, setFaults, setFaultsOf, unlimited } from "./support/client.ts"
import { samplesIn, samplesOf } from "./support/metrics.ts"
import { adminKey, type RunningServer, startFresh, temporaryFolder } from "./support/server.ts"
import { completion, replyJson, upstream } from "./support/upstream.ts"
import { say } from "./support/voice.ts"
import { recordingOf } from "./support/wav.ts"

const quick = { PRE_STOP_DELAY: "0", OTEL_BSP_SCHEDULE_DELAY: "100" }
const traceId = "0af7651916cd43dd8448eb211c80319c"
const callerId = "b7ad6b7169203331"

/** A provider that fails once, and then replies. */
const onceDown = Effect.suspend(() => {
  let calls = 0
  return upstream((response) =>
    ++calls === 1
      ? replyJson(response, "{\"error\":{\"message\":\"down\"}}", 500)
      : replyJson(response, completion("Hello."))
  )
})

describe("traces", () => {
  it.live("TR1: a request is one trace, from its caller through agent, pipeline, attempt and model to the provider", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const provider = yield* onceDown
      const server = yield* startFresh({
        ...quick,
        OPENAI_BASE_URL: provider.baseUrl,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_SERVICE_NAME: "agents"
      })
      const reply = yield* chat(server, { message: "Hello?" }, {
        headers: { traceparent: `00-${traceId}-${callerId}-01` }
      })
      expect(reply.status).toBe(200)
      const spans = yield* Eventually.holds(Effect.sync(() => {
        const found = collector.spans.filter((span) => span.traceId === traceId)
        expect(found.some(({ name }) => name.startsWith("POST /v1"))).toBe(true)
        return found
      }))
      const byId = new Map(spans.map((span) => [span.spanId, span]))
      const above = (spanId: string): ReadonlyArray<string> => {
        const span = byId.get(spanId)
        return span === undefined ? [spanId] : [span.name, ...above(span.parentSpanId ?? "none")]
      }
      // The provider was called twice, and told of the attempt that called it.
      const told = provider.calls.map(({ headers }) => String(headers["traceparent"]).split("-"))
      expect(told.map(([version, trace, , flags]) => [version, trace, flags])).toEqual([
        ["00", traceId, "01"],
        ["00", traceId, "01"]
      ])
      for (const [, , spanId] of told) {
        const names = above(spanId!)
        expect(names.at(-1)).toBe(callerId)
        const ours = names.filter((name) => /^(POST \/|invoke_agent|chat|resilience)/.test(name))
        expect(ours).toEqual([
          "chat gpt-4o",
          "resilience.attempt",
          "resilience.pipeline llm-primary",
          "invoke_agent travel_planner",
          "POST /v1/agents/:agent/chat"
        ])
      }
      const attempts = spans.filter(({ name }) => name === "resilience.attempt")
      expect(attempts.map(({ attributes }) => Number(attributes["resilience.attempt.number"])).toSorted()).toEqual([
        1,
        2
      ])
      const pipeline = spans.find(({ name }) => name === "resilience.pipeline llm-primary")!
      expect(pipeline.events.map(({ name }) => name)).toContain("resilience.retry.scheduled")
      const turn = spans.find(({ name }) => name.startsWith("invoke_agent"))!
      expect(turn.attributes["gen_ai.conversation.id"]).toMatch(/^[0-9a-f]{16}$/)
      expect(JSON.stringify(spans)).not.toContain(json(reply).session_id)
      expect(turn.resource["service.name"]).toBe("agents")
      expect(server.output()).toContain("ParentBased{TraceIdRatioBased{0.01}}")
    }))

  it.live("TR1: a voice turn is one trace, whose services are told of the attempts that call them", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const server = yield* startFresh({ ...quick, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
      yield* setFaultsOf(server, { "stt-primary": { down: true } })
      const headers = { traceparent: `00-${traceId}-${callerId}-01` }
      expect((yield* say(server, recordingOf("Three days in Lisbon?"), { headers })).status).toBe(200)
      const spans = yield* Eventually.holds(Effect.sync(() => {
        const found = collector.spans.filter((span) => span.traceId === traceId)
        expect(found.some(({ name }) => name === "POST /v1/speech_to_speech")).toBe(true)
        return found
      }))
      const byId = new Map(spans.map((span) => [span.spanId, span]))
      const request = spans.find(({ name }) => name === "POST /v1/speech_to_speech")!
      expect(request.parentSpanId).toBe(callerId)
      const pipelines = spans.filter(({ name }) => name.startsWith("resilience.pipeline"))
      const parentOf = ({ parentSpanId }: { readonly parentSpanId?: string | undefined }) =>
        byId.get(parentSpanId ?? "")?.name
      expect(Object.fromEntries(pipelines.map((span) => [span.name.split(" ")[1], parentOf(span)]))).toEqual({
        "stt-primary": "POST /v1/speech_to_speech",
        "stt-backup": "POST /v1/speech_to_speech",
        "llm-primary": "invoke_agent travel_planner",
        "tts-primary": "POST /v1/speech_to_speech"
      })
      const attempts = spans.filter(({ name }) => name === "resilience.attempt").map(parentOf)
      expect(attempts.filter((name) => name === "resilience.pipeline stt-primary").length).toBe(3)
      expect(attempts.filter((name) => name === "resilience.pipeline tts-primary").length).toBe(1)

      const samples = yield* samplesOf(server)
      const calls = (provider: string, outcome: string) =>
        samples.get(
          `${provider.slice(0, 3)}_requests_total{model=simulated,outcome=${outcome},provider=${provider}}`
        )
      expect([calls("stt-primary", "failure"), calls("stt-primary", "success")]).toEqual([3, 0])
      expect([calls("stt-backup", "success"), calls("tts-primary", "success")]).toEqual([1, 1])
      const stage = (name: string) => samples.get(`session_stage_duration_seconds_count{stage=${name}}`)
      // Its reply came as a whole, so there was no first bit of it.
      expect(["asr", "llm", "llm_ttft", "tts", "tts_ttfb", "e2e"].map(stage)).toEqual([1, 1, 0, 1, 1, 1])
    }))

  it.live("TR2: a trace that was not chosen is exported when it fails, and its provider was told that it is not", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      const provider = yield* upstream((response) => replyJson(response, "{\"error\":{\"message\":\"no\"}}", 401))
      const server = yield* startFresh({
        ...quick,
        OPENAI_BASE_URL: provider.baseUrl,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_TRACES_SAMPLER: "always_off"
      })
      expect((yield* request(server, "/v1/agents")).status).toBe(200)
      // Nobody but the apology answers.
      expect((yield* chat(server, { message: "Hello?" })).headers.get("x-degraded")).toBe("true")
      yield* Eventually.holds(Effect.sync(() => {
        expect(collector.spans.map(({ name }) => name)).toContain("chat gpt-4o")
        expect(collector.spans.map(({ name }) => name)).toContain("POST /v1/agents/:agent/chat")
      }))
      expect(collector.spans.map(({ name }) => name)).not.toContain("GET /v1/agents")
      expect(String(provider.calls[0]?.headers["traceparent"])).toMatch(/-00$/)
    }))

  it.live("a collector that hangs delays no reply, and what it does not take is counted", () =>
    Effect.gen(function*() {
      const collector = yield* OtlpCollector.make
      collector.behave("hang")
      const server = yield* startFresh({
        ...quick,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_TRACES_SAMPLER: "always_on"
      })
      for (let index = 0; index < 20; index++) {
        expect((yield* chat(server, { message: "Hello?" }, unlimited)).status).toBe(200)
      }
      expect(collector.mostInFlight).toBeLessThanOrEqual(4)
      expect((yield* samplesOf(server)).get("telemetry_spans_total{result=exported}")).toBe(0)
    }))
})

describe("metrics", () => {
  it.live("MT5: every metric whose labels are closed is there before the first request, most of them at 0", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const samples = yield* samplesOf(server)
      for (const [name, entry] of Object.entries(Metrics.catalogue)) {
        const { labels, values = {} }: { labels: ReadonlyArray<string>; values?: object } = entry
        if (!labels.every((label) => label in values)) continue
        expect(
          [...samples.keys()].some((series) => series.startsWith(`${name}{`) || series.startsWith(`${name}_`)),
          name
        )
          .toBe(true)
      }
      expect(samples.get("auth_failures_total{reason=unknown}")).toBe(0)
      expect(samples.get("llm_requests_total{model=gpt-4o,outcome=failure,provider=openai}")).toBe(0)
      for (const kind of ["stt", "tts"]) {
        for (const provider of [`${kind}-primary`, `${kind}-backup`]) {
          const series = `${kind}_requests_total{model=simulated,outcome=failure,provider=${provider}}`
          expect([series, samples.get(series)]).toEqual([series, 0])
        }
      }
      expect(samples.get("session_stage_duration_seconds_count{stage=llm_ttft}")).toBe(0)
      expect(samples.get("dlq_depth{queue=turns,state=Dead}")).toBe(0)
      expect(samples.has("health_ready{}")).toBe(true)
    }))

  it.live("come as text, as OpenMetrics with exemplars, and compressed", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ OTEL_TRACES_SAMPLER: "always_on" })
      yield* chat(server, { message: "Hello?" })
      const text = yield* request(server, "/metrics")
      expect(text.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
      const open = yield* request(server, "/metrics", { headers: { accept: "application/openmetrics-text" } })
      expect(open.headers.get("content-type")).toContain("application/openmetrics-text; version=1.0.0")
      expect(open.text).toMatch(/^http_server_request_duration_seconds_bucket\{.*\} \d+ # \{trace_id="[0-9a-f]{32}"/m)
      expect(open.text.endsWith("# EOF\n")).toBe(true)
      const packed = yield* Effect.promise(() =>
        new Promise<Buffer>((resolve) =>
          get(`${server.origin}/metrics`, { headers: { "accept-encoding": "gzip" } }, (response) => {
            expect(response.headers["content-encoding"]).toBe("gzip")
            const chunks: Array<Buffer> = []
            response.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => resolve(Buffer.concat(chunks)))
          })
        )
      )
      expect(samplesIn(gunzipSync(packed).toString()).size).toBeGreaterThan(300)
    }))

  it.live("MT3: counts are what happened: good and bad requests, wrong keys, and what the models were asked", () =>
    Effect.gen(function*() {
      const provider = yield* upstream((response) => replyJson(response, completion("Hello.")))
      const server = yield* startFresh({ OPENAI_BASE_URL: provider.baseUrl })
      const chats = Array.from({ length: 30 }, () => chat(server, { message: "Hello?" }, unlimited))
      yield* Effect.all(chats, { concurrency: 10 })
      yield* Effect.all(Array.from({ length: 7 }, () => chat(server, {}, unlimited)))
      yield* request(server, "/admin/circuit-breakers")
      yield* request(server, "/v1/agents", { headers: { "x-api-key": "nobody's" } })
      for (
        const path of ["/wp-login.php", "/%D0%BF%D1%83%D1%82%D1%8C", `/${"x".repeat(3000)}`, "/v1/agents/../../etc"]
      ) {
        yield* request(server, path)
      }
      const samples = yield* samplesOf(server)
      const requests = (method: string, endpoint: string, status: number) =>
        samples.get(`http_requests_total{endpoint=${endpoint},method=${method},status=${status}}`)
      expect(requests("POST", "/v1/agents/:agent/chat", 200)).toBe(30)
      expect(requests("POST", "/v1/agents/:agent/chat", 400)).toBe(7)
      expect(requests("GET", "_unmatched", 404)).toBe(4)
      expect(samples.get("llm_requests_total{model=gpt-4o,outcome=success,provider=openai}")).toBe(30)
      expect(samples.get("llm_tokens_total{model=gpt-4o,provider=openai,type=input}")).toBe(30 * 12)
      expect(samples.get("llm_tokens_total{model=gpt-4o,provider=openai,type=output}")).toBe(30 * 3)
      expect(samples.get("llm_cost_usd_total{model=gpt-4o,provider=openai}")).toBeCloseTo(30 * 0.00006, 10)
      const calls = "http_client_request_duration_seconds_count{method=POST,server_address=127.0.0.1,status=200}"
      expect(samples.get(calls)).toBe(provider.calls.length)
      expect(samples.get("resilience_pipeline_duration_seconds_count{name=llm-primary,outcome=success}")).toBe(30)
      expect(samples.get("resilience_attempt_duration_seconds_count{attempt=1,name=llm-primary,outcome=success}")).toBe(
        30
      )
      // Once a request, however many schemes it is asked about.
      expect(samples.get("auth_failures_total{reason=unknown}")).toBe(1)
      expect(samples.get("auth_failures_total{reason=missing}")).toBe(1)
      expect(samples.get("http_server_active_requests{}")).toBe(1)
    }))

  it.live("MT3: a client that leaves a stream is no failure of the model, and is charged what it heard", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      yield* setFaults(server, { chunk_ms: 200 })
      yield* Effect.promise(async () => {
        const controller = new AbortController()
        const response = await fetch(`${server.origin}/v1/agents/travel_planner/chat`, {
          method: "POST",
          headers: { "content-type": "application/json", ...unlimited.headers },
          body: JSON.stringify({ message: "Three days in Lisbon?", stream: true }),
          signal: controller.signal
        })
        const reader = response.body!.getReader()
        let text = ""
        while (!text.includes("event: delta")) text += new TextDecoder().decode((await reader.read()).value)
        controller.abort()
      })
      yield* Eventually.holds(Effect.gen(function*() {
        const samples = yield* samplesOf(server)
        const outcome = (kind: string) =>
          samples.get(`llm_requests_total{model=gpt-4o,outcome=${kind},provider=openai}`)
        expect([outcome("success"), outcome("failure"), outcome("interrupted")]).toEqual([0, 0, 1])
        expect(samples.get("llm_tokens_total{model=gpt-4o,provider=openai,type=output}")).toBeGreaterThan(0)
        expect(samples.get("http_server_client_aborts_total{http_route=/v1/agents/:agent/chat}")).toBe(1)
      }))
    }))
})

RealServer.describe("prometheus", "a real Prometheus", () => {
  it.live("MT1: scrapes the running server: up is 1, and promtool finds no fault", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      yield* setFaults(server, { error_rate: 0.3 })
      yield* Effect.all(Array.from({ length: 20 }, () => chat(server, { message: "Hello?" }, unlimited)), {
        concurrency: 5
      })
      const prometheus = yield* PrometheusServer.make({ targets: [new URL(server.origin).host], scrapeMillis: 1_000 })
      yield* Eventually.holds(Effect.gen(function*() {
        expect(yield* prometheus.targets).toEqual([{ health: "up", lastError: "" }])
        expect((yield* prometheus.query("up"))[0]?.value).toBe(1)
        const [chats] = yield* prometheus.query("sum(http_requests_total{endpoint=\"/v1/agents/:agent/chat\"})")
        expect(chats?.value).toBe(20)
      }))
      const { text } = yield* request(server, "/metrics")
      const program = "promtool"
      const { stderr, stdout } = spawnSync(program, ["check", "metrics"], { input: text, encoding: "utf8" })
      // OpenTelemetry calls it so, and nothing comes of it but this remark.
      expect(`${stdout}${stderr}`.trim()).toBe(
        "db_client_connection_count non-histogram and non-summary metrics should not have \"_count\" suffix"
      )
    }), 90_000)
})

describe("the log", () => {
  const linesOf = (server: RunningServer): ReadonlyArray<Record<string, unknown>> =>
    server.output().split("\n").filter((line) => line.startsWith("{\"ts\"")).map((line) => JSON.parse(line))

  it.live("LG1: a line of a request has its ids, its category and no session", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const reply = yield* chat(server, { message: "Hello?" }, { headers: { "x-request-id": "r-1" } })
      yield* Eventually.holds(Effect.sync(() => {
        const line = linesOf(server).find((line) => line["request_id"] === "r-1" && line["msg"] === "request")
        expect(line).toMatchObject({
          level: "INFO",
          service: "agent-server",
          route: "/v1/agents/:agent/chat",
          status: 200
        })
        expect(line?.["trace_id"]).toMatch(/^[0-9a-f]{32}$/)
      }))
      expect(server.output()).not.toContain(json(reply).session_id)
      expect(server.output()).not.toContain("Hello?")
    }))

  it.live("LG1: what machines ask every few seconds is written at DEBUG only", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_LEVEL: "debug", LOG_DEBUG_SHARE: "1" })
      for (const path of ["/metrics", "/readyz", "/v1/agents"]) yield* request(server, path)
      yield* Eventually.holds(Effect.sync(() => {
        const levels = linesOf(server).filter(({ msg }) => msg === "request").map(({ level, route }) => [route, level])
        expect(Object.fromEntries(levels)).toEqual({ "/metrics": "DEBUG", "/readyz": "DEBUG", "/v1/agents": "INFO" })
      }))
    }))

  it.live("LG1: DEBUG is written for the share of traces that it is told", () =>
    Effect.gen(function*() {
      const none = yield* startFresh({ LOG_LEVEL: "debug", LOG_DEBUG_SHARE: "0" })
      const all = yield* startFresh({ LOG_LEVEL: "debug", LOG_DEBUG_SHARE: "1" })
      for (const server of [none, all]) yield* request(server, "/health/live")
      yield* Eventually.holds(Effect.sync(() => {
        expect(linesOf(all).some(({ level, route }) => level === "DEBUG" && route === "/health/live")).toBe(true)
      }))
      expect(linesOf(none).some(({ level }) => level === "DEBUG")).toBe(false)
      expect((yield* samplesOf(none)).get("logs_unsampled_total{}")).toBeGreaterThan(0)
    }))

  it.live("is written for people, too", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_FORMAT: "text" })
      yield* request(server, "/v1/agents", { headers: { "x-request-id": "r-2" } })
      yield* Eventually.holds(Effect.sync(() => {
        expect(server.output()).toMatch(
          /^\S+Z INFO  request .*request_id=r-2 method=GET route=\/v1\/agents status=200/m
        )
      }))
    }))

  it.live("goes into a file, which is put aside when it is large", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const file = join(folder, "agent.log")
      const server = yield* startFresh({ LOG_FILE: file, LOG_FILE_BYTES: "2000" })
      for (let index = 0; index < 60; index++) {
        yield* request(server, "/v1/agents", { headers: { "x-request-id": `r-${index}` } })
      }
      yield* Eventually.holds(Effect.sync(() => {
        expect(existsSync(`${file}.1`)).toBe(true)
        expect(readFileSync(file, "utf8")).toContain("\"r-59\"")
      }))
      const files = readdirSync(folder).filter((name) => name.startsWith("agent.log"))
      expect(files.length).toBeLessThanOrEqual(6)
      for (const name of files) {
        for (const line of readFileSync(join(folder, name), "utf8").trim().split("\n")) JSON.parse(line)
      }
    }))

  it.live("a disk that is full costs the lines of the file, which are counted, and nothing else", () =>
    Effect.gen(function*() {
      const server = yield* startFresh({ LOG_FILE: "/dev/full" })
      expect((yield* chat(server, { message: "Hello?" }, { headers: { "x-request-id": "r-3" } })).status).toBe(200)
      yield* Eventually.holds(Effect.gen(function*() {
        expect(linesOf(server).some((line) => line["request_id"] === "r-3")).toBe(true)
        expect((yield* samplesOf(server)).get("logs_dropped_total{reason=write}")).toBeGreaterThan(0)
      }))
    }))
})

describe("profiles", () => {
  const asAdmin = { headers: { "x-api-key": adminKey } }

  it.live(
    "are files that the developer tools of Chrome open, one at a time, and only for the operator",
    () =>
      Effect.gen(function*() {
        const server = yield* startFresh()
        expect((yield* request(server, "/admin/profile/cpu")).status).toBe(401)
        expect((yield* request(server, "/admin/profile/heap", { headers: unlimited.headers })).status).toBe(403)
        for (const seconds of ["0", "-1", "NaN", "500", "soon"]) {
          expect((yield* request(server, `/admin/profile/cpu?seconds=${seconds}`, asAdmin)).status).toBe(400)
        }
        const [cpu, second] = yield* Effect.all([
          request(server, "/admin/profile/cpu?seconds=1", asAdmin),
          Effect.delay(request(server, "/admin/profile/cpu?seconds=1", asAdmin), "300 millis")
        ], { concurrency: 2 })
        expect(cpu.status).toBe(200)
        expect(cpu.headers.get("content-disposition")).toContain("agent-server.cpuprofile")
        const profile = json(cpu)
        expect(profile.nodes.length).toBeGreaterThan(1)
        expect(profile.endTime).toBeGreaterThan(profile.startTime)
        expect(profile.samples.length).toBe(profile.timeDeltas.length)
        expect(second.status).toBe(503)
        expect(json(second).code).toBe("overloaded")
        const heap = yield* request(server, "/admin/profile/heap", asAdmin)
        expect(heap.status).toBe(200)
        expect(heap.headers.get("content-disposition")).toContain("agent-server.heapsnapshot")
        const snapshot = json(heap)
        expect(snapshot.snapshot.node_count).toBe(snapshot.nodes.length / snapshot.snapshot.meta.node_fields.length)
      }),
    60_000
  )
})
