/** The cache against a model of a few lines, over random histories. */
import { assert, describe, it } from "@effect/vitest"
import * as ResponseCache from "effect-resilience/ResponseCache"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { freshness } from "../src/internal/responseCache/freshness.ts"
import { type Fault, fault } from "./support/faults.ts"

const integerBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const Key = Schema.Literals(["a", "b", "c", "d"])

const Event = Schema.Union([
  Schema.TaggedStruct("ask", { key: Key }),
  Schema.TaggedStruct("set", { key: Key }),
  Schema.TaggedStruct("invalidate", { key: Key }),
  Schema.TaggedStruct("advance", { millis: integerBetween(0, 60) }),
  Schema.TaggedStruct("health", { up: Schema.Boolean })
])

interface Entry {
  readonly value: string
  readonly at: number
}

/** What a cache of these spans should do, with its entries in a list, the one used longest ago first. */
class Model {
  now = 0
  entries: ReadonlyArray<readonly [string, Entry]> = []
  readonly spans: readonly [ttl: number, staleFor: number, staleIfError: number]
  readonly capacity: number

  constructor(spans: readonly [number, number, number], capacity: number) {
    this.spans = spans
    this.capacity = capacity
  }

  drop(key: string) {
    this.entries = this.entries.filter(([other]) => other !== key)
  }

  put(key: string, value: string, at = this.now) {
    this.drop(key)
    this.entries = [...this.entries, [key, { value, at }] as const].slice(-this.capacity)
  }

  /** The entry and its age; looking at it makes it the youngest. */
  look(key: string): { readonly value: string; readonly age: number } | undefined {
    const entry = this.entries.find(([other]) => other === key)?.[1]
    if (entry === undefined) return undefined
    const age = this.now - entry.at
    const [ttl, staleFor, staleIfError] = this.spans
    if (age >= ttl + Math.max(staleFor, staleIfError)) {
      this.drop(key)
      return undefined
    }
    this.put(key, entry.value, entry.at)
    return { value: entry.value, age }
  }
}

describe("ResponseCache", () => {
  it.effect.prop(
    "answers as the model does over random histories",
    {
      ttl: integerBetween(1, 50),
      staleFor: integerBetween(0, 50),
      staleIfError: integerBetween(0, 50),
      capacity: integerBetween(1, 4),
      events: Schema.Array(Event).check(Schema.isMaxLength(80))
    },
    ({ capacity, events, staleFor, staleIfError, ttl }) =>
      Effect.gen(function*() {
        const model = new Model([ttl, staleFor, staleIfError], capacity)
        const cache = yield* ResponseCache.make({
          name: "replies",
          key: (key: string) => Effect.succeed(key),
          schema: Schema.String,
          ttl,
          staleFor,
          staleIfError,
          capacity
        })
        let version = 0
        let up = true
        const down = fault("Transient")
        const answer = cache.through((key): Effect.Effect<string, Fault> =>
          Effect.suspend(() => up ? Effect.succeed(`${key}${++version}`) : Effect.fail(down))
        )
        for (const event of events) {
          switch (event._tag) {
            case "health":
              up = event.up
              break
            case "advance":
              model.now += event.millis
              yield* TestClock.adjust(event.millis)
              break
            case "set":
              model.put(event.key, `${event.key}${++version}`)
              yield* cache.set(event.key, `${event.key}${version}`)
              break
            case "invalidate":
              model.drop(event.key)
              yield* cache.invalidate(event.key)
              break
            case "ask": {
              const { key } = event
              const found = model.look(key)
              const next = `${key}${version + 1}`
              const { result, value } = yield* Effect.orElseSucceed(
                answer.served(key),
                () => ({ result: "failed", value: "" })
              )
              // What was started in the background comes to its end.
              yield* Effect.yieldNow
              if (found !== undefined && found.age < ttl) {
                assert.deepStrictEqual([result, value], ["hit", found.value])
              } else if (found !== undefined && found.age < ttl + staleFor) {
                assert.deepStrictEqual([result, value], ["stale", found.value])
                if (up) model.put(key, next)
              } else if (up) {
                assert.deepStrictEqual([result, value], ["miss", next])
                model.put(key, next)
              } else if (found !== undefined && found.age < ttl + staleIfError) {
                assert.deepStrictEqual([result, value], ["stale", found.value])
              } else {
                assert.strictEqual(result, "failed")
              }
            }
          }
        }
      }).pipe(Effect.scoped, Effect.provide([ResponseCache.layerStoreMemory, TestClock.layer()])),
    { arbitrary: { runs: 300 } }
  )

  it.prop(
    "the four ages follow each other and leave no gap",
    { ttl: integerBetween(1, 20), staleFor: integerBetween(0, 20), staleIfError: integerBetween(0, 20) },
    ({ staleFor, staleIfError, ttl }) => {
      const order = ["Fresh", "Stale", "Spare", "Expired"]
      const spans = { ttlMillis: ttl, staleForMillis: staleFor, staleIfErrorMillis: staleIfError }
      let last = 0
      for (let age = 0; age <= 80; age++) {
        const now = order.indexOf(freshness(spans, age))
        assert.isTrue(now >= last)
        last = now
      }
      assert.strictEqual(order[last], "Expired")
    }
  )
})
