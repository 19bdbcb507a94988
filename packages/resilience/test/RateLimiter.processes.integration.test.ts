/** Limits that four operating-system processes share, some of which are killed. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, layer } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Limits from "./support/sharedLimits.ts"

class Shared extends Context.Service<Shared, { readonly kind: string; readonly url: string }>()("test/Shared") {}

/** A process that is ready: tell it a line, hear its next. It ends with the scope. */
const start = Effect.gen(function*() {
  const { kind, url } = yield* Shared
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [fileURLToPath(new URL("./support/limiterProcess.ts", import.meta.url)), kind, url], {
        stdio: ["pipe", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const hear = Effect.promise(() => lines.next()).pipe(
    Effect.flatMap((line) =>
      line.done === true ? Effect.die(new Error("The process ended")) : Effect.succeed(line.value)
    )
  )
  assert.strictEqual(yield* hear, "ready")
  return {
    hear,
    tell: (line: string) => Effect.sync(() => child.stdin.write(`${line}\n`)),
    kill: Effect.sync(() => child.kill("SIGKILL"))
  }
})

const remaining = (check: RateLimiter.Check) =>
  Effect.flatMap(
    RateLimiter.RateLimiter,
    (limiter) => Effect.map(limiter.peek({ ...check, cost: 0 }), ({ rules }) => rules[0]!.remaining)
  )

const tests = <E>(name: string, shared: Layer.Layer<Shared | RateLimiter.RateLimiterStore, E>) => {
  const limiters = RateLimiter.layerWith({ storeTimeout: "20 seconds" }).pipe(Layer.provideMerge(shared))
  layer(limiters, { excludeTestServices: true, timeout: "1 minute" })(name, (it) => {
    it.effect(
      "RL-16 four processes that contend are allowed exactly the limit together",
      () =>
        Effect.scoped(Effect.gen(function*() {
          const processes = yield* Effect.all([start, start, start, start], { concurrency: 4 })
          yield* Effect.forEach(processes, ({ tell }) => tell("race 600"), { discard: true })
          const counts = yield* Effect.forEach(processes, ({ hear }) => Effect.map(hear, Number), { concurrency: 4 })
          assert.strictEqual(counts.reduce((a, b) => a + b), 1_000)
          // Each had its part: they did contend.
          for (const count of counts) assert.isAbove(count, 0)
          assert.strictEqual(yield* remaining(Limits.race[1]!), 500)
        })),
      120_000
    )

    it.effect(
      "RL-8 RL-10 what a killed process held comes back when its leases are over, and not before it is killed",
      () =>
        Effect.scoped(Effect.gen(function*() {
          const { hear, kill, tell } = yield* start
          yield* tell("hold")
          assert.strictEqual(yield* hear, "held")
          const held = Effect.map(
            Effect.all([remaining(Limits.lease), remaining(Limits.budget)]),
            ([leases, tokens]) => `${leases} ${tokens}`
          )
          // Twice as long as the leases last: they are renewed.
          yield* Effect.sleep("2 seconds")
          assert.strictEqual(yield* held, "1 40")
          yield* kill
          // The store says itself when there will be room for two: when the lease of the dead is over.
          const { limit } = yield* RateLimiter.RateLimiter
          const both = yield* Effect.flip(limit({ ...Limits.lease, cost: 2 })(Effect.void))
          assert.isTrue(RateLimiter.isRateLimited(both) && Duration.toMillis(both.retryAfter) <= 1_000)
          yield* Eventually.answers(held, (now) => now === "2 100")
        })),
      60_000
    )
  })
}

RealServer.describe("redis-server", "RateLimiter", () => {
  tests(
    "shared through Redis",
    Layer.merge(
      Layer.effect(Shared, Effect.map(RedisServer.RedisServer, ({ url }) => ({ kind: "redis", url }))),
      RateLimiter.layerStoreRedis().pipe(Layer.provide(RedisServer.layerRedis))
    ).pipe(Layer.provide(RedisServer.layer()))
  )
})

tests(
  "shared through PostgreSQL",
  Layer.merge(
    Layer.effect(Shared, Effect.map(PostgresServer.PostgresServer, ({ url }) => ({ kind: "postgres", url }))),
    RateLimiter.layerStoreSql().pipe(
      Layer.provide(
        Layer.unwrap(
          Effect.map(PostgresServer.PostgresServer, ({ url }) => PgClient.layer({ url: Redacted.make(url) }))
        )
      )
    )
  ).pipe(Layer.provide(PostgresServer.layer))
)
