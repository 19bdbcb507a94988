/** The server on a PostgreSQL and a Redis that other instances use too, and that go and come back. */
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import { describe, expect, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { chat, json, request, unlimited } from "./support/client.ts"
import { samplesOf } from "./support/metrics.ts"
import { changed } from "./support/policies.ts"
import { proxyTo } from "./support/proxy.ts"
import {
  adminKey,
  type RunningServer,
  runToEnd,
  start,
  startFresh,
  temporaryFolder,
  unlimitedKey
} from "./support/server.ts"
import { until } from "./support/until.ts"
import { completion, replyJson, upstream } from "./support/upstream.ts"

const stateOf = (server: RunningServer, check: string) =>
  Effect.map(request(server, "/health/ready"), (reply): string => json(reply).checks[check])

const untilState = (server: RunningServer, check: string, state: string) =>
  until(stateOf(server, check), (found) => found === state)

/** On a busy machine Redis may answer too late for a call, which is let through then. Not for ever. */
const untilRoute = (server: RunningServer, route: string) =>
  until(
    Effect.map(chat(server, { message: "and you?" }, unlimited), (reply) => json(reply).served?.route),
    (found) => found === route
  )

const operator = { headers: { "x-api-key": adminKey } } as const

describe("with DATABASE_URL", () => {
  it.live("sessions are in PostgreSQL, for every instance, and survive them all", () =>
    Effect.gen(function*() {
      const { url } = yield* PostgresServer.make
      // Both at once: one of them makes the tables, and the other waits for it.
      const start = startFresh({ DATABASE_URL: url })
      const [one, two] = yield* Effect.all([start, start], { concurrency: "unbounded" })
      const first = json(yield* chat(one, { message: "Lisbon" }))
      const second = json(yield* chat(two, { message: "by train", session_id: first.session_id }))
      expect(second.reply).toContain("Lisbon")
      yield* Effect.promise(() => Promise.all([one.stop("SIGKILL"), two.stop("SIGTERM")]))
      const three = yield* startFresh({ DATABASE_URL: url })
      expect(json(yield* request(three, `/v1/sessions/${first.session_id}`)).messages.length).toBe(4)
      expect(yield* untilState(three, "database", "Healthy")).toBe("Healthy")
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "the connections that work are counted in the metrics, and those of other instances are not",
    () =>
      Effect.gen(function*() {
        const { url } = yield* PostgresServer.make
        const environment = { DATABASE_URL: url, HEALTH_INTERVAL: "100 millis", LOG_LEVEL: "error" }
        const [busy, other] = yield* Effect.all([startFresh(environment), startFresh(environment)])
        const pool = (server: RunningServer) =>
          Effect.map(
            samplesOf(server),
            (samples) => ["used", "idle"].map((state) => samples.get(`db_client_connection_count{state=${state}}`))
          )
        const untilUsed = (server: RunningServer, used: number) => until(pool(server), ([found]) => found === used)
        expect(yield* untilUsed(busy, 0)).toEqual([0, 20])

        const sql = yield* Layer.build(PgClient.layer({ url: Redacted.make(url) })).pipe(
          Effect.map(Context.get(SqlClient.SqlClient))
        )
        yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`LOCK TABLE agent_sessions IN ACCESS EXCLUSIVE MODE`
          const waiting = yield* Effect.forEach(
            Array.from({ length: 3 }),
            () => Effect.forkChild(chat(busy, { message: "Lisbon" }, unlimited))
          )
          expect(yield* untilUsed(busy, 3)).toEqual([3, 17])
          expect(yield* untilUsed(other, 0)).toEqual([0, 20])
          yield* Fiber.interruptAll(waiting)
        }))
        yield* untilUsed(busy, 0)
      }).pipe(Effect.scoped),
    90_000
  )

  it.live("a database that cannot be used is one line, with no password in it", () =>
    Effect.gen(function*() {
      const { port, url } = yield* PostgresServer.make
      const nobody = yield* RealServer.freePort
      const refused = [
        `postgres://agents:hunter2@127.0.0.1:${nobody}/agents`,
        `postgres://postgres:hunter2@127.0.0.1:${port}/postgres`,
        `${url}-that-is-not-there`
      ]
      for (const databaseUrl of refused) {
        const { code, stderr } = yield* runToEnd({
          PORT: "0",
          DATA_DIR: yield* temporaryFolder,
          DATABASE_URL: databaseUrl
        })
        expect(code).toBe(1)
        expect(stderr.trimEnd().split("\n").length).toBe(1)
        expect(stderr).toMatch(/^agent-server cannot start: DATABASE_URL: cannot use the database at postgres:/)
        expect(stderr).not.toMatch(/hunter2|postgres:postgres/)
      }
    }).pipe(Effect.scoped), 60_000)
})

