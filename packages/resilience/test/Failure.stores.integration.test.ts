/** Errors as real Redis and PostgreSQL servers give them. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import * as Failure from "effect-resilience/Failure"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"

/** Lets each of so many go on when all of them are there. */
const meeting = (count: number): Effect.Effect<void> => {
  const everybody = Latch.makeUnsafe()
  let missing = count
  return Effect.suspend(() => --missing === 0 ? Effect.asVoid(everybody.open) : everybody.await)
}

const verdict = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flatMap(Effect.flip(self), Failure.classify), ({ code, kind, scope }) => `${kind}/${scope}/${code}`)

const redis = (name: string, ...args: ReadonlyArray<string>) =>
  Effect.flatMap(Redis.Redis, (client) => client.send<unknown>(name, ...args))

const withRedis = (...args: ReadonlyArray<string>) =>
  Effect.provide(RedisServer.layerRedis.pipe(Layer.provideMerge(RedisServer.layer({ args }))))

RealServer.describe("redis-server", "Failure: real errors of Redis", () => {
  it.live("wrong type, wrong command, out of memory, read-only replica", () =>
    Effect.gen(function*() {
      yield* redis("SET", "text", "a")
      assert.strictEqual(yield* verdict(redis("LPUSH", "text", "b")), "Permanent/request/WRONGTYPE")
      assert.strictEqual(yield* verdict(redis("NO-SUCH-COMMAND")), "Permanent/request/ERR")
      yield* redis("CONFIG", "SET", "maxmemory", "1")
      assert.strictEqual(yield* verdict(redis("SET", "more", "c")), "Overloaded/dependency/OOM")
      yield* redis("CONFIG", "SET", "maxmemory", "0")
      yield* redis("REPLICAOF", "127.0.0.1", "1")
      assert.strictEqual(yield* verdict(redis("SET", "more", "c")), "Transient/dependency/READONLY")
    }).pipe(withRedis()))

  it.live("a wrong password", () =>
    Effect.gen(function*() {
      yield* redis("CONFIG", "SET", "requirepass", "secret")
      const { url } = yield* RedisServer.RedisServer
      const stranger = Effect.provide(redis("GET", "a"), Layer.fresh(NodeRedis.layer({ url })))
      assert.strictEqual(yield* verdict(stranger), "Permanent/dependency/NOAUTH")
    }).pipe(withRedis()))

  it.live("a server that is not there", () =>
    Effect.gen(function*() {
      const { kill, url } = yield* RedisServer.RedisServer
      yield* kill
      const layer = NodeRedis.layer({ url, socket: { reconnectStrategy: false } })
      const failed = Effect.provide(redis("GET", "a"), Layer.fresh(layer))
      assert.match(yield* verdict(failed), /^Transient\/dependency\/(ECONNREFUSED|ClientClosedError)$/)
    }).pipe(Effect.provide(RedisServer.layer())))
})

describe("Failure: real errors of PostgreSQL", () => {
  const client = (database = "postgres", password = "postgres") =>
    Layer.unwrap(
      Effect.map(PostgresServer.PostgresServer, ({ host, port, username }) =>
        PgClient.layer({ host, port, username, password: Redacted.make(password), database }))
    )
  const run = <A, E>(f: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) => Effect.flatMap(SqlClient.SqlClient, f)

  it.live(
    "syntax, constraints, timeouts, deadlocks, serialization, lost connections, strangers",
    () =>
      Effect.gen(function*() {
        yield* run((sql) => sql`create table t (n int primary key check (n < 10))`)
        yield* run((sql) => sql`insert into t values (1), (2)`)
        assert.strictEqual(yield* verdict(run((sql) => sql`selec 1`)), "Permanent/request/SqlSyntaxError")
        assert.strictEqual(
          yield* verdict(run((sql) => sql`insert into t values (1)`)),
          "Permanent/request/UniqueViolation"
        )
        assert.strictEqual(
          yield* verdict(run((sql) => sql`insert into t values (11)`)),
          "Permanent/request/ConstraintError"
        )

        const slow = run((sql) =>
          sql.withTransaction(Effect.andThen(sql`set local statement_timeout = 50`, sql`select pg_sleep(5)`))
        )
        assert.strictEqual(yield* verdict(slow), "Timeout/dependency/57014")

        const bothHaveOne = meeting(2)
        const locking = (first: number, second: number) =>
          run((sql) =>
            sql.withTransaction(
              sql`update t set n = n where n = ${first}`.pipe(
                Effect.andThen(bothHaveOne),
                Effect.andThen(sql`update t set n = n where n = ${second}`)
              )
            )
          )
        const [a, b] = yield* Effect.all([Effect.exit(locking(1, 2)), Effect.exit(locking(2, 1))], { concurrency: 2 })
        const loser = a._tag === "Failure" ? a : b
        assert.strictEqual((yield* Failure.classify(loser)).code, "DeadlockError")
        assert.deepInclude(yield* Failure.classify(loser), { kind: "Transient", scope: "request" })

        const allHaveRead = meeting(3)
        const serial = run((sql) =>
          sql.withTransaction(
            sql`set transaction isolation level serializable`.pipe(
              Effect.andThen(sql`select sum(n) from t`),
              Effect.andThen(allHaveRead),
              Effect.andThen(sql`insert into t select 3 + (random() * 6)::int on conflict do nothing`)
            )
          )
        )
        const exits = yield* Effect.all([Effect.exit(serial), Effect.exit(serial), Effect.exit(serial)], {
          concurrency: 3
        })
        const clash = exits.find((exit) => exit._tag === "Failure")
        assert.isDefined(clash, "one of three serializable transactions must give way")
        assert.strictEqual((yield* Failure.classify(clash)).code, "SerializationError")

        const waiting = yield* Effect.forkChild(verdict(run((sql) => sql`select pg_sleep(30)`)))
        yield* Eventually.answers(
          run((sql) =>
            sql`select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(30)%'`
          ),
          (ended) => ended.length === 1
        )
        assert.match(yield* Fiber.join(waiting), /^Transient\/dependency\//)

        assert.match(
          yield* verdict(Effect.provide(run((sql) => sql`select 1`), Layer.fresh(client("postgres", "wrong")))),
          /^Permanent\/dependency\//
        )
        const { stop } = yield* PostgresServer.PostgresServer
        yield* stop
        assert.match(yield* verdict(run((sql) => sql`select 1`)), /^Transient\/dependency\//)
      }).pipe(Effect.provide(client().pipe(Layer.provideMerge(PostgresServer.layer)))),
    60_000
  )
})
