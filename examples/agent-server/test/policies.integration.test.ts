/** The policies as a document: what the file says, what an operator puts in its place, and what neither can break. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Yaml from "effect/encoding/Yaml"
import * as Fiber from "effect/Fiber"
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { admin, chat, json, type Reply, request, setFaults, unlimited } from "./support/client.ts"
import * as defaults from "./support/policies.ts"
import { changed } from "./support/policies.ts"
import { adminKey, type RunningServer, runToEnd, start, temporaryFolder } from "./support/server.ts"
import { until } from "./support/until.ts"

const quiet = { LOG_LEVEL: "error" }

/** A server that follows a file of its own. */
const following = Effect.fnUntraced(function*(text: string = defaults.text, environment = {}) {
  const folder = yield* temporaryFolder
  const file = join(folder, "policies.yaml")
  writeFileSync(file, text)
  const server = yield* start(join(folder, "data"), { ...quiet, POLICIES: file, ...environment })
  return { file, server }
})

/** As an operator saves it: nobody sees half of it. */
const save = (file: string, text: string): void => {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

const put = (
  server: RunningServer,
  body: string,
  contentType = "application/yaml",
  key: string = adminKey
): Effect.Effect<Reply> =>
  request(server, "/admin/policies", {
    method: "PUT",
    headers: { "x-api-key": key, "content-type": contentType },
    body
  })

const inForce = (server: RunningServer) => Effect.map(admin(server, "/admin/policies"), json)

const untilVersion = (server: RunningServer, version: number) =>
  until(inForce(server), (policies) => policies.version === version)

const routeOf = (reply: Reply) => json(reply).served.route

const pathsOf = (reply: Reply): ReadonlyArray<string> => json(reply).errors.map(({ path }: { path: string }) => path)

const stateOf = (server: RunningServer, name: string) =>
  Effect.map(
    admin(server, "/admin/circuit-breakers"),
    (reply) => json(reply).circuit_breakers.find((circuit: { readonly name: string }) => circuit.name === name).state
  )

describe("the policies of a server", () => {
  it.live("are those that are documented, and say what they do", () =>
    Effect.gen(function*() {
      const { server } = yield* following()
      const { document, errors, explain, lint, loaded_at, source, version } = yield* inForce(server)
      expect([document, version, errors]).toEqual([defaults.text, 1, undefined])
      expect(source).toMatch(/policies\.yaml$/)
      expect(new Date(loaded_at).toISOString()).toBe(loaded_at)
      expect(lint).toEqual([])
      for (const name of ["llm-primary", "tts-backup"]) expect(explain).toContain(name)
      expect(explain).toContain("by address 60 a minute")
      const { chain, health, letters, limits, turns } = defaults.sections
      expect([limits.perIp, limits.perKey]).toEqual([60, { free: 60, standard: 600, unlimited: "unlimited" }])
      expect(limits.providers.real["llm-primary"]).toEqual({
        requestsPerMinute: 3500,
        tokensPerMinute: 90_000,
        usdPerDay: 10
      })
      expect(limits.providers.real["llm-anthropic"].requestsPerMinute).toBe(50)
      expect(chain.routes).toEqual(["llm-primary", "llm-secondary", "llm-anthropic"])
      expect([health.failed, letters.maxRedrives, turns.waiting]).toEqual([3, 5, 8])
    }).pipe(Effect.scoped))

  it.live("stop the start when they are no good, with everything that is wrong", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const file = join(folder, "bad.yaml")
      writeFileSync(
        file,
        changed(["perIp: 60", "perIp: -1"], ["failures: 5", "failures: 0"], ["cap: 1 minute", "capp: 1 minute"])
      )
      const refusal = (path: string) =>
        Effect.map(runToEnd({ POLICIES: path, DATA_DIR: join(folder, "data"), PORT: "0" }), ({ code, stderr }) => {
          expect(code).toBe(1)
          return stderr.trimEnd().split("\n")
        })
      const lines = yield* refusal(file)
      for (
        const path of ["limits.perIp", "chain.cooldown.capp", "chain.cooldown.cap", "policies.llm-primary.breaker.trip"]
      ) {
        expect(lines.filter((line) => line.startsWith(`agent-server cannot start: POLICIES: ${file}: ${path}`)).length)
          .toBeGreaterThan(0)
      }
      const [missing, ...more] = yield* refusal(join(folder, "not-there.yaml"))
      expect(more).toEqual([])
      expect(missing).toMatch(/POLICIES: .*not-there\.yaml: The file cannot be read/)
    }).pipe(Effect.scoped))
})