RealServer.describe("redis-server", "with REDIS_URL", () => {
  it.live("limits and circuits are those of all instances together", () =>
    Effect.gen(function*() {
      const { url } = yield* RedisServer.make()
      const environment = { REDIS_URL: url, API_KEYS: `someone:a-shared-key:free,load:${unlimitedKey}:unlimited` }
      const servers = [yield* startFresh(environment), yield* startFresh(environment)] as const
      const ask = (server: RunningServer) =>
        Effect.map(
          chat(server, { message: "hello" }, { headers: { "x-api-key": "a-shared-key" } }),
          ({ status }) => status
        )
      // One by one: on a busy machine Redis answers too late for many at once, and those are let through uncounted.
      yield* Effect.repeat(ask(servers[0]), { until: (status) => status === 429 })
      // A limit of its own would let the other one answer 60. This one has had as many as a few seconds give back.
      const others = yield* Effect.all(Array.from({ length: 40 }, () => ask(servers[1])), { concurrency: 2 })
      expect(others).toContain(429)

      yield* request(servers[0], "/admin/circuit-breakers/llm-primary/open", { ...operator, method: "POST" })
      yield* untilRoute(servers[1], "gpt-4o-mini")
    }).pipe(Effect.scoped), 120_000)

  it.live("a Redis that is away at the start is missed, and used as soon as it is there", () =>
    Effect.gen(function*() {
      const redis = yield* RedisServer.make()
      yield* redis.kill
      const server = yield* startFresh({ REDIS_URL: redis.url, HEALTH_INTERVAL: "100 millis" })
      expect(server.output()).toContain("REDIS_URL: Redis does not answer")
      expect((yield* chat(server, { message: "hello" }, unlimited)).status).toBe(200)
      yield* untilState(server, "redis", "Failed")
      expect((yield* request(server, "/readyz")).status).toBe(200)
      yield* redis.restart
      yield* untilState(server, "redis", "Healthy")
      yield* request(server, "/admin/circuit-breakers/llm-primary/open", { ...operator, method: "POST" })
      yield* untilRoute(server, "gpt-4o-mini")
      // It is in Redis that the circuit is open.
      const other = yield* startFresh({ REDIS_URL: redis.url })
      yield* untilRoute(other, "gpt-4o-mini")
    }).pipe(Effect.scoped), 60_000)

  it.live("a Redis that hangs or dies meanwhile fails no chat, and holds up no end", () =>
    Effect.gen(function*() {
      const redis = yield* RedisServer.make()
      const { url } = yield* PostgresServer.make
      // Copies of sessions go to Redis as well, and must not be waited for either.
      const environment = { REDIS_URL: redis.url, DATABASE_URL: url, HEALTH_INTERVAL: "100 millis" }
      const [dying, hanging] = [yield* startFresh(environment), yield* startFresh(environment)]
      const chats = (server: RunningServer) =>
        Effect.map(
          Effect.forEach(Array.from({ length: 20 }), () => chat(server, { message: "hello" }), { concurrency: 5 }),
          (replies) => replies.map(({ status }) => status)
        )
      const all = Array.from({ length: 20 }, () => 200)
      expect(yield* chats(dying)).toEqual(all)
      yield* redis.kill
      expect(yield* chats(dying)).toEqual(all)
      yield* redis.restart
      yield* untilState(dying, "redis", "Healthy")
      yield* redis.pause
      expect(yield* chats(hanging)).toEqual(all)
      const { code } = yield* Effect.promise(() => hanging.stop("SIGTERM"))
      expect(code).toBe(0)
      yield* redis.resume
      expect(yield* chats(dying)).toEqual(all)
    }).pipe(Effect.scoped), 120_000)
})

