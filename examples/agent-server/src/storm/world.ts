/** What a storm comes over: instances of the server with one PostgreSQL and one Redis, started for it, or a server that runs. */
import * as PostgresServer from "@effect-resilience/testing/PostgresServer"
import { isInstalled } from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Instance from "./instance.ts"

/** The world of a storm. */
export interface World {
  readonly instances: ReadonlyArray<{ readonly name: string; readonly origin: string }>
  readonly apiKey: string | undefined
  readonly adminKey: Redacted.Redacted
  /** `undefined`: there is none to be restarted, and `withoutRedis` says why. */
  readonly redis: RedisServer.RedisServer["Service"] | undefined
  readonly withoutRedis: string
  /** How an instance is stopped, and another one started in its place; `undefined`: they are not ours to restart. */
  readonly restarts: Restarts | undefined
}

/** Restarting instances, by their index. */
interface Restarts {
  /** Tells it to stop, and ends when it has. */
  readonly stop: (index: number) => Effect.Effect<void>
  readonly start: (index: number) => Effect.Effect<string, Instance.InstanceFailed>
}

/** The world could not be made. */
export class NoWorld extends Data.TaggedError("NoWorld")<{ readonly message: string }> {}

/** Everything that goes wrong with an instance ends the storm: its figures would be those of another one. */
export const orNoWorld = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, NoWorld, R> =>
  Effect.mapError(self, (error) => new NoWorld({ message: String(error) }))

const apiKey = "storm-unlimited-key"
const adminKey = "storm-admin-key"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "agent-server-storm-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const redisOrNone = Effect.suspend(() =>
  isInstalled("redis-server") ? Effect.asSome(RedisServer.make()) : Effect.succeedNone
)

/** Instances that fail for real: the server's own figures, but for times that fit into a storm of half a minute. */
const environmentOf = (index: number, generation: number, dataDir: string, options: Options, databaseUrl: string) => ({
  PORT: "0",
  DATA_DIR: dataDir,
  DATABASE_URL: databaseUrl,
  ADMIN_KEY: adminKey,
  API_KEYS: `storm:${apiKey}:unlimited`,
  LOG_LEVEL: "none",
  MAX_RUN_SECONDS: "8",
  PRE_STOP_DELAY: "5",
  // Of each start of each instance its own, so that the n-th call to a provider of one always meets the same.
  SIM_SEED: String((options.seed * 1_000 + index * 100 + generation) % 2 ** 32)
})

/** How many instances there are, and which storm is to come. */
export interface Options {
  readonly seed: number
  readonly instances: number
}

/** Starts everything, until the scope closes. Where `redis-server` is not installed there is no Redis. */
export const local = (options: Options): Effect.Effect<World, NoWorld, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const [postgres, redis] = yield* Effect.all([PostgresServer.make, redisOrNone], { concurrency: 2 })
    const redisServer = redis._tag === "Some" ? redis.value : undefined
    const folders = yield* Effect.all(Array.from({ length: options.instances }, () => folder))
    const running: Array<{ readonly instance: Instance.Instance; readonly generation: number }> = []
    const start = (index: number) =>
      Effect.gen(function*() {
        const generation = (running[index]?.generation ?? -1) + 1
        const instance = yield* Instance.start({
          ...environmentOf(index, generation, folders[index] ?? "", options, postgres.url),
          ...(redisServer === undefined ? {} : { REDIS_URL: redisServer.url })
        })
        running[index] = { instance, generation }
        return instance.origin
      }).pipe(Scope.provide(scope))
    const indexes = Array.from({ length: options.instances }, (_, index) => index)
    const origins = yield* Effect.forEach(indexes, start, { concurrency: "unbounded" })
    return {
      instances: origins.map((origin, index) => ({ name: `instance ${index + 1}`, origin })),
      apiKey,
      adminKey: Redacted.make(adminKey),
      redis: redisServer,
      withoutRedis: "redis-server is not installed",
      restarts: {
        stop: (index: number) => Effect.asVoid(running[index]?.instance.stop("SIGTERM") ?? Effect.void),
        start
      }
    }
  }).pipe(Effect.mapError(({ message }) => new NoWorld({ message })))

/** A server that runs somewhere. It is not restarted, and neither is what it stands on. */
export const remote = (
  url: string,
  keys: { readonly apiKey: string | undefined; readonly adminKey: Redacted.Redacted }
): World => ({
  instances: [{ name: url, origin: url.replace(/\/$/, "") }],
  ...keys,
  redis: undefined,
  withoutRedis: "it is not ours to restart",
  restarts: undefined
})