describe("an operator", () => {
  it.live("who puts another document in force is obeyed at once, and the file has it for the next start", () =>
    Effect.gen(function*() {
      const { file, server } = yield* following(defaults.text, {
        API_KEYS: "alice:alice-key:free,load:test-unlimited-key:unlimited"
      })
      const alice = { headers: { "x-api-key": "alice-key" } }
      expect(routeOf(yield* chat(server, { message: "hi" }, alice))).toBe("gpt-4o")

      const stricter = changed(["free: 60", "free: 1"], [
        "[llm-primary, llm-secondary, llm-anthropic]",
        "[llm-anthropic, llm-primary, llm-secondary]"
      ])
      const reply = yield* put(server, stricter)
      expect([reply.status, json(reply).version, json(reply).persisted, json(reply).document]).toEqual([
        200,
        2,
        true,
        stricter
      ])
      expect(json(reply).explain).toContain("free 1 a minute")
      // What was taken of the limit stays taken.
      const refused = yield* chat(server, { message: "hi" }, alice)
      expect([refused.status, refused.headers.get("x-ratelimit-limit")]).toEqual([429, "1"])
      const { served } = json(yield* chat(server, { message: "hi" }, unlimited))
      expect(served).toEqual({ route: "claude-haiku", degraded: false, attempts: 1 })

      expect(readFileSync(file, "utf8")).toBe(stricter)
      expect(readdirSync(dirname(file)).filter((name) => name.startsWith(".policies-"))).toEqual([])
      const again = yield* start(join(dirname(file), "data"), { ...quiet, POLICIES: file })
      expect(routeOf(yield* chat(again, { message: "hi" }, unlimited))).toBe("claude-haiku")
    }).pipe(Effect.scoped))

  it.live("may send JSON, leave out a route, and change what is said when no model answers", () =>
    Effect.gen(function*() {
      const { server } = yield* following()
      const text = changed(["[llm-primary, llm-secondary, llm-anthropic]", "[llm-primary]"], [
        "I am sorry, I cannot answer that just now.",
        "Nobody is here."
      ])
      expect((yield* put(server, text, "text/yaml")).status).toBe(200)
      yield* setFaults(server, { down: true })
      const apology = json(yield* chat(server, { message: "why?" }, unlimited))
      expect([apology.served.route, apology.reply.slice(0, 15)]).toEqual(["static", "Nobody is here."])
      expect((yield* inForce(server)).lint.map(({ code }: { code: string }) => code)).toEqual([
        "RouteLeftOut",
        "RouteLeftOut"
      ])

      // Indented with tabs, as YAML must not be. Text that times are written in is text in JSON too.
      const asJson = JSON.stringify(Yaml.parse(defaults.text), undefined, "\t")
      const taken = yield* put(server, asJson, "application/json")
      expect([taken.status, json(taken).document]).toEqual([200, asJson])
      expect(routeOf(yield* chat(server, { message: "hi" }, unlimited))).toBe("gpt-4o-mini")
    }).pipe(Effect.scoped))

  it.live("who makes a mistake changes nothing, and is told where it is", () =>
    Effect.gen(function*() {
      const { file, server } = yield* following()
      for (const [text, path] of [[changed(["haltFor: 10", "holdFor: 10"]), "chain.holdFor"], ["{{{{", ""]] as const) {
        const reply = yield* put(server, text)
        expect([reply.status, json(reply).code]).toEqual([422, "policy_document_invalid"])
        expect(pathsOf(reply)).toContain(path)
      }
      const many = changed(["perIp: 60", "perIp: 0"], ["failures: 5", "failures: half"], ["rate: 2,", "rat: 2,"])
      const paths = pathsOf(yield* put(server, many))
      for (const path of ["limits.perIp", "letters.autoRedrive.rat", "letters.autoRedrive.rate"]) {
        expect(paths).toContain(path)
      }
      expect(paths.some((path) => path.startsWith("policies.llm-primary.breaker.trip"))).toBe(true)
      expect((yield* put(server, `# ${"x".repeat(300_000)}\n${defaults.text}`)).status).toBe(413)

      const { document, errors, version } = yield* inForce(server)
      expect([version, document]).toEqual([1, defaults.text])
      expect(errors.map(({ path }: { path: string }) => path)).toEqual(paths)
      expect(readFileSync(file, "utf8")).toBe(defaults.text)
    }).pipe(Effect.scoped))

  it.live("has to be one, and to send what can be a document", () =>
    Effect.gen(function*() {
      const { server } = yield* following()
      const without = yield* request(server, "/admin/policies")
      expect(without.status).toBe(401)
      expect(without.text).not.toContain("llm-primary")
      expect((yield* put(server, changed(["perIp: 60", "perIp: 1"]), "application/yaml", "another-key")).status).toBe(
        403
      )
      expect((yield* put(server, changed(["perIp: 60", "perIp: 1"]), "text/html")).status).toBe(415)
      expect((yield* inForce(server)).version).toBe(1)
    }).pipe(Effect.scoped))

  it.live("who is not alone does not mix with the others: one whole document is in force, and the same in the file", () =>
    Effect.gen(function*() {
      const { file, server } = yield* following()
      const texts = Array.from(
        { length: 12 },
        (_, n) => changed(["perIp: 60", `perIp: ${100 + n}`], ["standard: 600", `standard: ${100 + n}`])
      )
      const replies = yield* Effect.forEach(texts, (text) => put(server, text), { concurrency: "unbounded" })
      expect(replies.map(({ status }) => status)).toEqual(texts.map(() => 200))
      expect(new Set(replies.map((reply) => json(reply).version)).size).toBe(12)
      const { document } = yield* inForce(server)
      expect(texts).toContain(document)
      expect(readFileSync(file, "utf8")).toBe(document)
      // The file says what is in force, so looking at it changes nothing.
      yield* Effect.sleep("2500 millis")
      expect((yield* inForce(server)).document).toBe(document)
    }).pipe(Effect.scoped))

  it.live("is told when the document is in memory only", () =>
    Effect.gen(function*() {
      const { file, server } = yield* following()
      // Where the tests run as root no mode keeps them from writing: then there is no file to be replaced.
      if (process.getuid?.() === 0) rmSync(file)
      else chmodSync(file, 0o444)
      const reply = json(yield* put(server, changed(["perAgent: 60000", "perAgent: 50000"])))
      expect([reply.persisted, reply.document.includes("perAgent: 50000")]).toEqual([false, true])
      if (process.getuid?.() === 0) expect(existsSync(file)).toBe(false)
    }).pipe(Effect.scoped))
})

