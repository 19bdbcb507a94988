/** The server on a PostgreSQL and a Redis that other instances use too, and that go and come back. */
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { chat, json, request, unlimited } from "./support/client.ts"
import { adminKey, type RunningServer, runToEnd, startFresh, temporaryFolder } from "./support/server.ts"

const stateOf = (server: RunningServer, check: string) =>
  Effect.map(request(server, "/health/ready"), (reply): string => json(reply).checks[check])

const untilState = (server: RunningServer, check: string, state: string) =>
  Effect.repeat(stateOf(server, check), { schedule: Schedule.spaced("50 millis"), until: (found) => found === state })

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
      const environment = { REDIS_URL: url, API_KEYS: "someone:a-shared-key:free" }
      const servers = [yield* startFresh(environment), yield* startFresh(environment)] as const
      const ask = (index: number) =>
        chat(servers[index % 2] ?? servers[0], { message: `trip ${index}` }, {
          headers: { "x-api-key": "a-shared-key" }
        })
      const replies = yield* Effect.forEach(Array.from({ length: 70 }, (_, index) => index), ask, { concurrency: 10 })
      const statuses = replies.map(({ status }) => status)
      expect(statuses.filter((status) => status === 200).length).toBe(60)
      expect(statuses.filter((status) => status === 429).length).toBe(10)

      yield* request(servers[0], "/admin/circuit-breakers/llm-primary/open", { ...operator, method: "POST" })
      const refused = yield* chat(servers[1], { message: "and you?" }, operator)
      expect([refused.status, json(refused).code]).toEqual([503, "upstream_unavailable"])
    }).pipe(Effect.scoped), 60_000)

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
      expect((yield* chat(server, { message: "hello" }, unlimited)).status).toBe(503)
    }).pipe(Effect.scoped), 60_000)

  it.live("a Redis that hangs or dies meanwhile fails no chat, and holds up no end", () =>
    Effect.gen(function*() {
      const redis = yield* RedisServer.make()
      const environment = { REDIS_URL: redis.url, HEALTH_INTERVAL: "100 millis" }
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
    }).pipe(Effect.scoped), 60_000)
})