RealServer.describe("redis-server", "while Redis is away", () => {
  it.live(
    "RL-13 an instance keeps the limits of callers by itself, and they are limits, no outage",
    () =>
      Effect.gen(function*() {
        const redis = yield* RedisServer.make()
        const server = yield* startFresh({ REDIS_URL: redis.url, API_KEYS: "someone:a-key:free" })
        const ask = request(server, "/v1/agents", { headers: { "x-api-key": "a-key" } })
        expect((yield* ask).status).toBe(200)
        yield* redis.kill
        const replies = yield* Effect.forEach(Array.from({ length: 70 }), () => ask, { concurrency: 5 })
        const passed = replies.filter(({ status }) => status === 200)
        const refused = replies.filter(({ status }) => status === 429)
        expect([passed.length, passed.length + refused.length]).toEqual([60, 70])
        expect(json(refused[0]!)).toMatchObject({ code: "rate_limit_exceeded", limit: 60, remaining: 0 })
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("RL-13 a provider costs no more than the instance's share of a day", () =>
    Effect.gen(function*() {
      const redis = yield* RedisServer.make()
      yield* redis.kill
      const folder = yield* temporaryFolder
      const policies = join(folder, "policies.yaml")
      /** How often a model is asked that takes a quarter of a dollar, by 16 chats for which there are eight dollars. */
      const asked = (onStoreError: string) =>
        Effect.gen(function*() {
          writeFileSync(policies, changed(["cost: { share: 0.5 }", `cost: ${onStoreError}`]))
          const provider = yield* upstream((response) =>
            replyJson(
              response,
              completion("Hi", { usage: { prompt_tokens: 100_000, completion_tokens: 0, total_tokens: 100_000 } })
            )
          )
          const server = yield* startFresh({
            REDIS_URL: redis.url,
            POLICIES: policies,
            OPENAI_BASE_URL: provider.baseUrl,
            OPENAI_FALLBACK_MODEL: "gpt-4o",
            PROVIDER_USD_PER_DAY: "8",
            PROVIDER_TOKENS_PER_MINUTE: "100000000"
          })
          for (let turn = 0; turn < 16; turn++) {
            expect((yield* chat(server, { message: `trip ${turn}` }, unlimited)).status).toBe(200)
          }
          return provider.calls.length
        }).pipe(Effect.scoped)
      expect(yield* asked("open")).toBe(16)
      // Eight times a quarter of a dollar; the last call begins when there is a little left.
      expect([8, 9]).toContain(yield* asked("{ share: 0.25 }"))
      expect(yield* asked("closed")).toBe(0)
    }).pipe(Effect.scoped), 90_000)
})

describe("a database that accepts and never answers", () => {
  it.live("stops the start in time", () =>
    Effect.gen(function*() {
      const { port, url } = yield* PostgresServer.make
      const proxy = yield* proxyTo(port)
      proxy.swallow()
      const { code, stderr } = yield* runToEnd({
        PORT: "0",
        DATA_DIR: yield* temporaryFolder,
        DATABASE_URL: url.replace(`:${port}`, `:${proxy.port}`)
      })
      expect([code, stderr]).toEqual([1, expect.stringMatching(/cannot use the database at .*Connection timed out/)])
    }).pipe(Effect.scoped), 60_000)

  it.live("is given up on, with 503 where it is needed, and used again when it answers", () =>
    Effect.gen(function*() {
      const { port, url } = yield* PostgresServer.make
      const proxy = yield* proxyTo(port)
      const server = yield* startFresh({
        DATABASE_URL: url.replace(`:${port}`, `:${proxy.port}`),
        HEALTH_INTERVAL: "1 hour",
        // Nothing but the limit of a statement ends the wait.
        MAX_RUN_SECONDS: "3600",
        LOG_LEVEL: "error"
      })
      const { session_id } = json(yield* chat(server, { message: "Lisbon" }, unlimited))
      proxy.swallow()
      const headers = { ...unlimited.headers, "idempotency-key": "order-1" }
      const [named, reading, plain] = yield* Effect.all([
        chat(server, { message: "once" }, { headers }),
        request(server, "/admin/dlq", operator),
        chat(server, { message: "by train", session_id }, unlimited)
      ], { concurrency: "unbounded" })
      expect([named.status, json(named).code, named.headers.get("retry-after")])
        .toEqual([503, "storage_unavailable", "5"])
      expect([reading.status, json(reading).code]).toEqual([503, "storage_unavailable"])
      // What the journal bridges it bridges here, too.
      expect([plain.status, json(plain).reply]).toEqual([200, expect.stringContaining("Lisbon")])
      proxy.pass()
      const again = yield* until(chat(server, { message: "once" }, { headers }), ({ status }) => status === 200)
      expect(json(again).session_id).not.toBe("")
    }).pipe(Effect.scoped), 120_000)
})

describe("while the database is away", () => {
  const contents = (server: RunningServer, id: string) =>
    Effect.map(request(server, `/v1/sessions/${id}`), (reply) => ({
      status: reply.status,
      said: reply.status === 200
        ? json(reply).messages.filter(({ role }: { readonly role: string }) => role === "user")
          .map(({ content }: { readonly content: string }) => content)
        : []
    }))

  const untilStored = (server: RunningServer, id: string, turns: number) =>
    until(contents(server, id), ({ said }) => said.length === turns)

  it.live(
    "FB-8 chats go on, and all that was acknowledged is stored once it is back, in order and once",
    () =>
      Effect.gen(function*() {
        const postgres = yield* PostgresServer.make
        const folder = yield* temporaryFolder
        const environment = { DATABASE_URL: postgres.url, HEALTH_INTERVAL: "200 millis" }
        const server = yield* start(folder, environment)
        const known = json(yield* chat(server, { message: "Lisbon" })).session_id
        const gone = json(yield* chat(server, { message: "never mind" })).session_id
        yield* untilState(server, "database", "Healthy")

        yield* postgres.stop
        const second = yield* chat(server, { message: "by train", session_id: known })
        expect([second.status, json(second).reply]).toEqual([200, expect.stringContaining("Lisbon")])
        const stream = yield* chat(server, { message: "in May", session_id: known, stream: true })
        expect(stream.text).toContain("event: done")
        const begun = json(yield* chat(server, { message: "Oslo" })).session_id
        expect((yield* chat(server, { message: "by ship", session_id: begun })).status).toBe(200)
        expect((yield* contents(server, known)).said).toEqual(["Lisbon", "by train", "in May"])
        expect((yield* request(server, `/v1/sessions/${gone}`, { method: "DELETE" })).status).toBeLessThan(300)
        expect((yield* contents(server, gone)).status).toBe(404)
        // What cannot be promised is refused: nobody knows whether this was answered before.
        const named = yield* chat(server, { message: "once" }, { headers: { "idempotency-key": "order-1" } })
        expect([named.status, json(named).code]).toEqual([503, "storage_unavailable"])
        expect((yield* chat(server, { message: "who?", session_id: "AAAAAAAAAAAAAAAAAAAAAA" })).status).toBe(503)
        // It bridges a failover. After the third check the instance asks for no more traffic.
        yield* untilState(server, "database", "Failed")
        expect((yield* request(server, "/readyz")).status).toBe(503)

        // SD6 It dies before it could tell the database anything.
        yield* Effect.promise(() => server.stop("SIGKILL"))
        yield* postgres.restart
        const again = yield* start(folder, environment)
        yield* untilStored(again, begun, 2)
        const other = yield* startFresh(environment)
        expect((yield* untilStored(other, known, 3)).said).toEqual(["Lisbon", "by train", "in May"])
        expect((yield* untilStored(other, begun, 2)).said).toEqual(["Oslo", "by ship"])
        yield* until(contents(other, gone), ({ status }) => status === 404)

        // And once more, without dying.
        yield* postgres.stop
        expect((yield* chat(again, { message: "with a dog", session_id: known })).status).toBe(200)
        yield* postgres.restart
        expect((yield* untilStored(other, known, 4)).said).toEqual(["Lisbon", "by train", "in May", "with a dog"])
        yield* untilState(again, "database", "Healthy")
        expect((yield* chat(again, { message: "and a cat", session_id: known })).status).toBe(200)
        expect((yield* untilStored(other, known, 5)).said.at(-1)).toBe("and a cat")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "with DATABASE_AWAY=refuse, or a journal that another process has, it is read and not written",
    () =>
      Effect.gen(function*() {
        const postgres = yield* PostgresServer.make
        const folder = yield* temporaryFolder
        const journaling = yield* start(folder, { DATABASE_URL: postgres.url })
        const second = yield* start(folder, { DATABASE_URL: postgres.url })
        expect(second.output()).toContain("DATA_DIR: another process has the journal")
        const refusing = yield* startFresh({ DATABASE_URL: postgres.url, DATABASE_AWAY: "refuse" })
        const sessions = yield* Effect.forEach(
          [journaling, second, refusing],
          (server) =>
            Effect.map(chat(server, { message: "Lisbon" }), (reply) => ({ server, id: json(reply).session_id }))
        )
        yield* postgres.stop
        const statuses = yield* Effect.forEach(
          sessions,
          ({ id, server }) => Effect.map(chat(server, { message: "by train", session_id: id }), ({ status }) => status)
        )
        expect(statuses).toEqual([200, 503, 503])
        for (const { id, server } of sessions.slice(1)) expect((yield* contents(server, id)).said).toEqual(["Lisbon"])
      }).pipe(Effect.scoped),
    60_000
  )

  RealServer.describe("redis-server", "with REDIS_URL as well", () => {
    it.live("an instance goes on with a session that another one began", () =>
      Effect.gen(function*() {
        const postgres = yield* PostgresServer.make
        const redis = yield* RedisServer.make()
        const environment = { DATABASE_URL: postgres.url, REDIS_URL: redis.url }
        const [one, two] = [yield* startFresh(environment), yield* startFresh(environment)]
        const { session_id } = json(yield* chat(one, { message: "Lisbon" }))
        yield* postgres.stop
        const reply = yield* chat(two, { message: "by train", session_id })
        expect([reply.status, json(reply).reply]).toEqual([200, expect.stringContaining("Lisbon")])
        yield* postgres.restart
        expect((yield* untilStored(one, session_id, 2)).said).toEqual(["Lisbon", "by train"])
      }).pipe(Effect.scoped), 60_000)
  })
})
