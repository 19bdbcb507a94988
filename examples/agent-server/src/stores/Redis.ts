/**
 * A Redis that may be away, also when the server starts.
 *
 * What it is used for, limits and circuits, has an answer for a Redis that does not. So the server waits for the first
 * connection only a moment, and goes on without one; commands fail at once until there is one.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"

type Service = Redis.Redis["Service"]

/** How long the start waits for Redis. */
const patience = "2 seconds"
/** How long the end waits for commands that are under way. */
const parting = "500 millis"

const notConnected = new Redis.RedisError({ cause: new Error("There is no connection to Redis yet") })

/**
 * Node's client connects again by itself, and says no at once while it has no connection. It is a third of all modules: a
 * server without Redis does not load it.
 */
const client = (url: Redacted.Redacted) =>
  Layer.unwrap(
    Effect.map(Effect.promise(() => import("@effect/platform-node/NodeRedis")), (NodeRedis) =>
      NodeRedis.layer({
        url: Redacted.value(url),
        disableOfflineQueue: true,
        socket: { connectTimeout: 2000, reconnectStrategy: (retries) => Math.min(100 * 2 ** retries, 5000) }
      }))
  )

const make = Effect.fnUntraced(function*(url: Redacted.Redacted) {
  let connected: Service | undefined
  const scope = yield* Effect.acquireRelease(Scope.make(), closeSoon)
  const connecting = yield* Layer.buildWithScope(client(url), scope).pipe(
    Effect.tap((context) => Effect.sync(() => (connected = Context.get(context, Redis.Redis)))),
    Effect.tapError((error) => Effect.logWarning("REDIS_URL: Redis refuses the connection", error)),
    Effect.retry(Schedule.spaced("5 seconds")),
    Effect.forkScoped
  )
  yield* Effect.timeoutOption(Fiber.await(connecting), patience)
  if (connected === undefined) {
    yield* Effect.logWarning(
      "REDIS_URL: Redis does not answer. Limits and circuits are this process's own until it does"
    )
  }

  const use = <A, R>(
    f: (redis: Service) => Effect.Effect<A, Redis.RedisError, R>
  ): Effect.Effect<A, Redis.RedisError, R> =>
    Effect.suspend(() => connected === undefined ? Effect.fail(notConnected) : f(connected))
  return Redis.Redis.of({
    send: (command, ...args) => use((redis) => redis.send(command, ...args)),
    eval: (script) => (...params) => use((redis) => redis.eval(script)(...params)),
    reserve: use((redis) => redis.reserve),
    // It cannot fail, so it waits.
    subscribe: (channel) =>
      Effect.flatMap(
        Effect.orDie(Fiber.join(connecting)),
        (context) => Context.get(context, Redis.Redis).subscribe(channel)
      )
  })
})

/** The client waits for its last replies: those of a Redis that hangs never come. */
const closeSoon = (scope: Scope.Closeable): Effect.Effect<void> =>
  Effect.gen(function*() {
    const closing = yield* Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
    yield* Effect.timeoutOption(Fiber.await(closing), parting)
  })

/** Provides `Redis`, connected or not. */
export const layer = (url: Redacted.Redacted): Layer.Layer<Redis.Redis> => Layer.effect(Redis.Redis, make(url))
