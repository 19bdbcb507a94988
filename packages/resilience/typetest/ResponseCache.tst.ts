import * as ResponseCache from "effect-resilience/ResponseCache"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Redis from "effect/persistence/Redis"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { describe, expect, test } from "tstyche"

class Down extends Data.TaggedError("Down")<{}> {}
class Model extends Context.Service<Model, { readonly name: string }>()("Model") {}
class Codec extends Context.Service<Codec, {}>()("Codec") {}

interface Question {
  readonly text: string
}

declare const ask: (question: Question) => Effect.Effect<number, Down, Model>
declare const cache: ResponseCache.ResponseCache<Question, number>
declare const needsService: Schema.Codec<number, string, Codec, Codec>

const options = {
  key: (question: Question) => Effect.succeed(question.text),
  schema: Schema.FiniteFromString,
  ttl: "1 minute",
  capacity: 10
} as const

class Replies extends ResponseCache.Service<Replies>()("app/Replies", options) {}

describe("ResponseCache.make", () => {
  test("keeps what its schema decodes to, for requests that its key understands", () => {
    expect(ResponseCache.make({ name: "a", ...options })).type.toBe<
      Effect.Effect<
        ResponseCache.ResponseCache<Question, number>,
        never,
        ResponseCache.ResponseCacheStore | Scope.Scope
      >
    >()
  })

  test("wants a schema that needs no services", () => {
    expect(ResponseCache.make).type.not.toBeCallableWith({ name: "a", ...options, schema: needsService })
  })
})

describe("a look-up behind a cache", () => {
  test("fails and needs as before", () => {
    expect(cache.through(ask)({ text: "why?" })).type.toBe<Effect.Effect<number, Down, Model>>()
    expect(cache.through(ask).served({ text: "why?" })).type.toBe<
      Effect.Effect<ResponseCache.Served<number>, Down, Model>
    >()
  })

  test("of another value or for another request does not fit", () => {
    expect(cache.through).type.not.toBeCallableWith((_: Question) => Effect.succeed("text"))
    expect(cache.through).type.not.toBeCallableWith((_: { readonly other: string }) => Effect.succeed(1))
    expect(cache.through(ask)).type.not.toBeCallableWith("why?")
  })
})

describe("ResponseCache.Service", () => {
  test("is provided by its layers", () => {
    expect(Replies.layer).type.toBe<Layer.Layer<Replies>>()
    expect(Replies.layerNoop).type.toBe<Layer.Layer<Replies>>()
    expect(Replies.layerStored).type.toBe<Layer.Layer<Replies, never, ResponseCache.ResponseCacheStore>>()
    expect<ReturnType<typeof Replies.layerConfig>>().type.toBe<
      Layer.Layer<Replies, Config.ConfigError, ResponseCache.ResponseCacheStore>
    >()
    expect(ResponseCache.layerStoreRedis()).type.toBe<
      Layer.Layer<ResponseCache.ResponseCacheStore, never, Redis.Redis>
    >()
  })
})
