/** Problems that no other section is about. Each is provoked; the last row looks whether one is missing. */
import * as SqliteClient from "@effect-resilience/node/SqliteClient"
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import { expect } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { problemKinds } from "../../../src/api/problemKinds.ts"
import { json, underWay } from "../../support/client.ts"
import { changed } from "../../support/policies.ts"
import { temporaryFolder } from "../../support/server.ts"
import { replyJson, upstream } from "../../support/upstream.ts"
import { connect } from "../../support/wire.ts"
import { another } from "../another.ts"
import { answered, ask, problemIn, refused } from "../ask.ts"
import * as Bodies from "../bodies.ts"
import { models } from "../broken.ts"
import { type Section, Subject } from "../kit.ts"

/** What comes back for bytes that are no whole request: the problem, whose id and status are the head's too. */
const sent = (bytes: string) =>
  Effect.gen(function*() {
    const wire = yield* connect((yield* Subject).server)
    wire.send(bytes)
    const [head = "", body = ""] = (yield* Effect.promise(() => wire.closed)).split("\r\n\r\n")
    const problem = problemIn(JSON.parse(body))
    expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${problem.status} `))
    expect(head).toMatch(/^content-type: application\/problem\+json/mi)
    expect(head.toLowerCase()).toContain(`x-request-id: ${problem.request_id}`)
    return problem.code
  })

/** What a chat is told whose provider refuses it for this. */
const refusedBy = (code: string) =>
  Effect.gen(function*() {
    const provider = yield* upstream((response) =>
      replyJson(response, JSON.stringify({ error: { message: "no", code } }), 400)
    )
    const { chat } = yield* another({ OPENAI_BASE_URL: provider.baseUrl, OPENAI_API_KEY: "sk-contract" })
    return yield* chat({ message: "why?" })
  })

/** Somebody else writes into the server's file, and takes their time. */
const lock = (folder: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const other = new DatabaseSync(join(folder, "agent.sqlite"))
      other.exec("BEGIN IMMEDIATE")
      return other
    }),
    (other) => Effect.sync(() => other.close())
  )

/** Changes what is stored, behind the server's back. */
const change = (folder: string, databaseUrl: string | undefined, statement: string) =>
  Effect.scoped(Effect.gen(function*() {
    const database = databaseUrl === undefined
      ? SqliteClient.layer({ filename: join(folder, "agent.sqlite") })
      : PgClient.layer({ url: Redacted.make(databaseUrl) })
    const sql = Context.get(yield* Layer.build(database), SqlClient.SqlClient)
    yield* sql.unsafe(statement)
  })).pipe(Effect.orDie)

export const problems: Section = {
  "what is no request of HTTP is 400, and one with too much in its head 431": Effect.gen(function*() {
    expect(yield* sent("hello there\r\n\r\n")).toBe("malformed_request")
    expect(yield* sent(`GET / HTTP/1.1\r\nHost: a\r\nX-Long: ${"x".repeat(100_000)}\r\n\r\n`)).toBe("headers_too_large")
    const many = Object.fromEntries(Array.from({ length: 150 }, (_, index) => [`x-many-${index}`, "1"]))
    expect(refused(yield* ask("GET /v1/agents", { headers: many }), 431, "headers_too_large").limit).toBe(100)
  }),

  "a head that does not come to its end is 408": Effect.gen(function*() {
    expect(yield* sent("GET /v1/agents HTTP/1.1\r\nHost: a")).toBe("request_timeout")
  }),

  "one turn too many of a session, and a key whose request is at work, are 409 with Retry-After": Effect.gen(
    function*() {
      const { chat, server, setFaults } = yield* another({})
      const { session_id } = json(yield* chat({ message: "begin" }))
      yield* setFaults(models({ hang: true }))
      // One is at work and eight wait. Whichever comes last is answered first, and the others are left.
      const turns = Array.from({ length: 10 }, (_, turn) => chat({ message: `turn ${turn}`, session_id }))
      expect(refused(yield* Effect.raceAllFirst(turns), 409, "session_busy").retry_after).toBe(1)
      const named = chat({ message: "once" }, { "idempotency-key": `busy-${session_id}` })
      const first = yield* underWay(server, named)
      expect(refused(yield* named, 409, "idempotency_key_in_use").retry_after).toBe(1)
      yield* Fiber.interrupt(first)
    }
  ),

  "what a provider refuses for what it says is 422": Effect.gen(function*() {
    refused(yield* refusedBy("content_policy_violation"), 422, "content_refused")
    refused(yield* refusedBy("context_length_exceeded"), 422, "context_too_long")
  }),

  "a store that cannot be used is 503 with Retry-After": Effect.gen(function*() {
    const { isShared } = yield* Subject
    const folder = yield* temporaryFolder
    const postgres = isShared ? yield* Effect.orDie(PostgresServer.make) : undefined
    const { chat } = yield* another(
      postgres === undefined ? {} : { DATABASE_URL: postgres.url },
      Effect.succeed(folder)
    )
    // What happened before cannot be looked up, so nothing is done a second time.
    const named = chat({ message: "once" }, { "idempotency-key": "no-store" })
    if (postgres === undefined) yield* lock(folder)
    else yield* postgres.stop
    expect(refused(yield* named, 503, "storage_unavailable").retry_after).toBe(5)
  }),

  "where limits are closed, and nobody can count, a request is 503 with Retry-After": Effect.gen(function*() {
    const folder = yield* temporaryFolder
    const policies = join(folder, "closed.yaml")
    writeFileSync(policies, changed(["callers: { share: 1 }", "callers: closed"]))
    const nobody = yield* Effect.orDie(RealServer.freePort)
    const { ask } = yield* another({ POLICIES: policies, REDIS_URL: `redis://127.0.0.1:${nobody}` })
    const reply = yield* ask("GET /v1/agents", { headers: { "x-api-key": "" } })
    expect(refused(reply, 503, "rate_limiter_unavailable").retry_after).toBeGreaterThan(0)
  }),

  "what the server itself did wrong is 500, and tells nothing of its inside": Effect.gen(function*() {
    const { environment } = yield* Subject
    const folder = yield* temporaryFolder
    const { ask, chat, server } = yield* another({}, Effect.succeed(folder))
    const key = { "idempotency-key": `damaged-${folder}` }
    expect((yield* chat({ message: "once" }, key)).status).toBe(200)
    // No request makes the server fail. A stored reply that somebody has damaged does.
    yield* change(
      folder,
      environment["DATABASE_URL"],
      `UPDATE agent_requests SET reply = '{' WHERE name LIKE 'damaged-%'`
    )
    const reply = yield* chat({ message: "once" }, key)
    const { request_id } = refused(reply, 500, "internal_error")
    expect(reply.text).not.toMatch(/SyntaxError|JSON\.parse|\.ts:/)
    expect(server.output()).toContain(request_id)
    expect((yield* ask("GET /livez")).status).toBe(200)
  }),

  "every code of the table was answered to one of the rows": Effect.sync(() => {
    expect(Object.keys(problemKinds).toSorted()).toEqual(Object.keys(Bodies.problems).toSorted())
    expect(Object.keys(problemKinds).filter((code) => !answered.has(code))).toEqual([])
  })
}
