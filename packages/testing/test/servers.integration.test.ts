import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Eventually from "../src/Eventually.ts"
import { start } from "../src/internal/serverProcess.ts"
import * as PostgresServer from "../src/PostgresServer.ts"
import * as RealServer from "../src/RealServer.ts"
import * as RedisServer from "../src/RedisServer.ts"

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe("a server process", () => {
  it.live("is gone when its scope closes", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { pid } = yield* Scope.provide(start("sleep", ["1000"], { cwd: "/" }), scope)
      assert.isTrue(isAlive(pid))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(isAlive(pid))
    }))

  it.live("is gone when whoever started it is killed", () =>
    Effect.scoped(Effect.gen(function*() {
      const module = new URL("../src/internal/serverProcess.ts", import.meta.url).href
      const script = `
        const { start } = await import(${JSON.stringify(module)})
        const Effect = await import("effect/Effect")
        await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
          const { pid } = yield* start("sleep", ["1000"], { cwd: "/" })
          console.log("server " + pid)
          yield* Effect.never
        })))`
      const parent = yield* start(process.execPath, ["--input-type=module", "--eval", script], { cwd: process.cwd() })
      const said = yield* Eventually.answers(Effect.sync(parent.output), (output) => /server \d+/.test(output))
      const pid = Number(/server (\d+)/.exec(said)?.[1])
      assert.isTrue(isAlive(pid))
      yield* parent.signal("SIGKILL")
      yield* Eventually.met(() => !isAlive(pid))
    })))

  it.live("is known by its pid, even if it speaks at once", () =>
    Effect.gen(function*() {
      for (let time = 0; time < 100; time++) {
        yield* Effect.scoped(Effect.gen(function*() {
          const { output, pid } = yield* start("sh", ["-c", "echo up; exec sleep 1000"], { cwd: "/" })
          assert.isTrue(Number.isInteger(pid) && isAlive(pid), `${pid}`)
          yield* Eventually.met(() => output() === "up\n")
        }))
      }
    }))

  it.live("says which program cannot be started", () =>
    Effect.gen(function*() {
      const { ended, output } = yield* start("no-such-program-here", [], { cwd: "/" })
      yield* ended
      assert.match(output(), /no-such-program-here/)
    }).pipe(Effect.scoped))
})

RealServer.describe("redis-server", "RedisServer", () => {
  const command = (name: string, ...args: ReadonlyArray<string>) =>
    Effect.flatMap(Redis.Redis, (redis) => redis.send<unknown>(name, ...args))

  it.live("runs real commands, two servers side by side", () =>
    Effect.gen(function*() {
      const serve = Effect.gen(function*() {
        yield* command("SET", "who", `${(yield* RedisServer.RedisServer).port}`)
        return [yield* command("GET", "who"), `${(yield* RedisServer.RedisServer).port}`]
      }).pipe(Effect.provide(RedisServer.layerRedis.pipe(Layer.provideMerge(Layer.fresh(RedisServer.layer())))))
      const [a, b] = yield* Effect.all([serve, serve], { concurrency: 2 })
      assert.strictEqual(a[0], a[1])
      assert.strictEqual(b[0], b[1])
      assert.notStrictEqual(a[1], b[1])
    }))

  it.live("answers nothing while paused, and again when resumed", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.RedisServer
      yield* server.pause
      const waiting = yield* Effect.forkChild(command("PING"))
      yield* Effect.sleep("200 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* server.resume
      assert.strictEqual(yield* Fiber.join(waiting), "PONG")
    }).pipe(Effect.provide(RedisServer.layerRedis.pipe(Layer.provideMerge(RedisServer.layer())))))

  it.live("comes back on the same port with what it had written", () =>
    Effect.gen(function*() {
      const server = yield* RedisServer.RedisServer
      yield* command("SET", "kept", "yes")
      yield* server.kill
      yield* server.restart
      assert.strictEqual(yield* Eventually.holds(command("GET", "kept")), "yes")
    }).pipe(
      Effect.provide(
        RedisServer.layerRedis.pipe(
          Layer.provideMerge(RedisServer.layer({ args: ["--appendonly", "yes", "--appendfsync", "always"] }))
        )
      )
    ))

  it.live("fails typed when it cannot start", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(RedisServer.make({ args: ["--no-such-option", "1"] })))
      assert.strictEqual(error._tag, "ServerStartFailed")
      assert.match(error.message, /redis-server did not start/)
    }))
})

describe("PostgresServer", () => {
  it.live("runs real statements, and comes back after a restart with what was committed", () =>
    Effect.gen(function*() {
      const { restart, url } = yield* PostgresServer.PostgresServer
      const client = PgClient.layer({ url: Redacted.make(url) })
      const run = <A, E>(f: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
        Effect.flatMap(SqlClient.SqlClient, f).pipe(Effect.provide(Layer.fresh(client)))
      yield* run((sql) => Effect.andThen(sql`create table t (n int)`, sql`insert into t values (1)`))
      yield* restart
      assert.deepStrictEqual(yield* run((sql) => sql`select n from t`), [{ n: 1 }])
    }).pipe(Effect.provide(PostgresServer.layer)), 60_000)
})
