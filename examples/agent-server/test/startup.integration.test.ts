/** What keeps the server from starting is told in a plain line each, and no secret is in it. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { chat, json } from "./support/client.ts"
import { adminKey, runToEnd, start, startFresh, temporaryFolder } from "./support/server.ts"

const refusal = (environment: Readonly<Record<string, string>>) =>
  Effect.map(runToEnd(environment), ({ code, stderr, stdout }) => {
    expect(code).toBe(1)
    expect(stdout).not.toContain("is up")
    return stderr.trimEnd().split("\n").map((line) => line.replace("agent-server cannot start: ", ""))
  })

const occupiedPort = Effect.acquireRelease(
  Effect.promise(() =>
    new Promise<{ readonly port: number; readonly close: () => void }>((resolve) => {
      const server = createServer()
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resolve({ port: typeof address === "object" ? address?.port ?? 0 : 0, close: () => server.close() })
      })
    })
  ),
  ({ close }) => Effect.sync(close)
)

describe("the server does not start", () => {
  it.live("with bad environment values, all of them named at once", () =>
    Effect.gen(function*() {
      const lines = yield* refusal({
        PORT: "eighty",
        MAX_MESSAGE_CHARS: "0",
        MAX_RUN_SECONDS: "-1",
        LOG_LEVEL: "loud",
        LOG_FORMAT: "xml",
        OPENAI_BASE_URL: "ftp://user:hunter2@example.org",
        OPENAI_API_KEY: "sk-sécret",
        ADMIN_KEY: "two words",
        DATABASE_URL: "mysql://root:hunter2@localhost/agents",
        REDIS_URL: "hunter2@localhost:6379",
        CORS_ORIGINS: "https://app.example.com, *, https://a.example.com/path, app.example.com"
      })
      expect(lines.map((line) => line.split(" ")[0]).toSorted()).toEqual([
        "ADMIN_KEY",
        "CORS_ORIGINS",
        "CORS_ORIGINS",
        "CORS_ORIGINS",
        "DATABASE_URL",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "MAX_MESSAGE_CHARS",
        "MAX_RUN_SECONDS",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "PORT",
        "REDIS_URL"
      ])
      expect(lines.find((line) => line.startsWith("PORT"))).toBe(
        "PORT must be a whole number from 0 to 65535, and is \"eighty\""
      )
      expect(lines.join("\n")).not.toMatch(/hunter2|sk-|two words/)
    }))

  it.live("on a port that is in use, or an address that is not this machine's", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const { port } = yield* occupiedPort
      expect(yield* refusal({ PORT: String(port), DATA_DIR: folder })).toEqual([
        `PORT: another program is listening on port ${port} of 127.0.0.1 already`
      ])
      expect(yield* refusal({ PORT: "0", HOST: "192.0.2.1", DATA_DIR: folder })).toEqual([
        "HOST: this machine has no address \"192.0.2.1\""
      ])
    }).pipe(Effect.scoped))

  it.live("with a data directory that cannot be one", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const file = join(folder, "a-file")
      writeFileSync(file, "")
      // Neither can be written to, by root either.
      for (const directory of [file, join(file, "below"), "/proc/agent-server"]) {
        const lines = yield* refusal({ PORT: "0", DATA_DIR: directory })
        expect(lines.length).toBe(1)
        expect(lines[0]).toMatch(/^DATA_DIR: cannot /)
        expect(lines[0]).toContain(directory)
      }
    }).pipe(Effect.scoped))

  it.live("with a database that is none, or one that another program has in its place", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      writeFileSync(join(folder, "agent.sqlite"), "a letter, not a database\n".repeat(500))
      const [line, ...more] = yield* refusal({ PORT: "0", DATA_DIR: folder })
      expect(more).toEqual([])
      expect(line).toMatch(/^DATA_DIR: cannot use .*agent\.sqlite.*file is not a database$/)
      const other = yield* temporaryFolder
      mkdirSync(join(other, "agent.sqlite"))
      expect((yield* refusal({ PORT: "0", DATA_DIR: other }))[0]).toMatch(/^DATA_DIR: cannot use .*it is a directory/)
    }).pipe(Effect.scoped))
})

describe("the server starts", () => {
  it.live("with empty variables as if they were not set, and makes its directory", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const server = yield* start(join(folder, "not", "yet", "there"), {
        LOG_LEVEL: "",
        OPENAI_BASE_URL: " ",
        HOST: ""
      })
      expect((yield* chat(server, { message: "hi" })).status).toBe(200)
    }).pipe(Effect.scoped))

  it.live("and tells the key of this run only when it made one", () =>
    Effect.gen(function*() {
      const given = yield* startFresh()
      expect(given.output()).not.toContain(adminKey)
      const made = yield* startFresh({ ADMIN_KEY: "" })
      const key = /admin key of this run is (\S+)/.exec(made.output())?.[1] ?? ""
      expect(key.length).toBeGreaterThanOrEqual(24)
      const reply = yield* Effect.promise(() => fetch(`${made.origin}/sim/faults`, { headers: { "x-api-key": key } }))
      expect(reply.status).toBe(200)
    }).pipe(Effect.scoped))

  it.live("and ends with code 0 on SIGINT, letting a reply that is under way finish", () =>
    Effect.gen(function*() {
      const server = yield* startFresh()
      const reply = yield* Effect.promise(async () => {
        const talking = fetch(`${server.origin}/v1/agents/travel_planner/chat`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ message: "a last word", stream: true })
        })
        const response = await talking
        const [text, ended] = await Promise.all([response.text(), server.stop("SIGINT")])
        expect([ended.code, ended.signal]).toEqual([0, null])
        return text
      })
      expect(reply).toContain("event: done")
    }).pipe(Effect.scoped))

  it.live("writes its log as JSON lines or as text", () =>
    Effect.gen(function*() {
      for (const format of ["json", "text"]) {
        const server = yield* startFresh({ LOG_FORMAT: format })
        const reply = yield* chat(server, { message: "hi" }, { headers: { "x-request-id": "log-test" } })
        expect(json(reply).reply).not.toBe("")
        const { stdout } = yield* Effect.promise(() => server.stop("SIGTERM"))
        const line = stdout.split("\n").find((line) => line.includes("log-test")) ?? ""
        if (format === "json") {
          expect(JSON.parse(line)).toMatchObject({
            level: "INFO",
            msg: "request",
            request_id: "log-test",
            method: "POST",
            route: "/v1/agents/:agent/chat",
            status: 200
          })
        } else expect(line).toMatch(/INFO {2}request .*request_id=log-test method=POST .*status=200/)
        // What people say is theirs.
        expect(stdout).not.toContain("\"hi\"")
      }
    }).pipe(Effect.scoped))
})
