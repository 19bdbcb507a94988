/** A rate limiter in this process, with room and without. */
import * as RateLimiter from "effect-resilience/RateLimiter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CoreRateLimiter from "effect/persistence/RateLimiter"
import { RateLimiterMemory } from "rate-limiter-flexible"
import type { Comparison } from "../harness/compare.ts"
import { type Contender, effects, promises } from "../harness/contender.ts"
import { type Keys, oneKey, uniform, zipf } from "../harness/keys.ts"

const plenty = 1_000_000_000

const store = RateLimiter.layerStoreMemory({ capacity: 2_000_000 })

/** Ours, by the algorithm that the peers have, or by another one. */
const ours = (name: string, rule: RateLimiter.Rule, keys: Keys): Contender =>
  effects(
    name,
    Layer.provide(RateLimiter.layer, store),
    Effect.map(RateLimiter.RateLimiter, (limiter) => {
      const policy = RateLimiter.policy("bench", [rule])
      const next = keys()
      return Effect.suspend(() => limiter.consume({ policy, key: next() }))
    })
  )

const flexible = (keys: Keys): Contender =>
  promises("rate-limiter-flexible", () => {
    const limiter = new RateLimiterMemory({ points: plenty, duration: 60 })
    const next = keys()
    return () => limiter.consume(next())
  })

const core = (keys: Keys): Contender =>
  effects(
    "Effect core",
    Layer.provide(CoreRateLimiter.layer, CoreRateLimiter.layerStoreMemory),
    Effect.map(CoreRateLimiter.RateLimiter, (limiter) => {
      const next = keys()
      return Effect.suspend(() =>
        Effect.orDie(limiter.consume({ key: next(), limit: plenty, window: "1 minute", onExceeded: "fail" }))
      )
    })
  )

const allowing = (title: string, call: string, keys: Keys): Comparison => ({
  title,
  call,
  contenders: [
    ours("fixedWindow", RateLimiter.fixedWindow({ limit: plenty, window: "1 minute" }), keys),
    ours("tokenBucket", RateLimiter.tokenBucket({ limit: plenty, window: "1 minute" }), keys),
    ours("slidingWindow", RateLimiter.slidingWindow({ limit: plenty, window: "1 minute" }), keys),
    flexible(keys),
    core(keys)
  ],
  targets: [
    { against: "rate-limiter-flexible", atMost: 1.2 },
    { against: "Effect core", atMost: 0.4 }
  ]
})

/** What a reader must know about the figures. */
export const notes =
  `A request is any number of rules under any number of keys, decided as one: that generality is most of the distance to
rate-limiter-flexible with a single key, whose call adds one to a number in a map, and it shrinks with the number of keys, where
memory decides. What would help is to prepare a check once for a policy and a key instead of for each request, and a way past the general
decision where there is one rule.`

/** Limiters in memory. */
export const comparisons: ReadonlyArray<Comparison> = [
  allowing("Allowing, one key", "A request that has room; the peers' algorithm is the fixed window.", oneKey),
  allowing("Allowing, 10,000 keys", "The same, the keys coming in turn.", uniform(10_000)),
  allowing(
    "Allowing, a million keys by Zipf's law",
    "The same, a few keys coming often and most of a million seldom.",
    zipf(1_000_000)
  ),
  {
    title: "Refusing",
    call: "A request that has no room, with its typed error, made and caught as programs of each kind do it.",
    contenders: [
      effects(
        "RateLimiter.limit",
        Layer.provide(RateLimiter.layer, store),
        Effect.flatMap(RateLimiter.RateLimiter, (limiter) => {
          const policy = RateLimiter.policy("bench", [RateLimiter.fixedWindow({ limit: 1, window: "1 hour" })])
          const refused = Effect.ignore(limiter.limit({ policy, key: "one" })(Effect.void))
          return Effect.as(refused, refused)
        })
      ),
      promises("rate-limiter-flexible", () => {
        const limiter = new RateLimiterMemory({ points: 1, duration: 3600 })
        void limiter.consume("one")
        return () => limiter.consume("one").catch(() => undefined)
      }),
      effects(
        "Effect core",
        Layer.provide(CoreRateLimiter.layer, CoreRateLimiter.layerStoreMemory),
        Effect.flatMap(CoreRateLimiter.RateLimiter, (limiter) => {
          const refused = Effect.ignore(
            limiter.consume({ key: "one", limit: 1, window: "1 hour", onExceeded: "fail" })
          )
          return Effect.as(refused, refused)
        })
      )
    ],
    targets: [
      { against: "rate-limiter-flexible", atMost: 1 },
      { against: "Effect core", atMost: 0.04 }
    ]
  }
]
