/** Any history of requests is decided as by the store in memory. */
import { assert } from "@effect/vitest"
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { fresh, type It, long } from "./kit.ts"

const { concurrency, fixedWindow, leakyBucket, slidingWindow, tokenBucket } = RateLimiter

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

export const historyTests = (it: It, timeout: number): void => {
  it.effect.prop(
    "decides any history of requests as the store in memory does",
    {
      kind: integerBetween(0, 3),
      limit: integerBetween(1, 20),
      events: Schema.Array(Schema.Struct({
        what: Schema.Literals(["consume", "reserve", "settle", "release", "peek", "reset"]),
        cost: integerBetween(0, 8),
        key: integerBetween(0, 1)
      })).check(Schema.isMaxLength(25))
    },
    ({ events, kind, limit }) =>
      Effect.gen(function*() {
        // Windows so long that time makes no difference.
        const window = "10000 days"
        const make = [
          () => tokenBucket({ limit, window }),
          () => slidingWindow({ limit, window }),
          () => fixedWindow({ limit, window }),
          () => leakyBucket({ limit, window })
        ][kind]!
        const both = fresh(make(), concurrency({ limit: 12, lease: long }))
        const replay = Effect.scoped(Effect.gen(function*() {
          const limiter = yield* RateLimiter.RateLimiter
          const reservations: Array<RateLimiter.Reservation> = []
          const said: Array<string> = []
          for (const { cost, key, what } of events) {
            const check = { policy: both, key: `${key}`, cost }
            const tell = (tag: string, { rules }: RateLimiter.Decision) =>
              said.push(`${tag} ${rules.map(({ remaining }) => remaining).join(" ")}`)
            switch (what) {
              case "consume":
              case "peek": {
                const decision = yield* limiter[what](check)
                tell(decision._tag, decision)
                break
              }
              case "reserve": {
                const exit = yield* Effect.exit(limiter.reserve(check))
                if (Exit.isSuccess(exit)) reservations.push(exit.value)
                said.push(exit._tag)
                break
              }
              case "settle":
              case "release": {
                const reservation = reservations.shift()
                if (reservation !== undefined) yield* reservation.settle(what === "settle" ? cost : 0)
                break
              }
              case "reset":
                yield* limiter.reset(check)
            }
          }
          return said
        }))
        const here = yield* replay
        const memory = yield* Effect.provide(
          replay,
          RateLimiter.layer.pipe(Layer.provide(Layer.fresh(RateLimiter.layerStoreMemory()))),
          { local: true }
        )
        assert.deepStrictEqual(here, memory)
      }),
    { arbitrary: { runs: 40 }, timeout }
  )
}
