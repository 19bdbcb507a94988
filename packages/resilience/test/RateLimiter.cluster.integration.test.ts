/** Limits in a real Redis Cluster of three masters. */
import * as Eventually from "@effect-resilience/testing/Eventually"
import * as RateLimiterStoreSuite from "@effect-resilience/testing/RateLimiterStoreSuite"
import * as RealServer from "@effect-resilience/testing/RealServer"
import * as RedisServer from "@effect-resilience/testing/RedisServer"
import { assert, layer } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import { createClient, createCluster } from "redis"

const { concurrency, policy, slidingWindow, tokenBucket } = RateLimiter

class Cluster extends Context.Service<Cluster, {
  /** How many keys each master has. */
  readonly sizes: Effect.Effect<ReadonlyArray<number>>
}>()("test/Cluster") {}

const slots = 16_384

const cluster = Effect.gen(function*() {
  const args = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]
  const servers = yield* Effect.all([
    RedisServer.make({ args }),
    RedisServer.make({ args }),
    RedisServer.make({ args })
  ])
  const clients = yield* Effect.forEach(servers, ({ url }) =>
    Effect.acquireRelease(
      Effect.promise(() => createClient({ url }).connect()),
      (client) => Effect.promise(() => client.close())
    ))
  const each = (command: (index: number) => ReadonlyArray<string>) =>
    Effect.forEach(clients, (client, index) => Effect.promise(() => client.sendCommand([...command(index)])))
  const share = Math.ceil(slots / servers.length)
  yield* each((index) => [
    "CLUSTER",
    "ADDSLOTSRANGE",
    `${index * share}`,
    `${Math.min(slots, (index + 1) * share) - 1}`
  ])
  yield* each((index) => ["CLUSTER", "SET-CONFIG-EPOCH", `${index + 1}`])
  for (const { host, port } of servers) yield* each(() => ["CLUSTER", "MEET", host, `${port}`])
  yield* Eventually.answers(
    each(() => ["CLUSTER", "INFO"]),
    (infos) =>
      infos.every((info) => /cluster_state:ok/.test(String(info)) && /cluster_known_nodes:3/.test(String(info)))
  )

  const client = yield* Effect.acquireRelease(
    Effect.promise(() => createCluster({ rootNodes: servers.map(({ url }) => ({ url })) }).connect()),
    (client) => Effect.promise(() => client.close())
  )
  const attempt = <A>(f: () => Promise<unknown>): Effect.Effect<A, Redis.RedisError> =>
    Effect.tryPromise({ try: f as () => Promise<A>, catch: (cause) => new Redis.RedisError({ cause }) })
  const redis = yield* Redis.make({
    // A script is loaded on every master; whatever else names its first key goes where that is.
    send: <A>(command: string, ...args: ReadonlyArray<string>) =>
      command === "SCRIPT"
        ? Effect.map(
          Effect.forEach(clients, (client) => attempt<A>(() => client.sendCommand([command, ...args]))),
          (loaded) => loaded[0]!
        )
        : attempt<A>(() => client.sendCommand(command === "EVALSHA" ? args[2] : args[0], false, [command, ...args])),
    subscribe: () => Effect.die(new Error("Not used here")),
    connect: Effect.die(new Error("Not used here"))
  })
  return Context.make(Redis.Redis, redis).pipe(
    Context.add(Cluster, {
      sizes: Effect.map(each(() => ["DBSIZE"]), (sizes) => sizes.map(Number))
    })
  )
})

RealServer.describe("redis-server", "RateLimiter in a Redis Cluster", () => {
  const shared = Layer.effectContext(cluster)

  RateLimiterStoreSuite.suite("the store", RateLimiter.layerStoreRedis().pipe(Layer.provide(shared)))

  layer(shared, { excludeTestServices: true, timeout: "1 minute" })((it) => {
    it.effect(
      "RL-4 decisions over several keys never cross slots, and one's own slots spread over the masters",
      () =>
        Effect.gen(function*() {
          const { sizes } = yield* Cluster
          const limiter = yield* RateLimiter.RateLimiter
          const rules = [
            tokenBucket({ limit: 5, window: "1 hour" }),
            slidingWindow({ limit: 5, window: "1 hour" }),
            concurrency({ limit: 5 })
          ]
          for (let tenant = 0; tenant < 60; tenant++) {
            const decision = yield* limiter.consume([
              { policy: policy("tenant", rules), key: `tenant-${tenant}` },
              { policy: policy("user", rules), key: `tenant-${tenant}/user` },
              { policy: policy("model", rules), key: `tenant-${tenant}/model` }
            ])
            assert.strictEqual(decision._tag, "Allowed")
          }
          for (const size of yield* sizes) assert.isAbove(size, 60)
        }).pipe(Effect.provide(
          RateLimiter.layerWith({ storeTimeout: "20 seconds" }).pipe(
            Layer.provide(RateLimiter.layerStoreRedis({ slot: ({ key }) => key.split("/")[0]! }))
          )
        )),
      60_000
    )
  })
})
