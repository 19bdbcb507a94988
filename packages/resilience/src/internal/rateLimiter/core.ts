/** Effect's own rate limiter, on this engine. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Core from "effect/persistence/RateLimiter"
import * as Adaptive from "./adaptive.ts"
import * as Shapes from "./shape.ts"
import { type Entry, RateLimiterStore } from "./store.ts"

/** How many keys' learned limits are kept. */
const capacity = 10_000

const shapeOf = (options: Parameters<Core.RateLimiter["consume"]>[0]): Shapes.Shape => {
  const { limit } = options
  const scale = Shapes.scaleFor(limit)
  if (!(limit > 0) || scale === undefined) throw new RangeError(`limit must be a number above 0, got ${limit}`)
  const window = Math.max(1, Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(options.window))))
  if (!Number.isSafeInteger(window)) throw new RangeError(`window must be below 2^53 milliseconds, got ${window}`)
  const windowed = { limit: Shapes.toUnits(limit, scale), window, scale }
  const overflow = options.onExceeded === "delay" ? Shapes.maximumUnits : 0
  return options.algorithm === "token-bucket"
    ? Shapes.tokenBucket(windowed, windowed.limit, overflow)
    : Shapes.fixedWindow(windowed, false, overflow)
}

const storeError = (message: string, cause: unknown) =>
  new Core.RateLimiterError({ reason: new Core.RateLimitStoreError({ message, cause }) })

export const layer: Layer.Layer<Core.RateLimiter, never, RateLimiterStore> = Layer.effect(
  Core.RateLimiter,
  Effect.gen(function*() {
    const store = yield* RateLimiterStore
    const learned = new Map<string, Adaptive.State>()
    const learn = (key: string, state: Adaptive.State | undefined) => {
      learned.delete(key)
      if (state === undefined) return
      learned.set(key, state)
      if (learned.size > capacity) learned.delete(learned.keys().next().value!)
    }

    const consume: Core.RateLimiter["consume"] = (options) => {
      const shape = shapeOf(options)
      const { key, limit, tokens = 1 } = options
      const entry: Entry = {
        table: `core.${shape.kind}${shape.scale}`,
        key,
        policy: "",
        shape,
        cost: Math.min(Shapes.toUnits(tokens, shape.scale), 2 * Shapes.maximumUnits),
        shadow: false,
        lease: undefined
      }
      return store.decide({ entries: [entry], subjects: [], peek: false, hold: "" }).pipe(
        Effect.mapError((error) => storeError(error.message, error.cause)),
        Effect.flatMap(({ allowed, outcomes }) => {
          const { delay, remaining, reset, wait } = outcomes[0]!
          if (!allowed) {
            return Effect.fail(
              new Core.RateLimiterError({
                reason: new Core.RateLimitExceeded({
                  key,
                  // What can never be had is retried when the window is over.
                  retryAfter: Duration.millis(wait === Infinity ? shape.window : wait),
                  limit,
                  remaining: 0
                })
              })
            )
          }
          const left = shape.kind === "meter" ? remaining - shape.overflow : remaining
          return Effect.succeed({
            delay: delay === 0 ? Duration.zero : Duration.millis(delay),
            limit,
            remaining: left / shape.scale,
            resetAfter: Duration.millis(reset)
          })
        })
      )
    }

    return {
      [Core.TypeId]: Core.TypeId,
      consume,
      adaptiveConsume: ({ fallbackWindow, key, tokens }) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const { delay, epoch, phase, state } = Adaptive.consume(
            learned.get(key),
            tokens,
            Duration.toMillis(fallbackWindow),
            now
          )
          learn(key, state)
          return { delay: delay === 0 ? Duration.zero : Duration.millis(delay), epoch, phase }
        }),
      adaptiveFeedback: ({ epoch, key, retryAfter, status, tokens }) =>
        status !== 429 || retryAfter === undefined
          ? Effect.void
          : Effect.map(Clock.currentTimeMillis, (now) =>
            learn(key, Adaptive.feedback(learned.get(key), epoch, tokens, Duration.toMillis(retryAfter), now)))
    } satisfies Core.RateLimiter
  })
)
