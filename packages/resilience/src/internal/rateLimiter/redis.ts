/** The store in Redis: each operation is one script, whose keys are in one slot of a cluster, and the server's clock decides. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redis from "effect/persistence/Redis"
import { RateLimiterStoreError } from "./errors.ts"
import { encode } from "./keys.ts"
import * as Lua from "./lua.ts"
import type { Shape } from "./shape.ts"
import { type Place, RateLimiterStore, type Reply, type Subject } from "./store.ts"

/**
 * @category models
 * @since 0.1.0
 */
export interface RedisOptions {
  /** What all keys begin with. No braces. Default `"ratelimit:"`. */
  readonly prefix?: string | undefined
  /**
   * In a cluster: which slot a key is in, by any text. All checks of one call have to give the same text; a call whose checks do not
   * dies with a `RangeError`. Default: all in one slot, which is always right and uses one node.
   */
  readonly slot?: ((subject: Subject) => string) | undefined
}

/** For tests: time other than the server's. */
interface Internal extends RedisOptions {
  readonly now?: (() => number) | undefined
}

const script = (lua: string) =>
  Redis.script((keys: ReadonlyArray<string>, args: ReadonlyArray<string | number>) => [...keys, ...args], {
    lua,
    numberOfKeys: (keys) => keys.length
  })

const decideScript = script(Lua.decide).withReturnType<ReadonlyArray<number>>()
const settleScript = script(Lua.settle).withReturnType<number>()
const blockScript = script(Lua.block).withReturnType<number>()

const shapeArgs = (shape: Shape): ReadonlyArray<string | number> => [
  shape.kind,
  shape.limit,
  shape.capacity,
  shape.overflow,
  shape.weight,
  shape.most,
  shape.window,
  shape.rate,
  shape.per,
  shape.aligned ? 1 : 0,
  shape.slices
]

export const make = (options: Internal): Effect.Effect<RateLimiterStore["Service"], never, Redis.Redis> => {
  const { now, prefix = "ratelimit:", slot = () => "all" } = options
  if (/[{}]/.test(prefix)) throw new RangeError(`prefix must not contain braces, got ${prefix}`)
  const time = () => now === undefined ? "" : String(now())
  const slotOf = (subject: Subject): string => encodeURIComponent(slot(subject).toWellFormed()) || "-"

  const keysOf = (place: Place): ReadonlyArray<string> => {
    const start = `${prefix}{${slotOf(place)}}`
    const end = encode(`${place.table}${place.key}`)
    return [`${start}s:${end}`, `${start}h:${end}`, `${start}a:${end}`, `${start}n:${end}`]
  }
  const blockKey = (subject: Subject): string =>
    `${prefix}{${slotOf(subject)}}b:${encode(`${subject.policy.length}:${subject.policy}${subject.key}`)}`

  const sameSlot = (subjects: ReadonlyArray<Subject>): Effect.Effect<void> => {
    if (options.slot === undefined || subjects.length < 2) return Effect.void
    const slots = new Set(subjects.map(slotOf))
    return slots.size <= 1 ? Effect.void : Effect.die(
      new RangeError(`slot must be the same for all checks of a call, got ${[...slots].join(" and ")}`)
    )
  }

  return Effect.map(Redis.Redis, (redis) => {
    const run = <A>(operation: RateLimiterStoreError["operation"], self: Effect.Effect<A, Redis.RedisError>) =>
      Effect.mapError(self, ({ cause }) => new RateLimiterStoreError({ operation, cause }))
    const decide = redis.eval(decideScript)
    const settle = redis.eval(settleScript)
    const block = redis.eval(blockScript)

    return RateLimiterStore.of({
      decide: ({ entries, hold, peek, subjects }) =>
        Effect.andThen(
          sameSlot(subjects),
          Effect.suspend(() =>
            Effect.map(
              run(
                "decide",
                decide([...entries.flatMap(keysOf), ...subjects.map(blockKey)], [
                  time(),
                  peek ? 1 : 0,
                  hold,
                  entries.length,
                  ...entries.flatMap(({ cost, lease, shadow, shape }) => [
                    ...shapeArgs(shape),
                    cost,
                    shadow ? 1 : 0,
                    lease ?? -1
                  ])
                ])
              ),
              (reply): Reply => ({
                allowed: reply[0] === 1,
                outcomes: entries.map((_, index) => {
                  // The script answers with five numbers an entry.
                  const [wait, delay, remaining, reset, held] = reply.slice(
                    1 + 5 * index,
                    6 + 5 * index
                  ) as unknown as [
                    number,
                    number,
                    number,
                    number,
                    number
                  ]
                  return { wait: wait < 0 ? Infinity : wait, delay, remaining, reset, held }
                }),
                blocked: reply.slice(1 + 5 * entries.length)
              })
            )
          )
        ),
      settle: ({ entries, force, hold, renew }) =>
        Effect.suspend(() =>
          Effect.map(
            run(
              "settle",
              settle(entries.flatMap(keysOf), [
                time(),
                hold,
                renew ?? -1,
                force ? 1 : 0,
                ...entries.flatMap(({ charge, shape }) => [...shapeArgs(shape), charge])
              ])
            ),
            (all) => all === 1
          )
        ),
      command: (command) => {
        switch (command._tag) {
          case "Reset":
            return Effect.asVoid(
              run("command", redis.send("DEL", ...command.places.flatMap(keysOf), blockKey(command.subject)))
            )
          case "Block":
            return Effect.suspend(() =>
              Effect.asVoid(run("command", block([blockKey(command.subject)], [time(), command.millis])))
            )
        }
      }
    })
  })
}

export const layer = (options: RedisOptions): Layer.Layer<RateLimiterStore, never, Redis.Redis> =>
  Layer.effect(RateLimiterStore, make(options))