describe("a file", () => {
  it.live(
    "that changes under load takes effect, drops none of 500 chats, and leaves circuits as they are",
    () =>
      Effect.gen(function*() {
        // Neither the machine's other work nor the places decide what is tested here.
        const { file, server } = yield* following(defaults.text, { MAX_RUN_SECONDS: "600" })
        yield* admin(server, "/admin/circuit-breakers/llm-secondary/open", "POST")
        yield* setFaults(server, { latency_ms: 1000, jitter_ms: 2000 })
        const chats = yield* Effect.forEach(
          Array.from({ length: 500 }, (_, n) => n),
          (n) => Effect.forkChild(chat(server, { message: `question ${n}`, stream: n % 2 === 0 }, unlimited))
        )
        let version = 1
        for (const limit of [200, 40, 300]) {
          save(
            file,
            changed(
              ["limit: 512, queue: 4096, maxWait: 2 seconds", `limit: ${limit}, queue: 4096, maxWait: 5 minutes`],
              ["consecutive, failures: 5", `consecutive, failures: ${limit}`]
            )
          )
          yield* untilVersion(server, ++version)
        }
        const ends = yield* Effect.forEach(chats, Fiber.join)
        expect(ends.map(({ status }) => status)).toEqual(ends.map(() => 200))
        expect(ends.filter(({ text }) => /event: error|"static"/.test(text))).toEqual([])
        expect(yield* stateOf(server, "llm-secondary")).toBe("ForcedOpen")

        // It is followed with another order as well: the one that is forced open is passed over.
        save(file, changed(["[llm-primary, llm-secondary, llm-anthropic]", "[llm-secondary, llm-anthropic]"]))
        yield* untilVersion(server, ++version)
        expect(routeOf(yield* chat(server, { message: "hi" }, unlimited))).toBe("claude-haiku")
        yield* admin(server, "/admin/circuit-breakers/llm-secondary/release", "POST")
        yield* until(chat(server, { message: "hi" }, unlimited), (reply) => routeOf(reply) === "gpt-4o-mini")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "that is wrong, half written, gone, or too large changes nothing; the log says why, and so does the server, until it is mended",
    () =>
      Effect.gen(function*() {
        const { file, server } = yield* following()
        const spoiled: ReadonlyArray<readonly [spoil: () => void, path: string, message: RegExp]> = [
          [() => save(file, changed(["failed: 3", "failed: 0.5"])), "health.failed", /integer/],
          [() => writeFileSync(file, defaults.text.slice(0, 2_800)), "turns", /Missing key/],
          [() => rmSync(file), "", /cannot be read/],
          [() => save(file, `${defaults.text}\n${"#".repeat(2_000_000)}`), "", /too large/],
          [() => save(file, changed(["perIp: 60", "perIpp: 60"])), "limits.perIpp", /excess|no such/]
        ]
        for (const [spoil, path, message] of spoiled) {
          spoil()
          const { document, errors, version } = yield* until(
            inForce(server),
            ({ errors }) =>
              errors?.some((error: { path: string; message: string }) =>
                error.path === path && message.test(error.message)
              )
          )
          expect([version, document, errors.length > 0]).toEqual([1, defaults.text, true])
          expect((yield* chat(server, { message: "hi" }, unlimited)).status).toBe(200)
        }
        expect(server.output()).toContain("refused")
        expect(server.output()).toContain("health.failed")

        save(file, changed(["perIp: 60", "perIp: 61"]))
        const { errors } = yield* untilVersion(server, 2)
        expect(errors).toBe(undefined)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "decides how often dependencies are asked, and how often letters are redriven, while the server runs",
    () =>
      Effect.gen(function*() {
        const { file, server } = yield* following()
        // A circuit is watched from its first call on.
        yield* chat(server, { message: "hi" }, unlimited)
        yield* setFaults(server, { down: true })
        // With the default of three failures at 30 seconds each this would take longer than the test.
        save(file, changed(["interval: 30 seconds", "interval: 100 millis"], ["failed: 3", "failed: 2"]))
        const services = Effect.map(admin(server, "/api/v1/monitoring/health/services"), (reply) => reply.text)
        yield* until(services, (text) => /"failed"/i.test(text))
        expect(yield* until(stateOf(server, "llm-primary"), (state) => state === "Open")).toBe("Open")

        // A turn that got an apology is completed without anybody asking, once that is wanted.
        save(file, changed(["[llm-primary, llm-secondary, llm-anthropic]", "[llm-primary]"]))
        yield* untilVersion(server, 3)
        const { letter_id } = json(yield* chat(server, { message: "why?" }, unlimited))
        expect(typeof letter_id).toBe("string")
        save(file, changed(["every: never", "every: 200 millis"]))
        yield* until(
          Effect.map(admin(server, `/admin/dlq/${letter_id}`), (reply) => json(reply).state),
          (state) => state === "Archived"
        )
      }).pipe(Effect.scoped),
    60_000
  )
})
