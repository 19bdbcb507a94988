import * as DeadLetterQueue from "effect-resilience/DeadLetterQueue"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import type * as Aead from "effect/crypto/Aead"
import type * as SecureRandom from "effect/crypto/SecureRandom"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import type * as PersistedQueue from "effect/persistence/PersistedQueue"
import type * as Redis from "effect/persistence/Redis"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { describe, expect, test } from "tstyche"

class Busy extends Data.TaggedError("Busy")<{ readonly queue: number }> {}
class Weather extends Context.Service<Weather, { readonly calm: boolean }>()("Weather") {}

type Order = { readonly order: number }
const Order = Schema.Struct({ order: Schema.Int })

declare const queue: DeadLetterQueue.DeadLetterQueue<Order>
declare const handler: (order: Order) => Effect.Effect<string, Busy, Weather>

class Failed extends DeadLetterQueue.Service<Failed>()("app/Failed", { name: "failed", schema: Order }) {}

describe("a dead letter queue", () => {
  test("has payloads of its schema's type, and needs a store and a scope", () => {
    expect(DeadLetterQueue.make({ name: "orders", schema: Order })).type.toBe<
      Effect.Effect<DeadLetterQueue.DeadLetterQueue<Order>, never, DeadLetterQueue.DeadLetterStore | Scope.Scope>
    >()
    expect(queue.offer).type.toBeCallableWith({ order: 1 }, { error: "down" })
    expect(queue.offer).type.not.toBeCallableWith({ order: "1" }, { error: "down" })
    expect(DeadLetterQueue.make).type.not.toBeCallableWith({ name: "orders" })
  })

  test("a schema that needs services is refused", () => {
    const needy = null! as Schema.Codec<Order, unknown, Weather>
    expect(DeadLetterQueue.make).type.not.toBeCallableWith({ name: "orders", schema: needy })
  })

  test("every operation says how it fails", () => {
    expect(queue.offer({ order: 1 }, {})).type.toBe<
      Effect.Effect<string, DeadLetterQueue.DeadLetterStoreError | DeadLetterQueue.PayloadUnencodable>
    >()
    expect(queue.get("a")).type.toBe<
      Effect.Effect<
        DeadLetterQueue.OpenedLetter<Order>,
        DeadLetterQueue.DeadLetterStoreError | DeadLetterQueue.LetterNotFound
      >
    >()
    expect(queue.count({ state: "Dead" })).type.toBe<Effect.Effect<number, DeadLetterQueue.DeadLetterStoreError>>()
    expect(queue.count).type.not.toBeCallableWith({ state: "Gone" })
    expect(queue.discard).type.not.toBeCallableWith(["a"])
  })

  test("a redrive needs what its handler needs, and its handler's errors are outcomes", () => {
    expect(queue.redrive(["a"], handler)).type.toBe<
      Stream.Stream<DeadLetterQueue.Progress, DeadLetterQueue.DeadLetterStoreError, Weather>
    >()
    expect(queue.redrive({ kind: "Timeout" }, null! as PersistedQueue.PersistedQueue<Order>)).type.toBe<
      Stream.Stream<DeadLetterQueue.Progress, DeadLetterQueue.DeadLetterStoreError>
    >()
    expect(queue.redrive).type.not.toBeCallableWith(["a"], (order: string) => Effect.succeed(order))
  })

  test("an automatic redrive is a layer that needs what its handler and its condition need", () => {
    const when = Effect.map(Weather, ({ calm }) => calm)
    expect(queue.autoRedrive({ schedule: Schedule.spaced("1 minute"), when, handler: () => Effect.void })).type.toBe<
      Layer.Layer<never, never, Weather>
    >()
    expect(queue.autoRedrive({ schedule: Schedule.spaced("1 minute"), handler })).type.toBe<
      Layer.Layer<never, never, Weather>
    >()
  })
})

describe("deadLetterOnFailure", () => {
  test("by default succeeds with what came of it: the handler's error is gone", () => {
    expect(queue.deadLetterOnFailure(handler)).type.toBe<
      (
        payload: Order
      ) => Effect.Effect<
        DeadLetterQueue.Kept<string>,
        DeadLetterQueue.DeadLetterStoreError | DeadLetterQueue.PayloadUnencodable,
        Weather
      >
    >()
  })

  test("with `afterwards: \"fail\"` keeps it", () => {
    expect(queue.deadLetterOnFailure(handler, { afterwards: "fail" })).type.toBe<
      (
        payload: Order
      ) => Effect.Effect<
        string,
        Busy | DeadLetterQueue.DeadLetterStoreError | DeadLetterQueue.PayloadUnencodable,
        Weather
      >
    >()
  })

  test("the retry's services are needed", () => {
    const retry = null! as Schedule.Schedule<unknown, Busy, never, Scope.Scope>
    expect(queue.deadLetterOnFailure(handler, { retry })({ order: 1 })).type.toBe<
      Effect.Effect<
        DeadLetterQueue.Kept<string>,
        DeadLetterQueue.DeadLetterStoreError | DeadLetterQueue.PayloadUnencodable,
        Weather | Scope.Scope
      >
    >()
  })
})

describe("layers", () => {
  test("a service's layer needs a store, and from Config may fail", () => {
    expect(Failed.layer).type.toBe<Layer.Layer<Failed, never, DeadLetterQueue.DeadLetterStore>>()
    expect<ReturnType<typeof Failed.layerConfig>>().type.toBe<
      Layer.Layer<Failed, Config.ConfigError, DeadLetterQueue.DeadLetterStore>
    >()
    expect(Effect.flatMap(Failed, (failed) => failed.count())).type.toBe<
      Effect.Effect<number, DeadLetterQueue.DeadLetterStoreError, Failed>
    >()
  })

  test("stores need their driver", () => {
    expect(DeadLetterQueue.layerStoreMemory).type.toBe<Layer.Layer<DeadLetterQueue.DeadLetterStore>>()
    expect(DeadLetterQueue.layerStoreRedis()).type.toBe<
      Layer.Layer<DeadLetterQueue.DeadLetterStore, never, Redis.Redis>
    >()
    expect(DeadLetterQueue.layerStoreFile({ path: "a" })).type.toBe<
      Layer.Layer<DeadLetterQueue.DeadLetterStore, DeadLetterQueue.DeadLetterStoreError, FileSystem.FileSystem>
    >()
    expect(DeadLetterQueue.layerStoreFile).type.not.toBeCallableWith({})
  })

  test("encryption needs the crypto services once", () => {
    expect(DeadLetterQueue.encryption({ keys: {}, current: "a" })).type.toBe<
      Effect.Effect<DeadLetterQueue.Encryption, never, Aead.Aead | SecureRandom.SecureRandom>
    >()
  })

  test("Effect's queue is kept by its own store's tag", () => {
    expect(DeadLetterQueue.fromPersistedQueue(queue, { queue: "orders" })).type.toBe<
      Layer.Layer<PersistedQueue.PersistedQueueStore, never, PersistedQueue.PersistedQueueStore>
    >()
  })
})
